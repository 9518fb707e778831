"""N:M sparsity: of every M weights along the inputs at most N are not zero.

Mishra et al., "Accelerating sparse deep neural networks" (arXiv:2104.08378). Recent NVIDIA GPUs
multiply 2:4 matrices at up to twice the rate; elsewhere it saves memory only.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.sparse import to_sparse_semi_structured

from classical.errors import UsageError
from classical.pruning.criteria import Criterion, l1
from classical.pruning.masks import Masks, prunable
from classical.pruning.pruner import Model


def nm_masks(
    model: nn.Module,
    n: int = 2,
    m: int = 4,
    *,
    names: Sequence[str] | None = None,
    criterion: Criterion = l1,
) -> Masks:
    """Keep the n most important of every m weights along the inputs.

    Args:
        model: it stays as it is.
        n, m: 1 <= n < m.
        names: of parameters [outputs, inputs, ...]; by default all whose inputs m divides.
        criterion: of importance.

    Raises:
        UsageError: for an impossible pattern, an unknown parameter, or inputs that are no multiple.
    """
    _check_pattern(n, m)
    parameters = dict(model.named_parameters())
    known = prunable(model)
    if names is None:
        names = [name for name in known if parameters[name].shape[1] % m == 0]
    if not names or not set(names) <= set(known):
        raise UsageError(
            f"{n}:{m} takes parameters [outputs, inputs, ...] whose inputs are a multiple of {m}, "
            f"not {list(names)}; there are {', '.join(known) or 'none'}"
        )
    masks = Masks()
    for name in names:
        weight = parameters[name].detach()
        groups = _groups(criterion(name, weight), m, name)
        best = groups.argsort(dim=1, descending=True, stable=True)[:, :n]
        kept = torch.zeros_like(groups, dtype=torch.bool).scatter_(1, best, True)
        masks[name] = _ungroup(kept, weight.shape)
    return masks


@dataclass(frozen=True)
class PackedNM:
    """An N:M sparse weight as values and indices, without its zeros.

    Attributes:
        values: [groups, n], the weights in their own dtype.
        indices: uint8, the place of each value in its group of m, in ceil(log2(m)) bits.
        shape: of the weight.
        m: size of a group.
    """

    values: Tensor
    indices: Tensor
    shape: tuple[int, ...]
    m: int

    @property
    def nbytes(self) -> int:
        """Bytes of values and indices."""
        return self.values.nbytes + self.indices.nbytes

    def unpack(self) -> Tensor:
        """The weight, bit for bit."""
        places = _from_bits(self.indices.cpu(), self.values.numel(), _bits(self.m))
        places = places.reshape(self.values.shape).to(self.values.device)
        groups = self.values.new_zeros(len(self.values), self.m)
        return _ungroup(groups.scatter_(1, places, self.values), torch.Size(self.shape))


def pack_nm(weight: Tensor, n: int = 2, m: int = 4) -> PackedNM:
    """Store a weight [outputs, inputs, ...] that is N:M sparse along its inputs.

    Raises:
        UsageError: for an impossible pattern, or a weight that does not have it.
    """
    _check_pattern(n, m)
    groups = _groups(weight.detach(), m, "the weight")
    # A minus zero is a value too: unpacking gives back every bit.
    present = (groups != 0) | groups.signbit()
    most = int(present.sum(1).max())
    if most > n:
        raise UsageError(
            f"the weight is not {n}:{m} sparse, for {most} of {m} weights are not zero: prune it "
            "with nm_masks first"
        )
    places = present.byte().argsort(dim=1, descending=True, stable=True)[:, :n]
    indices = _to_bits(places.flatten().cpu(), _bits(m)).to(weight.device)
    return PackedNM(groups.gather(1, places), indices, tuple(weight.shape), m)


def semi_structured(model: Model, names: Sequence[str]) -> Model:
    """A copy whose linear layers use PyTorch's 2:4 kernels, which exist on CUDA devices only.

    Args:
        model: 2:4 sparse, in float16 or bfloat16.
        names: of its linear layers.

    Raises:
        UsageError: for a layer that is not linear, not on a CUDA device or not 2:4 sparse.
    """
    fast = copy.deepcopy(model)
    for name in names:
        layer = fast.get_submodule(name)
        if not isinstance(layer, nn.Linear):
            raise UsageError(
                f"2:4 kernels are for linear layers, and {name} is {type(layer).__name__}"
            )
        if not layer.weight.is_cuda:
            raise UsageError(
                f"2:4 kernels need a CUDA device, and {name} is on {layer.weight.device}: no "
                "speed-up is to be had there; pack_nm saves the memory anywhere"
            )
        pack_nm(layer.weight)
        layer.weight = nn.Parameter(to_sparse_semi_structured(layer.weight.detach()))
    return fast


def _check_pattern(n: int, m: int) -> None:
    if not 1 <= n < m <= 256:
        raise UsageError(f"an N:M pattern has 1 <= N < M <= 256, such as 2:4, not {n}:{m}")


def _groups(tensor: Tensor, m: int, name: str) -> Tensor:
    """[outputs, inputs, ...] -> [groups, m] along the inputs."""
    if tensor.ndim < 2 or tensor.shape[1] % m:
        raise UsageError(
            f"{name} {list(tensor.shape)} has no inputs in groups of {m}: leave it out, or choose "
            "another pattern"
        )
    return tensor.movedim(1, -1).reshape(-1, m)


def _ungroup(groups: Tensor, shape: torch.Size) -> Tensor:
    return groups.reshape(shape[0], *shape[2:], shape[1]).movedim(-1, 1).contiguous()


def _bits(m: int) -> int:
    return (m - 1).bit_length()


def _to_bits(numbers: Tensor, bits: int) -> Tensor:
    """int64 [count] -> uint8, lowest bit first."""
    each = numbers[:, None] >> torch.arange(bits) & 1
    return torch.from_numpy(np.packbits(each.byte().numpy(), bitorder="little"))


def _from_bits(packed: Tensor, count: int, bits: int) -> Tensor:
    each = np.unpackbits(packed.numpy(), count=count * bits, bitorder="little")
    return (torch.from_numpy(each).long().reshape(count, bits) << torch.arange(bits)).sum(1)
