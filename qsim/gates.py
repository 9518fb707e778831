"""The gate table: one record per gate; methods, converters, kernels and tests follow from it.

To add a gate, add one record. Its `unitary` is the definition; `decomposition` and `inverse` are
short circuits, and the tests check for every record that they multiply out to the definition.
Gates of any size (multi-controlled ones, Pauli rotations, matrices) are records as well, made by
`controlled` and the functions of `qsim.families`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import pi
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from qsim.errors import UsageError
from qsim.parameters import whole
from qsim.trig import PAULI, TrigMatrix, constant, control, phase, rotation, scalar

if TYPE_CHECKING:
    from torch import Tensor

    from qsim.circuit import Circuit, Operation

Builder: TypeAlias = Callable[..., "Circuit"]
Action: TypeAlias = Callable[..., "Tensor"]
Recipe: TypeAlias = tuple[Callable[..., "Gate"], tuple[Any, ...]]


class Base(NamedTuple):
    """What a controlled gate does to its target, under how many controls, and their bits."""

    gate: Gate
    num_controls: int
    state: int


@dataclass(frozen=True, eq=False)
class Gate:
    """One gate. Those of the table are single objects; others are equal if made alike.

    Attributes:
        name: canonical name; for gates of the table also the Circuit method.
        num_qubits: qubits it acts on; controls come first, target last, as in Qiskit.
        unitary: its matrix as a function of its parameters; its first qubit is the lowest bit.
        inverse: builds U+ from gates: gets an empty circuit and the parameters.
        params: names of the parameters, in radians.
        decomposition: builds U from simpler gates; None where engines apply it as it is.
        base: what it is without its controls, where it has controls.
        aliases: other names under which it can be asked for.
        qiskit: name among Qiskit's standard gates where it differs from `name`.
        action: (amplitudes [..., 2**num_qubits], *angles) -> the same, transformed; where a gate
            on many qubits is simple to apply without its matrix.
        form: its `kind`, where that is known without the matrix.
        recipe: for a gate that is not of the table, the function and arguments that make it.
    """

    name: str
    num_qubits: int
    unitary: TrigMatrix
    inverse: Builder
    params: tuple[str, ...] = ()
    decomposition: Builder | None = None
    base: Base | None = None
    aliases: tuple[str, ...] = ()
    qiskit: str = ""
    action: Action | None = None
    form: str = ""
    recipe: Recipe | None = None

    def __repr__(self) -> str:
        return f"Gate({self.name})"

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, Gate):
            return self is other
        return self.recipe is not None and self.recipe == other.recipe

    def __hash__(self) -> int:
        return hash(self.name) if self.recipe is None else hash(self.recipe)

    # Copies and pickles refer to a gate of the table by name, to another by how it was made.
    def __reduce__(self) -> tuple[Callable[..., Gate], tuple[Any, ...]]:
        return self.recipe or (_by_name, (self.name,))

    @property
    def num_params(self) -> int:
        return len(self.params)

    @cached_property
    def kind(self) -> str:
        """diagonal | permutation | real | dense: what its matrix is, whatever the parameters."""
        if self.base or self.form:
            return self.base.gate.kind if self.base else self.form
        terms = self.unitary.coefficients
        used = (np.abs(terms) > 1e-14).any(axis=0)
        if not (used & ~np.eye(len(used), dtype=bool)).any():
            return "diagonal"
        if self.num_params == 0 and np.isin(terms[0], (0, 1)).all():
            return "permutation"
        probe = self.unitary.at(*np.linspace(0.3, 1.1, self.num_params))
        return "real" if np.abs(probe.imag).max() < 1e-14 else "dense"

    @cached_property
    def parts(self) -> tuple[Operation[Gate], ...]:
        """Its decomposition, written out once: the angle Weight(k) stands for its parameter k."""
        assert self.decomposition, f"{self.name} has no decomposition"
        return self._written(self.decomposition)

    @cached_property
    def undone(self) -> tuple[Operation[Gate], ...]:
        """Its inverse, written out in the same way."""
        return self._written(self.inverse)

    def _written(self, builder: Builder) -> tuple[Operation[Gate], ...]:
        from qsim.circuit import Circuit, Weight

        circuit = builder(Circuit(self.num_qubits), *[Weight(k) for k in range(self.num_params)])
        return circuit.gates


def check_state(state: int | str | None, count: int) -> int:
    """The bits of `count` controls, the first one lowest; all 1 by default.

    Raises:
        UsageError: for bits that do not fit; as a string the rightmost is the first control.
    """
    if state is None:
        return (1 << count) - 1
    fits = not isinstance(state, str) or (len(state) == count and not set(state) - set("01"))
    number = int(f"0{state}", 2) if isinstance(state, str) and fits else whole(state)
    if not fits or number is None or not 0 <= number < 1 << count:
        raise UsageError(
            f"the control state of {count} controls is a number from 0 to {(1 << count) - 1} "
            f"or a string of {count} bits, not {state!r}"
        )
    return number


def controlled(gate: str | Gate, count: int = 1, ctrl_state: int | str | None = None) -> Gate:
    """The gate under controls, which come first; one of the table where it has that gate.

    Args:
        gate: the gate on the target, by name or as a record.
        count: number of controls, 1 or more.
        ctrl_state: the bits on which it acts, all 1 by default: a number (lowest bit: first
            control) or a bitstring as in Qiskit (rightmost: first control).

    Raises:
        UsageError: for an unknown gate, no control, or a state that does not fit.
    """
    number = whole(count)
    if number is None or number < 1:
        raise UsageError(f"a controlled gate has one control or more, not {count!r}")
    record = gate if isinstance(gate, Gate) else find_gate(gate)
    if record.name == "barrier":
        raise UsageError("a barrier takes no controls: it does nothing")
    return _controlled(record, number, check_state(ctrl_state, number))


def _controlled(gate: Gate, count: int, state: int) -> Gate:
    if gate.base:
        inner, more, bits = gate.base
        return _controlled(inner, count + more, state | bits << count)
    if gate.recipe is None:
        return _controlled_once(gate, count, state)
    return _under_controls(_controlled_name(gate, count, state), gate, count, state)


@lru_cache(maxsize=4096)
def _controlled_once(gate: Gate, count: int, state: int) -> Gate:
    """Kept, for gates of the table: they are small, and circuits ask for the same ones again."""
    name = _controlled_name(gate, count, state)
    return GATES.get(name) or _under_controls(name, gate, count, state)


def _controlled_name(gate: Gate, count: int, state: int) -> str:
    zeros = "" if state + 1 == 1 << count else f"_o{state}"
    return f"{'c' * count if count < 3 else f'c{count}'}{gate.name}{zeros}"


def _under_controls(name: str, gate: Gate, count: int, state: int, **fields: Any) -> Gate:
    def inverse(circuit: Circuit, *params: Any) -> Circuit:
        for undo, qubits, angles in gate.undone:
            where = (*range(count), *[q + count for q in qubits])
            circuit.append(_controlled(undo, count, state), where, fill(angles, params))
        return circuit

    return Gate(
        name,
        gate.num_qubits + count,
        control(gate.unitary, count, state),
        inverse,
        gate.params,
        base=Base(gate, count, state),
        recipe=fields.pop("recipe", (controlled, (gate, count, state))),
        **fields,
    )


def fill(angles: tuple[Any, ...], params: Any) -> tuple[Any, ...]:
    """Angles of `Gate.parts`, with these values for the gate's parameters."""
    return tuple(
        [a if isinstance(a, float) else a.scale * params[a.index] + a.offset for a in angles]
    )


