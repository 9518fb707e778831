"""A compiled circuit under the exact noise of its device, differentiable, by qsim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from compile.compiled import Compiled, place_observable
from compile.device import Device
from compile.schedule import with_delays
from compile.simulation import on_active_qubits, relaxed
from qsim import Circuit, NoiseModel, expval
from qsim.errors import UsageError
from qsim.interop.qiskit import from_qiskit
from qsim.observables import Observables, check_observables


@dataclass(frozen=True)
class NoisyCircuit:
    """A physical circuit and the noise of its qubits, cut to those in use.

    Attributes:
        circuit: gates of the device; its weights and inputs are those of the logical circuit.
        noise: of these gates and qubits.
        places: qubit of `circuit` where each logical qubit is measured.
        physical: physical qubit of each qubit of `circuit`.
    """

    circuit: Circuit
    noise: NoiseModel
    places: tuple[int, ...]
    physical: tuple[int, ...]

    def expval(
        self,
        observables: Observables = None,
        weights: Tensor | None = None,
        inputs: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """Expectation values of the logical qubits under noise: as `qsim.expval` without it.

        Exact unless `shots` are given; differentiable in weights, inputs and coefficients.
        """
        measured = check_observables(observables, len(self.places))
        size = self.circuit.num_qubits
        placed = [place_observable(observable, self.places, size) for observable in measured]
        return expval(self.circuit, placed, weights, inputs, noise=self.noise, **options)


def noisy(compiled: Compiled, device: Device, *, idle: bool = False) -> NoisyCircuit:
    """The compiled circuit with the noise of the device's calibration.

    Without `idle` it is the noise that `run` simulates: after each gate, in the readout, and in the
    delays between the pulses of dynamical decoupling.

    Args:
        compiled: circuit, compiled for this device from a `qsim.Circuit`, weights open or bound.
        device: its errors, coherence times and durations make the noise.
        idle: whether qubits relax while they wait, too.

    Raises:
        UsageError: a circuit compiled for another device.
    """
    if compiled.device_name != device.name:
        raise UsageError(
            f"the circuit was compiled for {compiled.device_name}, so the noise of {device.name} "
            "does not fit: compile it for that device"
        )
    physical, pulsed = compiled.circuit, "delay" in compiled.circuit.count_ops()
    if pulsed and idle:  # a noise model would move the pulses to the end of their waits
        physical, idle = with_delays(physical, device, compiled.final_layout), False
    small, active = on_active_qubits(physical, compiled.final_layout)
    circuit = Circuit(len(active), compiled.num_weights, compiled.num_inputs)
    circuit.compose(from_qiskit(relaxed(small, device, active) if pulsed else small))
    places = tuple(active.index(qubit) for qubit in compiled.final_layout)
    return NoisyCircuit(circuit, device.noise_model(active, idle=idle), places, tuple(active))
