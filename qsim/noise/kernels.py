"""What engines with kernels for noise do, besides the contract of `Engine`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor

from qsim.engines import Engine
from qsim.gradients.adjoint import AdjointRun
from qsim.noise.transfer import Program
from qsim.strings import Strings

if TYPE_CHECKING:
    from qsim.noise.trajectories import Rows


class TrajectoryRun(AdjointRun, Protocol):
    """Trajectories of a batch: <psi|P|psi> of each string, real [rows, strings]."""

    def samples(self) -> Tensor:
        """A basis state of each trajectory instead, int64 [rows]."""


@runtime_checkable
class NoiseKernels(Protocol):
    """An engine that runs circuits with channels, too."""

    def transfer(
        self, program: Program, components: Sequence[int], batch: int, tensors: list[Tensor]
    ) -> AdjointRun:
        """Exact noise: components of the final density matrices, real [batch, components].

        Args:
            program: gates and channels in the Pauli basis.
            components: which ones.
            batch: number of samples.
            tensors: weights, inputs and, unless it starts in |0...0>, components [batch, 4**n].
        """

    def trajectories(self, rows: Rows, strings: Strings) -> TrajectoryRun:
        """Trajectories, whose tensors are the rows' weights and inputs."""


def kernels_of(engine: Engine) -> NoiseKernels | None:
    """The engine, if it runs circuits with channels; plain torch does where it is none."""
    return engine if isinstance(engine, NoiseKernels) else None