def _itself(name: str) -> Builder:
    return lambda c, *params: c.append(name, range(c.num_qubits), params)


def _negated(name: str) -> Builder:
    return lambda c, *params: c.append(name, range(c.num_qubits), [-p for p in params])


def _fixed(name: str, matrix: Any, inverse: str | Builder = "", **fields: Any) -> Gate:
    """A gate without parameters; its own inverse unless another is named."""
    unitary = matrix if isinstance(matrix, TrigMatrix) else constant(matrix)
    undo = _itself(inverse or name) if isinstance(inverse, str) else inverse
    return Gate(name, unitary.dim.bit_length() - 1, unitary, undo, **fields)


def _turn(
    name: str, unitary: TrigMatrix, params: tuple[str, ...] = ("theta",), **fields: Any
) -> Gate:
    """A gate that minus its parameters undo, unless `inverse` says otherwise."""
    fields.setdefault("inverse", _negated(name))
    return Gate(name, unitary.dim.bit_length() - 1, unitary, params=params, **fields)


def _exchange(first: str, second: str, sign: int, of: int = 1) -> TrigMatrix:
    """exp(-i theta (P + sign * Q) / 4) for Pauli strings P, Q that commute."""
    one, other = rotation(first, of=of), rotation(second, of=of)
    return TrigMatrix(one.frequencies / 2, one.coefficients) @ TrigMatrix(
        sign * other.frequencies / 2, other.coefficients
    )


