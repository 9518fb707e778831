"""Every gate of the table: matrix, inverse, decomposition, lowering, kind, and gradients."""

import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import library
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Operator

from qsim import GATES, Circuit, Input, PauliString, UsageError, Weight, expval, state
from qsim.gates import ALIASES, Gate, find_gate
from qsim.gates import controlled as make_controlled
from qsim.plan.lowering import StepKind, elementary_gates, elementary_row, lower

ENGINES = ("cpu", "reference")
ALL = pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
PARAMETRIZED = pytest.mark.parametrize(
    "gate", [gate for gate in GATES.values() if gate.num_params], ids=lambda g: g.name
)
ISSUE = (
    "i x y z h sh s sdg t tdg sx sxdg rx ry rz p u1 u2 u3 cx cy cz ch swap iswap crx cry crz cp "
    "cu1 cu3 cu rxx ryy rzz rzx ccx cswap sswap ecr dcx csdg csx cs ccz c3x c4x c3sx rc3x rccx r "
    "rot crot cu2 phaseshift xx_plus_yy xx_minus_yy single_excitation double_excitation globalphase"
)


def angles_of(gate: Gate, shift: float = 0.0) -> list[float]:
    return [0.7 + 1.3 * k + shift for k in range(gate.num_params)]


def on_own_qubits(gate: Gate) -> Circuit:
    return Circuit(gate.num_qubits)


THEIRS = {
    "i": library.IGate,
    "u": library.UGate,
    "cu1": library.CU1Gate,
    "p": library.PhaseGate,
    "cp": library.CPhaseGate,
    "globalphase": library.GlobalPhaseGate,
    "c3x": library.C3XGate,
    "c4x": library.C4XGate,
    "rc3x": library.RC3XGate,
    "margolus": library.RCCXGate,
    "xxplusyy": library.XXPlusYYGate,
    "xxminusyy": library.XXMinusYYGate,
}


def qiskit_matrix(name: str, angles: list[float]) -> np.ndarray | None:
    """The matrix of Qiskit's gate of that name, which is written out here where it differs."""
    standard = get_standard_gate_name_mapping()
    gate = THEIRS.get(name) or (standard[name].base_class if name in standard else None)
    return None if gate is None else Operator(gate(*angles)).data


def formula(name: str, angles: list[float]) -> np.ndarray:
    """What Qiskit lacks, written by hand; |q0 q1 ...> is number q0 + 2 q1 + ..."""
    if name == "sswap":
        a, b = 0.5 + 0.5j, 0.5 - 0.5j
        return np.array([[1, 0, 0, 0], [0, a, b, 0], [0, b, a, 0], [0, 0, 0, 1]])
    if name == "rot":
        phi, theta, omega = angles
        c, s = np.cos(theta / 2), np.sin(theta / 2)
        plus, minus = np.exp(0.5j * (phi + omega)), np.exp(0.5j * (phi - omega))
        return np.array([[c / plus, -s * minus], [s / minus, c * plus]])
    if name == "sh":  # TorchQuantum's
        return np.asarray(Operator(library.RYGate(np.pi / 4)).data)
    if name == "u2":
        return np.asarray(Operator(library.U2Gate(*angles)).data)
    c, s = np.cos(angles[0] / 2), np.sin(angles[0] / 2)
    # PennyLane: |01> -> c|01> + s|10>, |10> -> c|10> - s|01>, and so |0011>, |1100>.
    size, low, high = (4, 2, 1) if name == "single_excitation" else (16, 12, 3)
    matrix = np.eye(size, dtype=complex)
    matrix[low, low], matrix[high, low], matrix[high, high], matrix[low, high] = c, s, c, -s
    return matrix


def test_table_has_the_promised_gates() -> None:
    assert {find_gate(name).name for name in ISSUE.split()} == set(GATES)


