"""Simulation of a device under its own noise model, cut to the qubits that a circuit uses.

The noise model of a whole chip takes many seconds to build, that of some qubits hundredths; the
errors on these qubits are the same, and qubits that no gate touches change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from compile.calibration.targets import cut
from compile.device import Device
from compile.schedule import delay_seconds
from qsim.errors import need
from qsim.noise.channels import thermal_relaxation

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.providers import BackendV2


def on_active_qubits(
    circuit: QuantumCircuit, others: Iterable[int] = ()
) -> tuple[QuantumCircuit, list[int]]:
    """The circuit on the qubits it uses, renumbered in ascending order, and their old numbers.

    Args:
        circuit: on physical qubits.
        others: physical qubits to keep though the circuit does not use them.
    """
    from qiskit import QuantumCircuit

    index = {qubit: i for i, qubit in enumerate(circuit.qubits)}
    active = sorted({index[qubit] for step in circuit.data for qubit in step.qubits}.union(others))
    place = {circuit.qubits[old]: new for new, old in enumerate(active)}
    small = QuantumCircuit(len(active))
    small.add_register(*circuit.cregs)
    for step in circuit.data:
        small.append(step.operation, [place[q] for q in step.qubits], step.clbits, copy=False)
    return small, active


def relaxed(circuit: QuantumCircuit, device: Device, physical: Sequence[int]) -> QuantumCircuit:
    """The circuit with every delay written as what it does: its qubit relaxes for so long.

    Args:
        circuit: on qubits of the device.
        device: its coherence times count.
        physical: physical qubit of each qubit of the circuit.
    """
    from qiskit.quantum_info import Kraus

    place = dict(zip(circuit.qubits, physical, strict=True))
    written = circuit.copy_empty_like()
    for step in circuit.data:
        if step.name == "delay":
            (qubit,) = step.qubits
            times = device.t1(place[qubit]), device.t2(place[qubit])
            seconds = delay_seconds(step.operation, device)
            channel = thermal_relaxation(*times, seconds)
            written.append(Kraus(list(channel.kraus)).to_instruction(), [qubit])
        else:
            written.append(step)
    return written


def noisy_simulator(
    circuit: QuantumCircuit,
    device: Device,
    active: list[int],
    shots: int,
    *,
    every_gate: bool = False,
) -> BackendV2:
    """A simulator of some qubits of a device.

    Args:
        circuit: what will run on it.
        device: its errors, coherence times and durations make the noise model.
        active: physical qubits, in the order of the circuit's qubits.
        shots: how many will be asked for; decides how noise is simulated.
        every_gate: whether to have the errors of gates that the circuit is without, too.
    """
    aer = need("qiskit_aer", extra="ibm", purpose="simulating a device")
    gates = set(device.backend.target.operation_names if every_gate else circuit.count_ops())
    target = cut(device.backend.target, active, lambda name, _: name in gates)
    model = device.aer_noise_model(active, gates)
    return aer.AerSimulator(
        target=target,
        noise_model=None if model.is_ideal() else model,
        method=simulation_method(len(active), shots),
        max_parallel_experiments=0,  # as many at once as there are threads
        fusion_threshold=1,  # also fuses gates of few qubits: 3 to 6 times faster trajectories
    )


def simulation_method(num_qubits: int, shots: int) -> str:
    """Aer's method that is faster on so many qubits: exact noise, or one trajectory per shot.

    qsim, which is quicker in both, changes at the same sizes. Measured for Aer on one core, with 50
    to 90 two-qubit gates: a density matrix of 10 qubits takes 1 s, of 13 qubits 36 s, four times
    more with every qubit; 1,024 trajectories of 10 to 13 qubits take 2 to 12 s.
    """
    return "density_matrix" if 4**num_qubits <= 2048 * shots else "statevector"


def samples_at_once(num_qubits: int) -> int:
    """Samples between two signs of progress: about a second of work, or one sample."""
    return min(32, 4 ** max(0, 9 - num_qubits))