def _on_first_of_two(matrix: TrigMatrix) -> TrigMatrix:
    terms = [np.kron(np.eye(2), term) for term in matrix.coefficients]
    return TrigMatrix(matrix.frequencies, np.stack(terms))


def _padded(matrix: TrigMatrix, before: int = 0, after: int = 0) -> TrigMatrix:
    """The same matrix with further parameters that it does not depend on."""
    return TrigMatrix(np.pad(matrix.frequencies, ((0, 0), (before, after))), matrix.coefficients)


def _negative(matrix: TrigMatrix) -> TrigMatrix:
    return TrigMatrix(-matrix.frequencies, matrix.coefficients)


def _double_excitation() -> TrigMatrix:
    """cos, sin in the space of |0011> and |1100> (qubits 0, 1, 2, 3), which are numbers 12, 3."""
    space, turn = np.zeros((16, 16)), np.zeros((16, 16))
    space[[3, 12], [3, 12]] = 1
    turn[3, 12], turn[12, 3] = 1, -1
    halves = [(space + 1j * turn) / 2, np.eye(16) - space, (space - 1j * turn) / 2]
    return TrigMatrix(np.array([[-0.5], [0.0], [0.5]]), np.stack(halves))


_X, _Y, _Z = (constant(PAULI[letter]) for letter in "XYZ")
_H = constant(np.array([[1, 1], [1, -1]]) / np.sqrt(2))
_SX = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
_U3 = phase(1, of=3) @ rotation("Y", 0, of=3) @ phase(2, of=3)
_HALF_PI = TrigMatrix(np.zeros((1, 2)), rotation("Y").at(pi / 2)[None])
_R = rotation("Z", 1, of=2) @ rotation("X", 0, of=2) @ _negative(rotation("Z", 1, of=2))
_ROT = rotation("Z", 2, of=3) @ rotation("Y", 1, of=3) @ rotation("Z", 0, of=3)
_CU = control(_padded(scalar(), 3) @ _padded(_U3, after=1))
_BETA = _on_first_of_two(phase(1, of=2))
_SWAP = np.eye(4)[[0, 2, 1, 3]]
_SQRT_SWAP = (np.eye(4) + _SWAP) / 2 + 1j * (np.eye(4) - _SWAP) / 2
_DCX = np.eye(4)[[0, 3, 1, 2]]
_ECR = np.kron(PAULI["I"], PAULI["X"]) - np.kron(PAULI["X"], PAULI["Y"])


def _relative_toffoli(count: int, phased: int, phases: list[complex], last: list[Any]) -> Any:
    """On controls all 1 the 2x2 matrix `last`, on controls `phased` diag(phases), else nothing."""
    matrix, half = np.eye(2 << count, dtype=complex), 1 << count
    matrix[[phased, phased + half], [phased, phased + half]] = phases
    matrix[np.ix_([half - 1, 2 * half - 1], [half - 1, 2 * half - 1])] = last
    return matrix


