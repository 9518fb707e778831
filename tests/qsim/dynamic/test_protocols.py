"""Well-known dynamic circuits, against what theory says of them."""

import math

import pytest
import torch

import qsim
from qsim import (
    Circuit,
    Input,
    PauliString,
    Weight,
    counts,
    expval,
    outcome_probabilities,
    samples,
)

F64 = torch.float64


def test_teleportation_moves_any_state() -> None:
    circuit = Circuit(3).ry(Weight(0), 0).rz(Weight(1), 0)
    circuit.h(1).cx(1, 2).cx(0, 1).h(0).measure([0, 1])
    circuit.if_test((1, 1), Circuit(1).x(0), qubits=[2])
    circuit.if_test((0, 1), Circuit(1).z(0), qubits=[2])
    weights = torch.tensor([0.7, -1.9], dtype=F64, requires_grad=True)
    bloch = [PauliString(f"{letter}II") for letter in "XYZ"]
    found = expval(circuit, bloch, weights)
    theta, phi = weights
    expected = [theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()]
    torch.testing.assert_close(found, torch.stack(expected))
    assert qsim.run(circuit, weights).purity([2]).item() == pytest.approx(1)
    torch.testing.assert_close(
        outcome_probabilities(circuit, weights), torch.full((4,), 0.25, dtype=F64)
    )
    assert torch.autograd.gradcheck(lambda w: expval(circuit, bloch, w), weights)


def test_repeat_until_success_succeeds_as_often_as_a_geometric_series() -> None:
    tries = 6
    attempt = Circuit(1).ry(Weight(0), 0).measure(0)
    circuit = attempt.copy().while_loop((0, 0), attempt, most=tries - 1)
    weights = torch.tensor([1.1], dtype=F64)
    success = math.sin(0.55) ** 2
    failed = outcome_probabilities(circuit, weights)[0].item()
    assert failed == pytest.approx((1 - success) ** tries)
    assert expval(circuit, weights=weights).item() == pytest.approx(2 * (1 - success) ** tries - 1)


def test_active_reset_is_reset() -> None:
    prepared = Circuit(2).ry(0.8, 0).cx(0, 1).rx(0.3, 1)
    active = prepared.copy().measure(0).if_test((0, 1), Circuit(1).x(0))
    passive = prepared.copy().reset(0)
    for label in ("IZ", "IX", "ZI", "YI", "XI"):
        string = [PauliString(label)]
        torch.testing.assert_close(expval(active, string), expval(passive, string))
    assert expval(active)[0].item() == pytest.approx(1)


def test_a_qubit_measured_again_gives_the_same_outcome() -> None:
    circuit = Circuit(1).ry(1.2, 0).measure(0, 0).measure(0, 1).barrier().measure(0, 2)
    probabilities = outcome_probabilities(circuit.copy().x(0).measure(0, 3)).tolist()
    one = math.sin(0.6) ** 2
    assert probabilities[0b1000] == pytest.approx(1 - one)
    assert probabilities[0b0111] == pytest.approx(one)
    assert set(samples(circuit, 200).tolist()) == {0, 7}


def test_frequent_measurements_hold_a_qubit() -> None:
    """The quantum Zeno effect: n turns by t, each one measured, leave <Z> = cos(t)^n."""
    circuit = Circuit(1).for_loop(range(12), Circuit(1).rx(math.pi / 12, 0).measure(0))
    found = expval(circuit, dtype=torch.complex128).item()
    assert found == pytest.approx(math.cos(math.pi / 12) ** 12, abs=1e-12)


def test_a_delayed_measurement_is_the_same() -> None:
    """Control by a measured bit is control by the qubit, if that is measured afterwards."""
    early = Circuit(2).ry(0.9, 0).measure(0).if_test((0, 1), Circuit(1).ry(0.4, 0), qubits=[1])
    late = Circuit(2).ry(0.9, 0).controlled("ry", 0, 1, [0.4]).measure(0)
    for circuit in (early, late):
        circuit.measure(1)
    torch.testing.assert_close(outcome_probabilities(early), outcome_probabilities(late))


@pytest.mark.parametrize("bits", [3, 5])
def test_one_qubit_estimates_a_phase_bit_by_bit(bits: int) -> None:
    """Iterative phase estimation (arXiv:quant-ph/0610214): exact for phases of that many bits."""
    number = 0b10110 % 2**bits
    circuit = Circuit(2).x(1)
    for k in reversed(range(bits)):
        circuit.reset(0).h(0).cp(2 * math.pi * number / 2**bits * 2**k, 0, 1)
        place = bits - 1 - k
        for earlier in range(place):
            turn = -math.pi / 2 ** (place - earlier)
            circuit.if_test((earlier, 1), Circuit(1).p(turn, 0))
        circuit.h(0).measure(0, place)
    assert counts(circuit, 50) == {f"{number:0{bits}b}": 50}
    assert len(qsim.run(circuit).states) == 1


def test_a_switch_takes_the_case_that_fits() -> None:
    circuit = Circuit(3).h([0, 1]).measure([0, 1])
    turns = {k: Circuit(1).rx(0.2 * k, 0) for k in (1, 2)}
    circuit.switch([0, 1], turns, Circuit(1).x(0), qubits=[2])
    expected = (-1 + math.cos(0.2) + math.cos(0.4) - 1) / 4
    assert expval(circuit)[2].item() == pytest.approx(expected)


def test_a_for_loop_sets_its_parameter() -> None:
    body = Circuit(1).rx(qsim.Parameter("t") * Input(0), 0).measure(0)
    looped = Circuit(2).for_loop([1.0, -0.5], body, "t", qubits=[1])
    written = Circuit(2).rx(1.0 * Input(0), 1).measure(1, 0).rx(-0.5 * Input(0), 1).measure(1, 0)
    assert looped == written
    assert Circuit(1).for_loop(range(3), Circuit(1).h(0)) == Circuit(1).h(0).h(0).h(0)