@ALL
def test_matrix_is_unitary(gate: Gate) -> None:
    for shift in (0.0, -2.5, 10.0):
        matrix = gate.unitary.at(*angles_of(gate, shift))
        assert matrix.shape == (2**gate.num_qubits,) * 2
        np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(len(matrix)), atol=1e-14)


@pytest.mark.parametrize("name", [*GATES, *ALIASES])
def test_matrix_is_that_of_qiskit_with_its_phase(name: str, oracle: Any) -> None:
    gate = find_gate(name)
    angles = angles_of(gate)
    expected = qiskit_matrix(name, angles)
    if expected is None and name in ALIASES:
        expected = qiskit_matrix(gate.name, angles)
    if expected is None:
        expected = formula(gate.name.removeprefix("c"), angles)
        if gate.name in ("crot", "cu2"):
            expected = oracle.controlled(expected, 1)
    if gate.name == "globalphase":
        expected = expected * np.eye(2)
    np.testing.assert_allclose(gate.unitary.at(*angles), expected, atol=1e-14)


@ALL
def test_matrix_takes_batched_tensors(gate: Gate) -> None:
    batch = torch.linspace(-3, 3, 4 * gate.num_params, dtype=torch.float64).view(4, gate.num_params)
    matrices = gate.unitary(batch)
    assert matrices.dtype == torch.complex128
    assert gate.unitary(batch.float()).dtype == torch.complex64
    for row, matrix in zip(batch, matrices, strict=True):
        np.testing.assert_allclose(matrix.numpy(), gate.unitary.at(*row.tolist()), atol=1e-14)


@ALL
def test_inverse_undoes(gate: Gate, oracle: Any) -> None:
    circuit = on_own_qubits(gate).append(gate, range(gate.num_qubits), angles_of(gate))
    product = oracle.unitary_of(circuit.inverse()) @ oracle.unitary_of(circuit)
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-14)


@pytest.mark.parametrize(
    "gate", [g for g in GATES.values() if g.decomposition], ids=lambda g: g.name
)
def test_decomposition_multiplies_out(gate: Gate, oracle: Any) -> None:
    assert gate.decomposition
    angles = angles_of(gate)
    parts = gate.decomposition(on_own_qubits(gate), *angles)
    assert gate not in [operation.gate for operation in parts.operations]
    np.testing.assert_allclose(oracle.unitary_of(parts), gate.unitary.at(*angles), atol=1e-14)


@ALL
def test_lowering_multiplies_out(gate: Gate, oracle: Any) -> None:
    angles = angles_of(gate)
    np.testing.assert_allclose(oracle.lowered(gate, angles), gate.unitary.at(*angles), atol=1e-14)


@pytest.mark.parametrize("gate", elementary_gates(), ids=lambda g: g.name)
def test_planner_knows_what_is_diagonal_or_real(gate: Gate) -> None:
    _, _, diagonal, real = elementary_row(gate)
    matrix = gate.unitary.at(*angles_of(gate))
    assert diagonal == (abs(matrix[0, 1]) + abs(matrix[1, 0]) < 1e-14)
    assert real == (np.abs(matrix.imag).max() < 1e-14)


def test_what_engines_do_for_well_known_gates() -> None:
    """Factors: everything else relabels amplitudes."""
    factors = {
        name: [s for s in lower(GATES[name]) if s.kind is not StepKind.X]
        for name in ("swap", "dcx", "ryy", "rzz", "cswap", "double_excitation", "c4x", "rxx")
    }
    counts = {
        name: sum(step.kind is StepKind.FACTOR for step in steps) for name, steps in factors.items()
    }
    assert counts == {"swap": 0, "dcx": 0, "ryy": 3, "rzz": 1, "cswap": 1, "double_excitation": 1,
                      "c4x": 1, "rxx": 3}  # fmt: skip
    (excitation,) = [s for s in factors["double_excitation"] if s.kind is StepKind.FACTOR]
    assert elementary_gates()[excitation.elementary].name == "ry"
    assert len(excitation.controls) == 3


