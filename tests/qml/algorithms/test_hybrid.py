"""Dressed circuits, the LSTM and the transformer of them."""

from __future__ import annotations

import pytest
import torch

from qml.algorithms.hybrid import QLSTM, DressedCircuit, TransformerBlock, angles, hybrid_circuit
from qsim import PauliString, expval
from qsim.errors import UsageError


def test_a_dressed_circuit_by_its_parts():
    circuit = hybrid_circuit(3)
    module = DressedCircuit(5, 2, circuit)
    x = torch.randn(4, 7, 5)
    inputs = angles(module.into(x)).reshape(28, 3)
    expected = module.out(expval(circuit, None, module.layer.weights, inputs)).reshape(4, 7, 2)
    torch.testing.assert_close(module(x), expected)


def test_a_dressed_circuit_with_other_observables():
    module = DressedCircuit(5, 2, hybrid_circuit(3), observables=[PauliString("ZZZ")])
    assert module.out.in_features == 1
    assert module(torch.randn(5)[None]).shape == (1, 2)


def cell(module, x, h, c):
    """One step of time as in the equations of Chen et al., a circuit after the other."""
    given = angles(module.from_input(x) + module.from_state(h)).chunk(4, 1)
    forget, enter, update, leave = (
        module.to_gates(expval(module.circuit, None, weights, inputs))
        for weights, inputs in zip(module.weights, given, strict=True)
    )
    c = torch.sigmoid(forget) * c + torch.sigmoid(enter) * torch.tanh(update)
    return torch.sigmoid(leave) * torch.tanh(c), c


def test_lstm_by_its_equations():
    module, x = QLSTM(2, 3), torch.randn(4, 5, 2)
    h = c = torch.zeros(5, 3)
    outputs = []
    for given in x:
        h, c = cell(module, given, h, c)
        outputs.append(h)
    output, (last, memory) = module(x)
    torch.testing.assert_close(output, torch.stack(outputs))
    torch.testing.assert_close(last[0], h)
    torch.testing.assert_close(memory[0], c)


def test_lstm_goes_on_from_a_state():
    module, x = QLSTM(2, 3), torch.randn(6, 5, 2)
    whole, (h, c) = module(x)
    first, state = module(x[:2])
    second, (last, memory) = module(x[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(last, h)
    torch.testing.assert_close(memory, c)


def test_lstm_with_the_batch_first():
    module, other = QLSTM(2, 3, batch_first=True), QLSTM(2, 3)
    other.load_state_dict(module.state_dict())
    x = torch.randn(5, 6, 2)
    torch.testing.assert_close(module(x)[0], other(x.transpose(0, 1))[0].transpose(0, 1))


def test_lstm_gradients():
    module = QLSTM(1, 2, hybrid_circuit(2)).double()
    x = torch.randn(3, 2, 1, dtype=torch.float64, requires_grad=True)
    parameters = dict(module.named_parameters())

    def output(x, *tensors):
        values = dict(zip(parameters, tensors, strict=True))
        return torch.func.functional_call(module, values, (x,))[0]

    assert torch.autograd.gradcheck(output, (x, *parameters.values()))


def test_sequences_of_another_shape():
    with pytest.raises(UsageError, match=r"\[time, batch, 2\]"):
        QLSTM(2, 3)(torch.randn(4, 5, 3))


def test_tokens_without_positions_are_equal():
    """Attention does not know the order of tokens."""
    block, x = TransformerBlock(4, 2, hybrid_circuit(2)), torch.randn(3, 5, 4)
    order = torch.randperm(5)
    torch.testing.assert_close(block(x[:, order]), block(x)[:, order], atol=1e-5, rtol=1e-5)


def test_a_causal_mask_hides_what_follows():
    block, x = TransformerBlock(4, 1, hybrid_circuit(2)), torch.randn(1, 5, 4)
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    changed = x.clone()
    changed[:, 3:] = torch.randn(2, 4)
    torch.testing.assert_close(block(changed, mask)[:, :3], block(x, mask)[:, :3])
    assert not torch.allclose(block(changed)[:, :3], block(x)[:, :3])


def test_transformer_gradients_reach_every_weight():
    block = TransformerBlock(4, 2, hybrid_circuit(2))
    block(torch.randn(2, 3, 4)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in block.parameters())
    assert block.query.layer.weights.grad.abs().max() > 0


def test_heads_that_do_not_divide():
    with pytest.raises(UsageError, match="3 heads do not divide 4"):
        TransformerBlock(4, 3)
