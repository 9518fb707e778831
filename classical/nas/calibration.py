"""Statistics of batch normalization, put right for a network that was cut out of another."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from classical.data.images import DataSet
from classical.errors import UsageError
from classical.nas.space import Gene
from classical.nas.supernet import Supernet
from classical.training import accuracy

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def recalibrated(model: Model, images: Tensor, batch_size: int = 250) -> Model:
    """A copy in evaluation mode whose batch normalizations have the statistics of some images.

    Yu and Huang, "Universally Slimmable Networks" (arXiv:1903.05134), section 3.3. Everything else
    stays as it is; the batches' statistics are averaged.

    Args:
        model: any network; without batch normalization nothing changes.
        images: what it takes, [N, ...]: a few hundred do.
        batch_size: images at a time.

    Raises:
        UsageError: for no images.
    """
    if not len(images):
        raise UsageError("recalibration takes the mean over some images, and none were given")
    model = copy.deepcopy(model).eval()
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
        norm.train()
    for batch in images.split(batch_size):
        model(batch)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    return model.eval()


def subnet_accuracy(
    supernet: Supernet, data: DataSet, images: int = 500
) -> Callable[[Gene], float]:
    """The score of a search: validation accuracy of a sub-net, cut out and recalibrated.

    Args:
        supernet: trained.
        data: its training part recalibrates, its validation part judges.
        images: for recalibration.
    """

    def score(gene: Gene) -> float:
        net = recalibrated(supernet.extract(gene), data.train.x[:images])
        return accuracy(net, data.valid)

    return score
