"""Templates of circuits to train: functions that append gates with new weights to a circuit.

`TEMPLATES` has them all by name, those of TorchQuantum (Wang et al., arXiv:2107.10845) under its
own names. Weights are numbered in the order of the gates, after those that the circuit has. A
circuit becomes a module by `qml.QuantumLayer`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import pi
from typing import Any

import numpy as np

from qml.nn.layers import (
    Entanglement,
    Layer,
    Sites,
    add_layers,
    entangled,
    even,
    named,
    new_weights,
    odd,
    ring,
    times,
)
from qsim import Circuit, Gate, Input, library
from qsim.errors import UsageError
from qsim.families import multirz
from qsim.gates import controlled, find_gate
from qsim.parameters import whole

AXES = ("rx", "ry", "rz")


@dataclass(frozen=True)
class Template:
    """Layers that repeat, with others before and after; called with a circuit, it appends them."""

    block: tuple[Layer, ...]
    first: tuple[Layer, ...] = ()
    last: tuple[Layer, ...] = ()

    def __call__(self, circuit: Circuit, blocks: int = 1) -> Circuit:
        """Append `first`, the block `blocks` times, and `last`; returns the circuit."""
        repeated = self.block * times(blocks, "blocks")
        return add_layers(circuit, (*self.first, *repeated, *self.last), new_weights(circuit))


def add_template(circuit: Circuit, name: str, **options: Any) -> Circuit:
    """Append the template of that name with its options; returns the circuit.

    Example:
        >>> add_template(Circuit(2), "real_amplitudes", reps=1).count_ops()
        {'ry': 4, 'cx': 1}

    Raises:
        UsageError: with the nearest names, if there is none of that name.
    """
    return named(TEMPLATES, name, "template")(circuit, **options)


# --- Rotations and entanglers in turn -------------------------------------------------------------


def two_local(
    circuit: Circuit,
    rotations: Sequence[str] = ("ry",),
    entanglers: Sequence[str] = ("cx",),
    entanglement: Entanglement = "reverse_linear",
    reps: int = 3,
    final: bool = True,
) -> Circuit:
    """Rotations on every qubit and entanglers on some, in turn, as Qiskit's `n_local`.

    Args:
        circuit: where to append.
        rotations: one-qubit gates, a layer each.
        entanglers: gates on two qubits or more, a layer each.
        entanglement: a pattern of `qml.nn.layers.PATTERNS` or a list of pairs of qubits, for all
            entanglers; a list of these, one for each; or a function that gives either for
            repetition 0, 1, ...
        reps: how often both follow each other.
        final: whether the rotations follow once more at the end.

    Raises:
        UsageError: for patterns that do not fit the entanglers.
    """
    weights, turn = new_weights(circuit), [Layer(gate) for gate in rotations]
    for layer in range(times(reps, "reps")):
        entangle = entangled(entanglers, entanglement, circuit.num_qubits, layer)
        add_layers(circuit, [*turn, *entangle], weights)
    return add_layers(circuit, turn, weights) if final else circuit


real_amplitudes = partial(two_local, rotations=("ry",), entanglers=("cx",))
real_amplitudes.__doc__ = "RY and CX: real amplitudes only, as Qiskit's function of that name."
efficient_su2 = partial(two_local, rotations=("ry", "rz"), entanglers=("cx",))
efficient_su2.__doc__ = "RY, RZ and CX, as Qiskit's function of that name."


def excitation_preserving(
    circuit: Circuit,
    entanglement: Entanglement = "full",
    reps: int = 3,
    final: bool = True,
) -> Circuit:
    """RZ, and RXX RYY by the same angle, in turn: the number of ones in a state stays.

    Qiskit's function of that name. TorchQuantum gives RXX and RYY an angle each, which does not
    keep the number of ones.
    """
    weights, turn = new_weights(circuit), [Layer("rz")]
    for layer in range(times(reps, "reps")):
        add_layers(circuit, turn, weights)
        (pairs,) = entangled(["xx_plus_yy"], entanglement, circuit.num_qubits, layer)
        for pair in pairs.sites(circuit.num_qubits):
            circuit.append("xx_plus_yy", pair, [2 * next(weights), 0.0])
    return add_layers(circuit, turn, weights) if final else circuit


def strongly_entangling(
    circuit: Circuit,
    layers: int = 1,
    ranges: Sequence[int] | None = None,
    entangler: str = "cx",
) -> Circuit:
    """Rot on every qubit, then a ring of entanglers that reach `ranges[layer]` qubits far.

    Schuld et al., arXiv:1804.00633, with the order of gates and weights [layers, n, 3] of
    PennyLane's StronglyEntanglingLayers; by default layer l reaches 1 + l mod (n - 1) qubits.

    Raises:
        UsageError: for another number of ranges, or one from which a qubit meets itself.
    """
    n, depth = circuit.num_qubits, times(layers, "layers")
    reach = [1 + layer % max(1, n - 1) for layer in range(depth)] if ranges is None else ranges
    if len(reach) != depth or (n > 1 and any(r % n == 0 for r in reach)):
        raise UsageError(
            f"{depth} layers on {n} qubits take {depth} ranges, none a multiple of {n}, "
            f"not {list(reach)}"
        )
    weights = new_weights(circuit)
    for step in reach:
        pairs = tuple(ring(n, step)) if n > 1 else ()
        add_layers(circuit, [Layer("rot"), Layer(entangler, pairs)], weights)
    return circuit


def basic_entangler(circuit: Circuit, layers: int = 1, rotation: str = "rx") -> Circuit:
    """A rotation on every qubit, then a ring of CX, as PennyLane's BasicEntanglerLayers."""
    n = circuit.num_qubits
    pairs = tuple(ring(n)) if n > 2 else tuple(even(n))
    return Template((Layer(rotation), Layer("cx", pairs)))(circuit, layers)


