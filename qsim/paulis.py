"""Pauli strings on states, in plain torch: two functions, linear in all they take.

Strings that flip the same qubits share one pass over the state; where they are many, a
Walsh-Hadamard transform serves them all. No matrix of the size of the state is made, and backward
keeps nothing but the arguments. Each function is what the other's gradient needs, so they can be
differentiated as often as one likes, also by torch.func.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from qsim.strings import Strings, XGroup
from qsim.sums import sum_by_index
from qsim.walsh import walsh_hadamard


def expectations(strings: Strings, psi: Tensor) -> Tensor:
    """<psi|P|psi> of states [batch, 2**n]: real [batch, strings]."""
    return overlaps(strings, psi, psi)


def overlaps(strings: Strings, bra: Tensor, ket: Tensor) -> Tensor:
    """Re <bra|P|ket> for each string P, of states [batch, 2**n]: real [batch, strings]."""
    result: Tensor = _Overlaps.apply(strings, bra, ket)
    return result


def apply_sum(strings: Strings, coefficients: Tensor, psi: Tensor) -> Tensor:
    """sum_k c_k P_k |psi> for c real [strings] or [batch, strings]: complex [batch, 2**n]."""
    result: Tensor = _Applied.apply(strings, coefficients, psi)
    return result


def _keep_arguments(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.strings = inputs[0]
    ctx.save_for_backward(*inputs[1:])
    ctx.save_for_forward(*inputs[1:])


def _product_rule(
    function: Callable[[Strings, Tensor, Tensor], Tensor],
    ctx: Any,
    first_tangent: Tensor | None,
    second_tangent: Tensor | None,
) -> Any:
    """The tangent of a function that is linear in both of its kept arguments."""
    first, second = ctx.saved_tensors
    parts = [
        function(ctx.strings, a, b)
        for a, b in ((first_tangent, second), (first, second_tangent))
        if a is not None and b is not None
    ]
    return sum(parts)


class _Overlaps(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(strings: Strings, bra: Tensor, ket: Tensor) -> Tensor:
        if not strings:
            return ket.real.new_zeros(len(ket), 0)
        groups = strings.x_groups
        found = torch.cat([_group_overlaps(group, bra, ket) for group in groups], 1)
        order = torch.cat([group.indices for group in groups]).argsort()
        return found[:, order.to(ket.device)]

    setup_context = staticmethod(_keep_arguments)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        bra, ket = ctx.saved_tensors
        _, of_bra, of_ket = ctx.needs_input_grad
        return (
            None,
            apply_sum(ctx.strings, cotangent, ket) if of_bra else None,
            apply_sum(ctx.strings, cotangent, bra) if of_ket else None,
        )

    @staticmethod
    def jvp(ctx: Any, _: None, bra_tangent: Tensor | None, ket_tangent: Tensor | None) -> Any:
        return _product_rule(overlaps, ctx, bra_tangent, ket_tangent)


class _Applied(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(strings: Strings, coefficients: Tensor, psi: Tensor) -> Tensor:
        total = torch.zeros_like(psi)
        for group in strings.x_groups:
            total = total + _apply_group(group, coefficients, psi)
        return total

    setup_context = staticmethod(_keep_arguments)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        coefficients, psi = ctx.saved_tensors
        _, of_coefficients, of_psi = ctx.needs_input_grad
        found = overlaps(ctx.strings, cotangent, psi) if of_coefficients else None
        if found is not None and coefficients.dim() == 1:
            found = found.sum(0)
        return (
            None,
            None if found is None else found.to(coefficients.dtype),
            apply_sum(ctx.strings, coefficients, cotangent) if of_psi else None,
        )

    @staticmethod
    def jvp(ctx: Any, _: None, coefficients_tangent: Tensor | None, psi_tangent: Any) -> Any:
        return _product_rule(apply_sum, ctx, coefficients_tangent, psi_tangent)


def _group_overlaps(group: XGroup, bra: Tensor, ket: Tensor) -> Tensor:
    """Re sum_b conj(bra[b ^ x]) i^y (-1)^(z.b) ket[b] for each string of a group."""
    product = flipped(bra, group.x_mask).conj() * ket
    n = _num_qubits(ket)
    if len(group.z_masks) > n:
        sums = walsh_hadamard(product)[:, group.z_masks.to(ket.device)]
    else:
        sums = torch.stack(
            [(product * signs(z, n, product)).sum(1) for z in group.z_masks.tolist()], 1
        )
    return (sums * group.phases.to(sums)).real


def _apply_group(group: XGroup, coefficients: Tensor, psi: Tensor) -> Tensor:
    n = _num_qubits(psi)
    chosen = coefficients[..., group.indices.to(psi.device)].to(psi.real.dtype)
    weighted = chosen * group.phases.to(psi)  # [strings] or [batch, strings]
    if len(group.z_masks) > n:
        masks = group.z_masks.to(psi.device)
        factors = walsh_hadamard(sum_by_index(weighted, masks, 2**n, dim=-1))
    else:
        parts = [
            weighted[..., k, None] * signs(z, n, weighted)
            for k, z in enumerate(group.z_masks.tolist())
        ]
        factors = torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
    return flipped(factors * psi, group.x_mask)


def _num_qubits(psi: Tensor) -> int:
    return psi.shape[-1].bit_length() - 1


def flipped(psi: Tensor, mask: int) -> Tensor:
    """psi[..., b ^ mask]: reverses the axis of each run of flipped qubits."""
    if not mask:
        return psi
    sizes: list[int] = []
    axes: list[int] = []
    previous = None
    for qubit in reversed(range(_num_qubits(psi))):
        bit = mask >> qubit & 1
        if bit != previous:
            sizes.append(1)
            axes += [len(sizes)] if bit else []
        sizes[-1], previous = sizes[-1] * 2, bit
    return psi.reshape(-1, *sizes).flip(axes).reshape(psi.shape)


def signs(mask: int, num_qubits: int, like: Tensor) -> Tensor:
    """(-1)**(number of bits that b shares with the mask): real [2**n], beside complex `like`."""
    found = torch.ones(1, dtype=like.real.dtype, device=like.device)
    for qubit in range(num_qubits):
        found = torch.cat([found, -found if mask >> qubit & 1 else found])
    return found