_ALONE = [
    # one qubit, fixed
    _fixed("i", np.eye(2), decomposition=lambda c: c, aliases=("id",), qiskit="id"),
    _fixed("x", _X, aliases=("not", "paulix")),
    _fixed("y", _Y, aliases=("pauliy",)),
    _fixed("z", _Z, aliases=("pauliz",)),
    _fixed("h", _H, aliases=("hadamard",)),
    _fixed("s", np.diag([1, 1j]), "sdg"),
    _fixed("sdg", np.diag([1, -1j]), "s"),
    _fixed("t", np.diag([1, np.exp(0.25j * pi)]), "tdg"),
    _fixed("tdg", np.diag([1, np.exp(-0.25j * pi)]), "t"),
    _fixed("sx", _SX, "sxdg"),
    _fixed("sxdg", _SX.conj().T, "sx"),
    _fixed(  # TorchQuantum's name for it
        "sh",
        rotation("Y").at(pi / 4),
        lambda c: c.ry(-pi / 4, 0),
        decomposition=lambda c: c.ry(pi / 4, 0),
        aliases=("shadamard",),
    ),
    # one qubit, rotations
    _turn("rx", rotation("X")),
    _turn("ry", rotation("Y")),
    _turn("rz", rotation("Z")),
    _turn("p", phase(), ("lam",), aliases=("u1", "phaseshift")),
    _turn("globalphase", scalar(), aliases=("global_phase",), qiskit="global_phase"),
    _turn(
        "u2",
        phase(0, of=2) @ _HALF_PI @ phase(1, of=2),
        ("phi", "lam"),
        inverse=lambda c, phi, lam: c.u3(-pi / 2, -lam, -phi, 0),
        decomposition=lambda c, phi, lam: c.p(lam, 0).ry(pi / 2, 0).p(phi, 0),
    ),
    _turn(
        "u3",
        _U3,
        ("theta", "phi", "lam"),
        aliases=("u",),
        qiskit="u",
        inverse=lambda c, t, phi, lam: c.u3(-t, -lam, -phi, 0),
        decomposition=lambda c, t, phi, lam: c.p(lam, 0).ry(t, 0).p(phi, 0),
    ),
    _turn(
        "r",
        _R,
        ("theta", "phi"),
        inverse=lambda c, t, phi: c.r(-t, phi, 0),
        decomposition=lambda c, t, phi: c.p(-phi, 0).rx(t, 0).p(phi, 0),
    ),
    _turn(
        "rot",
        _ROT,
        ("phi", "theta", "omega"),
        inverse=lambda c, phi, t, omega: c.rot(-omega, -t, -phi, 0),
        decomposition=lambda c, phi, t, omega: c.rz(phi, 0).ry(t, 0).rz(omega, 0),
    ),
    # two qubits, fixed
    _fixed("swap", _SWAP, decomposition=lambda c: c.cx(0, 1).cx(1, 0).cx(0, 1)),
    _fixed(
        "sswap",
        _SQRT_SWAP,
        lambda c: c.cx(1, 0).append(controlled("sxdg"), (0, 1)).cx(1, 0),
        decomposition=lambda c: c.cx(1, 0).csx(0, 1).cx(1, 0),
    ),
    _fixed(
        "iswap",
        np.diag([1, 1j, 1j, 1]) @ _SWAP,
        lambda c: c.swap(0, 1).cz(0, 1).sdg(0).sdg(1),
        decomposition=lambda c: c.s(0).s(1).cz(0, 1).swap(0, 1),
    ),
    _fixed(
        "dcx",
        _DCX,
        lambda c: c.cx(1, 0).cx(0, 1),
        decomposition=lambda c: c.cx(0, 1).cx(1, 0),
    ),
    _fixed(
        "ecr",
        _ECR / np.sqrt(2),
        decomposition=lambda c: c.rzx(pi / 2, 0, 1).x(0),
        aliases=("echoedcrossresonance",),
    ),
    # two qubits, rotations
    _turn(
        "rxx", rotation("XX"), aliases=("xx",), decomposition=lambda c, t: c.pauli_rotation(t, "XX")
    ),
    _turn(
        "ryy", rotation("YY"), aliases=("yy",), decomposition=lambda c, t: c.pauli_rotation(t, "YY")
    ),
    _turn(
        "rzz", rotation("ZZ"), aliases=("zz",), decomposition=lambda c, t: c.pauli_rotation(t, "ZZ")
    ),
    _turn(
        "rzx", rotation("XZ"), aliases=("zx",), decomposition=lambda c, t: c.pauli_rotation(t, "XZ")
    ),
    _turn(
        "xx_plus_yy",
        _negative(_BETA) @ _exchange("XX", "YY", 1, of=2) @ _BETA,
        ("theta", "beta"),
        aliases=("xxplusyy",),
        inverse=lambda c, t, b: c.xx_plus_yy(-t, b, 0, 1),
        decomposition=lambda c, t, b: c.p(b, 0).cx(1, 0).crx(t, 0, 1).cx(1, 0).p(-b, 0),
    ),
    _turn(
        "xx_minus_yy",
        _BETA @ _exchange("XX", "YY", -1, of=2) @ _negative(_BETA),
        ("theta", "beta"),
        aliases=("xxminusyy", "xxminyy"),
        inverse=lambda c, t, b: c.xx_minus_yy(-t, b, 0, 1),
        decomposition=lambda c, t, b: c.p(-b, 0).cx(1, 0).x(0).crx(t, 0, 1).x(0).cx(1, 0).p(b, 0),
    ),
    _turn(
        "single_excitation",
        _exchange("XY", "YX", -1),
        aliases=("singleexcitation",),
        decomposition=lambda c, t: c.cx(1, 0).cry(-t, 0, 1).cx(1, 0),
    ),
    # three and four qubits
    _fixed(
        "rccx",
        _relative_toffoli(2, 1, [1, -1], [[0, -1j], [1j, 0]]),
        decomposition=lambda c: c.append(controlled("z", 2, 0b01), (0, 1, 2)).append(
            controlled("y", 2), (0, 1, 2)
        ),
        aliases=("margolus",),
    ),
    _fixed(
        "rc3x",
        _relative_toffoli(3, 3, [1j, -1j], [[0, 1], [-1, 0]]),
        lambda c: c.append(controlled("ry", 3), (0, 1, 2, 3), [pi]).append(
            controlled("rz", 3, 0b011), (0, 1, 2, 3), [pi]
        ),
        decomposition=lambda c: c.append(controlled("rz", 3, 0b011), (0, 1, 2, 3), [-pi]).append(
            controlled("ry", 3), (0, 1, 2, 3), [-pi]
        ),
        aliases=("rcccx",),
        qiskit="rcccx",
    ),
    _turn(
        "double_excitation",
        _double_excitation(),
        aliases=("doubleexcitation",),
        decomposition=lambda c, t: (
            c.cx(3, 2)
            .cx(3, 1)
            .cx(3, 0)
            .append(controlled("ry", 3, 0b011), (0, 1, 2, 3), [-t])
            .cx(3, 0)
            .cx(3, 1)
            .cx(3, 2)
        ),
    ),
]

