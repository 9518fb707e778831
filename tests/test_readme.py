"""The Python of README.md runs as it stands there, one block after another, as a reader would."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

README = Path(__file__).parent.parent / "README.md"
PYTHON = re.compile(r"^    (import|from) .*$", re.MULTILINE)


def python_blocks() -> list[str]:
    """Indented blocks that import something, without their indentation."""
    blocks = re.findall(r"(?:^    .*\n|^\n)+", README.read_text(), re.MULTILINE)
    return [re.sub("^    ", "", b, flags=re.MULTILINE) for b in blocks if PYTHON.search(b)]


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # they save files
    names: dict[str, object] = {}
    blocks = python_blocks()
    assert len(blocks) >= 4
    for block in blocks:
        lines = [line for line in block.splitlines() if not line.startswith(("pip ", "$"))]
        exec(compile("\n".join(lines), str(README), "exec"), names)
