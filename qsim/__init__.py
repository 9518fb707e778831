"""qsim: a statevector simulator for training circuits, on PyTorch tensors."""

from qsim.circuit import Circuit, Operation, Register
from qsim.errors import UsageError
from qsim.execute import expval, probabilities, state
from qsim.gates import GATES, Gate
from qsim.library import qft, random_circuit, state_preparation
from qsim.observables import PauliString
from qsim.parameters import Expression, Input, Parameter, Symbol, Weight

__all__ = [
    "GATES",
    "Circuit",
    "Expression",
    "Gate",
    "Input",
    "Operation",
    "Parameter",
    "PauliString",
    "Register",
    "Symbol",
    "UsageError",
    "Weight",
    "expval",
    "probabilities",
    "qft",
    "random_circuit",
    "state",
    "state_preparation",
]
