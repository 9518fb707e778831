"""Criteria: what a move costs, by formula, finite differences and the compiler."""

from __future__ import annotations

from math import cos, log, pi, sin

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from compile import Device, compile
from qml.data.tasks import Split
from qml.nas.spaces import U3CU3
from qml.nas.supercircuit import SuperCircuit
from qml.nn.encoders import rotation_encoder
from qml.nn.model import Classifier, QuantumLayer, Votes
from qml.noise_aware.devices import on_device
from qml.noise_aware.normalization import Normalization
from qml.pruning import (
    Fisher,
    GatePruner,
    Gradient,
    GradualRounding,
    LossIncrease,
    Objective,
    PruneConfig,
    SuccessGain,
    magnitude,
    prune,
)
from qml.pruning.angles import zeros
from qml.pruning.units import units
from qml.training.checkpoints import Checkpoint
from qml.training.loop import TrainConfig, fit
from qsim import Circuit, PauliString, PauliSum, Weight, expval
from qsim.errors import UsageError

NOTHING = Split(torch.zeros(1, 0), torch.zeros(1))
QUITO = Device.from_name("quito")
SUPER = SuperCircuit(U3CU3, 3, rotation_encoder(Circuit(3), range(3), ("ry",)))


def energy(outputs, _):
    return outputs.mean()


def cosines(*angles):
    """<Z> of each qubit is the cosine of its own angle; the energy is their sum."""
    circuit = Circuit(len(angles))
    for k in range(len(angles)):
        circuit.rx(Weight(k), k)
    strings = [PauliString.from_sparse("Z", [k], len(angles)) for k in range(len(angles))]
    total = PauliSum(strings, [1.0] * len(angles))
    layer = QuantumLayer(circuit, [total], weights=torch.tensor(angles, dtype=torch.float64))
    return Objective(layer, NOTHING, energy)


def classifier(blocks, seed=0):
    generator = torch.Generator().manual_seed(seed)
    model = Classifier(SUPER.dense(SUPER.largest(blocks))[0], 3, generator=generator)
    x = 2 * torch.rand(30, 3, generator=generator)
    return model.double(), Split(x.double(), x.argmax(1))


def each_to_zero(weights):
    return weights.repeat(len(weights), 1) * (1 - torch.eye(len(weights)))


def test_magnitude_is_the_way_to_the_nearest_zero():
    circuit = Circuit(2).rx(Weight(0), 0).crx(Weight(1), 0, 1)
    weights = torch.tensor([2 * pi - 0.25, 2 * pi - 0.25])
    grid = zeros(circuit)
    moved = torch.where(torch.eye(2, dtype=torch.bool), grid.nearest(weights), weights)
    torch.testing.assert_close(magnitude(weights, moved), torch.tensor([0.25, 2 * pi - 0.25]))


def test_costs_of_cosines():
    angles = [0.3, 1.1, 2.0]
    objective = cosines(*angles)
    weights = objective.model.weights.detach()
    moved = each_to_zero(weights)
    linear = torch.tensor([a * sin(a) for a in angles], dtype=torch.float64)
    torch.testing.assert_close(Gradient(objective)(weights, moved), linear)
    exact = torch.tensor([1 - cos(a) for a in angles], dtype=torch.float64)
    torch.testing.assert_close(LossIncrease(objective)(weights, moved), exact)


def test_fisher_is_the_mean_squared_gradient_of_the_samples():
    model, split = classifier(1)
    weights = model.weights.detach()
    squares = torch.zeros_like(weights)
    for k in range(len(split)):
        alone = Split(split.x[k : k + 1], split.y[k : k + 1])
        squares += Objective(model, alone).gradient(weights) ** 2
    objective = Objective(model, split)
    torch.testing.assert_close(objective.fisher(weights), squares / len(split))
    costs = Fisher(objective)(weights, each_to_zero(weights))
    torch.testing.assert_close(costs, squares / len(split) * weights**2 / 2)


def test_derivatives_are_those_of_finite_differences():
    model, split = classifier(1)
    objective = Objective(model, split)
    weights, h = model.weights.detach(), 1e-4
    gradient, curvature = objective.gradient(weights), objective.curvature(weights)
    for k, shift in enumerate(h * torch.eye(len(weights), dtype=torch.float64)):
        ahead, behind = weights + shift, weights - shift
        slope = (objective(ahead) - objective(behind)).item() / (2 * h)
        assert gradient[k].item() == pytest.approx(slope, abs=1e-6)
        bend = (objective.gradient(ahead) - objective.gradient(behind))[k].item() / (2 * h)
        assert curvature[k].item() == pytest.approx(bend, rel=0.05, abs=5e-3)


