"""Memory of activations: what is alive at every step of a forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from classical.metrics.running import evaluating


@dataclass(frozen=True)
class Step:
    """One operation of the forward pass.

    Attributes:
        module: name of the innermost module at work, "" for the model itself.
        operation: PyTorch's name of it.
        live_bytes: of all activations that are needed while it runs, its results included.
    """

    module: str
    operation: str
    live_bytes: int


@dataclass(frozen=True)
class Activations:
    """What the activations of a forward pass take.

    Attributes:
        total_bytes: of all of them, each once: what training keeps.
        peak_bytes: the most that is alive at once: what inference needs.
        steps: the schedule that gives it, in order.
    """

    total_bytes: int
    peak_bytes: int
    steps: tuple[Step, ...]

    @property
    def peak_step(self) -> Step:
        """Where the peak is, the first of several."""
        return max(self.steps, key=lambda step: step.live_bytes)


def measure_activations(model: nn.Module, *inputs: Tensor) -> Activations:
    """Bytes of activations in a forward pass, without gradients, in evaluation mode.

    Every operation counts in the order in which the model runs them: its operands and results, and
    all else that a later one needs. Views, and results that overwrite an operand, take nothing.
    Parameters and buffers are no activations. The inputs are, and results are kept to the end.
    Work space inside an operation is not seen.
    """
    recorder = _Recorder(model)
    with evaluating(model, *inputs), recorder:
        outputs = model(*inputs)
    recorder.close()
    constants = {_key(t) for t in (*model.parameters(), *model.buffers())}
    # An input may be a few rows of a whole data set: only these count.
    given = {_key(tensor): tensor.nbytes for tensor in inputs}
    return _lifetimes(recorder.log, constants, given, _sizes(outputs))


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _sizes(tensors: Any) -> dict[int, int]:
    """Bytes by storage."""
    return {
        _key(t): t.untyped_storage().nbytes() for t in tree_leaves(tensors) if isinstance(t, Tensor)
    }


@dataclass
class _Call:
    module: str
    operation: str
    reads: dict[int, int]
    writes: dict[int, int]


class _Recorder(TorchDispatchMode):
    """Writes down every operation with its storages, which it keeps so that none is used twice."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.log: list[_Call] = []
        self._kept: list[Tensor] = []
        self._inside = [""]
        self._hooks = []
        for name, module in model.named_modules():
            self._hooks += [
                module.register_forward_pre_hook(lambda *_, name=name: self._inside.append(name)),
                module.register_forward_hook(lambda *_: self._leave(), always_call=True),
            ]

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def _leave(self) -> None:
        self._inside.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        results = func(*args, **given)
        found = [t for t in tree_leaves((args, given, results)) if isinstance(t, Tensor)]
        self._kept += found
        name = func.overloadpacket.__name__
        self.log.append(_Call(self._inside[-1], name, _sizes((args, given)), _sizes(results)))
        return results


def _lifetimes(
    log: list[_Call], constants: set[int], inputs: dict[int, int], outputs: dict[int, int]
) -> Activations:
    sizes: dict[int, int] = dict(inputs)
    first = dict.fromkeys(inputs, 0)
    last = dict.fromkeys(inputs, 0)
    for number, call in enumerate(log):
        for key, size in (call.reads | call.writes).items():
            if key not in constants:
                sizes.setdefault(key, size)
                first.setdefault(key, number)
                last[key] = number
    for key in outputs:
        if key in last:
            last[key] = len(log)
    live = [0] * (len(log) + 1)
    for key, size in sizes.items():
        live[first[key]] += size
        if last[key] < len(log):
            live[last[key] + 1] -= size
    steps, now = [], 0
    for call, change in zip(log, live, strict=False):
        now += change
        steps.append(Step(call.module, call.operation, now))
    peak = max((step.live_bytes for step in steps), default=sum(inputs.values()))
    return Activations(sum(sizes.values()), peak, tuple(steps))