def brickwork(
    circuit: Circuit,
    layers: int = 2,
    rotations: Sequence[str] = ("ry", "rz"),
    entangler: str = "cz",
) -> Circuit:
    """Bricks on pairs, of which every other layer is shifted by one qubit.

    A brick is the rotations on both its qubits, then the entangler.
    """
    weights = new_weights(circuit)
    for layer in range(times(layers, "layers")):
        pairs = (odd if layer % 2 else even)(circuit.num_qubits)
        turn = [Layer(gate, _singles(pairs)) for gate in rotations]
        add_layers(circuit, [*turn, Layer(entangler, tuple(pairs))], weights)
    return circuit


def simplified_two_design(circuit: Circuit, layers: int = 1) -> Circuit:
    """RY on every qubit, then CZ, RY, RY on even pairs and on odd pairs, again and again.

    Cerezo et al., Nat. Commun. 12, 1791 (2021), with weights [n] and [layers, n - 1, 2] in the
    order of PennyLane's SimplifiedTwoDesign.
    """
    block = [
        layer
        for pairs in (even(circuit.num_qubits), odd(circuit.num_qubits))
        for layer in (Layer("cz", tuple(pairs)), Layer("ry", _singles(pairs)))
    ]
    return Template(tuple(block), first=(Layer("ry"),))(circuit, layers)


def pauli_two_design(circuit: Circuit, reps: int = 3, *, seed: int) -> Circuit:
    """RY(pi/4) on every qubit, then rotations about random axes and pairs of CZ in turn.

    Nakata et al., arXiv:1502.07514; McClean et al., arXiv:1803.11173. Qiskit's function of that
    name, but for the axes that a seed gives.
    """
    rng = _seeded(seed)
    circuit.ry(pi / 4, range(circuit.num_qubits))
    for _ in range(times(reps, "reps")):
        _random_rotations(circuit, AXES, rng)
        add_layers(circuit, [Layer("cz", "pairwise")], new_weights(circuit))
    return _random_rotations(circuit, AXES, rng)


