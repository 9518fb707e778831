"""Channels and mid-circuit measurements to and from PennyLane: the same expectation values."""

import numpy as np
import pytest
import torch

from qsim import Circuit, Input, UsageError, Weight, channels, expval
from qsim.interop.pennylane import from_pennylane, to_pennylane
from qsim.interop.torchquantum import from_torchquantum, to_torchquantum

pl = pytest.importorskip("pennylane")

KRAUS = np.array(channels.kraus(channels.thermal_relaxation(5.0, 6.0, 1.0, 0.2).kraus).kraus)
CHANNELS = {
    "amplitude": pl.AmplitudeDamping(0.3, wires=0),
    "bit flip": pl.BitFlip(0.2, wires=0),
    "depolarizing": pl.DepolarizingChannel(0.3, wires=0),
    "generalized": pl.GeneralizedAmplitudeDamping(0.3, 0.2, wires=0),
    "phase damping": pl.PhaseDamping(0.3, wires=0),
    "phase flip": pl.PhaseFlip(0.1, wires=0),
    "reset": pl.ResetError(0.2, 0.1, wires=0),
    "relaxation": pl.ThermalRelaxationError(0.1, 5.0, 7.0, 1.0, wires=0),
    "pauli": pl.PauliError("XZ", 0.3, wires=[0, 1]),
    "kraus": pl.QubitChannel(list(KRAUS), wires=0),
}


def values_of(script: object, num_qubits: int, device: str = "default.mixed") -> np.ndarray:
    """<Z> and <X> of every wire."""
    asked = [p for k in range(num_qubits) for p in (pl.expval(pl.Z(k)), pl.expval(pl.X(k)))]
    tape = pl.tape.QuantumScript(script.operations, asked)
    if device == "default.qubit":
        (tape,), _ = pl.transforms.defer_measurements(tape)
    (found,) = pl.execute([tape], pl.device(device))
    return np.asarray(found)


def own_values(circuit: Circuit, **tensors: torch.Tensor) -> np.ndarray:
    from qsim import PauliString

    n = circuit.num_qubits
    strings = [PauliString.from_sparse(p, [k], n) for k in range(n) for p in "ZX"]
    return expval(circuit, strings, dtype=torch.complex128, **tensors).numpy()


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_go_both_ways(name: str) -> None:
    channel = CHANNELS[name]
    before = [pl.RY(0.7, wires=0), pl.RX(0.4, wires=1), pl.CNOT(wires=[0, 1])]
    after = [pl.RX(0.3, wires=0), pl.RY(1.1, wires=1)]
    script = pl.tape.QuantumScript([*before, channel, *after])
    circuit = from_pennylane(script)
    np.testing.assert_allclose(own_values(circuit), values_of(script, 2), atol=1e-10)
    back = to_pennylane(circuit)
    np.testing.assert_allclose(values_of(back, 2), values_of(script, 2), atol=1e-10)
    (ours,) = [op.gate for op in circuit.operations[3:4]]
    (again,) = [op.gate for op in from_pennylane(back).operations[3:4]]
    np.testing.assert_allclose(again.ptm(), ours.ptm(), atol=1e-12)


def test_trained_channels_are_refused() -> None:
    trained = pl.BitFlip(torch.tensor(0.1, requires_grad=True), wires=0)
    with pytest.raises(UsageError, match=r"BitFlip on wires \[0\] has numbers that are trained"):
        from_pennylane(pl.tape.QuantumScript([trained]))


def measured_in_pennylane() -> object:
    with pl.queuing.AnnotatedQueue() as queue:
        pl.RY(0.7, wires=0)
        pl.CNOT(wires=[0, 1])
        pl.RX(0.4, wires=1)
        first = pl.measure(0)
        second = pl.measure(1, reset=True)
        pl.cond(first & ~second, pl.RX, pl.RY)(0.3, wires=2)
        pl.cond(first + second == 2, pl.CRX)(0.9, wires=[2, 0])
    return pl.tape.QuantumScript.from_queue(queue)


def test_measurements_and_conditions_are_read() -> None:
    script = measured_in_pennylane()
    circuit = from_pennylane(script)
    assert circuit.num_clbits == 2
    expected = values_of(script, 3, "default.qubit")
    np.testing.assert_allclose(own_values(circuit), expected, atol=1e-10)
    back = to_pennylane(circuit)
    np.testing.assert_allclose(values_of(back, 3, "default.qubit"), expected, atol=1e-10)


def test_measurements_and_conditions_are_written() -> None:
    circuit = Circuit(3).ry(Weight(0), 0).cx(0, 1).h(1).measure([0, 1], [3, 1])
    circuit.if_test((3, 1), Circuit(2).rx(Input(0), 0).cx(0, 1), Circuit(1 + 1).h(1), [2, 0])
    circuit.switch([1, 3], {1: Circuit(1).x(0), (0, 2): Circuit(1).ry(0.4, 0)}, qubits=[1])
    circuit.measure(2, 3).reset(0).if_test((3, 0), Circuit(1).rx(0.6, 0))
    weights, inputs = torch.tensor([0.7]), torch.tensor([0.3])
    script = to_pennylane(circuit, weights, inputs)
    expected = own_values(circuit, weights=weights, inputs=inputs)
    np.testing.assert_allclose(values_of(script, 3, "default.qubit"), expected, atol=1e-6)


MEASURED = Circuit(1).h(0).measure(0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: to_pennylane(MEASURED.copy().while_loop((0, 1), Circuit(1).x(0), 3)),
         "a tape of PennyLane's has nothing like while_loop"),
        (lambda: to_pennylane(MEASURED.copy().if_test((0, 1), Circuit(1).reset(0))),
         r"gates alone under a condition, but there is if_else\(c"),
        (lambda: to_pennylane(Circuit(1).if_test((0, 1), Circuit(1).x(0))), "before it is written"),
        (lambda: from_pennylane(pl.tape.QuantumScript([pl.measure(0, postselect=1)
                                                       .measurements[0]])), "is postselected"),
        (lambda: to_torchquantum(MEASURED), r"the circuit has measure\(c\[0\]\) 0: leave it out"),
        (lambda: to_torchquantum(Circuit(1).reset()), "the circuit has reset 0"),
        (lambda: from_torchquantum([{"name": "reset", "wires": [0]}]), "'reset' on wires .0."),
    ],
)  # fmt: skip
def test_what_cannot_be_expressed_is_refused(make: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()
