"""Pruning: periods, units, the schedule, and circuits that keep their function."""

from __future__ import annotations

from math import pi

import pytest
import torch

from qml.data.tasks import Split
from qml.nas.spaces import U3CU3
from qml.nas.supercircuit import SuperCircuit
from qml.nn.encoders import rotation_encoder
from qml.nn.model import Classifier
from qml.pruning import GatePruner, PruneConfig, prune, simplify
from qml.pruning.angles import period, prunable, wrap, zeros
from qml.pruning.simplification import SIMPLER
from qml.training.loop import TrainConfig
from qsim import GATES, Circuit, Input, Weight, expval, state
from qsim.errors import UsageError

TURNS = [
    (gate, k)
    for gate in GATES.values()
    for k in range(gate.num_params)
    if gate.name != "globalphase"  # which only changes the phase, by any angle
]
PRUNABLE = [gate for gate in GATES.values() if prunable(gate)]
SUPER = SuperCircuit(U3CU3, 3, rotation_encoder(Circuit(3), range(6), ("ry", "rz")))


def states_agree(a, b):
    return abs(torch.vdot(a, b)).item() == pytest.approx(1, abs=1e-12)


def scrambled(gate, angles):
    """The state after the gate on qubits that are in a generic state before."""
    circuit = Circuit(gate.num_qubits)
    for qubit in range(gate.num_qubits):
        circuit.u3(0.7 + qubit, 0.3, 0.9 - qubit, qubit)
    circuit.append(gate, range(gate.num_qubits), angles)
    return state(circuit, dtype=torch.complex128)


@pytest.mark.parametrize(("gate", "param"), TURNS, ids=lambda value: str(value))
def test_period_is_a_period_and_the_smallest(gate, param):
    angles = [0.4, 1.1, -0.6, 0.8][: gate.num_params]
    length = period(gate, param)

    def moved(by):
        return scrambled(gate, [a + by * (k == param) for k, a in enumerate(angles)])

    assert states_agree(moved(0), moved(length))
    assert states_agree(moved(0), moved(-3 * length))
    assert not states_agree(moved(0), moved(length / 2))


def test_periods_of_plain_and_controlled_gates():
    expected = {"rx": [2], "p": [2], "u3": [2, 2, 2], "crz": [4], "cp": [2], "cu3": [4, 2, 2]}
    for name, periods in expected.items():
        gate = GATES[name]
        assert [period(gate, k) / pi for k in range(gate.num_params)] == periods, name


def test_wrap():
    angles = torch.tensor([0.1, 6.3, -6.3, 6.3, 12.6, 3.0])
    periods = pi * torch.tensor([2.0, 2, 2, 4, 4, 2])
    expected = torch.tensor([0.1, 6.3 - 2 * pi, 2 * pi - 6.3, 6.3 - 4 * pi, 12.6 - 4 * pi, 3.0])
    torch.testing.assert_close(wrap(angles, periods), expected)


def test_wrapped_circuits_are_equal():
    circuit = SUPER.full()
    weights = 20 * torch.randn(circuit.num_weights, dtype=torch.float64)
    wrapped = zeros(circuit).wrapped(weights)
    assert wrapped.abs().max() <= 2 * pi
    x = torch.rand(6, dtype=torch.float64)
    assert states_agree(state(circuit, weights, x), state(circuit, wrapped, x))


def test_prunable_gates_are_identities_at_zero():
    names = {gate.name for gate in PRUNABLE}
    assert {"rx", "ry", "rz", "p", "u3", "crx", "cu3", "cp", "cu", "rzz"} <= names
    assert not {"u2", "h", "cx", "i"} & names


@pytest.mark.parametrize("gate", PRUNABLE, ids=str)
def test_every_choice_of_zeros_keeps_the_function(gate):
    """All subsets of angles of every gate: simplify gives the same state."""
    count = gate.num_params
    weights = torch.tensor([0.4, 1.1, -0.6, 0.8], dtype=torch.float64)[:count]
    for subset in range(1, 2**count):
        frozen = torch.tensor([bool(subset >> k & 1) for k in range(count)])
        circuit = Circuit(gate.num_qubits)
        for qubit in range(gate.num_qubits):
            circuit.u3(0.7 + qubit, 0.3, 0.9 - qubit, qubit)
        circuit.append(gate, range(gate.num_qubits), [Weight(k) for k in range(count)])
        simpler, left = simplify(circuit, weights, frozen)
        before = state(circuit, torch.where(frozen, 0, weights))
        after = state(simpler, left, dtype=torch.complex128)
        assert states_agree(before, after), simpler
        assert len(left) == simpler.num_weights <= count - frozen.sum()
        assert (len(simpler) == gate.num_qubits) == bool(frozen.all())


