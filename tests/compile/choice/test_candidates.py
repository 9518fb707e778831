"""Recipes: each gives the same circuit again, where it says, and it does what the source does."""

from importlib.util import find_spec

import pytest
from qiskit import QuantumCircuit

from compile import Compiled, Device
from compile.choice.candidates import Builder, Recipe, used_qubits
from compile.transpilation import Routed

VARIANTS = ["plain", "resynthesized", *(["peephole", "pauli"] if find_spec("pytket") else [])]
PLACES = [
    {},
    {"layout": (4, 1, 7)},
    {"layout": (7, 1, 4), "region": (1, 4, 7)},
    {"layout": (7, 1, 4), "region": (1, 4, 7), "placement": (12, 13, 14)},
]


@pytest.fixture(scope="module")
def kolkata() -> Device:
    return Device.from_fake("kolkata")


@pytest.fixture(scope="module")
def swapping() -> QuantumCircuit:
    """Swaps that no gate needs to be spent on."""
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.ry(0.3, 2)
    circuit.swap(0, 2)
    circuit.cx(2, 1)
    circuit.swap(1, 2)
    circuit.t(0)
    return circuit


@pytest.mark.filterwarnings("ignore::compile.CalibrationWarning")
@pytest.mark.parametrize("places", PLACES, ids=["free", "layout", "region", "placement"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_recipes_are_kept(
    variant: str, places: dict, kolkata: Device, swapping: QuantumCircuit
) -> None:
    recipe = Recipe(variant, **places)
    made = Builder(swapping, kolkata).routed(recipe)
    compiled = Compiled(made.circuit, kolkata, swapping, made.initial_layout, made.final_layout)
    assert compiled.verify().equivalent
    if recipe.placement:
        assert used_qubits(made) == list(recipe.placement)
    elif recipe.layout:
        assert made.initial_layout == recipe.layout
    if recipe.region and not recipe.placement:
        assert used_qubits(made) == list(recipe.region)
    again: Routed = Builder(swapping, kolkata).routed(recipe)
    assert again.circuit == made.circuit
    weighed = Builder(swapping, kolkata).candidate(recipe)
    assert weighed.esp == compiled.esp
    assert (weighed.depth, weighed.two_qubit_gates) == (compiled.depth, compiled.two_qubit_gates)


@pytest.mark.skipif(len(VARIANTS) < 4, reason="needs pytket")
def test_variants_of_pytket_are_weighed_where_they_save_gates(
    kolkata: Device, swapping: QuantumCircuit
) -> None:
    assert Builder(swapping, kolkata).prepare() == ["plain", "resynthesized"]
    exchange = QuantumCircuit(3)  # exp(-0.1 i XZX) exp(-0.2 i YZY), four CX each
    for gate, angle in (("h", 0.2), ("sx", 0.4)):
        getattr(exchange, gate)([0, 2])
        for a, b in ((0, 1), (1, 2)):
            exchange.cx(a, b)
        exchange.rz(angle, 2)
        for a, b in ((1, 2), (0, 1)):
            exchange.cx(a, b)
        getattr(exchange, gate + "dg" * (gate == "sx"))([0, 2])
    assert "pauli" in Builder(exchange, kolkata).prepare()
