"""The design spaces: those of the paper gate by gate, and those of a user."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qml.nas.spaces import KEEPS, SPACES, DesignSpace, find_space
from qml.nas.supercircuit import SuperCircuit
from qml.nn.layers import Layer
from qsim.errors import UsageError

# QuantumNAS (arXiv:2107.10845), section III: blocks, what stands before them, and the gates of a
# block on three qubits, where a ring has three pairs and alternating pairs are two.
EACH, RING, PAIRS = [(0,), (1,), (2,)], [(0, 1), (1, 2), (2, 0)], [(0, 1), (1, 2)]
PAPER = {
    "u3cu3": (8, [], [("u3", EACH), ("cu3", RING)]),
    "zz_ry": (8, [], [("rzz", RING), ("ry", EACH)]),
    "rxyz": (8, [("sh", EACH)], [("rx", EACH), ("ry", EACH), ("rz", EACH), ("cz", PAIRS)]),
    "zx_xx": (8, [], [("rzx", RING), ("rxx", RING)]),
    "rxyz_u1_cu3": (
        4,
        [],
        [
            *[("rx", EACH), ("s", EACH), ("cx", RING), ("ry", EACH), ("t", EACH), ("swap", RING)],
            *[("rz", EACH), ("h", EACH), ("sswap", RING), ("p", EACH), ("cu3", RING)],
        ],
    ),
    "ibmq_basis": (
        20,
        [],
        [("rz", EACH), ("x", EACH), ("rz", EACH), ("sx", EACH), ("rz", EACH), ("cx", RING)],
    ),
}


def gates(circuit):
    return [(op.gate.name, op.qubits) for op in circuit.operations]


@pytest.mark.parametrize("name", SPACES)
def test_spaces_of_the_paper(name):
    blocks, first, block = PAPER[name]
    space = find_space(name)
    assert (space.blocks, space.keep) == (blocks, "front")
    expected = [(gate, qubits) for gate, sites in [*first, *block * 2] for qubits in sites]
    supercircuit = SuperCircuit(space, 3)
    assert gates(supercircuit.subcircuit(supercircuit.largest(2))) == expected


def test_the_table_is_complete():
    assert SPACES.keys() == PAPER.keys()
    assert all(name == space.name for name, space in SPACES.items())


def test_near_names():
    with pytest.raises(
        UsageError, match="no design space 'rxyz_u1'; did you mean rxyz_u1_cu3, rxyz"
    ):
        find_space("rxyz_u1")


layers = st.lists(
    st.sampled_from([Layer("ry"), Layer("cz", "ring"), Layer("cx", ((0, 1), (2, 0)))]), min_size=1
).map(tuple)


@given(layers, layers, st.integers(1, 9), st.sampled_from(KEEPS))
def test_spaces_survive_json(inner, first, blocks, keep):
    space = DesignSpace("mine", blocks, inner, first, keep)
    assert DesignSpace.from_json(json.loads(json.dumps(space.to_json()))) == space


@pytest.mark.parametrize(
    "value", [{}, [], SPACES["u3cu3"].to_json() | {"layers": [["u3"]]}, {"name": "x", "blocks": 1}]
)
def test_json_that_is_no_space(value):
    with pytest.raises(UsageError, match="a design space in JSON has a name, blocks"):
        DesignSpace.from_json(value)


def test_spaces_that_are_none():
    with pytest.raises(UsageError, match="number of blocks is 1 or more, not 0"):
        DesignSpace("mine", 0, (Layer("ry"),))
    with pytest.raises(UsageError, match="'mine' has no layers"):
        DesignSpace("mine", 1, ())
    with pytest.raises(UsageError, match="keep 'front' gates of a layer or 'any', not 'back'"):
        DesignSpace("mine", 1, (Layer("ry"),), keep="back")
    with pytest.raises(UsageError, match="no gate"):
        DesignSpace("mine", 1, (Layer("u9"),))
