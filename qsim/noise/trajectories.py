"""Noise by trajectories: the engine contract, for circuits whose density matrices are too large.

A trajectory takes one Kraus operator K of each channel, with its probability <psi|K+K|psi>, and
stays a pure state (Dalibard, Castin and Molmer, PRL 68, 580 (1992)). Means over trajectories
estimate what exact noise computes. The derivative of an estimate holds the choices fixed: it is
that of <psi|K+ O K|psi> divided by the probability, whose mean is the derivative of the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.engines import trajectories
from qsim.engines.density import TO_Z, ReadoutErrors
from qsim.errors import UsageError
from qsim.memory import check_bytes
from qsim.noise.exact import active_part
from qsim.noise.unravelling import draws_of, numbers, seeds_of
from qsim.observables import PauliString
from qsim.paulis import expectations
from qsim.sampling import Generator, draw
from qsim.strings import Strings
from qsim.sums import sums_of_runs

if TYPE_CHECKING:
    from qsim.noise.kernels import NoiseKernels
    from qsim.noise.model import NoiseModel

_MOST_TERMS = 2**16  # of one string's readings


@dataclass(frozen=True)
class Rows:
    """Trajectories of a batch; row r is number r % trajectories of sample r // trajectories.

    Attributes:
        circuit: gates and channels.
        weights: real [num_weights], or a row for each trajectory.
        inputs: likewise.
        initial: complex [1, 2**n] or [samples, 2**n]; None for |0...0>.
        count: number of rows.
        trajectories: of each sample.
        seeds: int64 [samples]; used again from the first one on where there are fewer.
    """

    circuit: Circuit
    weights: Tensor
    inputs: Tensor
    initial: Tensor | None
    count: int
    trajectories: int
    seeds: Tensor

    def number(self, draw: int) -> Tensor:
        """Uniform numbers, float64 [rows]."""
        return numbers(self.seeds, self.count, self.trajectories, draw)

    def first_states(self, like: Tensor) -> Tensor:
        """What the reference engine starts from, complex [rows, 2**n]."""
        dtype = torch.complex128 if like.dtype == torch.float64 else torch.complex64
        n = self.circuit.num_qubits
        needed = 4 * dtype.itemsize * self.count << n
        check_bytes(needed, f"{self.count} states of {n} qubits", like.device)
        if self.initial is not None:
            samples = self.initial.expand(self.count // self.trajectories, -1)
            return samples.repeat_interleave(self.trajectories, 0)
        psi = torch.zeros(self.count, 2**n, dtype=dtype, device=like.device)
        psi[:, 0] = 1
        return psi

    def final_states(self, weights: Tensor, inputs: Tensor) -> Tensor:
        """By the reference engine, complex [rows, 2**n] of norm 1."""
        psi = self.first_states(weights)
        return trajectories.final_states(self.circuit, psi, weights, inputs, self.number)


@dataclass(frozen=True, eq=False)
class TrajectoryEngine:
    """Means over trajectories; keeps the contract of `Engine`.

    Attributes:
        noise: what happens besides the circuit's own channels, and how results are read.
        kernels: the engine that runs it; plain torch without one.
        trajectories: of each sample.
        seeds: int64 [samples]: the same seed draws the same trajectories.
    """

    noise: NoiseModel | None
    kernels: NoiseKernels | None
    trajectories: int
    seeds: Tensor

    @property
    def errors(self) -> ReadoutErrors:
        """Readout errors by qubit."""
        return self.noise.readout_errors if self.noise else {}

    def expval(
        self,
        circuit: Circuit,
        strings: Strings,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None,
    ) -> Tensor:
        """What a device would estimate, turning the strings' qubits to Z and reading them."""
        part = active_part(circuit, self.noise, whole=initial is not None)
        small, factors = part.measured(Strings.of(strings))
        read = _readings(small, tuple(part.readout.items()))
        rows = self._rows(part.circuit, weights, inputs, batch, initial, self.trajectories)
        if self.kernels:
            from qsim.noise import blocks

            found = blocks.expval(self.kernels, rows, read.strings)
        else:
            found = expectations(read.strings, rows.final_states(rows.weights, rows.inputs))
        means = found.unflatten(0, (batch, self.trajectories)).mean(1)
        terms = means[:, read.columns] * read.coefficients.to(means)
        found = sums_of_runs(terms, read.lengths)
        return found if factors is None else found * factors.to(found)

    def state(
        self,
        circuit: Circuit,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None,
    ) -> Tensor:
        raise UsageError(
            "trajectories have no density matrix: take method='exact', or expval, probabilities, "
            "samples or counts"
        )

    def samples(
        self,
        circuit: Circuit,
        basis: str,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None,
        shots: int,
    ) -> Tensor:
        """Basis states as they are read, each from a trajectory of its own: int64 [batch, shots].

        Args:
            basis: a letter for each qubit, the rightmost for qubit 0; I counts as Z.
        """
        part = active_part(circuit, self.noise, whole=True)
        turned = part.circuit.kept(("turned", basis), lambda: _turned(part.circuit, basis))
        rows = self._rows(turned, weights, inputs, batch, initial, shots)
        draws = draws_of(turned)
        if self.kernels:
            from qsim.noise import blocks

            found = blocks.samples(self.kernels, rows)
        else:
            psi = rows.final_states(rows.weights, rows.inputs)
            found = draw(psi.abs() ** 2, rows.number(draws)[:, None])[:, 0]
        for k, (qubit, (p01, p10)) in enumerate(part.readout.items()):
            wrong = torch.where((found >> qubit & 1) == 0, p01, p10)
            found = found ^ ((rows.number(draws + 1 + k).to(found.device) < wrong).long() << qubit)
        return found.unflatten(0, (batch, shots))

    def states_held(self, circuit: Circuit, gradient: bool) -> int:
        return 0  # but those of some trajectories at a time, for which each run checks memory

    def reference(self) -> TrajectoryEngine:
        return replace(self, kernels=None)

    def unread(self) -> TrajectoryEngine:
        """The same without readout errors."""
        return replace(self, noise=self.noise and replace(self.noise, readout=()))

    def seeded(self, generator: Generator, batch: int) -> TrajectoryEngine:
        """The same with other trajectories."""
        return replace(self, seeds=seeds_of(generator, batch))

    def _rows(
        self,
        circuit: Circuit,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None,
        each: int,
    ) -> Rows:
        if initial is not None:
            if torch.is_grad_enabled() and initial.requires_grad:
                raise UsageError(
                    "trajectories have no gradient of initial_state: detach it, or take "
                    "method='exact'"
                )
            initial = initial.reshape(-1, initial.shape[-1])
        angles = [t.repeat_interleave(each, 0) if t.dim() == 2 else t for t in (weights, inputs)]
        return Rows(circuit, angles[0], angles[1], initial, batch * each, each, self.seeds)


