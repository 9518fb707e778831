"""Masks: which weights are zero, and how they stay so while a network is trained."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.pruning.criteria import Criterion, l1
from classical.pruning.granularity import Granularity, as_units
from classical.pruning.pruner import Model

Scope = Literal["layer", "global"]


class Masks(dict[str, Tensor]):
    """Names of parameters -> bool tensors of their shapes, false where the weight is zero.

    Called with a model they set the weights to zero, in place; as a hook of training they hold them
    there: `train(model, data, after_step=[masks])`.
    """

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> None:
        """Raises UsageError for a model that lacks a parameter, or has it in another shape."""
        parameters = dict(model.named_parameters())
        for name, mask in self.items():
            if name not in parameters or parameters[name].shape != mask.shape:
                raise UsageError(
                    f"the masks are of another model: this one has no {name} {list(mask.shape)}"
                )
            # Not by multiplication, which would leave minus zeros.
            parameters[name].masked_fill_(~mask.to(parameters[name].device), 0.0)

    @property
    def sparsity(self) -> float:
        """Fraction of zeros among the weights that have masks."""
        return 1 - sum(int(m.sum()) for m in self.values()) / sum(m.numel() for m in self.values())


def prunable(model: nn.Module) -> list[str]:
    """Names of the parameters that masks are made for: all of two dimensions or more."""
    return [name for name, parameter in model.named_parameters() if parameter.ndim > 1]


def make_masks(
    model: nn.Module,
    sparsity: float | Mapping[str, float],
    *,
    granularity: Granularity = "fine",
    criterion: Criterion = l1,
    scope: Scope = "layer",
) -> Masks:
    """Choose the weights to prune; the model stays as it is.

    Args:
        model: any module.
        sparsity: fraction of zeros from 0 up to, but without, 1: of all that is `prunable`, or by
            the names of parameters, of these alone.
        granularity: what is pruned as one.
        criterion: the least important units go.
        scope: "layer" prunes the fraction of every parameter, "global" of all together, so that
            layers with important weights keep more. Zeros stay zeros under both.

    Raises:
        UsageError: for an impossible sparsity, an unknown parameter, a granularity that one does
            not have, or sparsities by name with a global scope.
    """
    if scope not in get_args(Scope) or (scope == "global" and isinstance(sparsity, Mapping)):
        raise UsageError(
            "the scope is 'layer', with a sparsity for all or one by name, or 'global' with one "
            f"for all, not {scope!r} with {sparsity}"
        )
    sparsities = _by_name(model, sparsity)
    parameters = dict(model.named_parameters())
    scores = {}
    for name in sparsities:
        weight = parameters[name].detach()
        score = criterion(name, weight).masked_fill(weight == 0, 0.0)
        scores[name] = as_units(score, granularity, name).mean(1)
    if scope == "global":
        kept = _keep(torch.cat(list(scores.values())), next(iter(sparsities.values())))
        parts = kept.split([len(score) for score in scores.values()])
    else:
        parts = tuple(_keep(scores[name], s) for name, s in sparsities.items())
    return Masks(
        {
            name: _expanded(part, parameters[name].shape)
            for name, part in zip(sparsities, parts, strict=True)
        }
    )


def check_fraction(sparsity: float, name: str) -> None:
    """Raises UsageError unless something is left."""
    if not 0 <= sparsity < 1:
        raise UsageError(
            f"a sparsity is a fraction from 0 up to, but without, 1, not {sparsity} for {name}"
        )


def _by_name(model: nn.Module, sparsity: float | Mapping[str, float]) -> dict[str, float]:
    names = prunable(model)
    found = dict(sparsity) if isinstance(sparsity, Mapping) else dict.fromkeys(names, sparsity)
    if not found:
        raise UsageError("there is no parameter of two dimensions or more to prune")
    for name, value in found.items():
        if name not in names:
            raise UsageError(f"there is no parameter {name!r} to prune: {', '.join(names)} are")
        check_fraction(value, name)
    return found


def _keep(scores: Tensor, sparsity: float) -> Tensor:
    """bool [units]: all but the least important ones; of equal ones the first go."""
    kept = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
    kept[scores.argsort(stable=True)[: round(sparsity * len(scores))]] = False
    return kept


def _expanded(kept: Tensor, shape: torch.Size) -> Tensor:
    """[units] -> the shape of the weight."""
    return kept[:, None].expand(-1, shape.numel() // len(kept)).reshape(shape)


@dataclass(frozen=True)
class WeightPruner:
    """Prunes weights by masks: parameters and their sparsities in, a pruned copy out.

    It serves `sensitivity_scan` as `ChannelPruner` does.
    """

    granularity: Granularity = "fine"
    criterion: Criterion = l1

    def names(self, model: nn.Module) -> list[str]:
        """What a sparsity can be given for."""
        return prunable(model)

    def __call__(self, model: Model, sparsities: Mapping[str, float]) -> Model:
        """A copy with the least important weights set to zero."""
        masks = make_masks(
            model, sparsities, granularity=self.granularity, criterion=self.criterion
        )
        pruned = copy.deepcopy(model)
        masks(pruned)
        return pruned