@ALL
def test_kind_is_what_all_matrices_are(gate: Gate) -> None:
    samples = [gate.unitary.at(*angles_of(gate, shift)) for shift in (0.0, 1.0, -0.4)]
    size = len(samples[0])
    off_diagonal = ~np.eye(size, dtype=bool)
    if all(np.abs(m[off_diagonal]).max() < 1e-14 for m in samples):
        expected = "diagonal"
    elif all(np.isin(np.round(m, 14), (0, 1)).all() for m in samples):
        expected = "permutation"
    elif all(np.abs(m.imag).max() < 1e-14 for m in samples):
        expected = "real"
    else:
        expected = "dense"
    assert gate.kind == expected


def test_kinds_of_well_known_gates() -> None:
    kinds = {"rz": "diagonal", "cp": "diagonal", "rzz": "diagonal", "ccx": "permutation",
             "swap": "permutation", "h": "real", "cry": "real", "y": "dense", "u3": "dense",
             "iswap": "dense"}  # fmt: skip
    assert {name: GATES[name].kind for name in kinds} == kinds


@ALL
def test_base_is_the_gate_without_its_controls(gate: Gate, oracle: Any) -> None:
    named_controlled = gate.name.startswith("c") and gate.name != "cu"
    assert bool(gate.base) == named_controlled
    if gate.base:
        angles = angles_of(gate)
        expected = oracle.controlled(gate.base.gate.unitary.at(*angles), gate.base.num_controls)
        np.testing.assert_allclose(gate.unitary.at(*angles), expected, atol=1e-14)
        assert gate.base.gate.num_qubits + gate.base.num_controls == gate.num_qubits
        assert make_controlled(gate.base.gate, gate.base.num_controls) is gate


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_name_the_gate_and_are_methods(alias: str) -> None:
    gate = GATES[ALIASES[alias]]
    assert alias not in GATES
    assert find_gate(alias) is gate
    assert find_gate(alias.upper()) is gate
    added = getattr(on_own_qubits(gate), alias)(*angles_of(gate), *range(gate.num_qubits))
    assert added.operations[0].gate is gate


@ALL
def test_gate_is_a_method_and_survives_pickling(gate: Gate) -> None:
    qubits = tuple(reversed(range(gate.num_qubits)))
    added = getattr(on_own_qubits(gate), gate.name)(*angles_of(gate), *qubits)
    assert added.operations == ((gate, qubits, tuple(angles_of(gate))),)
    assert pickle.loads(pickle.dumps(gate)) is gate  # noqa: S301


def test_unknown_gate_suggests_near_names() -> None:
    with pytest.raises(UsageError, match=r"no gate 'rxxx'.*rxx"):
        find_gate("rxxx")
    with pytest.raises(UsageError, match=r"no gate 'foo!'; see qsim.GATES$"):
        find_gate("foo!")


@pytest.mark.parametrize("engine", ENGINES)
@ALL
def test_state_is_a_column_of_the_matrix(gate: Gate, engine: str) -> None:
    """Also on qubits out of order and with others between."""
    num_qubits, angles = gate.num_qubits + 2, angles_of(gate)
    qubits = [*range(1, num_qubits, 2), *range(0, num_qubits, 2)][: gate.num_qubits][::-1]
    theirs = QuantumCircuit(num_qubits)
    ours = Circuit(num_qubits)
    for qubit in range(num_qubits):
        theirs.u(0.3 + qubit, 0.2 * qubit, -0.7, qubit)
        ours.u3(0.3 + qubit, 0.2 * qubit, -0.7, qubit)
    theirs.unitary(gate.unitary.at(*angles), qubits)
    ours.append(gate, qubits, angles)
    found = state(ours, engine=engine, dtype=torch.complex128).numpy()
    np.testing.assert_allclose(found, Operator(theirs).data[:, 0], atol=1e-14)