def data_reuploading(circuit: Circuit, layers: int = 2, num_features: int = 3) -> Circuit:
    """Rot by trained linear functions of the data on every qubit, with CZ pairs between layers.

    Perez-Salinas et al., arXiv:1907.02085: every qubit sees every feature in every layer, three in
    a gate; an angle is w x + b, and b alone where no feature is left.
    """
    weights, features = new_weights(circuit), times(num_features, "features", 1)
    for layer in range(times(layers, "layers")):
        if layer and circuit.num_qubits > 1:
            add_layers(circuit, [Layer("cz", "pairwise")], weights)
        for qubit in range(circuit.num_qubits):
            for start in range(0, features, 3):
                left = range(start, start + 3)
                angles = [
                    next(weights) * Input(k) + next(weights) if k < features else next(weights)
                    for k in left
                ]
                circuit.rot(*angles, qubit)
    return circuit


# --- Random gates ---------------------------------------------------------------------------------


def random_rotations(circuit: Circuit, gates: Sequence[str] = AXES, *, seed: int) -> Circuit:
    """One of the gates, drawn at random, on every qubit: TorchQuantum's RandomOp1All."""
    return _random_rotations(circuit, gates, _seeded(seed))


def random_layer(
    circuit: Circuit,
    num_gates: int,
    gates: Sequence[str | Gate] = (*AXES, "cx"),
    probabilities: Sequence[float] | None = None,
    *,
    seed: int,
) -> Circuit:
    """Gates drawn at random on qubits drawn at random: TorchQuantum's RandomLayer.

    Args:
        circuit: where to append.
        num_gates: how many.
        gates: names or records to draw from; those on more qubits than there are do not count.
        probabilities: of each of the gates, equal by default.
        seed: the same seed gives the same gates.

    Raises:
        UsageError: if no gate fits, or the probabilities are not one for every gate.
    """
    records = [gate if isinstance(gate, Gate) else find_gate(gate) for gate in gates]
    chances = np.ones(len(records)) if probabilities is None else np.array(probabilities, float)
    if chances.shape != (len(records),) or not (chances >= 0).all():
        raise UsageError(f"{len(records)} gates take as many probabilities, not {probabilities}")
    fitting = [gate.num_qubits <= circuit.num_qubits for gate in records]
    chances = np.where(fitting, chances, 0.0)
    if not chances.any():
        raise UsageError(f"no gate of {records} fits on {circuit.num_qubits} qubits")
    rng, weights = _seeded(seed), new_weights(circuit)
    for choice in rng.choice(len(records), times(num_gates, "gates"), p=chances / chances.sum()):
        gate = records[choice]
        qubits = rng.choice(circuit.num_qubits, gate.num_qubits, replace=False).tolist()
        circuit.append(gate, qubits, [next(weights) for _ in gate.params])
    return circuit


def random_all_types(circuit: Circuit, num_gates: int, *, seed: int) -> Circuit:
    """`random_layer` over the gates of TorchQuantum's RandomLayerAllTypes."""
    n = circuit.num_qubits
    spread = [multirz(n), *[controlled("x", n - 1, state) for state in (None, 0) if n > 1]]
    return random_layer(circuit, num_gates, (*_ALL_TYPES, *spread), seed=seed)


_ALL_TYPES = (
    *("h", "sh", "x", "y", "z", "s", "t", "sx", "cx", "cz", "cy", "rx", "ry", "rz", "rzz", "swap"),
    *("cswap", "ccx", "p", "rot", "crx", "cry", "crz", "crot", "u1", "u2", "u3"),
)


# --- One angle for all qubits, Fourier transform --------------------------------------------------


def global_rotation(
    circuit: Circuit, gate: str = "r", angles: Sequence[Any] | None = None
) -> Circuit:
    """The same one-qubit gate by the same angles on every qubit, new weights unless given."""
    record = find_gate(gate)
    given = list(islice(new_weights(circuit), record.num_params)) if angles is None else angles
    for qubit in range(circuit.num_qubits):
        circuit.append(record, qubit, given)
    return circuit


