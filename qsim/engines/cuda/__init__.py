"""The GPU engine: CUDA C++ kernels that interpret a program, compiled when first used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from qsim.circuit import Circuit
from qsim.engines.cuda.launching import Launcher
from qsim.engines.cuda.run import Run
from qsim.engines.reference import ReferenceEngine
from qsim.gradients import adjoint
from qsim.observables import PauliString
from qsim.strings import Strings

if TYPE_CHECKING:
    from qsim.gradients.adjoint import AdjointRun
    from qsim.noise.kernels import TrajectoryRun
    from qsim.noise.trajectories import Rows
    from qsim.noise.transfer import Program


class CudaEngine:
    """Runs the circuit's tape; README.md of this folder has how.

    Args:
        launcher: who runs the kernels.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def reference(self) -> ReferenceEngine:
        return ReferenceEngine()

    def expval(
        self,
        circuit: Circuit,
        observables: tuple[PauliString, ...],
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None = None,
    ) -> Tensor:
        return self._result(circuit, observables, weights, inputs, batch, initial)

    def state(
        self,
        circuit: Circuit,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None = None,
    ) -> Tensor:
        return self._result(circuit, None, weights, inputs, batch, initial)

    def transfer(
        self, program: Program, components: Sequence[int], batch: int, tensors: list[Tensor]
    ) -> AdjointRun:
        from qsim.engines.cuda.transfer import TransferRun

        return TransferRun(self._launcher, program, components, batch, tensors)

    def trajectories(self, rows: Rows, strings: Strings) -> TrajectoryRun:
        from qsim.engines.cuda.trajectories import TrajectoryRun

        return TrajectoryRun(self._launcher, rows, strings)

    def states_held(self, circuit: Circuit, gradient: bool) -> int:
        # The final state and a result; on the way back it, its adjoint, and what a matrix makes.
        return 4 if gradient else 2

    def _result(
        self,
        circuit: Circuit,
        observables: tuple[PauliString, ...] | None,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None,
    ) -> Tensor:
        tensors = [weights, inputs]
        if initial is not None:  # a state for each sample: autograd adds up what they share
            tensors.append(initial.expand(batch, initial.shape[-1]))
        run = Run(self._launcher, circuit, observables, batch, tensors)
        return adjoint.run(run, *tensors)
