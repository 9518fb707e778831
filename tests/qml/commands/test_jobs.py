"""``qml run-circuit`` and ``qml job``: what they show, and one sentence for every mistake."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qml.cli import main

Run = Callable[[str], str]
GHZ = """OPENQASM 2.0; include "qelib1.inc"; qreg q[3];
h q[0]; cx q[0],q[1]; cx q[1],q[2];"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    Path("ghz.qasm").write_text(GHZ)
    Path("open.qasm").write_text("OPENQASM 3.0; input float a; qubit q; U(a, 0, 0) q;")

    def call(arguments: str) -> str:
        code = main(arguments.split())
        captured = capsys.readouterr()
        assert code == (2 if captured.err else 0)
        return captured.err + captured.out

    return call


def test_values_and_the_life_of_a_job(run: Run) -> None:
    text = run(
        "run-circuit ghz.qasm --observable ZZI --observable ZII --readout m3 --seed 3 --jobs kept"
    )
    values = {line.split()[0]: float(line.split()[1]) for line in text.splitlines()[3:5]}
    assert values["ZZI"] > 0.8
    assert abs(values["ZII"]) < 0.2
    (job,) = [folder.name for folder in Path("kept").iterdir()]
    assert job in (listed := run("job list --jobs kept"))
    assert "fake_quito" in listed
    assert "values of 2 observables" in listed
    shown = run(f"job show {job} --jobs kept")
    assert "readout=m3" in shown
    assert f"{job}-0" in shown
    assert "over" in shown
    assert run(f"job resume {job} --jobs kept") == text


def test_no_jobs(run: Run) -> None:
    assert run("job list").startswith("No jobs in 'jobs'")


def test_what_was_read(run: Run) -> None:
    lines = run("run-circuit ghz.qasm --counts --shots 500 --simulator qsim").splitlines()
    read = {line.split()[0] for line in lines[3:5]}
    assert read == {"000", "111"}


def test_estimate(run: Run) -> None:
    text = run("run-circuit ghz.qasm --estimate --observable ZZI --observable XXX --shots 1000")
    assert "s for 2,000 executions, if a job costs 2 s" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run-circuit none.qasm", "none.qasm"),
        ("run-circuit open.qasm", "'open.qasm' has open parameters: write numbers"),
        ("run-circuit ghz.qasm --zne 1,x", "--zne takes numbers such as 1,3,5, not '1,x'"),
        ("run-circuit ghz.qasm --counts --observable ZZZ", "leave out --observable"),
        ("run-circuit ghz.qasm --counts --readout m3", "would be ignored"),
        ("run-circuit ghz.qasm --observable ZZ", "acts on 2 qubits, but the circuit has 3"),
        ("run-circuit ghz.qasm --max-seconds 1", "more than max_seconds=1"),
        ("job show nope", "no job 'nope' in 'jobs'"),
        ("job resume nope --jobs elsewhere", "no job 'nope' in 'elsewhere'"),
    ],
)
def test_mistakes(run: Run, arguments: str, words: str) -> None:
    text = run(arguments)
    assert words in text
    assert text.count("\n") == 1
