"""Exact noise: the engine contract for circuits with channels and for noise models."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from qsim.circuit import Circuit, Operation
from qsim.engines import density
from qsim.engines.density import ReadoutErrors
from qsim.errors import UsageError
from qsim.gates import Gate
from qsim.noise.channels import Channel
from qsim.noise.lowering import readout_map
from qsim.noise.pauli_basis import letters_of
from qsim.observables import PauliString
from qsim.strings import Strings
from qsim.walsh import walsh_hadamard

if TYPE_CHECKING:
    from qsim.noise.kernels import NoiseKernels
    from qsim.noise.model import NoiseModel


@dataclass(frozen=True)
class ExactEngine:
    """Density matrices after gates, channels and noise; keeps the contract of `Engine`.

    Attributes:
        noise: what happens besides the circuit's own channels, and how results are read.
        kernels: the engine that runs it, in the Pauli basis; plain torch without one.
    """

    noise: NoiseModel | None
    kernels: NoiseKernels | None

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
        if not strings:
            return weights.new_zeros(batch, 0)
        part = active_part(circuit, self.noise, whole=initial is not None)
        small, factors = part.measured(Strings.of(strings))
        if self.kernels:
            from qsim.noise import transfer

            found = transfer.expval(self.kernels, part, small, weights, inputs, batch, initial)
        else:
            rho = density.density_matrices(part.circuit, weights, inputs, batch, initial)
            found = density.expectations(rho, small, part.readout)
        return found if factors is None else found * factors.to(found)

    def state(
        self,
        circuit: Circuit,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None,
    ) -> Tensor:
        """Density matrices, complex [batch, 2**num_qubits, 2**num_qubits]."""
        part = active_part(circuit, self.noise, whole=initial is not None)
        if self.kernels:
            from qsim.noise import transfer

            rho = transfer.density_matrices(self.kernels, part, weights, inputs, batch, initial)
        else:
            rho = density.density_matrices(part.circuit, weights, inputs, batch, initial)
        return part.among_all(rho)

    def states_held(self, circuit: Circuit, gradient: bool) -> int:
        return 0  # but density matrices of the active qubits, for which each run checks memory

    def reference(self) -> ExactEngine:
        return replace(self, kernels=None)


@dataclass(frozen=True)
class ActivePart:
    """A circuit with its noise, on the qubits that something acts on; the others stay in |0>.

    Attributes:
        circuit: gates and channels on the active qubits.
        active: their numbers.
        num_qubits: of the whole circuit.
        errors: readout errors of all qubits.
    """

    circuit: Circuit
    active: tuple[int, ...]
    num_qubits: int
    errors: ReadoutErrors
    _measured: dict[Strings, tuple[Strings, Tensor | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, circuit: Circuit, noise: NoiseModel | None, whole: bool) -> ActivePart:
        """The active part of a circuit; with `whole`, all qubits are."""
        noisy = noise.applied(circuit) if noise else circuit
        operations = noisy.operations
        touched = {qubit for _, qubits, _ in operations for qubit in qubits}
        active = tuple(range(circuit.num_qubits)) if whole else tuple(sorted(touched)) or (0,)
        place = {qubit: k for k, qubit in enumerate(active)}
        moved = [
            Operation(acting, tuple([place[q] for q in qubits]), params)
            for acting, qubits, params in operations
        ]
        small = circuit.with_operations(moved, len(active))
        errors = noise.readout_errors if noise else {}
        return cls(small, active, circuit.num_qubits, errors)

    @property
    def readout(self) -> ReadoutErrors:
        """Readout errors of the active qubits, by their place."""
        return {k: self.errors[q] for k, q in enumerate(self.active) if q in self.errors}

    def measured(self, strings: Strings) -> tuple[Strings, Tensor | None]:
        """Strings on the active qubits, and the means of what is read on the others.

        Returns:
            (strings, factors float64 [strings]); no factors if all are 1.
        """
        if strings not in self._measured:
            letters = letters_of(strings)
            factors = np.ones(len(letters))
            for qubit in set(range(self.num_qubits)) - set(self.active):
                read = readout_map(self.errors.get(qubit, (0.0, 0.0)))
                factors *= (read @ [1.0, 0.0, 0.0, 1.0])[letters[:, qubit]]
            alone = None if bool((factors == 1).all()) else torch.tensor(factors)
            self._measured[strings] = restricted(strings, self.active), alone
        return self._measured[strings]

    def among_all(self, rho: Tensor) -> Tensor:
        """Density matrices of the active qubits with the others beside them."""
        if len(self.active) == self.num_qubits:
            return rho
        rows = torch.zeros(1, dtype=torch.int64, device=rho.device)
        for qubit in self.active:
            rows = torch.cat([rows, rows + (1 << qubit)])
        samples = torch.arange(len(rho), device=rho.device)[:, None, None]
        wide = rho.new_zeros(len(rho), 2**self.num_qubits, 2**self.num_qubits)
        return wide.index_put((samples, rows[:, None], rows), rho)


def active_part(circuit: Circuit, noise: NoiseModel | None, whole: bool) -> ActivePart:
    """The active part of a circuit, kept with it; `whole` if it may start anywhere."""
    key = ("active", noise, whole)
    return circuit.kept(key, lambda: ActivePart.of(circuit, noise, whole))


def restricted(strings: Strings, qubits: tuple[int, ...]) -> Strings:
    """The letters of strings on some qubits, in ascending order, alone."""
    size = len(strings[0].label)
    if len(qubits) == size:
        return strings
    places = [size - 1 - qubit for qubit in reversed(qubits)]
    return Strings(PauliString("".join([s.label[p] for p in places])) for s in strings)


@lru_cache(maxsize=64)
def letters_on(basis: str, qubits: tuple[int, ...], num_qubits: int) -> Strings:
    """All strings with the letters of a basis on some of these qubits, and I elsewhere.

    Args:
        basis: a letter for each of the qubits, the rightmost for the first; I counts as Z.
        qubits: string m has a letter on `qubits[k]` if bit k of m is 1.
        num_qubits: of the circuit.
    """
    labels = [["I"] * num_qubits]
    for qubit, letter in zip(qubits, reversed(basis.replace("I", "Z")), strict=True):
        place = num_qubits - 1 - qubit
        labels += [[*label[:place], letter, *label[place + 1 :]] for label in labels]
    return Strings(PauliString("".join(label)) for label in labels)


def distribution(values: Tensor) -> Tensor:
    """Probabilities [batch, 2**k] of what is read, from expectation values of `letters_on`."""
    found = walsh_hadamard(values) / values.shape[1]
    return found.clamp(min=0)  # rounding may leave less


def check_operations(circuit: Circuit) -> None:
    """Raises UsageError for what is neither a gate nor a channel."""
    for operation in () if circuit.is_unitary else circuit.operations:
        if not isinstance(operation.gate, (Gate, Channel)):
            raise UsageError(
                f"this takes a circuit of gates and channels alone, but the circuit has {operation}"
            )
