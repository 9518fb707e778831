"""Execution: compiled circuits on simulated devices and at IBM Quantum, with error mitigation.

executor = Executor(device, Mitigation(readout="m3"))
values = executor.expval(compiled, [PauliString("ZZI")], inputs=inputs)
slopes = executor.gradient(compiled, weights=weights, inputs=inputs)
job = executor.submit(compiled, inputs=inputs)      # Job.resume(job.id).result() after a kill
"""

from compile.execution.executor import Executor
from compile.execution.hardware import real_device
from compile.execution.jobs import Job
from compile.execution.mitigation import Mitigation
from compile.execution.short import run
from compile.execution.usage import Usage, estimate_usage

__all__ = ["Executor", "Job", "Mitigation", "Usage", "estimate_usage", "real_device", "run"]
