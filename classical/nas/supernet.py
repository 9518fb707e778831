"""A once-for-all supernet: one set of weights from which every network of a space is cut."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.func import functional_call

from classical.models.efficientnet import InvertedResidual
from classical.nas.mobile import MobileSpace
from classical.nas.mobilenet import MobileNet
from classical.nas.plan import Plan
from classical.nas.space import Gene, Space

_DEPTHWISE = "depthwise.conv.weight"


class Supernet(nn.Module):
    """All networks of a space with shared weights.

    Cai et al., "Once-for-All" (arXiv:1908.09791), section 3.2. A sub-net has the first blocks of
    every stage and the first channels of every layer; a smaller kernel is the centre of the next
    larger one times a matrix that is learned, the same for all channels.
    """

    def __init__(self, mobile: MobileSpace) -> None:
        super().__init__()
        self.mobile = mobile
        self.full = MobileNet(mobile.plan(mobile.space.largest))
        self.transforms = nn.ParameterDict(
            {
                _key(name, size): nn.Parameter(torch.eye(size**2))
                for name, _ in self.full.named_parameters()
                if name.endswith(_DEPTHWISE)
                for size in mobile.kernels[:-1]
            }
        )

    @property
    def space(self) -> Space:
        """The choices of a gene."""
        return self.mobile.space

    def forward(self, x: Tensor, gene: Gene | None = None) -> Tensor:
        """[batch, channels, height, width] -> logits [batch, classes] of a sub-net.

        Raises:
            UsageError: for a gene that is not of the space; without one it is the largest.
        """
        plan = self.mobile.plan(self.space.largest if gene is None else gene)
        net = _skeleton(plan).train(self.training)
        logits: Tensor = functional_call(net, self._weights(plan), (x,))
        return logits

    def extract(self, gene: Gene) -> MobileNet:
        """A sub-net of its own, in evaluation mode, that gives the same logits.

        Its batch normalization has statistics of all sub-nets: `recalibrated` puts them right.

        Raises:
            UsageError: for a gene that is not of the space.
        """
        plan = self.mobile.plan(gene)
        net = MobileNet(plan).to(next(self.parameters()).device)
        net.load_state_dict(self._weights(plan))
        return net.eval()

    def sort_channels(self) -> None:
        """Put the hidden channels that matter most first, where smaller sub-nets keep them.

        Their importance is the sum of absolute weights that read them (section 3.3); the largest
        network computes what it did.
        """
        for block in self.full.modules():
            if isinstance(block, InvertedResidual):
                _sort(block)

    def _weights(self, plan: Plan) -> dict[str, Tensor]:
        """Parameters and buffers of a sub-net, views of the supernet's where they can be."""
        full = self.full.state_dict(keep_vars=True)
        return {
            name: self._cut(name, full[name], like.shape)
            for name, like in _skeleton(plan).state_dict().items()
        }

    def _cut(self, name: str, weight: Tensor, shape: torch.Size) -> Tensor:
        if name.endswith(_DEPTHWISE):
            weight = self._smaller_kernel(name, weight[: shape[0]], shape[-1])
        return weight[tuple(slice(size) for size in shape)]

    def _smaller_kernel(self, name: str, weight: Tensor, size: int) -> Tensor:
        """[channels, 1, K, K] -> [channels, 1, size, size]."""
        for smaller in reversed([k for k in self.mobile.kernels[:-1] if k >= size]):
            border = (weight.shape[-1] - smaller) // 2
            centre = weight[..., border : border + smaller, border : border + smaller]
            transform = self.transforms[_key(name, smaller)]
            weight = (centre.flatten(1) @ transform).view_as(centre)
        return weight


@lru_cache(maxsize=1024)
def _skeleton(plan: Plan) -> MobileNet:
    """A network without weights, which are put in for a call."""
    with torch.device("meta"):
        return MobileNet(plan)


def _key(name: str, size: int) -> str:
    return f"{name.replace('.', '/')}/{size}"  # names of parameters must have no dots


@torch.no_grad()
def _sort(block: InvertedResidual) -> None:
    layers = dict(block.layers.named_children())
    read = layers["project"].get_parameter("conv.weight")
    order = read.abs().sum((0, 2, 3)).argsort(descending=True)
    read.copy_(read[:, order])
    for layer in (layers["expand"], layers["depthwise"]):
        for value in layer.state_dict().values():
            if value.ndim:  # all but the number of batches seen
                value.copy_(value[order])
