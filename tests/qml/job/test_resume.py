"""The whole job, killed and resumed: it ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from qml.cli import main
from qml.runs import CIRCUITS, TITLES, RunFolder

DEADLINE = 240.0  # seconds, only against hanging


def start(*arguments: str) -> subprocess.Popen[str]:
    # A child inherits that SIGINT is ignored, as in a background job of a shell, but no handler.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "qml", "run", *arguments],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, inherited)


def finish(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, error
    return out


def wait_for(process: subprocess.Popen[str], file: Path) -> None:
    end = time.monotonic() + DEADLINE
    while not file.exists():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < end
        time.sleep(0.002)


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(v) for key, v in value.items() if key != "seconds"}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def outcome(path: Path) -> dict[str, Any]:
    """Everything in a run folder that should not depend on when and how often it was started."""
    # Not the logical QASM: Qiskit writes sums of angles in an order that differs between processes.
    files = [path / "results.json", *path.glob("stages/*"), *path.glob("weights/*")]
    files += [*path.glob("circuits/*.json"), *path.glob("circuits/*.compiled.qasm")]
    return {
        str(file.relative_to(path)): without_times(json.loads(file.read_text()))
        if file.suffix == ".json"
        else file.read_bytes()
        for file in files
    }


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "unbroken"
    finish(start("--preset", "tiny", "--out", str(path)))
    return path


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interrupted while training, killed while searching, then left to finish."""
    path = tmp_path_factory.mktemp("runs") / "broken"
    process = start("--preset", "tiny", "--out", str(path))
    wait_for(process, path / "stages" / "baseline.json")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert error.strip() == f"Stopped. To go on: qml run --resume {path}"

    process = start("--resume", str(path))
    wait_for(process, path / "checkpoints" / "search.safetensors")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    folder = RunFolder.open(path)
    _, saved = folder.load_checkpoint("search") or ({}, None)
    assert saved["state"] >= 1  # generations
    assert folder.stage("search") is None
    assert not folder.finished

    finish(start("--resume", str(path)))
    return path


def test_a_broken_run_ends_like_an_unbroken_one(unbroken: Path, broken: Path) -> None:
    assert outcome(broken) == outcome(unbroken)


def test_results_are_complete(unbroken: Path) -> None:
    results = json.loads((unbroken / "results.json").read_text())
    assert (results["task"], results["device"]) == ("digits-4", "FakeQuitoV2")
    assert (results["shots"], results["samples"]) == (128, 8)
    assert list(results["circuits"]) == list(CIRCUITS)
    for row in results["circuits"].values():
        assert 0 <= row["noise_free_accuracy"] <= 1
        assert 0 <= row["noisy_accuracy"] <= 1
        assert 0 < row["esp"] < 1
        assert row["two_qubit_gates"] > 0
        assert row["one_qubit_gates"] > 0
        assert row["depth"] > 0
        assert len(set(row["initial_layout"])) == 4
        assert row["seconds"]["train"] > 0
        assert row["seconds"]["device"] > 0
    searched, matched = results["circuits"]["searched"], results["circuits"]["matched"]
    assert searched["parameters"] == matched["parameters"]
    assert results["circuits"]["pruned"]["parameters"] < searched["parameters"]
    assert set(results["seconds"]) == {*TITLES, *(f"device-{name}" for name in CIRCUITS)}


def test_the_run_folder_is_complete(unbroken: Path) -> None:
    for name in CIRCUITS:
        for form in ("logical", "compiled"):
            text = (unbroken / "circuits" / f"{name}.{form}.qasm").read_text()
            assert text.startswith("OPENQASM 3")
    assert "data:image" in (unbroken / "report.html").read_text()
    assert not list((unbroken / "checkpoints").iterdir())
    assert not list(unbroken.rglob("*.tmp"))
    history = json.loads((unbroken / "stages" / "search.json").read_text())["history"]
    assert [line["generation"] for line in history] == [1, 2, 3, 4]


def test_a_finished_run_shows_its_table_again(
    unbroken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file: file.stat().st_mtime_ns for file in unbroken.rglob("*")}
    assert main(["run", "--resume", str(unbroken)]) == 0
    shown = capsys.readouterr().out
    assert "Accuracy on device" in shown
    assert str(unbroken / "report.html") in shown
    assert {file: file.stat().st_mtime_ns for file in unbroken.rglob("*")} == before


def test_a_damaged_checkpoint_is_named(
    unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = json.loads((unbroken / "run.json").read_text())
    folder = RunFolder.create(
        tmp_path / "run",
        header["config"],
        seeds=header["seeds"],
        calibration=json.loads((unbroken / "calibration.json").read_text()),
    )
    folder.write_text("checkpoints/baseline.safetensors", "half")
    assert main(["run", "--resume", str(folder.path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "baseline.safetensors' is damaged" in error