GATES: dict[str, Gate] = {gate.name: gate for gate in _ALONE}


def _with_controls(name: str, base: str, count: int = 1, **fields: Any) -> Gate:
    """A gate of the table that is another one under controls."""
    return _under_controls(name, GATES[base], count, (1 << count) - 1, recipe=None, **fields)


_CONTROLLED = [
    _with_controls("cx", "x", aliases=("cnot",)),
    _with_controls("cy", "y"),
    _with_controls("cz", "z"),
    _with_controls("ch", "h", aliases=("chadamard",)),
    _with_controls("cs", "s"),
    _with_controls("csdg", "sdg"),
    _with_controls("csx", "sx"),
    _with_controls("crx", "rx"),
    _with_controls("cry", "ry"),
    _with_controls("crz", "rz"),
    _with_controls("cp", "p", aliases=("cu1", "cphase", "cr")),
    _with_controls("crot", "rot"),
    _with_controls("cu2", "u2"),
    _with_controls("cu3", "u3"),
    _turn(
        "cu",
        _CU,
        ("theta", "phi", "lam", "gamma"),
        inverse=lambda c, t, phi, lam, g: c.cu(-t, -lam, -phi, -g, 0, 1),
        decomposition=lambda c, t, phi, lam, g: c.p(g, 0).cu3(t, phi, lam, 0, 1),
    ),
    _with_controls("ccx", "x", 2, aliases=("toffoli", "ccnot")),
    _with_controls("ccz", "z", 2),
    _with_controls("c3x", "x", 3),
    _with_controls("c4x", "x", 4),
    _with_controls("c3sx", "sx", 3),
    _with_controls("cswap", "swap", aliases=("fredkin",)),
]
GATES.update({gate.name: gate for gate in _CONTROLLED})
ALIASES: dict[str, str] = {alias: gate.name for gate in GATES.values() for alias in gate.aliases}


def _by_name(name: str) -> Gate:
    return GATES[name]


def find_gate(name: str) -> Gate:
    """The gate of that name or alias (case does not matter).

    Raises:
        UsageError: with the nearest names, if there is none.
    """
    from difflib import get_close_matches

    key = str(name).lower()
    key = ALIASES.get(key, key)
    if key in GATES:
        return GATES[key]
    near = get_close_matches(key, [*GATES, *ALIASES], n=3)
    hint = f"did you mean {', '.join(near)}? (qsim.GATES lists all)" if near else "see qsim.GATES"
    raise UsageError(f"there is no gate {name!r}; {hint}")