def test_cheaper_gates():
    circuit = Circuit(2)
    for block in range(4):
        circuit.u3(*[Weight(6 * block + k) for k in range(3)], 0)
        circuit.cu3(*[Weight(6 * block + 3 + k) for k in range(3)], 0, 1)
    zero = {0, 3, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17}  # theta; phi and lam; all; then none
    frozen = torch.tensor([index in zero for index in range(24)])
    weights = torch.arange(1.0, 25)
    simpler, left = simplify(circuit, weights, frozen)
    assert [op.gate.name for op in simpler.operations] == ["p", "cp", "ry", "cry", "u3", "cu3"]
    assert left.tolist() == [2 + 3, 5 + 6, 7, 10, *range(19, 25)]
    assert [p.index for op in simpler.operations for p in op.params] == list(range(10))


def test_rules_only_name_what_exists():
    for name, rules in SIMPLER.items():
        for rule in rules:
            assert GATES[rule.gate].num_params == len(rule.sums)
            mentioned = {*rule.zero, *(k for group in rule.sums for k in group)}
            assert mentioned == set(range(GATES[name].num_params))


def test_inputs_and_constants_are_kept():
    circuit = Circuit(2, num_inputs=3).rx(Input(0), 0).u3(Weight(0), Input(1), 0.0, 1).ry(0.2, 1)
    circuit.u3(Weight(1), Input(1), 0.5, 0)
    simpler, left = simplify(circuit, torch.tensor([0.3, 0.4]), torch.tensor([True, True]))
    assert [str(op) for op in simpler.operations] == [
        "rx(x[0]) 0",
        "p(x[1]) 1",
        "ry(0.2) 1",
        "u3(0, x[1], 0.5) 0",
    ]
    assert (len(left), simpler.num_inputs) == (0, 3)


def test_schedule():
    config = PruneConfig(target=0.5, start=0.1, ramp=0.5)
    fractions = [config.fraction(epoch, 20) for epoch in range(20)]
    assert fractions[0] == pytest.approx(0.1)
    assert fractions[5] == pytest.approx(0.5 - 0.4 / 8)
    assert fractions[10:] == [0.5] * 10
    assert fractions == sorted(fractions)
    assert PruneConfig(target=0.02).fraction(0, 10) == 0.02


def test_smallest_angles_modulo_their_period_go_first():
    circuit = Circuit(2).rx(Weight(0), 0).crx(Weight(1), 0, 1).rz(Weight(2), 1).crx(Weight(3), 1, 0)
    circuit.u2(Weight(4), Weight(5), 0)  # never the identity
    weights = torch.tensor([2 * pi + 0.2, 2 * pi + 0.1, 0.5, 4 * pi - 0.3, 0.01, 0.01])
    order = []
    for target in (0.25, 0.5, 0.75, 1.0):
        pruner = GatePruner(circuit, PruneConfig(target, ramp=0.1), epochs=10)
        frozen = pruner(9, weights.clone(), torch.zeros(6, dtype=torch.bool))
        order.append(frozen.nonzero().flatten().tolist())
    assert order == [[0], [0, 3], [0, 2, 3], [0, 1, 2, 3]]


def test_angles_that_only_count_by_their_sum_become_one_candidate():
    circuit = Circuit(1).u3(Weight(0), Weight(1), Weight(2), 0).rx(Weight(3), 0)
    weights = torch.tensor([0.1, 1.5, -1.3, 0.4])
    masks = []
    frozen = torch.zeros(4, dtype=torch.bool)
    for target in (0.25, 0.75):
        pruner = GatePruner(circuit, PruneConfig(target, ramp=0.1), epochs=10)
        frozen = pruner(9, weights, frozen)
        masks.append(frozen.tolist())
        if target == 0.25:
            torch.testing.assert_close(weights, torch.tensor([0.0, 0.2, 0.0, 0.4]))
    # phi + lam = 0.2 is smaller than 0.4, phi and lam alone are not.
    assert masks == [[True, False, True, False], [True, True, True, False]]


