"""Hardware: device calibrations, noise-aware compilation with Qiskit, execution, device maps.

    device = Device.from_name("quito")
    compiled = compile(circuit.bind(weights=weights), device)
    expvals = run(compiled, device, inputs)

Qiskit is imported by what needs it, when it is called.
"""

from compile.calibration.fakes import fake_device_names
from compile.compilation import compile
from compile.compiled import Compiled
from compile.device import CalibrationWarning, Device
from compile.esp import Esp, estimate_esp
from compile.execution import (
    Executor,
    Job,
    Mitigation,
    Usage,
    estimate_usage,
    real_device,
    run,
)
from compile.noisy import NoisyCircuit, noisy
from compile.plots import plot_device

__all__ = [
    "CalibrationWarning",
    "Compiled",
    "Device",
    "Esp",
    "Executor",
    "Job",
    "Mitigation",
    "NoisyCircuit",
    "Usage",
    "compile",
    "estimate_esp",
    "estimate_usage",
    "fake_device_names",
    "noisy",
    "plot_device",
    "real_device",
    "run",
]
