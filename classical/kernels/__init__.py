"""Matrix products and convolutions in C++, one technique at a time (lecture 11).

c = matmul(a, b, method="tiled")
y = conv2d(x, w, method="winograd", padding=1)
"""

from classical.kernels.bench import Timing, bench
from classical.kernels.convolution import CONV2D_METHODS, conv2d, depthwise, depthwise_
from classical.kernels.matmul import MATMUL_METHODS, matmul
from classical.kernels.operands import ISA

__all__ = [
    "CONV2D_METHODS",
    "ISA",
    "MATMUL_METHODS",
    "Timing",
    "bench",
    "conv2d",
    "depthwise",
    "depthwise_",
    "matmul",
]
