"""Circuits as modules of PyTorch: a layer of expectation values, and a classifier."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy, deepcopy
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from qml.nn.encoders import amplitudes
from qsim import Circuit, expval
from qsim.errors import UsageError
from qsim.observables import Observables, check_observables

LOGIT_SCALE = 5.0
"""Larger scales fit a little better without noise, but by smaller differences between the qubits,
which noise then shrinks below the error of finitely many shots."""

INITIAL_ANGLE = 0.5
"""Small angles keep every block near the identity: in a SuperCircuit, blocks that a sub-circuit
does not use then hardly change what the others have to learn."""


class Runner(Protocol):
    """Gives expectation values of a circuit otherwise than its simulation without noise does.

    `compile.NoisyCircuit` is one, `NoiseInjection` and `OnChip` are others. One that is a module
    learns by its mode whether a model is being trained.
    """

    @property
    def expval(self) -> Callable[..., Tensor]:
        """Called with (observables, weights, inputs, **options), which are those of the logical
        circuit and of the layer: real [batch, observables]."""


Runnable: TypeAlias = Circuit | Runner


class QuantumLayer(nn.Module):
    """A circuit with its weights: samples in, expectation values out, between any other modules.

    Args:
        circuit: the circuit, with weights and inputs as symbols.
        observables: what is measured, PauliString or PauliSum; Z on every qubit by default.
        weights: float [num_weights] in radians; unless given, drawn uniformly between plus and
            minus `INITIAL_ANGLE`.
        amplitudes: whether samples are amplitudes of the first state, by
            `qml.nn.encoders.amplitudes`, instead of the circuit's inputs.
        generator: what the weights are drawn with.
        options: how the circuit is run: noise, shots and whatever else `qsim.expval` takes.

    Example:
        circuit = real_amplitudes(rotation_encoder(Circuit(4), gates=("ry",)))
        model = nn.Sequential(nn.Linear(64, 4), QuantumLayer(circuit), nn.Linear(4, 10))

    Attributes:
        circuit: the circuit.
        runner: what runs it, see `on`; None for the simulator.
        weights: float [num_weights], the parameter that is trained and saved.
    """

    def __init__(
        self,
        circuit: Circuit,
        observables: Observables = None,
        *,
        weights: Tensor | None = None,
        amplitudes: bool = False,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        """Raises UsageError for weights of another shape, or inputs besides amplitudes."""
        super().__init__()
        if amplitudes and circuit.num_inputs:
            raise UsageError(
                f"samples are amplitudes or inputs, but the circuit has {circuit.num_inputs} "
                "inputs: leave out amplitudes=True, or the encoder"
            )
        if weights is None:
            uniform = torch.rand(circuit.num_weights, generator=generator)
            weights = (2 * uniform - 1) * INITIAL_ANGLE
        if weights.shape != (circuit.num_weights,):
            raise UsageError(
                f"the circuit has {circuit.num_weights} weights, "
                f"but the tensor given has the shape {list(weights.shape)}"
            )
        self.circuit = circuit
        self.runner: Runner | None = None
        self.observables = check_observables(observables, circuit.num_qubits)
        self.amplitudes = amplitudes
        self.options = options
        self.weights = nn.Parameter(weights.detach().clone())

    def on(self, runner: Runner | None, **options: Any) -> Self:
        """The same layer, run by `runner` with these options alone; both share their weights.

        Training one trains the other, so a model can be trained on a device's noise and evaluated
        without it, or the other way round. Without a runner, the simulator runs it.

        Example:
            noisy = compile.noisy(compile.compile(model.circuit, device), device)
            fit(model.on(noisy), task.train, task.valid, config, seed=0)
            evaluate(model, task.test)  # without noise
            evaluate(model.on(noisy), task.test)  # the exact noise of the device
            evaluate(model.on(noisy, shots=8192), task.test)  # and that of shots

        Raises:
            UsageError: for a runner where samples are amplitudes, which no device starts from.
        """
        if self.amplitudes and runner is not None:
            raise UsageError(
                "samples that are amplitudes cannot be run on a device, which starts from |0...0>: "
                "prepare them by gates, as an encoder"
            )
        other = view(self)
        other._modules.pop("runner", None)  # PyTorch lets only modules replace a module
        other.runner = runner
        other.options = options
        return other

    def forward(self, x: Tensor | None = None, circuit: Runnable | None = None) -> Tensor:
        """x [batch, num_inputs] in radians, or amplitudes -> real [batch, observables].

        `circuit` stands in for the layer's own: a sub-circuit over the same weights, or an
        runner of it.
        """
        own = self.circuit if self.runner is None else self.runner
        run = own if circuit is None else circuit
        if not isinstance(run, Circuit):
            return run.expval(self.observables, self.weights, x, **self.options)
        data: dict[str, Any] = {"inputs": x}
        if self.amplitudes:
            if x is None:
                raise UsageError("this layer takes samples as amplitudes: call it with them")
            data = {"initial_state": amplitudes(x, run.num_qubits)}
        return expval(run, self.observables, self.weights, **data, **self.options)

    def replaced(self, circuit: Circuit, weights: Tensor) -> Self:
        """The same layer with another circuit and its weights [circuit.num_weights].

        It shares nothing, and no runner, which would run the circuit that was replaced.
        """
        other = view(self if self.runner is None else self.on(None))
        other._modules = deepcopy(other._modules)
        other.circuit, other.weights = circuit, nn.Parameter(weights.detach().clone())
        return other

    def bound(self) -> Self:
        """The same layer with its weights as numbers in the circuit, trained no more.

        Compiled open, a gate costs what it does at any angle; bound, what it does at this one.
        """
        return self.replaced(self.circuit.bind(weights=self.weights.detach()), self.weights[:0])

    def extra_repr(self) -> str:
        circuit = self.circuit
        return f"{circuit.num_qubits} qubits, {len(circuit)} gates, {circuit.num_weights} weights"


class Votes(nn.Module):
    """Groups of qubits vote for classes.

    The n qubits are parted in order into as many neighbouring groups as there are classes, the
    first groups one larger where n is no multiple: with four qubits, four classes get one qubit
    each and two classes the pairs (0, 1) and (2, 3), as in QuantumNAS (arXiv:2107.10845). A logit
    is the mean <Z> of the group times `logit_scale`: <Z> lies in [-1, 1], where softmax can be sure
    of nothing, so training needs a scale. The most likely class does not depend on it.
    """

    matrix: Tensor

    def __init__(self, num_qubits: int, num_classes: int, logit_scale: float = LOGIT_SCALE) -> None:
        """Raises UsageError for more classes than qubits."""
        super().__init__()
        matrix = _votes(num_qubits, num_classes) * logit_scale
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, expvals: Tensor) -> Tensor:
        """<Z> of every qubit [..., n] -> logits [..., num_classes]."""
        return expvals @ self.matrix.to(expvals.dtype)


class Classifier(QuantumLayer):
    """A circuit whose measured qubits tell the class.

    Args:
        circuit: the circuit, with weights and inputs as symbols.
        num_classes: number of classes.
        weights: float [num_weights] in radians, as for `QuantumLayer`.
        logit_scale: of `Votes`, which read the qubits unless there is a `readout`.
        readout: <Z> of every qubit [batch, n] -> logits [batch, num_classes], with normalization,
            quantization or trained weights of its own.
        generator: what the weights are drawn with.
    """

    def __init__(
        self,
        circuit: Circuit,
        num_classes: int,
        *,
        weights: Tensor | None = None,
        logit_scale: float = LOGIT_SCALE,
        readout: nn.Module | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        """Raises UsageError for more classes than qubits, or weights of another shape."""
        super().__init__(circuit, weights=weights, generator=generator)
        self.num_classes = num_classes
        self.logit_scale = logit_scale
        if readout is None:
            readout = Votes(circuit.num_qubits, num_classes, logit_scale)
        self.readout = readout

    def forward(self, x: Tensor | None = None, circuit: Runnable | None = None) -> Tensor:
        """x [batch, num_inputs] in radians -> logits [batch, num_classes]."""
        return self.logits(super().forward(x, circuit))

    def logits(self, expvals: Tensor) -> Tensor:
        """<Z> of every qubit [batch, n], simulated or measured -> logits [batch, classes]."""
        logits: Tensor = self.readout(expvals)
        return logits


AnyModule = TypeVar("AnyModule", bound=nn.Module)


def view(module: AnyModule) -> AnyModule:
    """A module with the same parameters, and with children, buffers and settings of its own."""
    other = copy(module)
    other._modules = {
        name: None if child is None else view(child) for name, child in module._modules.items()
    }
    other._parameters = dict(module._parameters)
    other._buffers = dict(module._buffers)
    return other


def duplicate(module: AnyModule) -> AnyModule:
    """A module with parameters of its own, equal to those of the given one.

    Unlike `copy.deepcopy` it also takes modules that hold results which want a gradient.
    """
    other = view(module)
    for part in other.modules():
        part._parameters = {
            name: None if old is None else nn.Parameter(old.detach().clone(), old.requires_grad)
            for name, old in part._parameters.items()
        }
        for name, buffer in part._buffers.items():
            part._buffers[name] = None if buffer is None else buffer.detach().clone()
    return other


def _votes(num_qubits: int, num_classes: int) -> Tensor:
    """Matrix [n, classes] that takes the mean over each class's group of qubits."""
    if num_classes > num_qubits:
        raise UsageError(
            f"{num_classes} classes need at least {num_classes} qubits, one each; "
            f"the circuit has {num_qubits}"
        )
    votes = torch.zeros(num_qubits, num_classes)
    for label, group in enumerate(np.array_split(np.arange(num_qubits), num_classes)):
        votes[group, label] = 1 / len(group)
    return votes
