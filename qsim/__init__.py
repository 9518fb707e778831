"""qsim: a simulator for training circuits, pure or noisy, on PyTorch tensors."""

from qsim.circuit import Circuit, Operation, Register
from qsim.dynamic.ensemble import Ensemble
from qsim.dynamic.instructions import Control, Measure
from qsim.errors import UsageError
from qsim.execute import (
    counts,
    covariance,
    density_matrix,
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
from qsim.noise import channels
from qsim.noise.channels import Channel
from qsim.noise.model import NoiseModel
from qsim.observables import PauliString, PauliSum
from qsim.parameters import Expression, Input, Parameter, Symbol, Weight
from qsim.results import State

__all__ = [
    "GATES",
    "Channel",
    "Circuit",
    "Control",
    "Ensemble",
    "Expression",
    "Gate",
    "Input",
    "Instruction",
    "Measure",
    "NoiseModel",
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
    "channels",
    "counts",
    "covariance",
    "density_matrix",
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
