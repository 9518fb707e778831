"""Density matrices of histories: one for each value of the classical bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.dynamic.histories import Histories
from qsim.dynamic.instructions import Measure
from qsim.dynamic.kets import initial_states, on_rows
from qsim.dynamic.plan import Event
from qsim.engines import density
from qsim.memory import check_bytes
from qsim.noise.kernels import NoiseKernels
from qsim.prepare import Call
from qsim.sums import sum_by_index


@dataclass
class Densities:
    """Runs density matrices; rows whose classical bits are the same are added up.

    Attributes:
        call: what is run.
        kernels: the engine that runs gates and channels; plain torch without one.
        dropped: whether values of the bits that never occur were dropped.
    """

    call: Call
    kernels: NoiseKernels | None
    dropped: bool = False

    def start(self, sample: Tensor) -> Tensor:
        psi = initial_states(self.call, sample)
        return psi.unsqueeze(2) * psi.conj().unsqueeze(1)

    def gates(self, circuit: Circuit, now: Histories) -> Tensor:
        weights, inputs = on_rows(self.call, now.sample)
        if self.kernels:
            from qsim.noise import transfer

            return transfer.evolved(self.kernels, circuit, now.states, weights, inputs)
        return density.evolved(circuit, now.states, weights, inputs)

    def event(self, event: Event, now: Histories) -> Histories:
        (qubit,) = event.qubits
        shape = (-1, 2, 2**qubit)
        parts = now.states.unflatten(2, shape).unflatten(1, shape)
        needed = 3 * len(event.readings) * now.states.nbytes
        check_bytes(needed, f"{len(now)} density matrices that are measured", parts.device)
        found = []
        for outcome, read, chance in event.readings:
            bits, target = now.bits, 0
            if isinstance(event.instruction, Measure):
                clbit, target = event.instruction.clbit, outcome
                bits = bits & ~(1 << clbit) | read << clbit
            states = torch.zeros_like(parts)
            states[:, :, target, :, :, target] = chance * parts[:, :, outcome, :, :, outcome]
            found.append(Histories(states.reshape(now.states.shape), now.sample, bits))
        after = self.joined(found)
        occurs = after.states.detach().diagonal(dim1=1, dim2=2).real.sum(1) > 0
        self.dropped |= not bool(occurs.all())
        return after[occurs]

    def joined(self, parts: Sequence[Histories]) -> Histories:
        every = Histories.cat(parts)
        keys, row = torch.stack([every.sample, every.bits], 1).unique(dim=0, return_inverse=True)
        return Histories(sum_by_index(every.states, row, len(keys)), keys[:, 0], keys[:, 1])
