"""What density matrices can be asked for, as `qsim.results` for pure states."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from qsim.errors import UsageError
from qsim.observables import (
    Observable,
    Observables,
    PauliString,
    PauliSum,
    check_observables,
    check_qubits,
)
from qsim.paulis import apply_sum
from qsim.results import State, coefficients_of, split, von_neumann


class MixedState:
    """Density matrices of qubits. Differentiable throughout.

    Results are named and shaped as those of `qsim.State`.

    Args:
        matrices: complex [batch, 2**n, 2**n] or [2**n, 2**n], of trace 1.
    """

    def __init__(self, matrices: Tensor) -> None:
        self.matrices = matrices
        self.num_qubits = matrices.shape[-1].bit_length() - 1

    @property
    def _rows(self) -> Tensor:
        return self.matrices if self.matrices.dim() == 3 else self.matrices[None]

    def _shaped(self, result: Tensor) -> Tensor:
        return result if self.matrices.dim() == 3 else result[0]

    def variance(self, observables: Observables = None) -> Tensor:
        """Variances tr(rho O^2) - tr(rho O)^2: real [batch, observables]."""
        checked = check_observables(observables, self.num_qubits)
        spread = [_product(self._rows, d, d) for d in map(self._deviation, checked)]
        return self._shaped(torch.stack(spread, 1) if spread else self._rows.real[:, 0, :0])

    def covariance(self, observables: Observables = None) -> Tensor:
        """Symmetrized covariances: real [batch, observables, observables].

        tr(rho (AB + BA))/2 - tr(rho A) tr(rho B). Holds one matrix for each observable and sample.
        """
        checked = check_observables(observables, self.num_qubits)
        spread = [self._deviation(observable) for observable in checked]
        found = [torch.stack([_product(self._rows, a, b) for b in spread], 1) for a in spread]
        empty = self._rows.real.new_zeros(len(self._rows), 0, 0)
        return self._shaped(torch.stack(found, 1) if found else empty)

    def _deviation(self, observable: Observable) -> Tensor:
        """O - tr(rho O), whose products are free of cancellation: [batch, 2**n, 2**n]."""
        rho = self._rows
        given = PauliSum([(1.0, observable)]) if isinstance(observable, PauliString) else observable
        identity = torch.eye(rho.shape[1], dtype=rho.dtype, device=rho.device)
        matrix = apply_sum(given.strings, coefficients_of(given, rho), identity).T
        mean = (rho * matrix.T).sum((1, 2)).real
        return matrix - mean[:, None, None] * identity

    def reduced_density_matrix(self, qubits: Iterable[int]) -> Tensor:
        """Density matrices of some qubits, complex [batch, 2**k, 2**k]: see `State`."""
        return self._shaped(traced(self._rows, check_qubits(qubits, self.num_qubits)))

    def purity(self, qubits: Iterable[int]) -> Tensor:
        """Tr rho^2 of some qubits: real [batch]."""
        return self.reduced_density_matrix(qubits).abs().square().sum((-2, -1))

    def entropy(self, qubits: Iterable[int], base: float = 2) -> Tensor:
        """Von Neumann entropy -Tr rho log rho of some qubits, real [batch]: see `State.entropy`."""
        return self._shaped(
            von_neumann(traced(self._rows, check_qubits(qubits, self.num_qubits)), base)
        )

    def fidelity(self, other: State | Tensor) -> Tensor:
        """<other|rho|other> with a pure state, or with one for each sample: real [batch].

        Raises:
            UsageError: if the other one has another size or batch.
        """
        theirs = other if isinstance(other, State) else State(other)
        rows, target = self._rows, torch.atleast_2d(theirs.amplitudes)
        if theirs.num_qubits != self.num_qubits or 1 != len(target) != len(rows) != 1:
            raise UsageError(
                f"density matrices of shape {list(self.matrices.shape)} and states of shape "
                f"{list(theirs.amplitudes.shape)} have no fidelity: they need as many qubits, and "
                "as many samples or one"
            )
        dtype = torch.promote_types(rows.dtype, target.dtype)
        target = target.to(dtype).unsqueeze(2)
        found = (target.mH @ rows.to(dtype) @ target).real[:, 0, 0]
        single = self.matrices.dim() == 2 and theirs.amplitudes.dim() == 1
        return found[0] if single else found


def _product(rho: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Re tr(rho A B), which is that of (AB + BA)/2: real [batch]."""
    return ((first @ rho) * second.transpose(1, 2)).sum((1, 2)).real


def traced(rho: Tensor, qubits: tuple[int, ...]) -> Tensor:
    """Density matrices [rows, 2**k, 2**k] of some qubits, from [rows, 2**n, 2**n] of all."""
    rows, dim = rho.shape[:2]
    columns = split(rho.flatten(0, 1), qubits).reshape(rows, dim, -1)
    both = split(columns.transpose(1, 2).flatten(0, 1), qubits)
    size, others = both.shape[1:]
    return torch.einsum("bcmrm->brc", both.reshape(rows, size, others, size, others))
