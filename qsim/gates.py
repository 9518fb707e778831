"""The gate table: one record per gate; methods, converters, kernels and tests follow from it.

To add a gate, add one record. Its `unitary` is the definition; `decomposition` and `inverse` are
short circuits, and the tests check for every record that they multiply out to the definition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np

from qsim.trig import PAULI, TrigMatrix, constant, control, phase, rotation

if TYPE_CHECKING:
    from qsim.circuit import Circuit

Builder = Callable[..., "Circuit"]


@dataclass(frozen=True, eq=False)
class Gate:
    """One gate.

    Attributes:
        name: canonical name; also the Circuit method.
        num_qubits: qubits it acts on; controls come first, target last, as in Qiskit.
        unitary: its matrix as a function of its parameters; its first qubit is the lowest bit.
        params: names of the parameters, in radians.
        inverse: builds U+ from gates of the table: gets an empty circuit and the parameters.
        decomposition: builds U from simpler gates; None where engines apply it as it is.
        base: (name, controls) where the gate is `name` with that many controls.
        aliases: other names under which it can be asked for.
        qiskit: name among Qiskit's standard gates where it differs from `name`.
    """

    name: str
    num_qubits: int
    unitary: TrigMatrix
    inverse: Builder
    params: tuple[str, ...] = ()
    decomposition: Builder | None = None
    base: tuple[str, int] | None = None
    aliases: tuple[str, ...] = ()
    qiskit: str = ""

    def __repr__(self) -> str:
        return f"Gate({self.name})"

    # Gates are single records of this table: copies and pickles of circuits refer to them by name.
    def __reduce__(self) -> tuple[Callable[[str], Gate], tuple[str]]:
        return (_by_name, (self.name,))

    @property
    def num_params(self) -> int:
        return len(self.params)

    @property
    def kind(self) -> str:
        """diagonal | permutation | real | dense: what its matrix is, whatever the parameters."""
        terms = self.unitary.coefficients
        used = (np.abs(terms) > 1e-14).any(axis=0)
        if not (used & ~np.eye(len(used), dtype=bool)).any():
            return "diagonal"
        if self.num_params == 0 and np.isin(terms[0], (0, 1)).all():
            return "permutation"
        probe = self.unitary.at(*np.linspace(0.3, 1.1, self.num_params))
        return "real" if np.abs(probe.imag).max() < 1e-14 else "dense"


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


_X, _Y, _Z = (constant(PAULI[letter]) for letter in "XYZ")
_H = constant(np.array([[1, 1], [1, -1]]) / np.sqrt(2))
_SX = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
_U3 = phase(1, of=3) @ rotation("Y", 0, of=3) @ phase(2, of=3)
_HALF_PI = TrigMatrix(np.zeros((1, 2)), rotation("Y").at(pi / 2)[None])
_SWAP = np.eye(4)[[0, 2, 1, 3]]
_CSWAP = np.eye(8)[[0, 1, 2, 5, 4, 3, 6, 7]]
_CU = control(
    TrigMatrix(np.eye(4)[[3]], np.eye(2, dtype=complex)[None])
    @ TrigMatrix(np.pad(_U3.frequencies, ((0, 0), (0, 1))), _U3.coefficients)
)

_TABLE = [
    # one qubit, fixed
    _fixed("i", np.eye(2), aliases=("id",), qiskit="id"),
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
    # one qubit, rotations
    _turn("rx", rotation("X")),
    _turn("ry", rotation("Y")),
    _turn("rz", rotation("Z")),
    _turn("p", phase(), ("lam",), aliases=("u1", "phaseshift")),
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
    # controlled
    _fixed("cx", control(_X), base=("x", 1), aliases=("cnot",)),
    _fixed("cy", control(_Y), base=("y", 1)),
    _fixed("cz", control(_Z), base=("z", 1)),
    _fixed("ch", control(_H), base=("h", 1)),
    _turn("crx", control(rotation("X")), base=("rx", 1)),
    _turn("cry", control(rotation("Y")), base=("ry", 1)),
    _turn("crz", control(rotation("Z")), base=("rz", 1)),
    _turn("cp", control(phase()), ("lam",), base=("p", 1), aliases=("cu1", "cphase")),
    _turn(
        "cu3",
        control(_U3),
        ("theta", "phi", "lam"),
        base=("u3", 1),
        inverse=lambda c, t, phi, lam: c.cu3(-t, -lam, -phi, 0, 1),
    ),
    _turn(
        "cu",
        _CU,
        ("theta", "phi", "lam", "gamma"),
        inverse=lambda c, t, phi, lam, g: c.cu(-t, -lam, -phi, -g, 0, 1),
        decomposition=lambda c, t, phi, lam, g: c.p(g, 0).cu3(t, phi, lam, 0, 1),
    ),
    _fixed("ccx", control(_X, 2), base=("x", 2), aliases=("toffoli",)),
    # two and three qubits
    _fixed("swap", _SWAP, decomposition=lambda c: c.cx(0, 1).cx(1, 0).cx(0, 1)),
    _fixed(
        "iswap",
        np.diag([1, 1j, 1j, 1]) @ _SWAP,
        lambda c: c.swap(0, 1).cz(0, 1).sdg(0).sdg(1),
        decomposition=lambda c: c.s(0).s(1).cz(0, 1).swap(0, 1),
    ),
    _fixed(
        "cswap",
        _CSWAP,
        aliases=("fredkin",),
        decomposition=lambda c: c.cx(2, 1).ccx(0, 1, 2).cx(2, 1),
    ),
    _turn("rxx", rotation("XX"), decomposition=lambda c, t: c.cx(0, 1).rx(t, 0).cx(0, 1)),
    _turn("ryy", rotation("YY"), decomposition=lambda c, t: c.sdg(0).sdg(1).rxx(t, 0, 1).s(0).s(1)),
    _turn("rzz", rotation("ZZ"), decomposition=lambda c, t: c.cx(0, 1).rz(t, 1).cx(0, 1)),
    _turn("rzx", rotation("XZ"), decomposition=lambda c, t: c.h(1).rzz(t, 0, 1).h(1)),
]

GATES: dict[str, Gate] = {gate.name: gate for gate in _TABLE}
ALIASES: dict[str, str] = {alias: gate.name for gate in _TABLE for alias in gate.aliases}


def _by_name(name: str) -> Gate:
    return GATES[name]


def find_gate(name: str) -> Gate:
    """The gate of that name or alias (case does not matter).

    Raises:
        UsageError: with the nearest names, if there is none.
    """
    from difflib import get_close_matches

    from qsim.errors import UsageError

    key = name.lower()
    key = ALIASES.get(key, key)
    if key in GATES:
        return GATES[key]
    near = get_close_matches(key, [*GATES, *ALIASES], n=3) or sorted(GATES)
    raise UsageError(
        f"there is no gate {name!r}; did you mean {', '.join(near)}? (qsim.GATES lists all)"
    )
