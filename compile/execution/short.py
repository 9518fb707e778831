"""The short form: <Z> of every logical qubit."""

from __future__ import annotations

from torch import Tensor

from compile.compiled import Compiled
from compile.device import Device
from compile.execution.executor import Executor
from compile.execution.jobs import Progress


def run(
    compiled: Compiled,
    device: Device,
    inputs: Tensor | None = None,
    *,
    shots: int = 8192,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Measure <Z> of every logical qubit.

    A snapshot is simulated on this computer under its own noise; a real device gets one job, which
    is kept in the folder "jobs", and the call waits for it. `Executor` has other observables,
    mitigation and gradients.

    Args:
        compiled: circuit, compiled for this device.
        device: where to run.
        inputs: [batch, features], or [features] for one sample; None for a circuit without inputs.
        shots: measurements per sample.
        seed: of the simulation; the same seed gives the same result on any number of threads.
        progress: called with the number of finished samples and of all samples.

    Returns:
        Expectation values, float32 [batch, qubits], or [qubits] where inputs have no batch.

    Raises:
        UsageError: a circuit compiled for another device or with open weights, inputs of the wrong
            shape or not finite, or less than one shot.
    """
    executor = Executor(device, shots=shots, seed=seed)
    return executor.expval(compiled, inputs=inputs, progress=progress)
