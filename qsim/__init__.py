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
from qsim.gradients.metric import metric_tensor
from qsim.gradients.natural import QuantumNaturalGradient
from qsim.gradients.second import hessian, hessian_vector_product
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
    "QuantumNaturalGradient",
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
    "hessian",
    "hessian_vector_product",
    "jacobian",
    "metric_tensor",
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