def fourier(circuit: Circuit, *, inverse: bool = False, swaps: bool = True) -> Circuit:
    """The quantum Fourier transform of all qubits, or its inverse: see `qsim.qft`."""
    transform = library.qft(circuit.num_qubits, swaps=swaps)
    return circuit.compose(transform.inverse() if inverse else transform)


def _random_rotations(circuit: Circuit, gates: Sequence[str], rng: np.random.Generator) -> Circuit:
    drawn = rng.choice(list(gates), circuit.num_qubits).tolist()
    layers = [Layer(gate, ((qubit,),)) for qubit, gate in enumerate(drawn)]
    return add_layers(circuit, layers, new_weights(circuit))


def _singles(pairs: Sites) -> tuple[tuple[int, ...], ...]:
    return tuple((qubit,) for pair in pairs for qubit in pair)


def _seeded(seed: int) -> np.random.Generator:
    if whole(seed) is None or seed < 0:
        raise UsageError(f"a seed is a whole number from 0 on, not {seed!r}")
    return np.random.default_rng(seed)


# --- The table ------------------------------------------------------------------------------------

_RX, _RY, _RZ, _SX = (Layer(gate) for gate in (*AXES, "sx"))
_ZZ_RING, _CX_RING = Layer("rzz", "ring"), Layer("cx", "ring")
_CHAIN = ((0, 1), (1, 2))
_CX_TRIANGLE, _SWAPS = Layer("cx", (*_CHAIN, (2, 0))), Layer("swap", _CHAIN)

TEMPLATES: dict[str, Callable[..., Circuit]] = {
    "two_local": two_local,
    "real_amplitudes": real_amplitudes,
    "efficient_su2": efficient_su2,
    "excitation_preserving": excitation_preserving,
    "strongly_entangling": strongly_entangling,
    "basic_entangler": basic_entangler,
    "brickwork": brickwork,
    "pauli_two_design": pauli_two_design,
    "simplified_two_design": simplified_two_design,
    "data_reuploading": data_reuploading,
    "random_rotations": random_rotations,
    "random_layer": random_layer,
    "random_all_types": random_all_types,
    "global_r": global_rotation,
    **{f"global_{gate}": partial(global_rotation, gate=gate) for gate in AXES},
    "qft": fourier,
    # TorchQuantum's, by its names
    "u3cu3_0": Template((Layer("u3"), Layer("cu3", "ring"))),
    "cu3_0": Template((Layer("cu3", "linear"),)),
    "cxrzsx_0": Template((_RZ, _SX), first=(_RZ, Layer("cx", "linear")), last=(_RZ,)),
    "rzz_0": Template((_ZZ_RING,)),
    "seth_0": Template((_ZZ_RING, _RY)),
    "seth_1": Template((_ZZ_RING, _RY, _ZZ_RING)),
    "seth_2": Template((Layer("rzz", "ring32"),)),
    "barren_0": Template((_RX, _RY, _RZ, Layer("cz", "linear")), first=(Layer("sh"),)),
    "farhi_0": Template((Layer("rzx", "ring"), Layer("rxx", "ring"))),
    "maxwell_0": Template(
        (
            *(_RX, Layer("s"), _CX_RING, _RY, Layer("t"), Layer("swap", "ring")),
            *(_RZ, Layer("h"), Layer("sswap", "ring"), Layer("p"), Layer("cu3", "ring")),
        )
    ),
    "rxyzcx_0": Template((_RX, _RY, _RZ, _CX_RING)),
    "ryrycx": Template((_RY, Layer("cx", _CHAIN[:1]))),
    "ryryrycxcxcx": Template((_RY, _CX_TRIANGLE)),
    "ryryry": Template((_RY,)),
    "ryryryswapswap": Template((_RY, _SWAPS)),
    "swapswap": Template((_SWAPS,)),
    "cx": Template((Layer("cx", _CHAIN[:1]),)),
    "cxcxcx": Template((_CX_TRIANGLE,)),
    "simple": Template(
        (
            *(Layer("x", ((0,),)), *[Layer(axis, ((1,),)) for axis in AXES]),
            Layer("x", ((2,),)),
        )
    ),
}
"""Every template by name."""
