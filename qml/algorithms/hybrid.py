"""Circuits in the places of linear maps: dressed circuits, the LSTM and the transformer of them."""

from __future__ import annotations

from math import pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from qml.nn.ansatz import strongly_entangling
from qml.nn.encoders import rotation_encoder
from qml.nn.model import QuantumLayer
from qsim import Circuit, expval
from qsim.errors import UsageError


def hybrid_circuit(num_qubits: int, layers: int = 1) -> Circuit:
    """RY by an input on every qubit, then strongly entangling layers."""
    return strongly_entangling(rotation_encoder(Circuit(num_qubits), gates=("ry",)), layers)


def angles(x: Tensor) -> Tensor:
    """Any numbers as angles between -pi/2 and pi/2."""
    return torch.tanh(x) * (pi / 2)


class DressedCircuit(nn.Module):
    """A circuit between two linear maps, in place of one (Mari et al., arXiv:1912.08434).

    Args:
        in_features, out_features: as for `nn.Linear`.
        circuit: its inputs get what the first map gives, as angles.
        options: of `qml.nn.model.QuantumLayer`.
    """

    def __init__(
        self, in_features: int, out_features: int, circuit: Circuit, **options: Any
    ) -> None:
        super().__init__()
        self.into = nn.Linear(in_features, circuit.num_inputs)
        self.layer = QuantumLayer(circuit, **options)
        self.out = nn.Linear(len(self.layer.observables), out_features)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in_features] -> [..., out_features]; everything before is one batch."""
        values = self.layer(angles(self.into(x)).flatten(0, -2))
        return self.out(values.reshape(*x.shape[:-1], -1))


class QLSTM(nn.Module):
    """Long short-term memory whose four gates are circuits (Chen et al., arXiv:2009.01783).

    Arguments, shapes and results are those of `nn.LSTM` with one layer. A linear map takes input
    and state to the angles of the circuits, another their expectation values to the gates. The four
    circuits are one with four rows of weights, so that a step of time is one run of all samples.

    Args:
        input_size, hidden_size: features of inputs and states.
        circuit: with inputs; `hybrid_circuit(4)` by default.
        batch_first: whether sequences are [batch, time, features] instead of [time, batch, ...].

    Example:
        >>> output, (h, c) = QLSTM(3, 8)(torch.rand(20, 5, 3))
        >>> output.shape, h.shape
        (torch.Size([20, 5, 8]), torch.Size([1, 5, 8]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        circuit: Circuit | None = None,
        *,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        self.circuit = hybrid_circuit(4) if circuit is None else circuit
        self.input_size, self.hidden_size = input_size, hidden_size
        self.batch_first = batch_first
        self.from_input = nn.Linear(input_size, 4 * self.circuit.num_inputs)
        self.from_state = nn.Linear(hidden_size, 4 * self.circuit.num_inputs, bias=False)
        rows = [QuantumLayer(self.circuit).weights.detach() for _ in range(4)]
        self.weights = nn.Parameter(torch.stack(rows))
        self.to_gates = nn.Linear(self.circuit.num_qubits, hidden_size)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x [time, batch, input_size], state of two [1, batch, hidden_size] -> output, state.

        Raises UsageError for sequences of another shape.
        """
        if x.dim() != 3 or x.shape[2] != self.input_size:
            raise UsageError(
                f"sequences are [time, batch, {self.input_size}], or [batch, time, ...] with "
                f"batch_first=True, not {list(x.shape)}"
            )
        inputs = self.from_input(x.transpose(0, 1) if self.batch_first else x)
        zeros = x.new_zeros(inputs.shape[1], self.hidden_size)
        h, c = (zeros, zeros) if state is None else (part[0] for part in state)
        outputs = []
        for given in inputs:
            forget, enter, update, leave = self._gates(given + self.from_state(h))
            c = forget.sigmoid() * c + enter.sigmoid() * update.tanh()
            h = leave.sigmoid() * c.tanh()
            outputs.append(h)
        output = torch.stack(outputs, 1 if self.batch_first else 0)
        return output, (h[None], c[None])

    def _gates(self, given: Tensor) -> Tensor:
        """[batch, 4 num_inputs] -> [4, batch, hidden_size]."""
        batch = len(given)
        inputs = angles(given).reshape(batch, 4, -1).transpose(0, 1).flatten(0, 1)
        weights = self.weights.repeat_interleave(batch, 0)
        return self.to_gates(expval(self.circuit, None, weights, inputs)).unflatten(0, (4, batch))


class TransformerBlock(nn.Module):
    """A block of a transformer with circuits in place of its linear maps.

    Di Sipio et al., arXiv:2110.06510: queries, keys, values, their combination and the feed-forward
    network are dressed circuits; attention and normalization (before each part) are as usual.

    Args:
        features: of a token; a multiple of `heads`.
        heads: of the attention.
        circuit: of every dressed circuit, `hybrid_circuit(4)` by default; each has its own weights.
        dropout: after attention and feed-forward network.

    Example:
        >>> TransformerBlock(8, heads=2)(torch.rand(5, 10, 8)).shape
        torch.Size([5, 10, 8])
    """

    def __init__(
        self, features: int, heads: int = 1, circuit: Circuit | None = None, dropout: float = 0.0
    ) -> None:
        """Raises UsageError if the heads do not divide the features."""
        super().__init__()
        if heads < 1 or features % heads:
            raise UsageError(f"{heads} heads do not divide {features} features")
        chosen = hybrid_circuit(4) if circuit is None else circuit
        self.heads = heads
        self.query, self.key, self.value, self.combine, self.feed_forward = (
            DressedCircuit(features, features, chosen) for _ in range(5)
        )
        self.before_attention, self.before_feed_forward = (nn.LayerNorm(features) for _ in "ab")
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x [batch, tokens, features] -> the same shape.

        `mask` is that of `torch.nn.functional.scaled_dot_product_attention`.
        """
        y = self.before_attention(x)
        query, key, value = (
            part(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        attended = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        x = x + self.dropout(self.combine(attended.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.feed_forward(self.before_feed_forward(x)))
