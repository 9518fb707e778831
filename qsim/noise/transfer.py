"""Runs of circuits with channels by kernels for exact noise, in the Pauli basis."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from torch import Tensor

from qsim import _native
from qsim.circuit import Circuit, Symbol
from qsim.engines import density
from qsim.engines.density import ReadoutErrors
from qsim.gates import Gate
from qsim.gradients import adjoint
from qsim.noise.channels import Channel
from qsim.noise.lowering import Part, parts_of, readout_map
from qsim.noise.pauli_basis import components_of, letters_of, on_digit, to_components, to_matrices
from qsim.strings import Strings

if TYPE_CHECKING:
    from qsim.noise.exact import ActivePart
    from qsim.noise.kernels import NoiseKernels

_SOURCES = {"weight": 0, "input": 1}


def expval(
    kernels: NoiseKernels,
    part: ActivePart,
    strings: Strings,
    weights: Tensor,
    inputs: Tensor,
    batch: int,
    initial: Tensor | None,
) -> Tensor:
    """Means of what is read of strings on the active qubits, real [batch, strings]."""
    program = part.circuit.kept("read", lambda: Program(part.circuit, part.readout))
    return _run(kernels, program, program.components(strings), weights, inputs, batch, initial)


def density_matrices(
    kernels: NoiseKernels,
    part: ActivePart,
    weights: Tensor,
    inputs: Tensor,
    batch: int,
    initial: Tensor | None,
) -> Tensor:
    """Density matrices of the active qubits, not read: complex [batch, 2**n, 2**n]."""
    program = part.circuit.kept("unread", lambda: Program(part.circuit, {}))
    every = range(4**part.circuit.num_qubits)
    return to_matrices(_run(kernels, program, every, weights, inputs, batch, initial))


def evolved(
    kernels: NoiseKernels, circuit: Circuit, rho: Tensor, weights: Tensor, inputs: Tensor
) -> Tensor:
    """Density matrices after a circuit, from others: complex [batch, 2**n, 2**n]."""
    program = circuit.kept("unread", lambda: Program(circuit, {}))
    every = range(4**circuit.num_qubits)
    return to_matrices(_run(kernels, program, every, weights, inputs, len(rho), rho))


class Program:
    """A planned circuit of gates and channels, whose qubits are read in the end.

    Args:
        circuit: the circuit; its angles are numbers and symbols.
        readout: errors with which its qubits are read.
    """

    def __init__(self, circuit: Circuit, readout: ReadoutErrors) -> None:
        self.circuit, self.readout = circuit, readout
        operations = circuit.operations
        gates = [_lowered(operation.gate) for operation in operations]
        qubits = [qubit for operation in operations for qubit in operation.qubits]
        angles = [angle for operation in operations for angle in operation.params]
        self.native = _native.TransferProgram(
            circuit.num_qubits,
            gates + [_reading(error) for error in readout.values()],
            qubits + list(readout),
            [
                (_SOURCES[a.source], a.index, a.scale, a.offset)
                if isinstance(a, Symbol)
                else (-1, 0, 0.0, a)
                for a in angles
            ],
        )
        self._components: dict[Strings, list[int]] = {}

    def components(self, strings: Strings) -> list[int]:
        """Where the strings stand."""
        if strings not in self._components:
            self._components[strings] = components_of(letters_of(strings))
        return self._components[strings]


@lru_cache(maxsize=4096)
def _lowered(acting: Gate | Channel) -> Any:
    rows = [part.row() for part in parts_of(acting)]
    return _native.TransferGate(acting.num_qubits, len(acting.params), rows)


@lru_cache(maxsize=4096)
def _reading(error: tuple[float, float]) -> Any:
    return _native.TransferGate(1, 0, [Part((0,), readout_map(error)).row()])


def _run(
    kernels: NoiseKernels,
    program: Program,
    components: Sequence[int],
    weights: Tensor,
    inputs: Tensor,
    batch: int,
    initial: Tensor | None,
) -> Tensor:
    """Components of the final density matrices, real [batch, components].

    The initial states are pure, or density matrices [batch, 2**n, 2**n].
    """
    tensors = [weights, inputs]
    if initial is not None:
        if initial.dim() < 3:
            psi = initial.expand(batch, initial.shape[-1])
            initial = psi.unsqueeze(2) * psi.conj().unsqueeze(1)
        tensors.append(to_components(initial))
    return adjoint.run(kernels.transfer(program, components, batch, tensors), *tensors)


def rerun(program: Program, components: Sequence[int], batch: int, *tensors: Tensor) -> Tensor:
    """The same components from the reference engine; autograd can differentiate it twice."""
    weights, inputs, *start = tensors
    circuit = program.circuit
    rho = to_matrices(start[0]) if start else density.ground(circuit, weights, batch)
    found = to_components(density.evolved(circuit, rho, weights, inputs))
    for qubit, error in program.readout.items():
        found = on_digit(found, readout_map(error), qubit)
    return found[:, list(components)]