def sandwich(gate: Gate, make: type) -> Circuit:
    """The gate between others, so that no derivative vanishes by symmetry."""
    circuit = Circuit(gate.num_qubits)
    for qubit in range(gate.num_qubits):
        circuit.u3(0.4 + 0.3 * qubit, 0.9, -0.5, qubit)
    circuit.append(gate, range(gate.num_qubits), [make(k) for k in range(gate.num_params)])
    for qubit in range(gate.num_qubits):
        circuit.u3(1.1 - 0.2 * qubit, -0.3, 0.8, qubit)
    return circuit


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch", [None, 3])
@PARAMETRIZED
def test_gradcheck(gate: Gate, batch: int | None, engine: str) -> None:
    """By weights, shared or batched, and once more by batched inputs."""
    labels = ["".join("XYZ"[(q + k) % 3] for q in range(gate.num_qubits)) for k in range(3)]
    measured = [PauliString(label) for label in labels]
    circuit = sandwich(gate, Weight).compose(sandwich(gate, Input))
    shape = [batch, gate.num_params] if batch else [gate.num_params]
    weights = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    inputs = torch.rand(batch or 2, gate.num_params, dtype=torch.float64)
    inputs.requires_grad_()

    def values(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return expval(circuit, measured, w, x, engine=engine)

    def states(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return state(circuit, w, x, engine=engine)

    assert torch.autograd.gradcheck(values, (weights, inputs), atol=1e-7)
    assert torch.autograd.gradcheck(states, (weights, inputs), atol=1e-7)


@PARAMETRIZED
def test_parameter_shift_from_the_frequencies_is_the_gradient(gate: Gate) -> None:
    """Coefficients of the shift rule from a linear system: any frequencies will do."""
    circuit = sandwich(gate, Weight)
    label = PauliString("XYZY"[: gate.num_qubits])
    weights = torch.tensor(angles_of(gate), dtype=torch.float64, requires_grad=True)
    expval(circuit, [label], weights).sum().backward()
    assert weights.grad is not None
    for k in range(gate.num_params):
        frequencies = np.array(gate.unitary.shift_frequencies(k))
        if gate.name == "globalphase":
            assert not len(frequencies)
            assert weights.grad[k].item() == pytest.approx(0, abs=1e-12)
            continue
        assert len(frequencies) in (1, 2)
        shifts = np.pi * (np.arange(len(frequencies)) + 0.5) / (2 * frequencies.max())
        # f(t+s) - f(t-s) = sum_w 2 sin(w s) b_w, and the derivative is sum_w w b_w.
        coefficients = np.linalg.solve(2 * np.sin(np.outer(shifts, frequencies)).T, frequencies)
        derivative = 0.0
        for shift, coefficient in zip(shifts, coefficients, strict=True):
            for sign in (1, -1):
                moved = weights.detach().clone()
                moved[k] += sign * shift
                derivative += sign * coefficient * expval(circuit, [label], moved).item()
        assert derivative == pytest.approx(weights.grad[k].item(), abs=1e-12)


def test_shift_frequencies_of_well_known_gates() -> None:
    assert GATES["rx"].unitary.shift_frequencies(0) == (1.0,)
    assert GATES["p"].unitary.shift_frequencies(0) == (1.0,)
    assert GATES["crx"].unitary.shift_frequencies(0) == (0.5, 1.0)
    assert [GATES["u3"].unitary.shift_frequencies(k) for k in range(3)] == [(1.0,)] * 3
    assert GATES["cu3"].unitary.shift_frequencies(0) == (0.5, 1.0)


@PARAMETRIZED
def test_adjoint_of_the_series_is_the_conjugate_transpose(gate: Gate) -> None:
    angles = angles_of(gate)
    expected = gate.unitary.at(*angles).conj().T
    np.testing.assert_allclose(gate.unitary.adjoint().at(*angles), expected, atol=1e-14)


def test_angles_are_radians() -> None:
    values = expval(Circuit(1).rx(math.pi / 3, 0), dtype=torch.complex128)
    assert values.item() == pytest.approx(0.5)
