"""What a state can be asked for; one execution answers as often as one likes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.engines import select_engine
from qsim.errors import UsageError
from qsim.gradients import transforms
from qsim.memory import check_bytes
from qsim.observables import (
    Observable,
    Observables,
    PauliString,
    PauliSum,
    check_observables,
    check_qubits,
)
from qsim.paulis import apply_sum
from qsim.prepare import Call
from qsim.sampling import Generator, check_generator, check_shots, count, estimate, measure
from qsim.strings import Strings
from qsim.sums import sums_of_runs

_CPU = torch.device("cpu")


class Layout(NamedTuple):
    """Observables as strings, each once, and which strings make which observable.

    Attributes:
        strings: what is measured.
        columns: string of each term, int64 [terms]; None where observable k is string k.
    """

    strings: Strings
    columns: Tensor | None


def layout(observables: tuple[Observable, ...], device: torch.device = _CPU) -> Layout:
    """The layout of checked observables, with its tensors on a device."""
    parts = tuple(o if isinstance(o, PauliString) else o.strings for o in observables)
    return _layout(parts, device)


@lru_cache(maxsize=256)
def _layout(parts: tuple[PauliString | Strings, ...], device: torch.device) -> Layout:
    if all(isinstance(part, PauliString) for part in parts):
        return Layout(Strings(parts), None)  # type: ignore[arg-type]
    places: dict[PauliString, int] = {}
    columns = [
        places.setdefault(string, len(places))
        for part in parts
        for string in ((part,) if isinstance(part, PauliString) else part)
    ]
    return Layout(Strings(places), torch.tensor(columns, device=device))


def combine(values: Tensor, observables: tuple[Observable, ...]) -> Tensor:
    """From expectation values of the layout's strings, [batch, strings], to [batch, observables].

    Differentiable in the values and the coefficients; sums in double precision.

    Raises:
        UsageError: if a trained coefficient is not finite.
    """
    if all(isinstance(observable, PauliString) for observable in observables):
        return values
    columns = layout(observables, values.device).columns
    assert columns is not None
    coefficients = torch.cat([coefficients_of(o, values) for o in observables])
    terms = values.double()[:, columns] * coefficients
    lengths = [1 if isinstance(o, PauliString) else len(o.strings) for o in observables]
    return sums_of_runs(terms, lengths).to(values.dtype)


def coefficients_of(observable: Observable, like: Tensor) -> Tensor:
    """Of each string, float64 [strings], on the device of another tensor.

    Raises:
        UsageError: if a trained coefficient is not finite.
    """
    if isinstance(observable, PauliString):
        return torch.ones(1, dtype=torch.float64, device=like.device)
    found = observable.coefficients_on(like.device)
    # Looking at values would wait for a GPU; under a transform they are seen only inside a run.
    checked = found.requires_grad and found.device.type == "cpu" and not transforms.active()
    if checked and not bool(found.detach().isfinite().all()):
        raise UsageError("coefficients of a PauliSum hold a value that is not finite")
    return found


class State:
    """Pure states of qubits, and everything that can be asked of them. Differentiable throughout.

    Comes from `qsim.run`, or from amplitudes. Results have the batch dimension of the amplitudes,
    or none where these have none. Qubit 0 is the least significant bit of a basis state.

    Args:
        amplitudes: complex [batch, 2**n] or [2**n].

    Raises:
        UsageError: if they are not complex, or not 2**n in number.
    """

    def __init__(self, amplitudes: Tensor) -> None:
        if not isinstance(amplitudes, Tensor) or not amplitudes.is_complex():
            raise UsageError(f"amplitudes are a complex torch tensor, not {_kind(amplitudes)}")
        size = amplitudes.shape[-1] if amplitudes.dim() in (1, 2) else 0
        if size < 2 or size & (size - 1):
            raise UsageError(
                f"amplitudes of shape {list(amplitudes.shape)} are no states: "
                "these are [2**n] or [batch, 2**n]"
            )
        self.amplitudes = amplitudes
        self.num_qubits = size.bit_length() - 1

    @property
    def _rows(self) -> Tensor:
        return self.amplitudes if self.amplitudes.dim() == 2 else self.amplitudes[None]

    def _shaped(self, result: Tensor) -> Tensor:
        return result if self.amplitudes.dim() == 2 else result[0]

    # --- Files ------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the state as safetensors, in one step and exactly: see `qsim.serialization`."""
        from qsim.serialization import save_state

        return save_state(self, path)

    @staticmethod
    def load(path: str | Path) -> State:
        """Read a state that `save` wrote.

        Raises:
            UsageError: for a file that is missing, damaged, or of a newer version.
        """
        from qsim.serialization import load_state

        return load_state(path)

    # --- Observables ------------------------------------------------------------------------------

    def expval(
        self,
        observables: Observables = None,
        *,
        shots: int | None = None,
        generator: Generator = None,
    ) -> Tensor:
        """Expectation values of Pauli strings and sums, Z on every qubit by default.

        Args:
            observables: PauliString and PauliSum, in any mixture.
            shots: estimate them from that many shots for each set of strings that commute qubit
                by qubit; exact by default. Estimates have no gradient.
            generator: a torch.Generator, or a list with one for each sample.

        Returns:
            real [batch, observables].

        Raises:
            UsageError: for observables of another size, and wrong shots or generators.
        """
        checked = check_observables(observables, self.num_qubits)
        strings, psi = layout(checked).strings, self._rows
        if shots is None:
            return self._shaped(combine(_expectations(strings, psi), checked))
        number = check_shots(shots, len(psi) * max(1, len(strings.settings)))
        check_generator(generator, len(psi))
        found = estimate(strings, psi.detach(), number, generator)
        return self._shaped(combine(found, checked))

    def variance(self, observables: Observables = None) -> Tensor:
        """Variances <O^2> - <O>^2: real [batch, observables]."""
        checked = check_observables(observables, self.num_qubits)
        spread = [self._deviation(o).abs().square().sum(1) for o in checked]
        return self._shaped(torch.stack(spread, 1) if spread else self._rows.real[:, :0])

    def covariance(self, observables: Observables = None) -> Tensor:
        """Symmetrized covariances <AB + BA>/2 - <A><B>: real [batch, observables, observables].

        Holds one state for each observable.
        """
        checked = check_observables(observables, self.num_qubits)
        if not checked:
            return self._shaped(self._rows.real.new_zeros(len(self._rows), 0, 0))
        spread = torch.stack([self._deviation(o) for o in checked], 1)
        return self._shaped((spread.conj() @ spread.transpose(1, 2)).real)

    def _deviation(self, observable: Observable) -> Tensor:
        """(O - <O>)|psi>, whose products are free of the cancellation in <O^2> - <O>^2."""
        psi = self._rows
        given = PauliSum([(1.0, observable)]) if isinstance(observable, PauliString) else observable
        applied = apply_sum(given.strings, coefficients_of(given, psi), psi)
        mean = (psi.conj() * applied).sum(1, keepdim=True).real
        return applied - mean * psi

    # --- Measurement ------------------------------------------------------------------------------

    def probabilities(self, qubits: Iterable[int] | None = None) -> Tensor:
        """Probabilities of basis states: real [batch, 2**n], or [batch, 2**k] of k qubits.

        Args:
            qubits: those to look at; bit k of the index is then `qubits[k]`. All by default.
        """
        found = self._rows.real**2 + self._rows.imag**2
        if qubits is None:
            return self._shaped(found)
        where = check_qubits(qubits, self.num_qubits)
        return self._shaped(split(found, where).sum(2))

    @torch.no_grad()
    def samples(
        self, shots: int, qubits: Iterable[int] | None = None, *, generator: Generator = None
    ) -> Tensor:
        """Basis states as they are measured: int64 [batch, shots].

        Args:
            shots: number of measurements of each sample.
            qubits: those to measure; bit k of a result is then `qubits[k]`. All by default.
            generator: a torch.Generator; or a list with one for each sample, whose results then do
                not depend on the rest of the batch. PyTorch's own generator by default.

        Raises:
            UsageError: for wrong shots, qubits or generators.
        """
        found = self.probabilities(qubits)
        return self._shaped(measure(found.reshape(len(self._rows), -1), shots, generator))

    def counts(
        self, shots: int, qubits: Iterable[int] | None = None, *, generator: Generator = None
    ) -> dict[str, int] | list[dict[str, int]]:
        """How often each bitstring is measured, most frequent first; a list of these for a batch.

        The rightmost bit is qubit 0, or the first of `qubits`, as in Qiskit; arguments and errors
        as for `samples`.
        """
        chosen = None if qubits is None else check_qubits(qubits, self.num_qubits)
        drawn = self.samples(shots, chosen, generator=generator)
        bits = self.num_qubits if chosen is None else len(chosen)
        found = [count(row, bits) for row in drawn.reshape(len(self._rows), -1)]
        return found if self.amplitudes.dim() == 2 else found[0]

    # --- Parts and comparisons --------------------------------------------------------------------

    def reduced_density_matrix(self, qubits: Iterable[int]) -> Tensor:
        """Density matrices of some qubits: complex [batch, 2**k, 2**k].

        Args:
            qubits: k of them; bit j of an index is `qubits[j]`.

        Raises:
            UsageError: for qubits that are repeated or not there, or a matrix beyond the memory.
        """
        where = check_qubits(qubits, self.num_qubits)
        size = self.amplitudes.itemsize * len(self._rows) * 4 ** len(where)
        check_bytes(size, f"the density matrix of {len(where)} qubits", self._rows.device)
        return self._shaped(gram(split(self._rows, where)))

    def purity(self, qubits: Iterable[int]) -> Tensor:
        """Tr rho^2 of some qubits, 1 if they are not entangled with the others: real [batch]."""
        return self._shaped(self._smaller(qubits).abs().square().sum((1, 2)))

    def entropy(self, qubits: Iterable[int], base: float = 2) -> Tensor:
        """Entanglement entropy of some qubits with the others, -Tr rho log rho: real [batch].

        Args:
            qubits: one side of the cut.
            base: of the logarithm: 2 (bits) or math.e (nats).

        Raises:
            UsageError: for qubits that are repeated or not there, or a base that is not above 1.
        """
        return self._shaped(von_neumann(self._smaller(qubits), base))

    def fidelity(self, other: State | Tensor) -> Tensor:
        """|<other|self>|^2 with a state, or with one for each sample: real [batch].

        Raises:
            UsageError: if the other one has another size or batch.
        """
        theirs = other if isinstance(other, State) else State(other)
        mine, rows = self._rows, theirs._rows
        if theirs.num_qubits != self.num_qubits or 1 != len(rows) != len(mine) != 1:
            raise UsageError(
                f"states of shape {list(self.amplitudes.shape)} and "
                f"{list(theirs.amplitudes.shape)} have no fidelity: they need as many qubits, and "
                "as many samples or one"
            )
        dtype = torch.promote_types(mine.dtype, rows.dtype)
        found = (rows.to(dtype).conj() * mine.to(dtype)).sum(1).abs().square()
        single = self.amplitudes.dim() == theirs.amplitudes.dim() == 1
        return found[0] if single else found

    def _smaller(self, qubits: Iterable[int]) -> Tensor:
        """The density matrix of the qubits or of the others: the spectra are the same."""
        where = check_qubits(qubits, self.num_qubits)
        parts = split(self._rows, where)
        return gram(parts if parts.shape[1] <= parts.shape[2] else parts.transpose(1, 2))

    def __repr__(self) -> str:
        shape, dtype = list(self.amplitudes.shape), self.amplitudes.dtype
        return f"State({self.num_qubits} qubits, {dtype} {shape})"


