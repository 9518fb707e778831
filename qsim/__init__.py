"""qsim: a statevector simulator for training circuits, on PyTorch tensors."""

from qsim.circuit import Circuit, Input, Operation, Symbol, Weight
from qsim.errors import UsageError
from qsim.execute import expval, probabilities, state
from qsim.gates import GATES, Gate
from qsim.observables import PauliString

__all__ = [
    "GATES",
    "Circuit",
    "Gate",
    "Input",
    "Operation",
    "PauliString",
    "Symbol",
    "UsageError",
    "Weight",
    "expval",
    "probabilities",
    "state",
]
