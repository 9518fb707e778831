"""Circuit.from_any recognises what it is given, and imports nothing to find out."""

import subprocess
import sys
from pathlib import Path

import pytest
from qiskit import QuantumCircuit

from qsim import Circuit, UsageError, Weight
from qsim.interop.openqasm import to_openqasm2, to_openqasm3
from qsim.interop.torchquantum import to_torchquantum

BELL = Circuit(2).h(0).cx(0, 1)


class Subclassed(QuantumCircuit):
    pass


def qiskit_bell() -> QuantumCircuit:
    source = Subclassed(2)
    source.h(0)
    source.cx(0, 1)
    return source


def test_it_recognises_circuits(tmp_path: Path) -> None:
    path = tmp_path / "bell.qasm"
    path.write_text(to_openqasm3(BELL))
    sources = [
        *(BELL, BELL.to_dict(), qiskit_bell(), to_openqasm2(BELL), to_openqasm3(BELL)),
        *(path, str(path), BELL.save(tmp_path / "bell.json"), to_torchquantum(BELL)),
    ]
    for source in sources:
        assert Circuit.from_any(source) == BELL
    assert Circuit.from_any(BELL) is BELL


def test_it_recognises_pennylane() -> None:
    pl = pytest.importorskip("pennylane")
    script = pl.tape.QuantumScript([pl.Hadamard(0), pl.CNOT([0, 1])])
    assert Circuit.from_any(script) == BELL

    @pl.qnode(pl.device("default.qubit", wires=2))
    def model():
        pl.Hadamard(0)
        pl.CNOT([0, 1])
        return pl.state()

    assert Circuit.from_any(model) == BELL


@pytest.mark.parametrize("source", [3, None, [], [1, 2], object(), Weight(0)])
def test_what_fits_is_listed(source: object) -> None:
    with pytest.raises(UsageError, match=r"no circuit in .* QNodes of PennyLane, op histories"):
        Circuit.from_any(source)


def test_recognition_imports_nothing() -> None:
    code = (
        "import sys, qsim\n"
        "try: qsim.Circuit.from_any(object())\n"
        "except qsim.UsageError: pass\n"
        "qsim.Circuit.from_any([{'name': 'h', 'wires': 0}])\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"qiskit", "pennylane", "torchquantum"} & set(loaded)
