"""Running compiled circuits, through the primitives of qiskit-ibm-runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from compile.checks import check_whole
from compile.compiled import Compiled
from compile.device import Device
from compile.simulation import noisy_simulator, on_active_qubits, samples_at_once
from qsim.errors import UsageError, need

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


def run(
    compiled: Compiled,
    device: Device,
    inputs: Tensor | None = None,
    *,
    shots: int = 8192,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Tensor:
    """Measure <Z> of every logical qubit.

    A snapshot is simulated on this computer under its own noise; a real device gets one job, and
    the call waits for it.

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
    need("qiskit_ibm_runtime", extra="ibm", purpose="running a circuit on a device")
    check_whole("the number of shots", shots, 1)
    check_whole("the seed", seed, 0)
    if compiled.device_name != device.name:
        raise UsageError(
            f"the circuit was compiled for {compiled.device_name}, so it does not run on "
            f"{device.name}: compile it for that device"
        )
    if compiled.num_weights:
        raise UsageError(
            f"the circuit has {compiled.num_weights} open weights: "
            "bind them by circuit.bind(weights=...) before compiling"
        )
    rows = _rows(inputs, compiled.num_inputs)
    circuit = compiled.measured()
    values = rows[:, [compiled.features[p.name] for p in circuit.parameters]]
    if values.shape[1] == 0:  # nothing tells the samples apart
        values = values[:1]
    expvals = _measure(circuit, device, values, shots, seed, progress)
    return expvals.expand(len(rows), -1) if inputs is not None and inputs.dim() > 1 else expvals[0]


def _rows(inputs: Tensor | None, num_inputs: int) -> np.ndarray:
    """Inputs as float64 [batch, features]; a batch of one stands for a single sample or None."""
    if inputs is None and num_inputs == 0:
        return np.zeros((1, 0))
    if inputs is None or inputs.dim() not in (1, 2) or inputs.shape[-1] != num_inputs:
        given = "none" if inputs is None else f"a tensor of shape {list(inputs.shape)}"
        raise UsageError(
            f"the circuit takes inputs of shape [batch, {num_inputs}], but was given {given}"
        )
    if not torch.isfinite(inputs).all():
        raise UsageError("the inputs hold NaN or infinity, but angles are finite numbers")
    return np.atleast_2d(inputs.detach().cpu().double().numpy())


def _measure(
    circuit: QuantumCircuit,
    device: Device,
    values: np.ndarray,
    shots: int,
    seed: int,
    progress: Callable[[int, int], object] | None,
) -> Tensor:
    """<Z> of every bit of register "c" [batch, bits], for parameter values [batch, parameters]."""
    backend, at_once = device.backend, len(values)
    if device.is_simulated:
        circuit, active = on_active_qubits(circuit)
        backend = noisy_simulator(circuit, device, active, shots)
        at_once = samples_at_once(len(active))
    expvals = torch.empty(len(values), circuit.num_clbits)
    for start in range(0, len(values), at_once):
        chunk = slice(start, min(start + at_once, len(values)))
        options = {}
        if device.is_simulated:
            chunk_seed = int(np.random.SeedSequence((seed, start)).generate_state(1)[0])
            options = {"simulator": {"seed_simulator": chunk_seed}}
        bits = _sample(circuit, values[chunk], backend, shots, options)
        expvals[chunk] = _mean_z(bits)
        if progress is not None:
            progress(chunk.stop, len(values))
    return expvals


def _sample(
    circuit: QuantumCircuit, values: np.ndarray, backend: Any, shots: int, options: dict[str, Any]
) -> Any:
    """One job of one PUB; returns the BitArray of register "c"."""
    from qiskit_ibm_runtime.executor_sampler import Sampler

    job = Sampler(mode=backend, options=options).run([(circuit, values)], shots=shots)
    return job.result()[0].data.c


def _mean_z(bits: Any) -> Tensor:
    """Mean of (-1)**bit over the shots of a BitArray, [..., bits]; its bytes hold bit 0 last."""
    unpacked = np.unpackbits(bits.array, axis=-1)[..., ::-1][..., : bits.num_bits]
    return torch.as_tensor(1.0 - 2.0 * unpacked.mean(-2), dtype=torch.float32)
