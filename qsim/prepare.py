"""From what a caller passes to what an engine runs: shapes, devices, dtypes, values, memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, TypedDict

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.columns import Values, resolve, tensors_of
from qsim.engines import Engine, density, select_engine
from qsim.errors import UsageError
from qsim.gradients import transforms
from qsim.memory import IN_GRADIENT, check_bytes, check_states
from qsim.noise import exact
from qsim.noise.exact import ExactEngine
from qsim.noise.kernels import kernels_of
from qsim.noise.methods import check_method, noise_engine
from qsim.noise.model import NoiseModel
from qsim.noise.trajectories import TrajectoryEngine
from qsim.sampling import Generator, check_shots, estimate, estimate_from, means, measure
from qsim.strings import Strings

if TYPE_CHECKING:
    from qsim.results import State

_REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}
_NORM_TO = 1e-4  # what single precision leaves of a norm


class Options(TypedDict, total=False):
    """How a circuit is run: keyword arguments of every function that runs one.

    Attributes:
        values: named parameters by name: numbers, or tensors that are scalars or [batch].
        initial_state: where it starts instead of |0...0>: complex [2**n] or [batch, 2**n] of norm
            1, or a State; differentiable.
        engine: "auto", "cpu", "cuda" or "reference"; or "stim" for Clifford circuits with Pauli
            noise, for the results that `qsim.clifford.Stabilizers` has.
        dtype: torch.complex64 or torch.complex128; by default what the tensors have.
        noise: a NoiseModel; channels of the circuit itself count without one.
        method: how noise is simulated: "exact", by density matrices; "trajectories", by pure states
            that draw what happens to them; or "auto": exact where it fits into memory and is
            cheaper.
        trajectories: how many of them each sample has, for expectation values and probabilities;
            of shots, each is one.
    """

    values: Values | None
    initial_state: Tensor | State | None
    engine: str
    dtype: torch.dtype | None
    noise: NoiseModel | None
    method: str
    trajectories: int | None


@dataclass(frozen=True)
class Call:
    """A circuit with everything that an engine needs to run it.

    Attributes:
        circuit: the circuit.
        engine: who runs it.
        weights: real [num_weights] or [batch, num_weights].
        inputs: real [num_inputs] or [batch, num_inputs], of the same dtype and device.
        initial: complex [2**n] or [batch, 2**n]; None for |0...0>.
        batch: number of samples.
        batched: whether anything has a batch dimension; without one, batch is 1.
    """

    circuit: Circuit
    engine: Engine
    weights: Tensor
    inputs: Tensor
    initial: Tensor | None
    batch: int
    batched: bool

    @property
    def dtype(self) -> torch.dtype:
        """complex64 or complex128."""
        return torch.complex128 if self.weights.dtype == torch.float64 else torch.complex64

    @property
    def wants_gradient(self) -> bool:
        """Whether autograd follows what the engine is given."""
        given = (self.weights, self.inputs, self.initial)
        return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in given)

    def expval(self, strings: Strings) -> Tensor:
        """Expectation values, real [batch, strings]."""
        return self._run(transforms.Task(self.engine, self.circuit, strings))

    @property
    def noisy(self) -> bool:
        """Whether the final states are no pure ones."""
        return isinstance(self.engine, (ExactEngine, TrajectoryEngine))

    def state(self) -> Tensor:
        """Final states, complex [batch, 2**n].

        Raises:
            UsageError: if noise leaves no pure state.
        """
        if self.noisy:
            raise UsageError(
                "noise leaves no pure state, which this needs: take qsim.density_matrix, expval, "
                "probabilities, samples or counts"
            )
        return self._run(transforms.Task(self.engine, self.circuit, None))

    def density_matrix(self) -> Tensor:
        """Final density matrices, complex [batch, 2**n, 2**n].

        Raises:
            UsageError: if they do not fit into memory.
        """
        n = self.circuit.num_qubits
        size = 2 * self.dtype.itemsize * self.batch * 4**n
        what = f"the density matrix of {n} qubits, {self.batch} samples,"
        check_bytes(size, what, self.weights.device)
        if self.noisy:
            return self._run(transforms.Task(self.engine, self.circuit, None))
        psi = self.state()
        return psi.unsqueeze(2) * psi.conj().unsqueeze(1)

    def probabilities(self, qubits: tuple[int, ...]) -> Tensor:
        """Probabilities of what is read from these qubits, real [batch, 2**k]."""
        from qsim.results import State

        if self.noisy:
            return self._read("Z" * len(qubits), qubits)
        return State(self.state()).probabilities(qubits)

    def estimate(self, strings: Strings, shots: int, generator: Generator) -> Tensor:
        """Expectation values from shots, real [batch, strings]."""
        if isinstance(self.engine, TrajectoryEngine):
            found = self.weights.new_ones(self.batch, len(strings))
            for setting in strings.settings:
                drawn = self._drawn(setting.basis, shots, generator)
                found[:, setting.indices] = means(setting, drawn).to(found)
            return found
        if not self.noisy:
            return estimate(strings, self.state(), shots, generator)
        letters = reduce(or_, (s.x_mask | s.z_mask for s in strings), 0) or 1
        used = tuple([q for q in range(self.circuit.num_qubits) if letters >> q & 1])
        self._check_reading(used)
        small = exact.restricted(strings, used) if strings else strings
        read = ((k, self._read(s.basis, used)) for k, s in enumerate(small.settings))
        like = self.weights.new_empty(self.batch, 2 ** len(used))
        return estimate_from(small, read, like, shots, generator)

    def samples(self, qubits: tuple[int, ...], shots: Any, generator: Generator) -> Tensor:
        """Readings of these qubits, int64 [batch, shots]."""
        if not isinstance(self.engine, TrajectoryEngine):
            return measure(self.probabilities(qubits), shots, generator)
        number = check_shots(shots, self.batch)
        drawn = self._drawn("Z" * self.circuit.num_qubits, number, generator)
        return sum((drawn >> qubit & 1) << place for place, qubit in enumerate(qubits))  # type: ignore[return-value]

    def _drawn(self, basis: str, shots: int, generator: Generator) -> Tensor:
        assert isinstance(self.engine, TrajectoryEngine)
        engine = self.engine.seeded(generator, self.batch)
        given = (self.weights, self.inputs, self.batch, self.initial)
        return engine.samples(self.circuit, basis, *given, shots)

    def _read(self, basis: str, qubits: tuple[int, ...]) -> Tensor:
        self._check_reading(qubits)
        strings = exact.letters_on(basis, qubits, self.circuit.num_qubits)
        if isinstance(self.engine, TrajectoryEngine):  # readings of long strings have many terms
            clean = replace(self, engine=self.engine.unread())
            errors = self.engine.errors
            return density.misread(exact.distribution(clean.expval(strings)), qubits, errors)
        return exact.distribution(self.expval(strings))

    def _check_reading(self, qubits: tuple[int, ...]) -> None:
        size = 2 * self.weights.itemsize * self.batch * 2 ** len(qubits)
        what = f"probabilities of {len(qubits)} qubits, {self.batch} samples,"
        check_bytes(size, what, self.weights.device)

    def _run(self, task: transforms.Task) -> Tensor:
        transforms.refuse_dual(self.weights, self.inputs, self.initial)
        if transforms.active():
            return transforms.run(task, self.batch, self.weights, self.inputs, self.initial)
        return task(self.batch, self.weights, self.inputs, self.initial)


def prepare(
    circuit: Circuit,
    weights: Tensor | None,
    inputs: Tensor | None,
    *,
    values: Values | None = None,
    initial_state: Tensor | State | None = None,
    engine: str = "auto",
    dtype: torch.dtype | None = None,
    noise: NoiseModel | None = None,
    method: str = "auto",
    trajectories: int | None = None,
    gates_alone: bool = False,
    shots: bool = False,
    generator: Generator = None,
) -> Call:
    """Check what is given, and find the batch, the dtype and the engine.

    With `gates_alone`, the engine is for gates: the caller runs all else, and noise. `shots` says
    whether results are estimated from them; `generator` is what trajectories are drawn with.

    Raises:
        UsageError: for tensors of a wrong shape, device or dtype, angles that are not finite, an
            initial state that is not normalized, states beyond the memory, an unknown engine or
            method, or noise that does not fit the circuit.
    """
    given = {"weights": weights, "inputs": inputs}
    sizes = {"weights": circuit.num_weights, "inputs": circuit.num_inputs}
    tensors = {name: tensor for name, tensor in given.items() if tensor is not None}
    for name, tensor in tensors.items():
        _check_tensor(name, tensor, sizes[name])
    for name, size in sizes.items():
        if name not in tensors and size:
            counted = f"{size} {name if size > 1 else name[:-1]}"
            raise UsageError(f"the circuit has {counted}: pass {name}=... of shape [{size}]")
    initial = None if initial_state is None else _initial(initial_state, circuit.num_qubits)
    everything = dict(tensors) if initial is None else {**tensors, "initial_state": initial}
    extra = tensors_of(circuit, values) if circuit.expressions or values else {}
    real, device = _common({**everything, **extra}, dtype, engine)
    chosen = select_engine(engine, device.type)
    ready = {
        name: tensors[name].to(real)
        if name in tensors
        else torch.zeros(0, dtype=real, device=device)
        for name in sizes
    }
    plain, *columns = resolve(circuit, ready["weights"], ready["inputs"], values)
    ready = dict(zip(ready, columns, strict=True))
    batch, batched = _batch({**everything, **ready})
    if initial is not None:
        initial = initial.to(torch.complex128 if real == torch.float64 else torch.complex64)
    check_method(method, trajectories, shots)
    if not gates_alone and (noise is not None or not circuit.is_unitary):
        chosen = noise_engine(
            plain,
            noise,
            method,
            trajectories,
            shots,
            generator,
            kernels=kernels_of(chosen),
            batch=batch,
            like=ready["weights"],
            whole=initial is not None,
        )
    call = Call(
        circuit=plain,
        engine=chosen,
        weights=ready["weights"],
        inputs=ready["inputs"],
        initial=initial,
        batch=batch,
        batched=batched,
    )
    _check_memory(call)
    # Looking at values would wait for a GPU; under a transform they are seen only inside a run.
    if device.type == "cpu" and not transforms.active():
        check_values(tensors, initial)
    return call


def _check_tensor(name: str, tensor: Any, size: int) -> None:
    if not isinstance(tensor, Tensor):
        raise UsageError(f"{name} are a torch tensor, not {type(tensor).__name__}")
    if not tensor.is_floating_point():
        raise UsageError(f"{name} are real floating-point angles, not {tensor.dtype}")
    if tensor.dim() not in (1, 2) or tensor.shape[-1] != size or tensor.shape[0] < min(1, size):
        raise UsageError(
            f"{name} of shape {list(tensor.shape)} do not fit the circuit: "
            f"it takes [{size}] or [batch, {size}]"
        )


def _initial(given: Any, num_qubits: int) -> Tensor:
    tensor = getattr(given, "amplitudes", given)
    if not isinstance(tensor, Tensor) or not tensor.is_complex():
        kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise UsageError(f"initial_state is a State or a complex torch tensor, not {kind}")
    size = 2**num_qubits
    if tensor.dim() not in (1, 2) or tensor.shape[-1] != size:
        raise UsageError(
            f"initial_state of shape {list(tensor.shape)} does not fit {num_qubits} qubits: "
            f"it is [{size}] or [batch, {size}]"
        )
    return tensor


def check_values(angles: Mapping[str, Tensor], initial: Tensor | None) -> None:
    """Raises UsageError for angles that are not finite and an initial state of another norm."""
    for name, tensor in angles.items():
        # One number tells: what is not finite stays so in a sum.
        if not math.isfinite(tensor.detach().sum().item()):
            raise UsageError(
                f"{name} hold a value that is not finite: angles are numbers in radians"
            )
    if initial is not None:
        norms = torch.linalg.vector_norm(initial.detach(), dim=-1).reshape(-1)
        wrong = norms[~((norms - 1).abs() <= _NORM_TO)]
        if len(wrong):
            raise UsageError(
                f"initial_state has norm {wrong[0].item():.6g}, but a state has norm 1: "
                "divide it by its norm"
            )


def _check_memory(call: Call) -> None:
    gradient = call.wants_gradient
    held = call.engine.states_held(call.circuit, gradient)
    why = IN_GRADIENT if gradient else ""
    amplitude = 2 * call.weights.itemsize
    check_states(call.circuit.num_qubits, call.batch, amplitude, held, why, call.weights.device)


def _common(
    tensors: Mapping[str, Tensor], dtype: torch.dtype | None, engine: str
) -> tuple[torch.dtype, torch.device]:
    devices = {tensor.device for tensor in tensors.values()}
    if len(devices) > 1:
        raise UsageError(
            f"{' and '.join(tensors)} are on different devices: {sorted(map(str, devices))}"
        )
    if dtype is not None and dtype not in _REAL:
        raise UsageError(f"dtype is torch.complex64 or torch.complex128, not {dtype}")
    double = any(t.dtype in (torch.float64, torch.complex128) for t in tensors.values())
    real = _REAL[dtype] if dtype is not None else (torch.float64 if double else torch.float32)
    return real, devices.pop() if devices else torch.device("cuda" if engine == "cuda" else "cpu")


def _batch(tensors: Mapping[str, Tensor]) -> tuple[int, bool]:
    sizes = {name: tensor.shape[0] for name, tensor in tensors.items() if tensor.dim() == 2}
    if len(set(sizes.values())) > 1:
        (first, size), *others = sizes.items()
        rest = ", ".join(f"{name} of {other}" for name, other in others)
        raise UsageError(f"{first} are a batch of {size}, {rest}")
    if 0 in sizes.values():
        raise UsageError("a batch of 0 samples has no result: pass one sample or more")
    return (next(iter(sizes.values())), True) if sizes else (1, False)
