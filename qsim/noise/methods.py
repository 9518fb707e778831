"""Which engine simulates noise: exactly, or by trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor

from qsim.circuit import Circuit
from qsim.errors import UsageError
from qsim.memory import memory_of
from qsim.noise.exact import ExactEngine, active_part, check_operations
from qsim.noise.model import NoiseModel, check_noise
from qsim.noise.trajectories import TrajectoryEngine
from qsim.noise.unravelling import seeds_of
from qsim.parameters import whole
from qsim.sampling import Generator, check_generator

if TYPE_CHECKING:
    from qsim.noise.kernels import NoiseKernels

NoiseEngine: TypeAlias = ExactEngine | TrajectoryEngine

METHODS = ("auto", "exact", "trajectories")


def check_method(method: str, trajectories: Any, shots: bool) -> None:
    """Raises UsageError for an unknown method, or trajectories that are no number or not taken."""
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}: use {', '.join(METHODS)}")
    if trajectories is None:
        return
    count = whole(trajectories)
    if count is None or count < 1:
        raise UsageError(f"trajectories are a whole number from 1 on, not {trajectories!r}")
    if method == "exact":
        raise UsageError("method='exact' takes no trajectories: use method='trajectories'")
    if shots:
        raise UsageError("each shot is a trajectory of its own: leave trajectories out")


def noise_engine(
    circuit: Circuit,
    noise: NoiseModel | None,
    method: str,
    trajectories: int | None,
    shots: bool,
    generator: Generator,
    *,
    kernels: NoiseKernels | None,
    batch: int,
    like: Tensor,
    whole: bool,
) -> NoiseEngine:
    """The engine for a circuit with channels or noise.

    "auto" is exact where density matrices fit into memory, unless trajectories are given and
    cheaper.

    Args:
        circuit: the circuit, without the noise.
        noise: the model, if there is one.
        method: one of METHODS.
        trajectories: of each sample.
        shots: whether each shot is a trajectory of its own.
        generator: what trajectories are drawn with.
        kernels: the engine that runs it; plain torch without one.
        batch: number of samples.
        like: has the dtype and device of the results.
        whole: whether it starts from other states than |0...0>.

    Raises:
        UsageError: for noise that does not fit the circuit, or where neither method is possible.
    """
    check_noise(noise)
    if noise is not None:
        noise.check(circuit)
    check_operations(circuit)
    if method == "exact" or (
        method == "auto" and _prefers_exact(circuit, noise, trajectories, like, whole)
    ):
        return ExactEngine(noise, kernels)
    if trajectories is None and not shots:
        raise UsageError(
            "method='trajectories' takes their number for each sample: trajectories=1000 has "
            "statistical errors up to 1 / sqrt(1000)"
        )
    check_generator(generator, batch)
    return TrajectoryEngine(noise, kernels, trajectories or 1, seeds_of(generator, batch))


def _prefers_exact(
    circuit: Circuit,
    noise: NoiseModel | None,
    trajectories: int | None,
    like: Tensor,
    whole: bool,
) -> bool:
    n = active_part(circuit, noise, whole).circuit.num_qubits
    needed, (memory, whose) = like.itemsize * 4**n, memory_of(like.device)
    fits = needed <= memory
    if trajectories is not None:
        return fits and 2**n <= trajectories
    if not fits:
        raise UsageError(
            f"the density matrix of {n} qubits takes {needed:,} bytes, but {whose} "
            f"{memory:,}: take method='trajectories', and for values a number of trajectories=1000"
        )
    return True
