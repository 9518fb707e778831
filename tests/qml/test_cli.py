"""The command line: what it lists, and one sentence with exit code 2 for every mistake."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import qml
from qml.cli import main
from qml.nas.estimators import ESTIMATORS
from qml.nas.spaces import SPACES
from qml.runs import RunFolder

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Outcome:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def files(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run --task digits-5", "no task 'digits-5' digits-2 digits-4 digits-10 mnist-4"),
        ("run --device FakeQuitto", "device 'FakeQuitto' FakeQuitoV2"),
        ("run --preset huge", "preset 'huge' default paper tiny"),
        ("run --seed -1", "--seed greater equal 0"),
        ("run --seed two", "--seed integer"),
        ("run --speed 3", "--speed"),
        ("run --space u3cu4", "no design space 'u3cu4' u3cu3"),
        ("run --estimator luck", "no estimator 'luck' noise success signal shots quest"),
        ("run --processes 0", "--processes greater equal 1"),
        ("run --task digits-10", "10 connected qubits 5 qubits larger device"),
        ("run --out taken", "'taken' already holds files --resume"),
        ("run --out taken/file", "'taken/file' is a file"),
        ("run --out taken/file/run", "cannot write not a directory"),
        ("run --resume nowhere", "no run folder 'nowhere'"),
        ("run --resume taken", "'taken' is not a run folder run.json"),
        ("run --resume taken --seed 3 --space zz_ry", "--resume leave --seed --space"),
        ("predictor train new --seed -1", "--seed greater equal 0"),
        ("walk", "walk"),
        ("devices --all", "--all"),
    ],
)
def test_a_mistake_gets_one_sentence_and_damages_nothing(
    run: Run, tmp_path: Path, arguments: str, words: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("precious")
    code, out, error = run(*arguments.split())
    assert code == 2
    assert out == ""
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert all(word in error for word in words.split())
    assert files(tmp_path) == {"taken/file": b"precious"}


def test_a_run_folder_of_another_version_is_left_alone(run: Run, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "old", {}, seeds={}, calibration={})
    folder.write_json("run.json", folder.header | {"version": 99})
    before = files(folder.path)
    code, _, error = run("run", "--resume", "old")
    assert (code, error.count("\n")) == (2, 1)
    assert "format 99" in error
    assert files(folder.path) == before


def test_a_run_folder_without_settings_is_refused(run: Run, tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "half", {"task": "digits-4"}, seeds={}, calibration={})
    code, _, error = run("run", "--resume", "half")
    assert (code, error.count("\n")) == (2, 1)
    assert "damaged" in error


def test_help_names_the_commands_and_defaults(run: Run) -> None:
    code, out, _ = run()
    assert code == 0
    assert "run" in out
    assert "devices" in out
    code, out, _ = run("run", "--help")
    assert code == 0
    for word in ("--task", "digits-4", "FakeQuitoV2", "--preset", "--seed", "--out", "--resume"):
        assert word in out
    for names in (SPACES, ESTIMATORS):
        assert all(name in out for name in names)


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"efficient-qml {qml.__version__}\n", "")


def test_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "qml", "walk"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "walk" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["run", "--help"], ["--version"], ["walk"]])
def test_what_needs_no_simulator_does_not_wait_for_it(arguments: list[str]) -> None:
    asked = f"import sys, qml.cli; qml.cli.main({arguments}); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True)


def test_every_public_name_is_there() -> None:
    for name in qml.__all__:
        assert getattr(qml, name) is not None
    assert set(qml.__all__) <= set(dir(qml))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = qml.nothing