def test_entanglers_go_as_a_whole():
    circuit = SUPER.dense(SUPER.largest(2))[0]
    weights = torch.ones(circuit.num_weights)
    weights[12:15] = torch.tensor([4 * pi + 0.5, 0.5, 2 * pi])  # second CU3 of the first block
    pruner = GatePruner(circuit, PruneConfig(1 / 6, "entangler", ramp=0.1), epochs=10)
    frozen = pruner(9, weights, torch.zeros_like(weights, dtype=torch.bool))
    assert frozen.nonzero().flatten().tolist() == [12, 13, 14]
    assert weights[12:15].abs().max() == 0
    simpler, left = simplify(circuit, weights, frozen)
    assert simpler.count_ops()["cu3"] == 5
    assert len(left) == 33


def small_task(count, seed):
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 3
    return Split(0.3 * torch.randn(count, 6, generator=generator) + 0.8 * y[:, None], y)


@pytest.mark.parametrize("unit", ["angle", "entangler"])
def test_prune_removes_gates_and_keeps_the_function(unit):
    train, valid = small_task(48, 0), small_task(24, 1)
    model = Classifier(SUPER.dense(SUPER.largest(2))[0], 3)
    before = model.circuit.count_ops()
    config = TrainConfig(epochs=8, lr=0.05, batch_size=16)
    pruned, end = prune(model, train, valid, config, PruneConfig(target=0.6, unit=unit), seed=0)
    assert end.epoch == 8
    torch.testing.assert_close(pruned(valid.x), model(valid.x), atol=1e-5, rtol=0)
    assert pruned.logit_scale == model.logit_scale
    units = 36 if unit == "angle" else 6
    gone = end.tensors["frozen"].sum().item()
    assert gone >= round(0.6 * units) * (1 if unit == "angle" else 3)
    assert pruned.circuit.num_weights == len(pruned.weights) <= model.circuit.num_weights - gone
    assert pruned.circuit.count_ops().get("cu3", 0) <= (5 if unit == "angle" else 2)
    assert before["cu3"] == 6


def test_nothing_to_prune():
    train = small_task(24, 0)
    model = Classifier(SUPER.dense(SUPER.largest(1))[0], 3)
    config = TrainConfig(epochs=1)
    pruned, _ = prune(model, train, train, config, PruneConfig(target=0.0), seed=0)
    assert pruned.circuit == model.circuit
    assert torch.equal(pruned.weights, model.weights)


def test_pruned_expectation_values_can_be_differentiated():
    circuit = SUPER.dense(SUPER.largest(1))[0]
    weights = torch.randn(circuit.num_weights, dtype=torch.float64)
    frozen = torch.arange(circuit.num_weights) % 3 == 0  # every theta
    simpler, left = simplify(circuit, weights, frozen)
    assert simpler.count_ops() == {"p": 3, "cp": 3, "ry": 3, "rz": 3}
    left.requires_grad_()
    expval(simpler, weights=left, inputs=torch.rand(2, 6, dtype=torch.float64)).sum().backward()
    assert left.grad.shape == (6,)


def test_weights_that_turn_several_gates():
    circuit = Circuit(1).rx(Weight(0), 0).ry(Weight(0), 0)
    with pytest.raises(UsageError, match="weight 0 turns several"):
        GatePruner(circuit, PruneConfig(), epochs=1)


@pytest.mark.parametrize("angle", [2 * Weight(0), Weight(0) * Input(0)], ids=str)
def test_weights_that_are_not_plain_angles(angle):
    circuit = Circuit(1).rx(angle, 0)
    with pytest.raises(UsageError, match="plain angles"):
        simplify(circuit, torch.zeros(1), torch.zeros(1, dtype=torch.bool))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": 1.5}, "from 0 to 1, not"),
        ({"target": float("nan")}, "from 0 to 1, not"),
        ({"ramp": -1}, "from 0 to 1, not"),
        ({"unit": "layer"}, "not 'layer'"),
    ],
)
def test_settings_that_do_not_exist(settings, message):
    with pytest.raises(UsageError, match=message):
        PruneConfig(**settings)
