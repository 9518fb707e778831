"""A plain MobileNet-like network of a given shape."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import interpolate

from classical.models.efficientnet import InvertedResidual, convolution
from classical.nas.plan import BlockPlan, Plan


class Resize(nn.Module):
    """Square images to a side by bilinear interpolation; nothing where they have it."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """[..., height, width] -> [..., side, side]."""
        if x.shape[-2:] == (self.side, self.side):
            return x
        return interpolate(x, (self.side, self.side), mode="bilinear", antialias=True)


def inverted_residual(plan: BlockPlan) -> InvertedResidual:
    """The block of a plan."""
    return InvertedResidual(
        plan.inputs, plan.outputs, plan.kernel, plan.stride, plan.expansion, same=False
    )


class MobileNet(nn.Module):
    """Stem, stages of inverted residuals (MobileNetV2, arXiv:1801.04381), head and classifier."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.resize = Resize(plan.resolution)
        self.stem = convolution(plan.in_channels, plan.stem, 3, plan.stem_stride, same=False)
        self.stages = nn.Sequential(
            *(nn.Sequential(*map(inverted_residual, stage)) for stage in plan.stages)
        )
        width = plan.stages[-1][-1].outputs
        self.head = convolution(width, plan.head)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(plan.head, plan.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] -> logits [batch, classes]."""
        features = self.head(self.stages(self.stem(self.resize(x))))
        logits: Tensor = self.classifier(self.flatten(self.pool(features)))
        return logits
