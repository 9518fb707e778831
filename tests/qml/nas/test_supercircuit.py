"""Design spaces and SuperCircuit: sampling, sub-circuits, inherited weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qml.nas.spaces import U3CU3, DesignSpace
from qml.nas.supercircuit import Shrinking, SubConfig, SuperCircuit
from qml.nn.encoders import rotation_encoder
from qml.nn.layers import Layer
from qsim import Circuit, Weight, expval
from qsim.errors import UsageError


@pytest.fixture
def supercircuit():
    return SuperCircuit(U3CU3, 4, rotation_encoder(Circuit(4), range(16)))


def test_u3cu3_space(supercircuit):
    assert supercircuit.sizes == (4,) * 16
    assert supercircuit.num_weights == 8 * (4 + 4) * 3
    full = supercircuit.full()
    assert full.count_ops() == {"u3": 32, "cu3": 32, "rx": 8, "ry": 4, "rz": 4}
    assert (full.num_weights, full.num_inputs) == (192, 16)
    assert Layer("cu3", "ring").sites(4) == ((0, 1), (1, 2), (2, 3), (3, 0))


def test_front_gates_and_first_blocks(supercircuit):
    config = SubConfig((2, 1, 3, 4, *[1] * 12), 2)
    circuit = supercircuit.subcircuit(config)
    gates = [(op.gate.name, op.qubits, op.params[0].index) for op in circuit.operations[16:]]
    assert gates == [
        ("u3", (0,), 0),
        ("u3", (1,), 3),
        ("cu3", (0, 1), 12),
        ("u3", (0,), 24),
        ("u3", (1,), 27),
        ("u3", (2,), 30),
        *(("cu3", (q, (q + 1) % 4), 36 + 3 * q) for q in range(4)),
    ]
    assert circuit.num_weights == 192


def test_dense_circuit_inherits_the_function(supercircuit):
    rng = np.random.default_rng(0)
    shared = torch.randn(supercircuit.num_weights, dtype=torch.float64)
    x = torch.rand(3, 16, dtype=torch.float64)
    for _ in range(5):
        config = supercircuit.sample(rng)
        circuit, index = supercircuit.dense(config)
        assert circuit.num_weights == len(index) == len(set(index.tolist()))
        inherited = expval(circuit, weights=shared[index], inputs=x)
        shared_values = expval(supercircuit.subcircuit(config), weights=shared, inputs=x)
        torch.testing.assert_close(inherited, shared_values, rtol=0, atol=1e-12)


def test_largest_is_full(supercircuit):
    assert supercircuit.subcircuit(supercircuit.largest()) == supercircuit.full()
    assert supercircuit.dense(supercircuit.largest(2))[0].num_weights == 48


def test_samples_stay_in_the_space_and_reach_its_ends(supercircuit):
    rng = np.random.default_rng(1)
    configs = [supercircuit.sample(rng) for _ in range(300)]
    layers = np.array([config.layers for config in configs])
    assert (layers.min(0) == 1).all()
    assert (layers.max(0) == 4).all()
    assert {config.blocks for config in configs} == set(range(1, 9))
    assert all(isinstance(choice, int) for choice in configs[0].choices)


def test_restricted_sampling_changes_few_choices(supercircuit):
    rng = np.random.default_rng(2)
    config = supercircuit.sample(rng)
    changes = []
    for _ in range(200):
        following = supercircuit.sample(rng, config, max_changes=7)
        pairs = zip(config.choices, following.choices, strict=True)
        changes.append(sum(a != b for a, b in pairs))
        config = following
    assert max(changes) == 7
    free = supercircuit.sample(np.random.default_rng(3), config, max_changes=17)
    assert free == supercircuit.sample(np.random.default_rng(3))


def test_sampling_is_determined_by_the_generator(supercircuit):
    first, again = (
        [supercircuit.sample(rng) for _ in range(4)]
        for rng in (np.random.default_rng(4), np.random.default_rng(4))
    )
    assert first == again


def test_sampler_chains_its_choices(supercircuit):
    draw = supercircuit.sampler(max_changes=1)
    rng = np.random.default_rng(5)
    circuit, (*choices, step) = draw(rng, None)
    assert circuit == supercircuit.subcircuit(SubConfig.from_choices(choices))
    assert step == 1
    _, (*following, step) = draw(rng, (*choices, step))
    assert sum(a != b for a, b in zip(choices, following, strict=True)) <= 1
    assert step == 2


def test_progressive_shrinking_goes_from_the_full_circuit_to_all(supercircuit):
    schedule = Shrinking(steps=40, stages=4)
    assert [schedule.least(step) for step in (0, 9, 10, 20, 30, 99)] == pytest.approx(
        [1, 1, 2 / 3, 1 / 3, 0, 0]
    )
    draw, rng = supercircuit.sampler(max_changes=99, shrinking=schedule), np.random.default_rng(6)
    choices, drawn = None, []
    for _ in range(200):
        _, choices = draw(rng, choices)
        drawn.append(choices[:-1])
    assert set(drawn[:10]) == {supercircuit.largest().choices}
    assert min(map(min, drawn[10:20])) == 3  # of 4 gates in a layer
    assert min(choices[-1] for choices in drawn[10:20]) >= 6  # of 8 blocks
    assert min(map(min, drawn[30:])) == 1


def test_shrinking_goes_on_where_training_was_interrupted(supercircuit):
    draw = supercircuit.sampler(shrinking=Shrinking(steps=4, stages=2))
    full = supercircuit.largest().choices
    _, choices = draw(np.random.default_rng(7), (*full, 1))
    assert choices == (*full, 2)
    _, choices = draw(np.random.default_rng(7), choices)
    assert choices[:-1] != full


def any_supercircuit(blocks=2):
    return SuperCircuit(replace(U3CU3, blocks=blocks, keep="any"), 4)


def test_any_gates_of_a_layer():
    supercircuit = any_supercircuit()
    circuit = supercircuit.subcircuit(SubConfig((0b1010, 0b0001, 0b1111, 0b1000), 1))
    gates = [(op.gate.name, op.qubits, op.params[0].index) for op in circuit.operations]
    assert gates == [("u3", (1,), 3), ("u3", (3,), 9), ("cu3", (0, 1), 12)]
    assert supercircuit.largest() == SubConfig((15,) * 4, 2)
    assert supercircuit.full() == SuperCircuit(replace(U3CU3, blocks=2), 4).full()


@given(seed=st.integers(0, 2**32 - 1), least=st.floats(0, 1))
def test_any_samples_are_in_the_space_and_as_large_as_asked(seed, least):
    supercircuit = any_supercircuit(3)
    config = supercircuit.sample(np.random.default_rng(seed), least=least)
    circuit, index = supercircuit.dense(config)
    assert len(set(index.tolist())) == circuit.num_weights
    assert config.blocks >= least * 3
    assert all(bits.bit_count() >= max(1, least * 4) for bits in config.layers)


def test_any_reaches_every_subset():
    supercircuit = any_supercircuit()
    rng = np.random.default_rng(8)
    assert {supercircuit.sample(rng).layers[0] for _ in range(400)} == set(range(1, 16))


def test_layers_before_the_blocks_are_in_every_circuit():
    space = DesignSpace("h", 3, (Layer("ry"),), first=(Layer("h"),))
    supercircuit = SuperCircuit(space, 2)
    circuit = supercircuit.subcircuit(SubConfig((1, 2, 1, 1), 1))
    assert [(op.gate.name, op.qubits) for op in circuit.operations] == [
        ("h", (0,)),
        ("ry", (0,)),
        ("ry", (1,)),
    ]


def test_layers_that_are_empty_or_too_long():
    with pytest.raises(UsageError, match=r"on 2 qubits .*'odd'.* has no gates"):
        SuperCircuit(DesignSpace("odd", 1, (Layer("cx", "odd"),)), 2)
    with pytest.raises(UsageError, match=r"up to 62 .* has 66: let it keep 'front'"):
        SuperCircuit(DesignSpace("full", 1, (Layer("cz", "full"),), keep="any"), 12)


def test_canonical_forgets_unused_layers(supercircuit):
    a, b = SubConfig((2,) * 16, 3), SubConfig((2,) * 6 + (1,) * 10, 3)
    assert supercircuit.canonical(a) == supercircuit.canonical(b)
    assert supercircuit.canonical(a) != supercircuit.canonical(SubConfig((2,) * 16, 4))
    assert supercircuit.subcircuit(supercircuit.canonical(a)) == supercircuit.subcircuit(a)


@pytest.mark.parametrize(
    "config",
    [
        SubConfig((1,) * 16, 9),
        SubConfig((1,) * 16, 0),
        SubConfig((5,) + (1,) * 15, 1),
        SubConfig((0,) + (1,) * 15, 1),
        SubConfig((1,) * 15, 1),
    ],
)
def test_foreign_configurations(supercircuit, config):
    with pytest.raises(UsageError, match="u3cu3 on 4 qubits"):
        supercircuit.subcircuit(config)


def test_layers_without_parameters_and_of_other_spaces():
    space = DesignSpace(
        "zz_ry", 2, (Layer("rzz", "ring"), Layer("ry", "each"), Layer("cz", "ring"))
    )
    supercircuit = SuperCircuit(space, 3)
    assert supercircuit.num_weights == 2 * (3 + 3)
    circuit, index = supercircuit.dense(SubConfig((1, 2, 3, 1, 1, 1), 1))
    assert circuit.count_ops() == {"cz": 3, "ry": 2, "rzz": 1}
    assert index.tolist() == [0, 3, 4]


def test_layers_that_do_not_fit():
    with pytest.raises(UsageError, match="takes gates on 1 qubits, but cx acts on 2"):
        Layer("cx", "each").sites(3)
    with pytest.raises(UsageError, match="at least 2 qubits"):
        SuperCircuit(U3CU3, 1)
    with pytest.raises(UsageError, match="no gate"):
        Layer("u9", "each").sites(3)


def test_encoder_with_weights():
    with pytest.raises(UsageError, match="the encoder has 1"):
        SuperCircuit(U3CU3, 2, Circuit(2).ry(Weight(0), 0))


def test_encoder_of_another_size():
    with pytest.raises(UsageError, match="on 3 qubits takes an encoder on as many, not on 2"):
        SuperCircuit(U3CU3, 3, Circuit(2))
