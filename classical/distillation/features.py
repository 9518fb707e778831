"""What goes on inside the teacher: features, where it looks, and how samples relate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, mse_loss, normalize, smooth_l1_loss

from classical.distillation.logits import frozen
from classical.errors import UsageError
from classical.metrics.running import evaluating
from classical.training import Loss, classification


@contextmanager
def captured(model: nn.Module, layers: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """The outputs of named layers, in a dictionary that every forward pass inside fills.

    Raises:
        UsageError: for a layer that the model has not.
    """
    modules = dict(model.named_modules())
    found: dict[str, Tensor] = {}
    hooks = []
    for layer in layers:
        if layer not in modules:
            known = ", ".join(name for name in modules if name)
            raise UsageError(
                f"{type(model).__name__} has no layer {layer!r}: choose one of {known}"
            )
        hooks.append((layer, modules[layer]))
    handles = [
        module.register_forward_hook(lambda _m, _x, y, layer=layer: found.update({layer: y}))
        for layer, module in hooks
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def features(model: nn.Module, layers: Iterable[str], x: Tensor) -> dict[str, Tensor]:
    """Outputs of named layers, without gradients and in evaluation mode."""
    with evaluating(model, x), captured(model, layers) as found:
        model(x)
    return found


def aligned(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Feature maps [batch, channels, height, width] averaged to the smaller of their sizes."""
    if first.ndim != 4 or second.ndim != 4:
        return first, second
    size = min(first.shape[2], second.shape[2]), min(first.shape[3], second.shape[3])
    return adaptive_avg_pool2d(first, size), adaptive_avg_pool2d(second, size)


class FeatureLoss(nn.Module):
    """A loss on logits, plus one on pairs of layers, for which subclasses have `compare`."""

    def __init__(
        self,
        teacher: nn.Module,
        layers: Mapping[str, str],
        weight: float,
        base: Loss = classification,
    ) -> None:
        """Copy the teacher and freeze it.

        Args:
            teacher: gives the features to imitate.
            layers: name of a student's layer -> name of the teacher's.
            weight: of the mean over the pairs.
            base: what it is added to, such as `Logits(teacher)`.

        Raises:
            UsageError: for no layers, layers that the teacher has not, or no positive weight.
        """
        super().__init__()
        if not layers:
            raise UsageError("name at least one pair of layers, as in {'student': 'teacher'}")
        if weight <= 0:
            raise UsageError(f"the weight of features is positive, and {weight} was given")
        self.teacher = frozen(teacher)
        self.layers = dict(layers)
        self.weight = weight
        self.base = base
        with captured(self.teacher, self.layers.values()):
            pass

    def forward(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Student, inputs and labels [batch] -> the loss."""
        with captured(model, self.layers) as own:
            loss = self.base(model, x, y)
        taught = features(self.teacher, self.layers.values(), x)
        terms = [self.compare(name, own[name], taught[of]) for name, of in self.layers.items()]
        return loss + self.weight * torch.stack(terms).mean()

    def compare(self, layer: str, student: Tensor, teacher: Tensor) -> Tensor:
        """The loss of one pair: features [batch, channels, ...] of either network."""
        raise NotImplementedError


class Hints(FeatureLoss):
    """Squared error to the teacher's features, after a linear regressor on the student's channels.

    Romero et al., "FitNets" (arXiv:1412.6550). The regressors are trained along; maps of different
    sizes are averaged to the smaller.
    """

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        layers: Mapping[str, str],
        example: Tensor,
        weight: float = 1.0,
        base: Loss = classification,
    ) -> None:
        """As `FeatureLoss`; the student and an example of its inputs give the regressors' sizes."""
        super().__init__(teacher, layers, weight, base)
        own = features(student, self.layers, example)
        taught = features(self.teacher, self.layers.values(), example)
        pairs = [(own[name], taught[of]) for name, of in self.layers.items()]
        # A list: names of layers have dots, those of modules must not.
        self.regressors = nn.ModuleList(ChannelMap(a, b.shape[1]) for a, b in pairs)

    def compare(self, layer: str, student: Tensor, teacher: Tensor) -> Tensor:
        regressor = self.regressors[list(self.layers).index(layer)]
        return mse_loss(*aligned(regressor(student), teacher))


class ChannelMap(nn.Module):
    """A linear map of the channels, the same at every position."""

    def __init__(self, like: Tensor, outputs: int) -> None:
        """`like` are features [batch, channels, ...] as it will take."""
        super().__init__()
        self.linear = nn.Linear(like.shape[1], outputs).to(like.device)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, ...] -> [batch, outputs, ...]."""
        y: Tensor = self.linear(x.movedim(1, -1)).movedim(-1, 1)
        return y


class AttentionMaps(FeatureLoss):
    """Squared distance of the normalized maps of where a layer is active.

    Zagoruyko and Komodakis, "Paying More Attention to Attention" (arXiv:1612.03928): the mean of
    squares over the channels. The distance is summed over positions; their weight of 1000 is for
    the mean.
    """

    def __init__(
        self,
        teacher: nn.Module,
        layers: Mapping[str, str],
        weight: float = 1.0,
        base: Loss = classification,
    ) -> None:
        super().__init__(teacher, layers, weight, base)

    def compare(self, layer: str, student: Tensor, teacher: Tensor) -> Tensor:
        if student.ndim != 4:
            raise UsageError(
                f"attention maps need feature maps [batch, channels, height, width], and {layer!r} "
                f"gives {tuple(student.shape)}: choose a convolution, or Hints"
            )
        first, second = (
            normalize(f.square().mean(1).flatten(1)) for f in aligned(student, teacher)
        )
        return (first - second).square().sum(1).mean()


class Relations(FeatureLoss):
    """Distances between the samples of a batch, and angles of every three, as the teacher has them.

    Park et al., "Relational Knowledge Distillation" (arXiv:1904.05068), with their ratio of 1 to 2.
    Features of any sizes compare, because only relations do.
    """

    def __init__(
        self,
        teacher: nn.Module,
        layers: Mapping[str, str],
        weight: float = 1.0,
        angle: float = 2.0,
        base: Loss = classification,
    ) -> None:
        """As `FeatureLoss`; `angle` is the weight of angles beside distances."""
        super().__init__(teacher, layers, weight, base)
        self.angle = angle

    def compare(self, layer: str, student: Tensor, teacher: Tensor) -> Tensor:
        first, second = student.flatten(1), teacher.flatten(1)
        distances = smooth_l1_loss(_distances(first), _distances(second))
        return distances + self.angle * smooth_l1_loss(_angles(first), _angles(second))


def _distances(x: Tensor) -> Tensor:
    """[batch, features] -> pairwise distances [batch, batch] in units of their mean."""
    found = torch.cdist(x, x)
    return found / found[found > 0].mean().clamp_min(1e-12)


def _angles(x: Tensor) -> Tensor:
    """[batch, features] -> cosines of the angles at every sample [batch, batch, batch]."""
    directions = normalize(x[None] - x[:, None], dim=2)
    return directions @ directions.mT
