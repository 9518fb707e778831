"""Runs of trajectories by kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from qsim.circuit import Circuit
from qsim.gradients import adjoint
from qsim.noise.unravelling import row_of
from qsim.observables import PauliString
from qsim.paulis import expectations
from qsim.plan.program import Program
from qsim.strings import Strings

if TYPE_CHECKING:
    from qsim.noise.kernels import NoiseKernels
    from qsim.noise.trajectories import Rows


def expval(kernels: NoiseKernels, rows: Rows, strings: Strings) -> Tensor:
    """<psi|P|psi> / <psi|psi> of each trajectory, real [rows, strings]; differentiable."""
    identity = PauliString("I" * rows.circuit.num_qubits)
    found = adjoint.run(
        kernels.trajectories(rows, Strings((*strings, identity))), rows.weights, rows.inputs
    )
    return found[:, :-1] / found[:, -1:].detach()


def samples(kernels: NoiseKernels, rows: Rows) -> Tensor:
    """A basis state of each trajectory, int64 [rows]."""
    return kernels.trajectories(rows, Strings()).samples()


def program_of(circuit: Circuit) -> Program:
    """The plan of a circuit with channels."""
    return circuit.kept(
        "trajectories", lambda: Program(circuit.num_qubits, circuit.operations, row_of)
    )


def rerun(rows: Rows, strings: Strings, weights: Tensor, inputs: Tensor) -> Tensor:
    """The same values from the reference engine; autograd can differentiate it twice."""
    return expectations(strings, rows.final_states(weights, inputs))
