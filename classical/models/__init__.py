"""Networks to compress: trained here, or with weights that a package carries."""

from classical.models.efficientnet import EfficientNetLite0, efficientnet_lite0
from classical.models.vgg import MNIST_VGG, VGG, mnist_vgg

__all__ = ["MNIST_VGG", "VGG", "EfficientNetLite0", "efficientnet_lite0", "mnist_vgg"]
