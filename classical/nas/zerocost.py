"""Scores of untrained networks, from a batch or less: the higher, the better after training."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from classical.errors import UsageError
from classical.metrics.running import evaluating

_RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Hardswish, nn.SiLU, nn.GELU)


def synflow(model: nn.Module, example: Tensor) -> float:
    """Sum of |w dR/dw| over the weights, R being the output for ones with absolute weights.

    Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic
    flow" (arXiv:2006.05467), as a score by Abdelfattah et al. (arXiv:2101.08134): batch
    normalization passes everything on, and so do rectifiers, because nothing is negative. In
    float64; the logarithm of the sum, which grows with every layer's width.

    Args:
        model: any network; it is not changed.
        example: an input [1, ...], for its shape.
    """
    model = copy.deepcopy(model).eval().double()
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, (*_RECTIFIERS, nn.modules.batchnorm._BatchNorm)):
                setattr(module, name, nn.Identity())
    weights = [p for p in model.parameters() if p.requires_grad]
    with torch.no_grad():
        for weight in weights:
            weight.abs_()
    flow = model(torch.ones_like(example, dtype=torch.float64)).sum()
    gradients = torch.autograd.grad(flow, weights, allow_unused=True)
    saliencies = [
        (w * g).abs().sum() for w, g in zip(weights, gradients, strict=True) if g is not None
    ]
    return float(torch.stack(saliencies).sum().log().detach())


def naswot(model: nn.Module, x: Tensor) -> float:
    """log |det K|, K counting the rectifiers on which two samples agree: how well they come apart.

    Mellor et al., "Neural Architecture Search without Training" (arXiv:2006.04647).

    Args:
        model: a network with ReLUs as modules.
        x: a batch of different samples [N, ...].

    Raises:
        UsageError: for a network without ReLUs, or a single sample.
    """
    rectifiers = [m for m in model.modules() if isinstance(m, nn.ReLU | nn.ReLU6)]
    if not rectifiers or len(x) < 2:
        raise UsageError(
            "NASWOT compares two samples or more by modules of ReLU, and there are "
            f"{len(x)} samples and {len(rectifiers)} such modules in {type(model).__name__}: write "
            "nn.ReLU() for torch.relu"
        )
    agreements = torch.zeros(len(x), len(x), dtype=torch.float64, device=x.device)

    def count(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        code = (output > 0).flatten(1).double()
        agreements.add_(code @ code.T + (1 - code) @ (1 - code).T)

    handles = [module.register_forward_hook(count) for module in rectifiers]
    try:
        with evaluating(model, x):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return float(torch.linalg.slogdet(agreements).logabsdet)


def gradsign(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """How many gradients of single samples agree in sign: sum over weights of |sum of signs|.

    Zhang and Jia, "GradSign" (arXiv:2110.08616).

    Args:
        model: a network; in evaluation mode, because samples must not see each other.
        x: samples [N, ...].
        y: labels [N].
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    weights = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}

    def loss(values: dict[str, Tensor], sample: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(functional_call(model, values, (sample[None],)), label[None])

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(weights, x, y)
    for module, training in modes:
        module.training = training
    return float(sum(g.sign().sum(0).abs().sum() for g in gradients.values()))