def test_success_is_bought_where_it_is_cheapest():
    """As much loss for a CRX, which costs two CX, as for an RX, which costs two pulses."""
    circuit = Circuit(3).h(0).ry(Weight(0), 2).crx(Weight(1), 0, 1)
    weights = torch.tensor([0.8, 0.8])
    total = PauliSum({"ZII": 1.0, "IZI": 2.0})  # <Z1> is half one, half the cosine
    objective = Objective(QuantumLayer(circuit, [total], weights=weights), NOTHING, energy)
    layout = [0, 1, 2]
    moved = each_to_zero(weights)
    growth = LossIncrease(objective)(weights, moved)
    assert growth[0].item() == pytest.approx(growth[1].item(), abs=1e-6)

    def success(angles):
        return log(compile(circuit.bind(weights=angles), QUITO, layout=layout).gate_esp)

    gains = torch.tensor([success(row) - success(weights) for row in moved])
    assert gains[1] > 5 * gains[0] > 0
    costs = SuccessGain(objective, QUITO, layout=layout)(weights, moved)
    torch.testing.assert_close(costs, growth / gains)


def test_moves_that_gain_nothing_come_last():
    """One angle of a CU3 less still costs two CX."""
    circuit = Circuit(2).h([0, 1]).cu3(Weight(0), Weight(1), Weight(2), 0, 1).crx(Weight(3), 1, 0)
    weights = torch.tensor([0.8, 0.1, 0.2, 1.5])
    objective = Objective(QuantumLayer(circuit, weights=weights), NOTHING, energy)
    costs = SuccessGain(objective, QUITO)(weights, each_to_zero(weights))
    assert costs.argmin() == 3


def test_units():
    circuit = Circuit(2).ry(Weight(0), 0).u3(Weight(1), Weight(2), 0.3, 1)
    circuit.cu3(*map(Weight, (3, 4, 5)), 0, 1).u2(Weight(6), Weight(7), 0)
    grid = zeros(circuit)
    assert units(circuit, "angle", grid) == [(k,) for k in range(6)]
    assert units(circuit, "gate", grid) == [(0,), (3, 4, 5)]
    assert units(circuit, "entangler", grid) == [(3, 4, 5)]


def test_blocks_are_where_the_layers_start_again():
    config = SUPER.sample(np.random.default_rng(3))
    circuit, _ = SUPER.dense(config)
    found = units(circuit, "block", zeros(circuit))
    assert sorted(k for unit in found for k in unit) == list(range(circuit.num_weights))
    widths = config.layers[: 2 * config.blocks]
    sizes = [3 * (a + b) for a, b in zip(widths[::2], widths[1::2], strict=True)]
    assert config.blocks > 1
    assert [len(unit) for unit in found] == sizes


def test_circuits_without_blocks():
    circuit = Circuit(2).ry(Weight(0), 0).crx(Weight(1), 0, 1)
    with pytest.raises(UsageError, match="layers that repeat, but the circuit has ry, crx"):
        units(circuit, "block", zeros(circuit))


@pytest.mark.parametrize("unit", ["gate", "entangler", "block"])
def test_pruned_gates_leave_the_compiled_circuit(unit):
    model, split = classifier(4)
    split = Split(split.x.float(), split.y)
    model.float()
    before = compile(model.circuit.bind(weights=model.weights.detach()), QUITO, layout=[0, 1, 2])
    criterion = SuccessGain(Objective(model, split), QUITO, layout=[0, 1, 2])
    config = PruneConfig(0.5, unit=unit)
    pruned, _ = prune(
        model, split, split, TrainConfig(4, 0.02), config, seed=0, criterion=criterion
    )
    after = compile(pruned.circuit.bind(weights=pruned.weights.detach()), QUITO, layout=[0, 1, 2])
    assert after.two_qubit_gates < 0.7 * before.two_qubit_gates
    assert after.esp > before.esp
    torch.testing.assert_close(pruned(split.x), model(split.x), atol=1e-5, rtol=0)


