"""`qml kernels bench`."""

import json
from pathlib import Path

import pytest

from classical.kernels import CONV2D_METHODS, MATMUL_METHODS
from qml.cli import main


def test_bench_prints_tables_and_writes_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kernels.json"
    assert main(["kernels", "bench", "--size", "40", "--threads", "1", "--out", str(path)]) == 0
    text = capsys.readouterr().out
    for name in (*MATMUL_METHODS, *CONV2D_METHODS["nchw"], "in place", "torch", "Of peak"):
        assert name in text
    written = json.loads(path.read_text())
    assert written["isa"] in text
    assert {"seconds", "gflops", "peak_gflops", "times_torch"} <= written["timings"][0].keys()


@pytest.mark.parametrize(
    ("out", "words"),
    [("kernels.csv", "--out writes .json, not '.csv'"), ("folder.json", "(is a directory)")],
)
def test_bench_refuses_before_it_measures(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    out: str,
    words: str,
) -> None:
    (tmp_path / "folder.json").mkdir()
    monkeypatch.setattr("classical.kernels.bench", None)
    assert main(["kernels", "bench", "--out", str(tmp_path / out)]) == 2
    assert words in capsys.readouterr().err