@dataclass(frozen=True)
class _Readings:
    """Strings as sums of others: runs, of these lengths, of coefficients * strings[columns]."""

    strings: Strings
    lengths: tuple[int, ...]
    columns: Tensor
    coefficients: Tensor


@lru_cache(maxsize=256)
def _readings(strings: Strings, readout: tuple[tuple[int, tuple[float, float]], ...]) -> _Readings:
    """What readings make of strings: each letter P becomes (1 - p01 - p10) P + p10 - p01."""
    errors = dict(readout)
    places: dict[str, int] = {}
    read = [_reading(string.label, errors) for string in strings]
    columns = [places.setdefault(s, len(places)) for parts in read for s in parts]
    coefficients = [c for parts in read for c in parts.values()]
    return _Readings(
        Strings(map(PauliString, places)),
        tuple(map(len, read)),
        torch.tensor(columns, dtype=torch.int64),
        torch.tensor(coefficients, dtype=torch.float64),
    )


def _reading(label: str, errors: Mapping[int, tuple[float, float]]) -> dict[str, float]:
    parts = {label: 1.0}
    for qubit, (p01, p10) in errors.items():
        place = len(label) - 1 - qubit
        if label[place] == "I":
            continue
        kept = {s: c * (1 - p01 - p10) for s, c in parts.items()}
        left = {s[:place] + "I" + s[place + 1 :]: c * (p10 - p01) for s, c in parts.items()}
        parts = {**kept, **left} if p01 != p10 else kept
        if len(parts) > _MOST_TERMS:
            raise UsageError(
                f"readings of {label} with different errors for 0 and 1 have more than "
                f"{_MOST_TERMS} terms: estimate it from shots"
            )
    return parts


def _turned(circuit: Circuit, basis: str) -> Circuit:
    """The circuit, and each qubit turned to Z from its letter."""
    turned = circuit.copy()
    for qubit, letter in enumerate(reversed(basis)):
        for name in TO_Z.get(letter, ()):
            getattr(turned, name)(qubit)
    return turned
