"""qsim: a statevector simulator for training circuits, on PyTorch tensors."""

from qsim.circuit import Circuit, Input, Operation, Symbol, Weight
from qsim.errors import UsageError
from qsim.execute import (
    counts,
    covariance,
    entropy,
    expval,
    fidelity,
    probabilities,
    purity,
    reduced_density_matrix,
    run,
    samples,
    state,
    variance,
)
from qsim.gates import GATES, Gate
from qsim.gradients.jacobians import finite_differences, jacobian, parameter_shift, spsa
from qsim.observables import PauliString, PauliSum
from qsim.results import State

__all__ = [
    "GATES",
    "Circuit",
    "Gate",
    "Input",
    "Operation",
    "PauliString",
    "PauliSum",
    "State",
    "Symbol",
    "UsageError",
    "Weight",
    "counts",
    "covariance",
    "entropy",
    "expval",
    "fidelity",
    "finite_differences",
    "jacobian",
    "parameter_shift",
    "probabilities",
    "purity",
    "reduced_density_matrix",
    "run",
    "samples",
    "spsa",
    "state",
    "variance",
]