def test_an_energy_is_pruned():
    """The gates that the ground state of X0 + Z1 Z2 does not need leave the circuit."""
    terms = PauliSum({"IIX": 1.0, "ZZI": 1.0})
    circuit = Circuit(3).x(2)
    for qubit in range(3):
        circuit.ry(Weight(qubit), qubit)
    circuit.crx(Weight(3), 1, 2).crx(Weight(4), 0, 1)
    layer = QuantumLayer(circuit, [terms], weights=torch.tensor([-1.2, 0.5, 0.4, 0.3, 0.2]))
    criterion = LossIncrease(Objective(layer, NOTHING, energy))
    config = TrainConfig(60, 0.1, weight_decay=0)
    fit(layer, NOTHING, NOTHING, config, seed=0, loss=energy)
    pruned, _ = prune(
        layer, NOTHING, NOTHING, config, PruneConfig(0.8, unit="gate"),
        seed=0, criterion=criterion, loss=energy,
    )  # fmt: skip
    assert pruned.circuit.count_ops() == {"x": 1, "ry": 1}
    value = expval(pruned.circuit, [terms], pruned.weights)
    assert value.item() == pytest.approx(-2, abs=1e-3)


def test_pruning_by_success_goes_on_from_a_checkpoint(tmp_path):
    def run(state=None, callbacks=()):
        model, split = classifier(2)
        criterion = SuccessGain(Objective(model, split), QUITO)
        return prune(
            model, split, split, TrainConfig(5, 0.05), PruneConfig(0.5, unit="gate"),
            seed=0, criterion=criterion, state=state, callbacks=callbacks,
        )[0]  # fmt: skip

    keep = Checkpoint(tmp_path / "pruned.safetensors")

    def stop(state):
        if state.epoch == 2:
            raise KeyboardInterrupt

    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(callbacks=[keep, stop])
    resumed = run(keep.load())
    assert resumed.circuit == whole.circuit
    assert torch.equal(resumed.weights, whole.weights)


def test_pruning_under_noise():
    """Fine-tuned, and asked about, under the noise; the pruned model is run without it."""
    model, split = classifier(2)
    model, split = model.float(), Split(split.x.float(), split.y)
    noisy = on_device(model, QUITO, layout=[0, 1, 2])
    pruned, _ = prune(
        noisy, split, split, TrainConfig(2, 0.05), PruneConfig(0.5, unit="gate"),
        seed=0, criterion=LossIncrease(Objective(noisy, split)),
    )  # fmt: skip
    assert pruned.circuit.num_weights < model.circuit.num_weights
    assert pruned.runner is None
    torch.testing.assert_close(pruned(split.x), model(split.x), atol=1e-5, rtol=0)


def test_asking_a_criterion_changes_no_statistics():
    circuit = SUPER.dense(SUPER.largest(1))[0]
    model = Classifier(circuit, 3, readout=nn.Sequential(Normalization(3), Votes(3, 3)))
    split = Split(torch.rand(20, 3), torch.arange(20) % 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Objective(model, split).fisher(model.weights)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training


def test_nothing_of_the_kind_to_prune():
    circuit = Circuit(2).ry(Weight(0), 0).cx(0, 1)
    with pytest.raises(UsageError, match="no entangler to round"):
        GatePruner(circuit, PruneConfig(unit="entangler"), 1)


def test_weights_that_are_no_numbers():
    circuit = Circuit(1).rx(Weight(0), 0).ry(Weight(1), 0)
    pruner = GatePruner(circuit, PruneConfig(1.0), epochs=1)
    with pytest.raises(UsageError, match="weight 1 is nan"):
        pruner(0, torch.tensor([0.1, float("nan")]), torch.zeros(2, dtype=torch.bool))


def test_costs_that_are_no_numbers():
    circuit = Circuit(1).rx(Weight(0), 0)
    rounding = GradualRounding(
        circuit, zeros(circuit), PruneConfig(1.0, start=1.0), 1, lambda _, moved: moved[:, 0] / 0
    )
    with pytest.raises(UsageError, match="no numbers"):
        rounding(0, torch.ones(1), torch.zeros(1, dtype=torch.bool))


@pytest.mark.parametrize("loss", [cross_entropy, mse_loss])
def test_an_objective_is_the_loss_of_the_model(loss):
    model, split = classifier(1)
    split = split if loss is cross_entropy else Split(split.x, torch.rand(30, 3).double())
    expected = loss(model(split.x), split.y)
    assert Objective(model, split, loss)(model.weights).item() == pytest.approx(expected.item())
