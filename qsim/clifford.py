"""Clifford circuits on up to thousands of qubits, run by stim: engine="stim".

Stabilizer states (Gottesman, arXiv:quant-ph/9807006; Gidney, arXiv:2103.02202) have no amplitudes
here, but exact expectation values of Pauli strings, and shots. A gate is Clifford by its matrix,
whatever its name: rotations by multiples of pi/2 are. Pauli channels take part, of the circuit or
of a noise model: each multiplies a Pauli string, carried back to where it stands, by a number.
Circuits with measurements, resets, and Pauli gates that a measured bit decides on are run by shots.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from qsim.bound import bound
from qsim.circuit import Angle, Circuit
from qsim.clifford_circuits import StimCircuit, stim_module
from qsim.clifford_noise import damping
from qsim.dynamic.ensemble import check_clbits, refuse_qubits
from qsim.dynamic.plan import check_dynamic, is_dynamic
from qsim.engines.density import ReadoutErrors
from qsim.errors import UsageError
from qsim.instructions import Instruction
from qsim.noise.model import check_noise
from qsim.observables import Observables, check_observables, check_qubits
from qsim.results import combine, layout
from qsim.sampling import Generator, check_generator, check_shots
from qsim.strings import Setting

if TYPE_CHECKING:
    from qsim.prepare import Options

_WIDEST = 62  # qubits whose bits an int64 holds
_MOST_TERMS = 4096  # strings that a string with uneven readout errors is read as


class Stabilizers:
    """Stabilizer states, one for each sample, and what can be asked of them.

    Comes from `qsim.run(circuit, engine="stim")`; results as those of `qsim.State`. Of a circuit
    with measurements, samples and counts are those of its classical bits, and expectation values
    are estimated by shots.
    """

    def __init__(
        self,
        circuits: Sequence[StimCircuit],
        num_qubits: int,
        num_clbits: int | None,
        batched: bool,
        dtype: torch.dtype,
    ) -> None:
        self._circuits = circuits
        self._num_clbits = num_clbits  # None without measurements
        self._batched = batched
        self._dtype = dtype
        self.num_qubits = num_qubits

    def expval(
        self,
        observables: Observables = None,
        *,
        shots: int | None = None,
        generator: Generator = None,
    ) -> Tensor:
        """Expectation values as for `State.expval`, without gradients: real [batch, observables].

        Raises:
            UsageError: for observables of another size, wrong shots or generators, and without
                shots for a circuit with measurements.
        """
        checked = check_observables(observables, self.num_qubits)
        strings = layout(checked).strings
        if shots is None:
            if self._num_clbits is not None:
                raise UsageError(
                    "engine='stim' estimates the values of a circuit with measurements: pass "
                    "shots=..., or use engine='auto'"
                )
            values = [
                self._exact(circuit, [s.label for s in strings]) for circuit in self._circuits
            ]
        else:
            number = check_shots(shots, len(self._circuits) * max(1, len(strings.settings)))
            values = [
                self._estimated(circuit, strings.settings, len(strings), number, seed)
                for circuit, seed in zip(self._circuits, self._seeds(generator), strict=True)
            ]
        found = combine(torch.tensor(np.stack(values)), checked).to(self._dtype)
        return found if self._batched else found[0]

    def _exact(self, converted: StimCircuit, labels: Sequence[str]) -> np.ndarray:
        stim, circuit = stim_module(), converted.circuit
        simulator = stim.TableauSimulator()
        simulator.set_num_qubits(self.num_qubits)
        simulator.do_circuit(circuit.without_noise())
        read = [_read(label, converted.errors) for label in labels]
        strings = [stim.PauliString(label[::-1]) for terms in read for _, label in terms]
        values = [simulator.peek_observable_expectation(string) for string in strings]
        exact = iter(np.array(values) * damping(circuit, strings))
        return np.array([sum(factor * next(exact) for factor, _ in terms) for terms in read])

    def _estimated(
        self, circuit: StimCircuit, settings: Sequence[Setting], count: int, shots: int, seed: int
    ) -> np.ndarray:
        found = np.ones(count)
        for k, setting in enumerate(settings):
            turned = replace(circuit, circuit=circuit.circuit.copy())
            for qubit, letter in enumerate(reversed(setting.basis)):
                if letter in "XY":
                    turned.circuit.append("H" if letter == "X" else "H_YZ", [qubit])
            bits = turned.measured(range(self.num_qubits), shots, seed + k)
            for place, support in zip(setting.indices.tolist(), setting.supports, strict=True):
                own = [q for q in range(self.num_qubits) if support >> q & 1]
                found[place] = 1 - 2 * (bits[:, own].sum(1) % 2).mean()
        return found

    def samples(
        self, shots: int, qubits: Iterable[int] | None = None, *, generator: Generator = None
    ) -> Tensor:
        """Basis states as they are measured, int64 [batch, shots]: see `State.samples`.

        Raises:
            UsageError: for wrong shots, qubits or generators, and more than 62 qubits.
        """
        rows = self._bits(shots, qubits, generator)
        width = rows[0].shape[1]
        if width > _WIDEST:
            raise UsageError(
                f"samples are numbers of up to {_WIDEST} bits, not {width}: take counts, or name "
                "the qubits=[...]"
            )
        values = 1 << np.arange(width, dtype=np.int64)
        found = torch.from_numpy(np.stack([row @ values for row in rows]))
        return found if self._batched else found[0]

    def counts(
        self, shots: int, qubits: Iterable[int] | None = None, *, generator: Generator = None
    ) -> dict[str, int] | list[dict[str, int]]:
        """How often each bitstring is measured, for any number of qubits: see `State.counts`."""
        found = [_counted(row) for row in self._bits(shots, qubits, generator)]
        return found if self._batched else found[0]

    def _bits(
        self, shots: int, qubits: Iterable[int] | None, generator: Generator
    ) -> list[np.ndarray]:
        clbits = self._num_clbits
        where = range(self.num_qubits) if qubits is None else check_qubits(qubits, self.num_qubits)
        if clbits is not None:
            refuse_qubits(qubits)
            check_clbits(None, clbits)
        number = check_shots(shots, len(self._circuits) * (clbits or len(where)))
        return [
            circuit.measured(where, number, seed)
            if clbits is None
            else circuit.held(clbits, number, seed)
            for circuit, seed in zip(self._circuits, self._seeds(generator), strict=True)
        ]

    def _seeds(self, generator: Generator) -> list[int]:
        """A seed for each sample, drawn from the generators."""
        batch = len(self._circuits)
        check_generator(generator, batch)
        if generator is None or isinstance(generator, torch.Generator):
            return torch.randint(2**62, (batch,), generator=generator).tolist()
        return [int(torch.randint(2**62, (), generator=own)) for own in generator]

    def __repr__(self) -> str:
        return f"Stabilizers({self.num_qubits} qubits, {len(self._circuits)} samples)"


def run_clifford(
    circuit: Circuit, weights: Tensor | None, inputs: Tensor | None, options: Options
) -> Stabilizers:
    """Run a Clifford circuit.

    Raises:
        UsageError: if stim is not installed, for a gate that is not Clifford, with its position,
            for a channel that is no Pauli channel, for what a measured bit decides on besides Pauli
            gates, for an initial state, and for weights or inputs that want a gradient.
    """
    for name in sorted(set(options) - {"engine", "values", "dtype", "initial_state", "noise"}):
        if options.get(name) is not None:
            raise UsageError(f"engine='stim' takes no {name}: leave it out")
    if options.get("initial_state") is not None:
        raise UsageError("engine='stim' starts from |0...0>: prepare the state by gates")
    for name, tensor in (("weights", weights), ("inputs", inputs)):
        if tensor is not None and tensor.requires_grad and torch.is_grad_enabled():
            raise UsageError(
                f"engine='stim' has no gradients, but {name} want one: use torch.no_grad(), or "
                "another engine"
            )
    noise, dynamic = options.get("noise"), is_dynamic(circuit)
    check_noise(noise)
    if dynamic:
        check_dynamic(circuit, noise)
    elif noise is not None:
        noise.check(circuit)
    plain, value_of = bound(circuit, weights, inputs, options.get("values"))
    numbers = {
        angle: torch.as_tensor(value_of(angle), dtype=torch.float64).reshape(-1).tolist()
        for angle in _angles_of(plain)
    }
    sizes = {len(values) for values in numbers.values()} - {1}
    circuits = [StimCircuit(noise) for _ in range(max(sizes, default=1))]
    for k, converted in enumerate(circuits):
        chosen = {angle: values[k % len(values)] for angle, values in numbers.items()}
        converted.append(plain, chosen.__getitem__)
    tensors = [tensor for tensor in (weights, inputs) if tensor is not None]
    batched = any(tensor.dim() == 2 for tensor in tensors) or bool(sizes)
    double = any(tensor.dtype == torch.float64 for tensor in tensors)
    dtype = options.get("dtype") or (torch.complex128 if double else torch.complex64)
    num_clbits = circuit.num_clbits if dynamic else None
    return Stabilizers(circuits, plain.num_qubits, num_clbits, batched, dtype.to_real())


def _angles_of(circuit: Circuit) -> Iterator[Angle]:
    """Every angle, those in bodies too."""
    for acting, _, params in circuit.operations:
        yield from params
        if isinstance(acting, Instruction):
            for body in acting.bodies:
                yield from _angles_of(body)


def _read(label: str, errors: ReadoutErrors) -> list[tuple[float, str]]:
    """The strings, with factors, whose values make that of one that is read with errors.

    Z, X or Y of a qubit, each turned to Z and read, is (1 - p01 - p10) times itself, and
    p10 - p01 besides: see `qsim.noise.lowering.readout_map`.
    """
    terms = [(1.0, label)]
    for qubit, (p01, p10) in errors.items():
        place = len(label) - 1 - qubit
        if label[place] == "I":
            continue
        without = [
            (factor * (p10 - p01), f"{string[:place]}I{string[place + 1 :]}")
            for factor, string in terms
            if p10 != p01
        ]
        terms = [(factor * (1 - p01 - p10), string) for factor, string in terms] + without
        if len(terms) > _MOST_TERMS:
            raise UsageError(
                f"a string on more than {_MOST_TERMS.bit_length() - 1} qubits whose readout errors "
                "differ between 0 and 1 has no exact value by engine='stim': pass shots=..."
            )
    return terms


def _counted(bits: np.ndarray) -> dict[str, int]:
    """How often each row occurs, most frequent first; column 0 is the rightmost bit."""
    rows, numbers = np.unique(bits[:, ::-1], axis=0, return_counts=True)
    order = np.argsort(-numbers, kind="stable")
    return {"".join("01"[bit] for bit in rows[k].astype(int)): int(numbers[k]) for k in order}
