"""Hardware: device calibrations, noise-aware compilation with Qiskit, execution, device maps.

    device = Device.from_name("quito")
    compiled = compile(circuit.bind(weights=weights), device)
    expvals = run(compiled, device, inputs)

Qiskit is imported by what needs it, when it is called.
"""

from compile.compiled import Compiled
from compile.device import Device
from compile.esp import gate_esp, readout_esp
from compile.execution import Executor, Job, Mitigation, Usage, estimate_usage, run
from compile.fakes import fake_device_names
from compile.noisy import NoisyCircuit, noisy
from compile.plots import plot_device
from compile.transpilation import compile

__all__ = [
    "Compiled",
    "Device",
    "Executor",
    "Job",
    "Mitigation",
    "NoisyCircuit",
    "Usage",
    "compile",
    "estimate_usage",
    "fake_device_names",
    "gate_esp",
    "noisy",
    "plot_device",
    "readout_esp",
    "run",
]
