"""What a network costs: the number of its parameters and the memory they take."""

import math
from collections.abc import Iterator

from torch import Tensor, nn

from classical.errors import UsageError


def count_parameters(model: nn.Module, *, nonzero_only: bool = False) -> int:
    """Count the parameters of ``model``; one shared by several modules counts once.

    With ``nonzero_only`` zeros are left out: what is left of a pruned network. Buffers, such as
    the running statistics of a batch normalization, are no parameters.
    """
    return sum(_count(parameter, nonzero_only) for parameter in model.parameters())


def model_size_bytes(
    model: nn.Module, bits: int | None = None, *, nonzero_only: bool = False
) -> int:
    """Return the bytes that the parameters of ``model`` take, rounded up.

    Each parameter takes ``bits`` bits, or with ``bits=None`` those of its own dtype. This is the
    size of the values alone, as in Han et al., "Deep Compression" (arXiv:1510.00149), section 3,
    before the code book, and with ``nonzero_only`` before the indices that a sparse format adds.

    Raises:
        UsageError: ``bits`` is less than 1.
    """
    if bits is not None and bits < 1:
        raise UsageError(f"a parameter takes at least 1 bit, and bits={bits} was given")
    return math.ceil(sum(_bits(model, bits, nonzero_only)) / 8)


def _bits(model: nn.Module, bits: int | None, nonzero_only: bool) -> Iterator[int]:
    for parameter in model.parameters():
        yield _count(parameter, nonzero_only) * (bits or 8 * parameter.element_size())


def _count(parameter: Tensor, nonzero_only: bool) -> int:
    return int(parameter.count_nonzero()) if nonzero_only else parameter.numel()
