"""What the GPU engine is measured at, and what its plans move and compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import qsim._native as _native
import torch
from torch import Tensor

from benchmarks.ours import add_layers
from qsim import Circuit, Input, NoiseModel, PauliString, PauliSum, Weight, channels, expval
from qsim.noise.exact import active_part
from qsim.noise.transfer import Program
from qsim.plan.program import program_of


@dataclass(frozen=True)
class Work:
    """What is run: a circuit on a batch, its loss, and whether a gradient is wanted."""

    circuit: Circuit
    batch: int
    observables: Any = None
    gradient: bool = True
    options: dict[str, Any] = field(default_factory=dict)  # of expval

    def tensors(self, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(0)
        weights = torch.rand(self.circuit.num_weights, generator=generator, dtype=torch.float64)
        inputs = torch.rand(
            self.batch, self.circuit.num_inputs, generator=generator, dtype=torch.float64
        )
        placed = [(3 * t).to(device, dtype) for t in (weights, inputs)]
        return placed[0].requires_grad_(self.gradient), placed[1]

    def step(self, device: str, dtype: torch.dtype, engine: str = "auto") -> Callable[[], Any]:
        weights, inputs = self.tensors(device, dtype)
        given = inputs if self.circuit.num_inputs else None

        def run() -> tuple[Tensor, ...]:
            options = {**self.options, "engine": engine}
            if options.get("method") == "trajectories":
                options["generator"] = torch.Generator().manual_seed(0)
            values = expval(self.circuit, self.observables, weights, given, **options)
            loss = values.sum()
            return (loss, *(torch.autograd.grad(loss, weights) if self.gradient else ()))

        return run


def layered(qubits: int, layers: int, encoded: bool = True) -> Circuit:
    circuit = Circuit(qubits)
    for qubit in range(qubits if encoded else 0):
        circuit.ry(Input(qubit), qubit)
    return add_layers(circuit, layers)


def ising(qubits: int, layers: int) -> Work:
    """The transverse-field Ising model: RZZ on a ring, RX on all; its energy."""
    circuit = Circuit(qubits)
    for layer in range(layers):
        for qubit in range(qubits):
            circuit.rzz(Weight(2 * layer), qubit, (qubit + 1) % qubits)
        for qubit in range(qubits):
            circuit.rx(Weight(2 * layer + 1), qubit)
    terms = []
    for qubit in range(qubits):
        pair = {qubit, (qubit + 1) % qubits}
        zz = "".join("Z" if q in pair else "I" for q in reversed(range(qubits)))
        x = "".join("X" if q == qubit else "I" for q in reversed(range(qubits)))
        terms += [(-1.0, PauliString(zz)), (-1.0, PauliString(x))]
    return Work(circuit, 1, [PauliSum(terms)])


def layers_without_inputs(qubits: int, layers: int, batch: int = 1, gradient: bool = True) -> Work:
    circuit = layered(qubits, layers, encoded=False)
    return Work(circuit, batch, [PauliString.z(0, qubits)], gradient)


def noisy(work: Work, **options: Any) -> Work:
    """The same with relaxation after every rotation and depolarizing after every CX."""
    noise = NoiseModel().add("cx", channels.depolarizing(0.01, 2))
    for name in ("rx", "ry", "rz"):
        noise = noise.add(name, channels.thermal_relaxation(100.0, 120.0, 0.05))
    return Work(
        work.circuit, work.batch, work.observables, work.gradient, {"noise": noise, **options}
    )


# --- Counts ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """What the plan of a work does in one run: see gpu_notes.md.

    Attributes:
        sweeps: over what a sample has in device memory, on the way forward.
        groups: readings and writings of shared memory, on the way forward.
        acts: fused matrices.
        memory: bytes of device memory.
        shared: bytes of shared memory.
        flops: operations on amplitudes, or components of density matrices.
    """

    sweeps: int
    groups: int
    acts: int
    memory: float
    shared: float
    flops: float


def counts(work: Work) -> Counts | None:
    """The counts of a work in single precision; none for trajectories, whose choices differ."""
    method = work.options.get("method")
    if method == "trajectories":
        return None
    return counts_of_exact_noise(work) if "noise" in work.options else counts_of_gates(work)


def counts_of_gates(work: Work) -> Counts:
    tape = _native.cuda.Tape(program_of(work.circuit).native, True, work.gradient)
    sweeps, groups = len(tape.stages), tape.stages[-1].groups
    states = 3 if work.gradient else 1  # one forward, two back
    amplitudes = work.batch * 2**tape.bits
    whole = sweeps == 1 and tape.stages[0].bits == tape.bits
    # A state of one tile is written once, for the way back, and read once.
    passes = (2 if work.gradient else 0) if whole else 2 * states * sweeps
    dense, diagonal = tape.num_acts - tape.num_diagonal, tape.num_diagonal
    flops = dense * (54 if work.gradient else 14) + diagonal * (23 if work.gradient else 6)
    return Counts(
        sweeps,
        groups,
        tape.num_acts,
        8.0 * amplitudes * passes,
        8.0 * amplitudes * 2 * states * groups,
        float(amplitudes * flops),
    )


def counts_of_exact_noise(work: Work) -> Counts:
    """There: every map, move and matrix once. Back: once more there, with a record of what each map
    with an angle is given, which is read once; then all of them transposed, and twelve sums."""
    part = active_part(work.circuit, work.options["noise"], whole=False)
    program = Program(part.circuit, part.readout)
    tape = _native.cuda.TransferTape(program.native, True, program.native.num_angles)
    components = float(work.batch * 4**tape.digits)
    records = sum(stage.records for stage in tape.stages)
    sweeps, passes = len(tape.stages), 3 if work.gradient else 1
    whole = sweeps == 1 and tape.stages[0].digits == tape.digits
    moved = (1 if work.gradient else 0) if whole else 2 * passes * sweeps
    # Of 4 components, a map makes 3 by 4 products each; a move 4 by one.
    flops = passes * (6.0 * tape.num_maps + 1.0 * (tape.num_acts - tape.num_maps))
    return Counts(
        sweeps,
        tape.num_groups,
        tape.num_acts,
        4 * components * (moved + (2 * records if work.gradient else 0)),
        4 * components * 2 * passes * tape.num_groups,
        components * (flops + (6.0 * records if work.gradient else 0)),
    )
