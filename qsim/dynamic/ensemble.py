"""What the exact branches of a dynamic circuit can be asked for."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from qsim.dynamic.histories import Histories
from qsim.dynamic.instructions import packed
from qsim.dynamic.plan import Deferred
from qsim.engines import density
from qsim.engines.density import ReadoutErrors
from qsim.errors import UsageError
from qsim.memory import check_bytes
from qsim.mixed import traced
from qsim.observables import Observables, check_observables, check_qubits
from qsim.parameters import whole
from qsim.paulis import expectations
from qsim.results import combine, gram, layout, split
from qsim.sampling import Generator, check_generator, check_shots, count, draw, uniforms
from qsim.strings import Strings
from qsim.sums import sum_by_index


class Ensemble:
    """Final states of a dynamic circuit with their classical bits. Differentiable throughout.

    Comes from `qsim.run`. Every result is the average over all outcomes, and has a batch dimension
    where the run has one. A measurement at the end of the circuit is not carried out: its qubit is
    still in superposition in `states`, and results take it into account.

    Attributes:
        states: one for each branch, complex [branches, 2**n]; the squared norm is its probability.
            With noise, a density matrix [branches, 2**n, 2**n] for each value of the classical bits
            that occurs; the trace is its probability.
        clbits: classical bits of each branch as a number, int64 [branches].
        sample: sample of the batch that each branch belongs to, int64 [branches].
        num_qubits: number of qubits.
        num_clbits: number of classical bits.
    """

    def __init__(
        self,
        branches: Histories,
        deferred: Deferred,
        num_clbits: int,
        batch: int | None,
        errors: ReadoutErrors,
    ) -> None:
        self.states, self.clbits = branches.states, branches.bits
        self.sample = branches.sample
        self.num_qubits = self.states.shape[1].bit_length() - 1
        self.num_clbits = num_clbits
        self._deferred = deferred
        self._batch = batch
        self._errors = errors

    # --- The quantum state ------------------------------------------------------------------------

    def expval(self, observables: Observables = None) -> Tensor:
        """Expectation values of Pauli strings and sums, Z on every qubit by default.

        Returns:
            real [batch, observables].

        Raises:
            UsageError: for observables of another size.
        """
        checked = check_observables(observables, self.num_qubits)
        strings = layout(checked).strings
        return self._shaped(combine(self._total(self._expectations(strings)), checked))

    def probabilities(self, qubits: Iterable[int] | None = None) -> Tensor:
        """Probabilities of basis states of qubits: real [batch, 2**n], or [batch, 2**k] of k.

        Args:
            qubits: those to look at; bit k of the index is then `qubits[k]`. All by default.
        """
        where = None if qubits is None else check_qubits(qubits, self.num_qubits)
        return self._shaped(self._total(self._probabilities(where)))

    def reduced_density_matrix(self, qubits: Iterable[int]) -> Tensor:
        """Density matrices of some qubits: complex [batch, 2**k, 2**k].

        Args:
            qubits: k of them; bit j of an index is `qubits[j]`.

        Raises:
            UsageError: for qubits that are repeated or not there, or matrices beyond the memory.
        """
        where = check_qubits(qubits, self.num_qubits)
        size = self.states.itemsize * len(self.states) * 4 ** len(where)
        what = f"the density matrix of {len(where)} qubits in each branch"
        check_bytes(size, what, self.states.device)
        index = torch.arange(2 ** len(where), device=self.states.device)
        apart = packed(
            index, [where.index(qubit) for qubit in self._deferred.qubits if qubit in where]
        )
        states = self.states
        found = gram(split(states, where)) if states.dim() == 2 else traced(states, where)
        return self._shaped(self._total(found * (apart[:, None] == apart)))

    def purity(self, qubits: Iterable[int]) -> Tensor:
        """Tr rho^2 of some qubits: real [batch]."""
        matrices = self.reduced_density_matrix(qubits)
        return matrices.abs().square().sum((-2, -1))

    # --- Classical bits ---------------------------------------------------------------------------

    def outcome_probabilities(self, clbits: Iterable[int] | None = None) -> Tensor:
        """Probabilities of what classical bits hold at the end: real [batch, 2**k] of k bits.

        Args:
            clbits: those to look at; bit j of the index is then `clbits[j]`. All by default.

        Raises:
            UsageError: for bits that are repeated or not there, or too many for the memory.
        """
        where = check_clbits(clbits, self.num_clbits)
        batch = self._batch or 1
        what = f"probabilities of {len(where)} classical bits"
        check_bytes(8 * batch << len(where), what, self.states.device)
        found = self._probabilities(self._deferred.qubits)
        outcomes = torch.arange(found.shape[1], device=found.device)
        bits = self._deferred.recorded(self.clbits[:, None], outcomes)
        index = packed(bits, where) + (self.sample << len(where))[:, None]
        places = index.expand(found.shape).flatten()
        total = sum_by_index(found.flatten(), places, batch << len(where))
        return self._shaped(total.unflatten(0, (batch, -1)))

    @torch.no_grad()
    def samples(self, shots: int, *, generator: Generator = None) -> Tensor:
        """What the classical bits hold at the end of runs: int64 [batch, shots].

        Arguments and errors as for `State.samples`.
        """
        number = check_shots(shots, self._batch or 1)
        check_generator(generator, self._batch or 1)
        found = self.outcome_probabilities()
        rows = found.reshape(self._batch or 1, -1)
        return self._shaped(draw(rows, uniforms(len(rows), (number,), generator)))

    def counts(
        self, shots: int, *, generator: Generator = None
    ) -> dict[str, int] | list[dict[str, int]]:
        """How often each bitstring of the classical bits occurs; bit 0 is the rightmost."""
        drawn = self.samples(shots, generator=generator)
        return counted(drawn, self.num_clbits)

    def _expectations(self, strings: Strings) -> Tensor:
        """Of each branch, real [branches, strings]."""
        measured = self._deferred.qubits
        if self.states.dim() == 3:
            index = torch.arange(self.states.shape[1], device=self.states.device)
            apart = packed(index, measured)
            rho = self.states * (apart[:, None] == apart)
            return density.expectations(rho, strings, self._errors)
        mask = sum(1 << qubit for qubit in measured)
        kept = [not string.x_mask & mask for string in strings]  # X, Y of these average to 0
        found = expectations(strings, self.states)
        return found * torch.tensor(kept, dtype=found.dtype, device=found.device)

    def _probabilities(self, qubits: tuple[int, ...] | None) -> Tensor:
        """Of what is read in each branch, real [branches, 2**k]."""
        pure = self.states.dim() == 2
        found = (
            self.states.real**2 + self.states.imag**2
            if pure
            else self.states.diagonal(dim1=1, dim2=2).real
        )
        where = tuple(range(self.num_qubits)) if qubits is None else qubits
        return density.misread(split(found, where).sum(2), where, self._errors)

    def _total(self, found: Tensor) -> Tensor:
        """The sum over the branches of each sample: [branches, ...] -> [batch, ...]."""
        return sum_by_index(found, self.sample, self._batch or 1)

    def _shaped(self, result: Tensor) -> Tensor:
        return result[0] if self._batch is None else result

    def __repr__(self) -> str:
        return (
            f"Ensemble({self.num_qubits} qubits, {self.num_clbits} classical bits, "
            f"{len(self.states)} branches)"
        )


def check_clbits(clbits: Iterable[int] | None, num_clbits: int) -> tuple[int, ...]:
    """The classical bits as a tuple, all by default.

    Raises:
        UsageError: if there are none, or one is repeated or out of range.
    """
    if not num_clbits:
        raise UsageError("the circuit has no classical bits: measure qubits into some")
    given = tuple(range(num_clbits) if clbits is None else clbits)
    found = [whole(bit) for bit in given]
    right = all(bit is not None and 0 <= bit < num_clbits for bit in found)
    if not given or not right or len(set(found)) != len(found):
        raise UsageError(
            f"classical bits are one or more different ones from 0 to {num_clbits - 1}, not "
            f"{list(given)}"
        )
    return tuple([int(bit) for bit in given])


def refuse_qubits(qubits: Iterable[int] | None) -> None:
    """Raises UsageError for qubits to sample in a circuit with measurements."""
    if qubits is not None:
        raise UsageError(
            "a circuit with measurements is sampled in its classical bits: leave out qubits, or "
            "measure them into bits"
        )


def counted(drawn: Tensor, num_clbits: int) -> dict[str, int] | list[dict[str, int]]:
    """Counts of bitstrings in samples [shots], or for each row of [batch, shots]."""
    if drawn.dim() == 1:
        return count(drawn, num_clbits)
    return [count(row, num_clbits) for row in drawn]
