"""`qml devices` and `qml compile`: what they print and write, and what mistakes get to hear."""

from collections.abc import Callable
from pathlib import Path

import pytest

from compile import Compiled, Device, fake_device_names
from qml.cli import main
from qsim.interop.openqasm import from_openqasm

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]

BELL = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0], q[1];'


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bell.qasm").write_text(BELL)

    def call(*arguments: str) -> Outcome:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def rows(text: str) -> dict[str, list[str]]:
    """Cells of a table by the first of each row."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    return {line[0]: line[1:] for line in lines}


def test_devices_are_a_table(run: Run) -> None:
    code, out, error = run("devices")
    assert code == 0, error
    table = rows(out)
    assert set(fake_device_names()) <= table.keys()
    quito = Device.from_fake("quito")
    errors = sorted(quito.two_qubit_error(*edge) for edge in quito.edges)
    assert table["FakeQuitoV2"][:2] == ["5", f"{(errors[1] + errors[2]) / 2:.2%}"]
    assert table["FakeTorino"][4] == str(len(Device.from_fake("torino").dead_edges))
    assert "dynamic" in table["FakeManilaV2"]
    assert "dynamic" not in table["FakeQuitoV2"]


def test_compiled_circuit_is_told_written_and_drawn(run: Run, tmp_path: Path) -> None:
    code, out, error = run(
        *("compile", "bell.qasm", "--device", "quito", "--effort", "balanced"),
        *("--out", "out.json", "--plot", "out.png"),
    )
    assert code == 0, error
    compiled = Compiled.load(tmp_path / "out.json")
    assert compiled.baseline is not None
    assert f"{compiled.esp:.4f}" in out
    assert f"{compiled.baseline.esp:.4f}" in out
    assert f"Qubits: 0 on {compiled.initial_layout[0]}, 1 on" in out
    assert f"Candidates weighed: {len(compiled.candidates)}" in out
    assert compiled.verify().equivalent
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_measurements_of_the_file_are_dropped_and_written_anew(run: Run, tmp_path: Path) -> None:
    (tmp_path / "measured.qasm").write_text(BELL + " measure q -> c;")
    code, out, error = run("compile", "measured.qasm", "--effort", "fast", "--out", "out.qasm")
    assert code == 0, error
    assert "Candidates" not in out
    text = (tmp_path / "out.qasm").read_text()
    assert text.count("measure $") == 2
    assert from_openqasm(tmp_path / "measured.qasm").num_qubits == 2


def test_device_from_a_file(run: Run, tmp_path: Path) -> None:
    Device.from_fake("lima").save(tmp_path / "lima.json")
    code, out, error = run("compile", "bell.qasm", "--device", "lima.json", "--effort", "fast")
    assert code == 0, error
    assert "Compiled for fake_lima" in out


def test_remarks_on_a_calibration_are_sentences(run: Run) -> None:
    code, _, error = run("compile", "bell.qasm", "--device", "cairo", "--effort", "fast")
    assert code == 0
    assert error.startswith("calibration of fake_cairo: couplings 19-20 are dead")
    assert ".py" not in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("compile none.qasm", "cannot read 'none.qasm'"),
        ("compile bell.qasm --device quitto", "did you mean FakeQuitoV2"),
        ("compile bell.qasm --effort most", "fast, balanced, best, not 'most'"),
        ("compile bell.qasm --out a.txt", "--out writes .json or .qasm, not '.txt'"),
        ("compile bell.qasm --plot a.gif7", "--plot writes .png or .svg or .pdf, not '.gif7'"),
        ("compile bell.qasm --effort fast --plot no/a.png", "cannot write 'no/a.png'"),
        ("compile none.qasm --plot bell.qasm/a.png", "cannot write 'bell.qasm/a.png'"),
        ("compile none.qasm --out bell.qasm/a.json", "cannot write 'bell.qasm/a.json'"),
        ("compile bell.qasm --budget 0", "a number of seconds above 0"),
    ],
)
def test_mistakes(run: Run, arguments: str, words: str) -> None:
    code, _, error = run(*arguments.split())
    assert code == 2
    assert words in error
