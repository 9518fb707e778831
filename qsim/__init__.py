"""qsim: a statevector simulator for training circuits, on PyTorch tensors."""

from qsim.circuit import Circuit, Operation, Register
from qsim.dynamic.ensemble import Ensemble
from qsim.dynamic.instructions import Control, Measure
from qsim.errors import UsageError
from qsim.execute import (
    counts,
    covariance,
    entropy,
    expval,
    fidelity,
    outcome_probabilities,
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
from qsim.instructions import Instruction
from qsim.library import qft, random_circuit, state_preparation
from qsim.observables import PauliString, PauliSum
from qsim.parameters import Expression, Input, Parameter, Symbol, Weight
from qsim.results import State

__all__ = [
    "GATES",
    "Circuit",
    "Control",
    "Ensemble",
    "Expression",
    "Gate",
    "Input",
    "Instruction",
    "Measure",
    "Operation",
    "Parameter",
    "PauliString",
    "PauliSum",
    "QuantumNaturalGradient",
    "Register",
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
    "outcome_probabilities",
    "parameter_shift",
    "probabilities",
    "purity",
    "qft",
    "random_circuit",
    "reduced_density_matrix",
    "run",
    "samples",
    "spsa",
    "state",
    "state_preparation",
    "variance",
]
