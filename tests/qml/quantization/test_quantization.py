"""Grids, bits and training on grids: by formula, stim, Qiskit's decomposer and the compiler."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qiskit.circuit.library import CXGate
from qiskit.quantum_info import random_unitary
from qiskit.synthesis import TwoQubitBasisDecomposer
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from compile import Device, compile
from qml.data.tasks import Split
from qml.nas.spaces import U3CU3
from qml.nas.supercircuit import SuperCircuit
from qml.nn.encoders import rotation_encoder
from qml.nn.model import Classifier, QuantumLayer
from qml.noise_aware.devices import on_device
from qml.noise_aware.normalization import Normalization
from qml.noise_aware.quantization import Quantization
from qml.plots import plot_accuracy
from qml.pruning import GatePruner, GradualRounding, LossIncrease, Objective, PruneConfig
from qml.quantization import (
    allocate_bits,
    clifford_grid,
    clifford_t_grid,
    compiled_savings,
    pulse_grid,
    quantize,
    straight_through,
    t_count,
    uniform_grid,
)
from qml.quantization.costs import is_clifford, pulses
from qml.quantization.grids import clifford_step
from qml.training.checkpoints import Checkpoint
from qml.training.loop import TrainConfig, evaluate, fit
from qsim import GATES, Circuit, PauliString, PauliSum, Weight, expval
from qsim.errors import UsageError
from qsim.families import pauli_rotation
from qsim.gates import controlled

QUITO = Device.from_name("quito")
SUPER = SuperCircuit(U3CU3, 3, rotation_encoder(Circuit(3), range(3), ("ry",)))
NOTHING = Split(torch.zeros(1, 0), torch.zeros(1))
SMALL = [g for g in GATES.values() if g.num_params > 0 and g.num_qubits < 3 and g.name != "cu2"]


def circuit_of(gate):
    return Circuit(gate.num_qubits).append(
        gate, range(gate.num_qubits), [Weight(k) for k in range(gate.num_params)]
    )


def task(count=60, seed=0):
    x = 2 * torch.rand(count, 3, generator=torch.Generator().manual_seed(seed))
    return Split(x, x.argmax(1))


def trained(blocks=2, epochs=10):
    model = Classifier(
        SUPER.dense(SUPER.largest(blocks))[0], 3, generator=torch.Generator().manual_seed(1)
    )
    fit(model, task(), task(), TrainConfig(epochs, 0.1), seed=0)
    return model


# --- Grids ----------------------------------------------------------------------------------------


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=2), st.integers(1, 8))
def test_a_uniform_grid_has_two_to_the_bits_angles_in_a_period(angles, bits):
    circuit = Circuit(2).rx(Weight(0), 0).crx(Weight(1), 0, 1)
    weights = torch.tensor(angles, dtype=torch.float64)
    rounded = uniform_grid(circuit, bits).nearest(weights)
    steps = torch.tensor([2 * pi, 4 * pi], dtype=torch.float64) / 2**bits
    turns = rounded / steps
    torch.testing.assert_close(turns, turns.round())
    assert ((rounded - weights).abs() <= steps / 2 + 1e-9).all()


def test_every_weight_may_have_bits_of_its_own():
    circuit = Circuit(1).rx(Weight(0), 0).ry(Weight(1), 0).rz(Weight(2), 0)
    rounded = uniform_grid(circuit, [0, 1, 3]).nearest(torch.tensor([2.0, 2.0, 2.0]))
    torch.testing.assert_close(rounded, torch.tensor([0, pi, 3 * pi / 4]))


@pytest.mark.parametrize("bits", [0, 17, 2.5, True, [1], [1, -1], "4"])
def test_bits_that_do_not_exist(bits):
    circuit = Circuit(1).rx(Weight(0), 0).ry(Weight(1), 0)
    with pytest.raises(UsageError, match="1 to 16 bits"):
        uniform_grid(circuit, bits)


@pytest.mark.parametrize("gate", SMALL, ids=str)
def test_gates_on_the_clifford_grid_are_clifford_and_finer_ones_are_not(gate):
    pytest.importorskip("stim")
    circuit = circuit_of(gate)
    grid = clifford_grid(circuit)
    everywhere = [PauliString("XYZ"[k] * gate.num_qubits) for k in range(3)]
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        weights = grid.nearest(20 * torch.rand(gate.num_params, generator=generator).double())
        expval(circuit, everywhere, weights, engine="stim")
    if clifford_step(gate) > pi / 2:
        choices = np.array(np.meshgrid(*[[0, 1, 2, 3]] * gate.num_params)).reshape(
            gate.num_params, -1
        )
        assert not all(is_clifford(gate.unitary.at(*(k * pi / 2))) for k in choices.T)


def test_a_trained_clifford_circuit_runs_on_stim():
    """The grid reaches the ground state of a stabilizer Hamiltonian: a GHZ state."""
    pytest.importorskip("stim")
    circuit = Circuit(3)
    for k in range(3):
        circuit.u3(*[Weight(3 * k + j) for j in range(3)], k)
    for k in range(2):
        circuit.crx(Weight(9 + 2 * k), k, k + 1).rz(Weight(10 + 2 * k), k)
    terms = [PauliString("XXX"), PauliString("ZZI"), PauliString("IZZ")]
    start = torch.tensor([1.3, 0.4, 0.3, 0.2, 0.1, 0.1, 0.2, 0.1, 0.2, 2.5, 1.4, 2.6, 1.5])
    layer = QuantumLayer(circuit, [PauliSum(terms, [-1.0, -1.0, -1.0])], weights=start)
    with straight_through(layer, clifford_grid(circuit)):
        fit(
            layer, NOTHING, NOTHING, TrainConfig(150, 0.1, weight_decay=0, patience=100),
            seed=0, loss=lambda values, _: values.mean(),
        )  # fmt: skip
    bound = circuit.bind(weights=layer.weights.detach())
    values = expval(bound, terms, engine="stim")
    torch.testing.assert_close(values, expval(bound, terms).to(values), atol=1e-5, rtol=0)
    assert values.tolist() == [1, 1, 1]


def test_gates_that_are_clifford_nowhere():
    circuit = Circuit(2).cu2(Weight(0), Weight(1), 0, 1)
    with pytest.raises(UsageError, match="cu2 is not Clifford"):
        clifford_grid(circuit)


def test_gates_that_are_too_wide():
    with pytest.raises(UsageError, match="acts on 6 qubits"):
        clifford_grid(Circuit(6).append(controlled("rx", 5), range(6), [Weight(0)]))
    with pytest.raises(UsageError, match="one or two qubits"):
        pulse_grid(Circuit(3).append(pauli_rotation("XYZ"), range(3), [Weight(0)]))


def test_the_pulse_grid_leaves_changes_of_frame_free():
    circuit = Circuit(2).u3(*map(Weight, range(3)), 0).rz(Weight(3), 1).rx(Weight(4), 1)
    circuit.cu3(*map(Weight, range(5, 8)), 0, 1).rzz(Weight(8), 0, 1).cp(Weight(9), 0, 1)
    steps = pulse_grid(circuit).steps / pi
    assert steps.tolist() == [0.5, 0, 0, 0, 0.5, 1, 1, 1, 0.5, 1]


@pytest.mark.parametrize("gate", [g for g in SMALL if g.name != "globalphase"], ids=str)
def test_gates_on_the_pulse_grid_compile_to_that_many_pulses(gate):
    """Alone on the device, with whatever the free angles are."""
    circuit = circuit_of(gate)
    grid = pulse_grid(circuit)
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        weights = grid.nearest(20 * torch.rand(gate.num_params, generator=generator).double())
        bound = circuit.bind(weights=weights)
        compiled = compile(bound, QUITO, layout=list(range(gate.num_qubits)))
        cost = pulses(gate.unitary.at(*weights.tolist()))
        if gate.num_qubits == 1:
            assert compiled.one_qubit_gates == cost <= 1
        else:
            assert compiled.two_qubit_gates == cost


@pytest.mark.parametrize("gates", range(4))
def test_cx_counts_are_qiskits(gates):
    decomposer = TwoQubitBasisDecomposer(CXGate())
    for seed in range(10):
        rng = np.random.default_rng(seed)
        matrix = random_unitary(4, seed=seed).data
        if gates < 3:
            matrix = np.kron(random_unitary(2, seed=rng).data, random_unitary(2, seed=rng).data)
            for _ in range(gates):
                turn = np.kron(random_unitary(2, seed=rng).data, random_unitary(2, seed=rng).data)
                matrix = turn @ CXGate().to_matrix() @ matrix
        assert pulses(matrix) == decomposer.num_basis_gates(matrix) == gates


# --- T gates --------------------------------------------------------------------------------------


def test_t_gates_are_counted():
    circuit = Circuit(2).t(0).rz(-3 * pi / 4, 1).rx(pi / 2, 0).s(1).cx(0, 1).tdg(1)
    assert t_count(circuit) == 3
    assert t_count(Circuit(2).crz(pi / 2, 0, 1)) == 2
    assert t_count(Circuit(3).ccx(0, 1, 2)) == 7


def test_t_gates_of_a_quantized_circuit():
    model = trained(epochs=1)
    bound = [
        model.circuit.bind(weights=quantize(model, grid(model.circuit)).weights.detach())
        for grid in (clifford_grid, clifford_t_grid)
    ]
    assert t_count(bound[0]) == 0 < t_count(bound[1])


def test_angles_that_take_no_t_gates():
    with pytest.raises(UsageError, match=r"turns by 0\.3"):
        t_count(Circuit(1).rz(0.3, 0))
    with pytest.raises(UsageError, match="weights bound"):
        t_count(Circuit(1).rz(Weight(0), 0))


# --- Models ---------------------------------------------------------------------------------------


def test_quantize_leaves_the_model_as_it_is():
    model = trained(epochs=1)
    before = model.weights.detach().clone()
    grid = uniform_grid(model.circuit, 4)
    quantized = quantize(model, grid)
    assert torch.equal(model.weights, before)
    assert torch.equal(quantized.weights, grid.nearest(before))
    assert not torch.equal(quantized.weights, before)
    assert quantized.circuit == model.circuit
    fine = quantize(model, uniform_grid(model.circuit, 16))
    torch.testing.assert_close(fine(task().x), model(task().x), atol=1e-3, rtol=0)


def test_gradients_pass_the_rounding():
    circuit = Circuit(1).ry(Weight(0), 0)
    layer = QuantumLayer(circuit, weights=torch.tensor([0.5]))
    with straight_through(layer, uniform_grid(circuit, 2)):
        assert layer.weights.item() == 0
        layer.parametrizations.weights.original.data.fill_(1.0)
        assert layer.weights.item() == pytest.approx(pi / 2)
        layer().sum().backward()
        gradient = layer.parametrizations.weights.original.grad
    assert gradient.item() == pytest.approx(-1)  # of the cosine at pi / 2, not at 1
    assert layer.weights.item() == pytest.approx(pi / 2)
    assert not is_parametrized(layer)


def test_training_on_the_grid_beats_rounding_afterwards():
    model = trained(epochs=20)
    grid = uniform_grid(model.circuit, 3)
    rounded = evaluate(quantize(model, grid), task()).loss
    with straight_through(model, grid):
        fit(model, task(), task(), TrainConfig(20, 0.05, patience=20), seed=0)
    assert torch.equal(model.weights, grid.nearest(model.weights))
    assert evaluate(model, task()).loss < rounded


def test_training_on_the_grid_goes_on_from_a_checkpoint(tmp_path):
    def run(epochs, state=None, callbacks=()):
        model = trained(epochs=2)
        with straight_through(model, uniform_grid(model.circuit, 3)):
            fit(
                model, task(), task(), TrainConfig(6, 0.05),
                seed=0, state=state, callbacks=callbacks,
            )  # fmt: skip
        return model.weights

    keep = Checkpoint(tmp_path / "quantized.safetensors")

    class Killed(Exception):
        pass

    def kill(state):
        if state.epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        run(6, callbacks=[keep, kill])
    assert torch.equal(run(6, state=keep.load()), run(6))


def test_mistakes_on_grids():
    model = trained(epochs=1)
    other = uniform_grid(Circuit(1).rx(Weight(0), 0), 4)
    with pytest.raises(UsageError, match="grid is of 1 weights, but the model has 36"):
        quantize(model, other)
    grid = uniform_grid(model.circuit, 4)
    pruner = GatePruner(model.circuit, PruneConfig(), 1)
    with straight_through(model, grid):
        with pytest.raises(UsageError, match="on a grid already"), straight_through(model, grid):
            pass
        with pytest.raises(UsageError, match="prune first"):
            fit(model, task(), task(), TrainConfig(1), seed=0, pruner=pruner)
    with torch.no_grad():
        model.weights[2] = float("nan")
    with pytest.raises(UsageError, match="weight 2 is nan"):
        quantize(model, grid)


@pytest.mark.parametrize("grid", [clifford_grid, clifford_t_grid, pulse_grid])
def test_circuits_whose_weights_are_no_plain_angles(grid):
    with pytest.raises(UsageError, match="quantization needs weights as plain angles"):
        grid(Circuit(1).rx(2 * Weight(0), 0))
    with pytest.raises(UsageError, match="weight 0 turns several"):
        grid(Circuit(1).rx(Weight(0), 0).ry(Weight(0), 0))


# --- Mixed precision ------------------------------------------------------------------------------


def test_bits_go_where_the_loss_is_sensitive():
    """By brute force: no other bits of the same sum give a smaller estimated error."""
    circuit = Circuit(3)
    for k in range(3):
        circuit.ry(Weight(k), k)
    terms = [PauliString.from_sparse("Z", [k], 3) for k in range(3)]
    observable = PauliSum(terms, [1.0, 30.0, 0.0])
    layer = QuantumLayer(circuit, [observable], weights=torch.full((3,), pi))
    objective = Objective(layer, NOTHING, lambda values, _: values.mean())
    bits = allocate_bits(objective, 2, most=6)
    errors = torch.tensor([1.0, 30.0, 0.0]) * (2 * pi) ** 2 / 24
    best = min(
        ((errors * 4.0 ** -torch.tensor([a, b, 6 - a - b])).sum().item(), (a, b, 6 - a - b))
        for a in range(7)
        for b in range(7 - a)
    )
    assert tuple(bits.tolist()) == best[1]


def test_bits_keep_to_their_budget_and_their_limit():
    model = trained(epochs=2)
    for mean in (0, 1.5, 3, 4):
        bits = allocate_bits(Objective(model, task()), mean, most=4)
        assert bits.sum() == int(mean * len(bits))
        assert bits.max() <= 4
    with pytest.raises(UsageError, match="from 0 to 4, not 5"):
        allocate_bits(Objective(model, task()), 5, most=4)


# --- On the device --------------------------------------------------------------------------------


def test_gradual_rounding_holds_what_costs_least():
    model = trained(epochs=5)
    grid = pulse_grid(model.circuit)
    criterion = LossIncrease(Objective(model, task()))
    rounding = GradualRounding(model.circuit, grid, PruneConfig(0.5, unit="gate"), 6, criterion)
    state = fit(model, task(), task(), TrainConfig(6, 0.05), seed=0, pruner=rounding)
    frozen = state.tensors["frozen"]
    held = [unit for unit in rounding.units if frozen[list(unit)].all()]
    assert len(held) == len(rounding.units) // 2
    weights = model.weights.detach()
    torch.testing.assert_close(weights[frozen], grid.nearest(weights)[frozen])


def test_savings_count_compiled_gates():
    model = trained(epochs=5)
    rounded = quantize(model, pulse_grid(model.circuit))
    savings = compiled_savings({"trained": model, "pulses": rounded}, QUITO, task())
    before, after = savings.rows.values()
    assert after.two_qubit_gates < before.two_qubit_gates
    assert after.one_qubit_gates < before.one_qubit_gates
    assert after.esp > before.esp
    assert before.accuracy == evaluate(model, task()).accuracy
    layout = compile(model.circuit.bind(weights=model.weights.detach()), QUITO).initial_layout
    alone = compile(rounded.circuit.bind(weights=rounded.weights.detach()), QUITO, layout=layout)
    assert (after.two_qubit_gates, after.esp) == (alone.two_qubit_gates, alone.esp)
    assert set(savings.to_json()["pulses"]) == set(after._fields)
    assert str(savings).count("\n") == 2
    plot_accuracy(savings.accuracies, len(task()))


def test_savings_are_those_of_the_device_run_model():
    """The same as running the compiled circuit with open weights under noise, and without."""
    model = trained(epochs=3)
    split = task(200)
    noisy_model = on_device(model, QUITO, layout=[0, 1, 2])
    (row,) = compiled_savings({"it": noisy_model}, QUITO, split, layout=[0, 1, 2]).rows.values()
    assert row.accuracy == evaluate(model, split).accuracy
    # Open weights take a few pulses more.
    assert row.noisy_accuracy == pytest.approx(evaluate(noisy_model, split).accuracy, abs=0.03)
    rough = quantize(noisy_model, uniform_grid(model.circuit, 4))
    assert rough.runner is noisy_model.runner


def test_quantize_leaves_a_trained_readout_alone():
    readout = nn.Sequential(Normalization(3), Quantization(5), nn.Linear(3, 3))
    model = Classifier(SUPER.dense(SUPER.largest(1))[0], 3, readout=readout)
    model(task().x).sum().backward()  # the quantization now holds a loss with its graph
    rounded = quantize(model, uniform_grid(model.circuit, 4))
    fit(rounded, task(), task(), TrainConfig(1), seed=0)
    assert not torch.equal(rounded.readout[2].weight, model.readout[2].weight)


def test_savings_are_of_classifiers():
    split = Split(task().x, torch.rand(60))
    with pytest.raises(UsageError, match=r"targets are of torch\.float32"):
        compiled_savings({"trained": trained(epochs=1)}, QUITO, split)
