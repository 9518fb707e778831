"""A model run once to look at it, and left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from classical.errors import UsageError


def check_inputs(model: nn.Module, *inputs: Tensor) -> None:
    """Raise UsageError for inputs without values, or on another device than the model."""
    homes = {parameter.device for parameter in model.parameters()}
    for x in inputs:
        if not x.numel():
            raise UsageError(f"there are no samples: the data have shape {list(x.shape)}")
        if homes and x.device not in homes:
            devices = " and ".join(sorted({str(device) for device in homes | {x.device}}))
            raise UsageError(
                f"model and data are on {devices}: move both to one device by .to(device)"
            )


@contextmanager
def evaluating(model: nn.Module, *inputs: Tensor) -> Iterator[None]:
    """Without gradients and in evaluation mode, each module back in its own mode afterwards.

    Raises:
        UsageError: for inputs that the model cannot be run with, see `check_inputs`.
    """
    check_inputs(model, *inputs)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