def von_neumann(rho: Tensor, base: float) -> Tensor:
    """The entropy -Tr rho log rho of density matrices [batch, m, m]: real [batch].

    Raises:
        UsageError: for a base that is not above 1.
    """
    if not base > 1:
        raise UsageError(f"the base of a logarithm is above 1, such as 2 or math.e, not {base}")
    values = torch.linalg.eigvalsh(rho)
    # Rounding leaves values about zero, whose logarithm would have no gradient.
    values = values.clamp(min=torch.finfo(values.dtype).tiny)
    return -(values * values.log()).sum(1) / math.log(base)


def _expectations(strings: Strings, psi: Tensor) -> Tensor:
    """<psi|P|psi> of states [batch, 2**n]: real [batch, strings], by the fastest engine."""
    circuit = Circuit(psi.shape[1].bit_length() - 1)
    engine, nothing = select_engine("auto", psi.device.type), psi.real.new_zeros(0)
    return Call(circuit, engine, nothing, nothing, psi, len(psi), batched=True).expval(strings)


def split(rows: Tensor, qubits: tuple[int, ...]) -> Tensor:
    """[batch, 2**n] -> [batch, 2**k of the qubits, 2**(n - k) of the others]."""
    n = rows.shape[1].bit_length() - 1
    axes = [n - q for q in reversed(qubits)]
    others = [axis for axis in range(1, n + 1) if axis not in axes]
    ordered = rows.reshape(-1, *[2] * n).permute(0, *axes, *others)
    return ordered.reshape(len(rows), 2 ** len(qubits), -1)


def gram(parts: Tensor) -> Tensor:
    """Density matrices [batch, 2**k, 2**k] of the qubits that were split off."""
    return parts @ parts.mH


def _kind(value: Any) -> str:
    return str(value.dtype) if isinstance(value, Tensor) else type(value).__name__
