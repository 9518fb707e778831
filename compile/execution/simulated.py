"""Programs on this computer, under the noise of a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from compile.device import Device
from compile.execution.layers import layer_noise
from compile.execution.links import Answer, Piece, Submission, primitive, pubs_of, read_answers
from compile.execution.mitigation import Mitigation
from compile.execution.programs import Program, Pub
from compile.simulation import (
    noisy_simulator,
    on_active_qubits,
    relaxed,
    samples_at_once,
    simulation_method,
)
from qsim import samples
from qsim.errors import UsageError
from qsim.interop.qiskit import from_qiskit


class Aer:
    """A simulation of a device's noise by Qiskit Aer; circuits run when they are waited for.

    Args:
        device: a simulated one.
        program: what runs.
        mitigation: is done here.
        generation: of the primitives, "client" or "service".

    Raises:
        UsageError: for mitigation that this generation of primitives would not do.
    """

    def __init__(
        self, device: Device, program: Program, mitigation: Mitigation, generation: str = "client"
    ) -> None:
        if generation == "service" and mitigation.remote:
            raise UsageError(
                f"{', '.join(mitigation.remote)} would be ignored: the older primitives mitigate "
                f"at IBM Quantum alone, and {device.name} is simulated here: "
                "take primitives='client'"
            )
        self._device, self._program = device, program
        self._mitigation, self._generation = mitigation, generation
        self._small = [self._cut(pub) for pub in program.pubs]

    def _cut(self, pub: Pub) -> tuple[Program, list[int]]:
        """One pub on the qubits in use, and which these are."""
        strings = self._program.strings
        small, active = on_active_qubits(pub.circuit, [q for _, where in strings for q in where])
        placed = tuple((letters, tuple(map(active.index, where))) for letters, where in strings)
        return Program(self._program.primitive, (Pub(small, pub.values),), placed), active

    def rows_at_once(self, shots: int) -> int:
        return samples_at_once(max((len(active) for _, active in self._small), default=1))

    def submit(self, submission: Submission) -> str:
        return submission.tag

    def find(self, tag: str) -> str | None:
        return None

    def answers(self, submission: Submission) -> list[Answer]:
        return [
            self._simulate(piece, submission.shots, _seed(submission.seed, place))
            for place, piece in enumerate(submission.pieces)
        ]

    def _simulate(self, piece: Piece, shots: int, seed: int) -> Answer:
        small, active = self._small[piece.pub]
        pec, inserts_gates = self._mitigation.pec, self._mitigation != Mitigation()
        simulator = noisy_simulator(
            small.pubs[0].circuit, self._device, active, shots, every_gate=inserts_gates
        )
        options = self._mitigation.options()
        # Given no model of layers, PEC's own would be simulated on top of the device's noise.
        simulation: dict[str, Any] = {"seed_simulator": seed} | (
            {"layer_noise_model": []} if pec else {}
        )
        options |= {"default_shots": shots, "simulator": simulation}
        runner = primitive(small.primitive, self._generation, simulator, options)
        pubs = pubs_of(small, [piece._replace(pub=0)])
        if pec:
            layers = runner.find_unique_layers(pubs)
            runner.options.resilience.layer_noise_model = layer_noise(
                layers, small.pubs[0].circuit, self._device, active
            )
        (answer,) = read_answers(runner.run(pubs).result())
        return answer


class Qsim(Aer):
    """A simulation of a device's noise by qsim, which is quicker.

    Args as for `Aer`.

    Raises:
        UsageError: for mitigation other than m3.
    """

    def __init__(self, device: Device, program: Program, mitigation: Mitigation) -> None:
        if mitigation.remote:
            raise UsageError(
                f"{', '.join(mitigation.remote)} would be ignored by simulator='qsim', which has "
                "readout='m3' alone: take simulator='aer'"
            )
        super().__init__(device, program, mitigation)

    def _simulate(self, piece: Piece, shots: int, seed: int) -> Answer:
        from qiskit.circuit import ParameterVector

        small, active = self._small[piece.pub]
        (pub,), device = small.pubs, self._device
        gates = relaxed(pub.circuit.remove_final_measurements(inplace=False), device, active)
        count, values = gates.num_parameters, pub.values[piece.start : piece.stop]
        gates.assign_parameters(ParameterVector("x", count), inplace=True)
        exact = simulation_method(len(active), shots) == "density_matrix"
        read = samples(
            from_qiskit(gates),
            shots,
            inputs=torch.from_numpy(values).float() if count else None,
            qubits=_read_qubits(pub),
            noise=device.noise_model(active),
            method="exact" if exact else "trajectories",
            generator=torch.Generator().manual_seed(seed),
        )
        return {"bits": _packed(torch.atleast_2d(read).numpy(), pub.circuit.num_clbits)}


def _read_qubits(pub: Pub) -> list[int]:
    """Qubit that is measured into each classical bit."""
    circuit = pub.circuit
    qubits = {bit: place for place, bit in enumerate(circuit.qubits)}
    read = {s.clbits[0]: qubits[s.qubits[0]] for s in circuit.data if s.name == "measure"}
    return [read[bit] for bit in circuit.clbits]


def _packed(states: np.ndarray, num_bits: int) -> np.ndarray:
    """Basis states [rows, shots] as bytes [rows, shots, bytes], the last with bit 0."""
    size = (num_bits + 7) // 8
    return states.astype(">u8")[..., None].view(np.uint8)[..., 8 - size :]


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
