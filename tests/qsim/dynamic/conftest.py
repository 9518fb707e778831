"""Dynamic circuits for Hypothesis to draw, and what density matrices in numpy make of them."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st

from qsim import GATES, Circuit, Control, Input, Measure, NoiseModel, Weight, channels
from qsim.gates import Gate
from qsim.noise.channels import Channel

NAMES = ("h", "x", "s", "rx", "ry", "rz", "cx", "crx", "swap")
NUM_CLBITS = 3
NUM_SYMBOLS = 2

CHANNELS = (
    channels.depolarizing(0.2),
    channels.amplitude_damping(0.3),
    channels.phase_flip(0.1),
)


class Settings(NamedTuple):
    symbols: bool  # angles may be weights and inputs
    noisy: bool  # channels may occur


Mixture = dict[int, np.ndarray]  # density matrix, with its probability as trace, by classical bits


@st.composite
def _steps(
    draw: st.DrawFn, num_qubits: int, written: set[int], depth: int, most: int, settings: Settings
) -> Circuit:
    """A circuit that reads bits only where they are written; adds those that it writes."""
    circuit = Circuit(num_qubits)
    kinds = ["gate", "gate", "gate", "measure", "reset", "control"]
    for _ in range(draw(st.integers(1, most))):
        kind = draw(st.sampled_from([*kinds, "channel"] if settings.noisy else kinds))
        qubit = draw(st.integers(0, num_qubits - 1))
        if kind == "measure":
            clbit = draw(st.integers(0, NUM_CLBITS - 1))
            circuit.measure(qubit, clbit)
            written.add(clbit)
        elif kind == "reset":
            circuit.reset(qubit)
        elif kind == "channel":
            circuit.append(draw(st.sampled_from(CHANNELS)), qubit)
        elif kind == "control" and written and depth:
            _add_control(draw, circuit, written, depth, settings)
        else:
            gate = GATES[draw(st.sampled_from(NAMES))]
            if gate.num_qubits > num_qubits:
                gate = GATES["h"]
            order = draw(st.permutations(range(num_qubits)))
            angles = [draw(_angles(settings.symbols)) for _ in gate.params]
            circuit.append(gate, order[: gate.num_qubits], angles)
    return circuit


def _angles(symbols: bool) -> st.SearchStrategy[Any]:
    if not symbols:
        return st.floats(-3, 3)
    indices = st.integers(0, NUM_SYMBOLS - 1)
    return st.one_of(
        st.floats(-3, 3),
        indices.map(Weight),
        indices.map(Input),
        indices.map(lambda k: 0.5 * Weight(k) * Input(0) + 0.2),
    )


def _add_control(
    draw: st.DrawFn, circuit: Circuit, written: set[int], depth: int, settings: Settings
) -> None:
    number = draw(st.integers(1, circuit.num_qubits))
    where = draw(st.permutations(range(circuit.num_qubits)))[:number]
    bits = draw(st.permutations(sorted(written)))[: draw(st.integers(1, 2))]
    value = draw(st.integers(0, 2 ** len(bits) - 1))
    other = (value + 1) % 2 ** len(bits)
    reached = set(written)  # what a body writes may be read only after it

    def body() -> Circuit:
        inside = set(written)
        found = draw(_steps(number, inside, depth - 1, 3, settings))
        reached.update(inside)
        return found

    kind = draw(st.sampled_from(["if", "if else", "switch", "while"]))
    if kind == "if":
        circuit.if_test((bits, value), body(), qubits=where)
    elif kind == "if else":
        circuit.if_test((bits, {value}), body(), body(), qubits=where)
    elif kind == "switch":
        circuit.switch(bits, {value: body(), (other,): body()}, body(), qubits=where)
    else:
        circuit.while_loop((bits, value), body(), draw(st.integers(1, 2)), qubits=where)
    written.update(reached)


@st.composite
def _dynamic(
    draw: st.DrawFn, max_qubits: int = 3, symbols: bool = True, noisy: bool = False
) -> Circuit:
    num_qubits = draw(st.integers(1, max_qubits))
    sizes = (NUM_SYMBOLS, NUM_SYMBOLS) if symbols else (0, 0)
    circuit = Circuit(num_qubits, *sizes, NUM_CLBITS).h(0).measure(0)
    return circuit.compose(draw(_steps(num_qubits, {0}, 2, 6, Settings(symbols, noisy))))


@pytest.fixture(scope="session")
def dynamic_circuits() -> Callable[..., st.SearchStrategy[Circuit]]:
    """dynamic_circuits(max_qubits, symbols, noisy) -> strategy."""
    return _dynamic


class DensityOracle:
    """Density matrices in numpy, one for each value of the classical bits."""

    def __init__(self, embed: Callable[..., np.ndarray]) -> None:
        self.embed = embed

    def __call__(self, circuit: Circuit, noise: NoiseModel | None = None) -> Mixture:
        """What a circuit of numbers ends in, from |0...0>."""
        self.noise = noise or NoiseModel()
        start = np.zeros([2**circuit.num_qubits] * 2, dtype=complex)
        start[0, 0] = 1
        return self._run(circuit, range(circuit.num_qubits), {0: start})

    def _run(self, circuit: Circuit, places: Iterable[int], now: Mixture) -> Mixture:
        where = list(places)
        for gate, at, params in circuit.operations:
            qubits = [where[q] for q in at]
            if isinstance(gate, Gate):
                now = self._kraus([gate.unitary.at(*params)], qubits, now)
                for noise in self.noise.gates:
                    for qubit in qubits if noise.gate == gate.name else ():
                        now = self._kraus(list(noise.channel.kraus), [qubit], now)
            elif isinstance(gate, Channel):
                now = self._kraus(list(gate.kraus), qubits, now)
            elif isinstance(gate, Measure):
                now = self._measured(gate.clbit, qubits, now)
            elif isinstance(gate, Control):
                now = self._controlled(gate, qubits, now)
            else:
                now = self._kraus([np.diag([1, 0]), np.array([[0, 1], [0, 0]])], qubits, now)
        return now

    def _kraus(self, matrices: list[np.ndarray], qubits: list[int], now: Mixture) -> Mixture:
        found = {}
        for bits, rho in now.items():
            full = [self.embed(m, qubits, len(rho).bit_length() - 1) for m in matrices]
            found[bits] = sum(m @ rho @ m.conj().T for m in full)
        return found

    def _measured(self, clbit: int, qubits: list[int], now: Mixture) -> Mixture:
        parts = []
        for outcome in (0, 1):
            projector = np.diag([1 - outcome, outcome])
            projected = self._kraus([projector], qubits, now)
            wrong = self.noise.readout_errors.get(qubits[0], (0, 0))[outcome]
            for read, chance in ((outcome, 1 - wrong), (1 - outcome, wrong)):
                parts += [
                    (b & ~(1 << clbit) | read << clbit, chance * rho)
                    for b, rho in projected.items()
                ]
        return self._added(parts)

    def _controlled(self, control: Control, qubits: list[int], now: Mixture) -> Mixture:
        for _ in range(control.rounds):
            parts: list[tuple[int, np.ndarray]] = []
            for bits, rho in now.items():
                value = sum((bits >> bit & 1) << k for k, bit in enumerate(control.reads))
                fitting = [c.body for c in control.cases if c.values is None or value in c.values]
                alone = {bits: rho}
                run = self._run(fitting[0], qubits, alone) if fitting else alone
                parts += run.items()
            now = self._added(parts)
        return now

    @staticmethod
    def _added(parts: Iterable[tuple[int, np.ndarray]]) -> Mixture:
        found: Mixture = {}
        for bits, rho in parts:
            found[bits] = found[bits] + rho if bits in found else rho
        return found


@pytest.fixture(scope="session")
def densities(oracle: Any) -> DensityOracle:
    """densities(circuit of numbers) -> density matrix by classical bits."""
    return DensityOracle(oracle.embed)
