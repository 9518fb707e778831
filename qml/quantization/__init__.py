"""Quantization of gates: angles on grids, after training and while training.

A grid says where every angle may lie: `uniform_grid` of k bits, `clifford_grid` and
`clifford_t_grid`, whose circuits stabilizer simulators and fault-tolerant machines run, and
`pulse_grid`, whose gates take fewer pulses of the device. `quantize` rounds a trained model,
`straight_through` trains on the grid, and `qml.pruning.GradualRounding` holds more and more angles
on it, those first that a criterion chooses. `compiled_savings` says what it saves on the device.
"""

from qml.quantization.grids import clifford_grid, clifford_t_grid, pulse_grid, uniform_grid
from qml.quantization.precision import allocate_bits
from qml.quantization.rounding import quantize, straight_through
from qml.quantization.savings import Savings, compiled_savings
from qml.quantization.tcount import t_count

__all__ = [
    "Savings",
    "allocate_bits",
    "clifford_grid",
    "clifford_t_grid",
    "compiled_savings",
    "pulse_grid",
    "quantize",
    "straight_through",
    "t_count",
    "uniform_grid",
]
