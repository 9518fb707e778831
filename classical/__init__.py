"""Compression and efficient deployment of classical neural networks in PyTorch.

The package stands alone: it needs PyTorch and knows nothing of quantum circuits.
"""

from classical.metrics import count_parameters, model_size_bytes

__all__ = ["count_parameters", "model_size_bytes"]
