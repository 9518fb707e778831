"""The Fubini-Study metric of a circuit's states, a quarter of the quantum Fisher information."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import pi
from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from qsim.circuit import Circuit, Operation, Symbol
from qsim.errors import UsageError
from qsim.gates import Gate
from qsim.gradients.jacobians import target_of
from qsim.gradients.shifted import Unrolled
from qsim.memory import check_states
from qsim.prepare import Options

_MODES = ("full", "block-diagonal", "diagonal")
_AT_A_TIME = 2**24  # amplitudes


@torch.enable_grad()
def metric_tensor(
    circuit: Circuit,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    mode: str = "full",
    wrt: str = "weights",
    **options: Unpack[Options],
) -> Tensor:
    """The Fubini-Study metric Re(<d_i psi|d_j psi> - <d_i psi|psi><psi|d_j psi>), exact.

    Four times it is the quantum Fisher information (Meyer, arXiv:2103.15191). Derivatives of the
    state are sums of states with one angle shifted, which run as one batch.

    Args:
        circuit: the circuit.
        weights: as for `expval`.
        inputs: as for `expval`.
        mode: "full"; "block-diagonal", with zeros between weights whose first gates are not in
            the same layer (Stokes et al., arXiv:1909.02108); or "diagonal".
        wrt: "weights" or "inputs".
        options: as for `expval`.

    Returns:
        real [batch, P, P] for P weights or inputs, [P, P] where nothing has a batch dimension;
        itself not differentiable.

    Raises:
        UsageError: as `expval`; for another mode, and for derivatives that do not fit into memory.
    """
    if mode not in _MODES:
        raise UsageError(f"a metric is {', '.join(_MODES)}, not {mode!r}")
    target = target_of(circuit, weights, inputs, wrt, options)
    tangents = _Tangents.of(Unrolled.of(target.call), target.leaf)
    batch, count = target.leaf.shape
    metric = target.leaf.new_zeros(batch, count, count)
    for block in _blocks(tangents, mode, count):
        found = tangents.at(block)  # [batch, block, 2**n]
        along = (tangents.psi.unsqueeze(1).conj() * found).sum(2)  # <psi|d_i psi>
        products = found.conj() @ found.transpose(1, 2) - along.conj().unsqueeze(2) * along[:, None]
        places = torch.tensor(block, device=metric.device)
        metric[:, places[:, None], places] = products.real
    return target.shaped(metric)


def _blocks(tangents: _Tangents, mode: str, count: int) -> list[list[int]]:
    if mode == "full":
        return [list(range(count))]
    if mode == "diagonal":
        return [[k] for k in range(count)]
    layers: dict[int, list[int]] = {}
    for k, layer in enumerate(_layers(tangents)):
        layers.setdefault(layer, []).append(k)
    return list(layers.values())


def _layers(tangents: _Tangents) -> list[int]:
    """The layer of the first gate of each weight; gates of a layer do not follow one another."""
    circuit = tangents.unrolled.call.circuit
    reached = [0] * circuit.num_qubits
    of_gate = []
    for operation in circuit.gates:
        turns = any(isinstance(p, Symbol) for p in operation.params)
        layer = max((reached[q] for q in operation.qubits), default=0) + turns
        for q in operation.qubits:
            reached[q] = layer
        of_gate.append(layer)
    layers = torch.tensor([of_gate[k] for k, _ in tangents.unrolled.gates])
    used = (tangents.chain != 0).any(0).cpu()  # [angles, weights]
    return [int(layers[row].min()) if row.any() else 0 for row in used.T]


@dataclass(frozen=True)
class _Tangents:
    """Derivatives of the state by the weights.

    Attributes:
        unrolled: the circuit with its angles one by one.
        chain: derivatives of the angles by the weights, real [batch, angles, weights].
        psi: the states, complex [batch, 2**n].
    """

    unrolled: Unrolled
    chain: Tensor
    psi: Tensor

    @classmethod
    def of(cls, unrolled: Unrolled, leaf: Tensor) -> _Tangents:
        """The tangents with respect to `leaf`, [batch, weights]."""
        angles = unrolled.angles
        rows = [
            torch.autograd.grad(
                angles[:, j].sum(), leaf, retain_graph=True, materialize_grads=True
            )[0]
            for j in range(angles.shape[1])
            if angles.requires_grad
        ]
        empty = leaf.new_zeros(len(leaf), angles.shape[1], leaf.shape[1])
        with torch.no_grad():
            psi = unrolled.rows(angles.detach()).state()
        return cls(unrolled, torch.stack(rows, 1) if rows else empty, psi)

    def at(self, weights: list[int]) -> Tensor:
        """|d_k psi> for these weights: complex [batch, weights, 2**n]."""
        n, (batch, size) = self.unrolled.call.circuit.num_qubits, self.psi.shape
        check_states(
            n,
            batch,
            self.psi.itemsize,
            len(weights) + 2,
            " because the metric holds all derivatives",
        )
        chain = self.chain[:, :, weights]
        total = self.psi.new_zeros(batch, len(weights), size)
        for terms, states in self._shifted(chain):
            places = [j for j, _, _ in terms]
            numbers = states.new_tensor([c for _, _, c in terms])
            factors = chain[:, places].to(states) * numbers[:, None]  # [batch, terms, weights]
            total += factors.transpose(1, 2) @ states
        return total

    def _shifted(self, chain: Tensor) -> Iterator[tuple[list[tuple[int, float, complex]], Tensor]]:
        """Terms (angle, shift, coefficient) and their states [batch, terms, 2**n], in chunks."""
        angles = self.unrolled.angles.detach()
        batch, size = self.psi.shape
        operations = self.unrolled.call.circuit.gates
        needed = (chain != 0).any(2).any(0).tolist()
        terms = [
            (j, shift, coefficient)
            for j, (k, param) in enumerate(self.unrolled.gates)
            if needed[j]
            for shift, coefficient in _derivative(operations[k], param)
        ]
        step = max(1, _AT_A_TIME // (size * batch))
        for begin in range(0, len(terms), step):
            chunk = terms[begin : begin + step]
            rows = angles.repeat(len(chunk), 1, 1)
            for row, (j, shift, _) in zip(rows, chunk, strict=True):
                row[:, j] += shift
            with torch.no_grad():
                states = self.unrolled.rows(rows.flatten(0, 1)).state()
            yield chunk, states.unflatten(0, (len(chunk), batch)).transpose(0, 1)


def _derivative(operation: Operation[Gate], param: int) -> tuple[tuple[float, complex], ...]:
    frequencies = np.unique(np.round(operation.gate.unitary.frequencies[:, param], 12))
    return matrix_shifts(tuple(frequencies.tolist()))


@lru_cache(maxsize=1024)
def matrix_shifts(frequencies: tuple[float, ...]) -> tuple[tuple[float, complex], ...]:
    """(shift, coefficient) such that U'(t) = sum coefficient * U(t + shift).

    For a matrix with these frequencies, U(t) = sum_k A_k exp(i w_k t). A rotation needs one shift,
    by pi; others as many as they have frequencies.
    """
    found = np.asarray(frequencies)
    if not found.any():
        return ()
    gap = (found[-1] - found[0]) / max(1, len(found) - 1) or abs(found[0])
    grid = 2 * pi * np.arange(len(found)) / (len(found) * gap)
    for shifts in (np.array([pi / gap]), grid, grid * 0.83, grid * 0.61):
        matrix = np.exp(1j * np.outer(found, shifts))
        coefficients = np.linalg.lstsq(matrix, 1j * found, rcond=None)[0]
        if np.abs(matrix @ coefficients - 1j * found).max() < 1e-9:
            return tuple(zip(shifts.tolist(), coefficients.tolist(), strict=True))
    raise UsageError(
        f"frequencies {list(frequencies)} lie too close together for derivatives by shifts"
    )
