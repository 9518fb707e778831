"""The search: never below level 3, the same by seed, within the budget, told as it goes."""

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compile import Compiled, Device, compile
from compile.choice.candidates import Builder, Candidate, Recipe
from compile.choice.search import OBJECTIVES, TIE, choose
from compile.choice.workers import Workers
from qsim import Circuit, Input, UsageError
from qsim.interop.qiskit import to_qiskit

RandomCircuit = Callable[..., Circuit]
LONG = 600.0  # seconds: no test waits for it


@pytest.fixture(scope="module")
def ring() -> Circuit:
    """Four qubits coupled in a ring, which no chip has."""
    circuit = Circuit(4)
    for layer in range(2):
        for q in range(4):
            circuit.u3(0.3 + layer, 0.7 * q, 1.1, q)
        for q in range(4):
            circuit.cu3(0.9 + q, 0.2, 0.4 * layer, q, (q + 1) % 4)
    return circuit


@pytest.fixture(scope="module")
def searched(quito: Device, ring: Circuit) -> Compiled:
    return compile(ring, quito, effort="balanced", budget_s=LONG, workers=1)


def test_result_is_better_than_level_3(searched: Compiled, quito: Device, ring: Circuit) -> None:
    fast = compile(ring, quito)
    assert searched.baseline is not None
    assert searched.baseline.esp == pytest.approx(fast.esp)
    assert searched.esp > 1.2 * fast.esp
    assert searched.verify().equivalent
    assert searched.complete


def test_candidates_are_of_every_kind(searched: Compiled) -> None:
    recipes = [candidate.recipe for candidate in searched.candidates]
    assert recipes[0] == Recipe()
    assert {recipe.level for recipe in recipes} == {0, 1, 2, 3}
    assert {"plain", "resynthesized"} <= {recipe.variant for recipe in recipes}
    assert len({r.layout for r in recipes if r.layout}) == 120  # all, on 5 qubits
    assert len(set(recipes)) == len(recipes)


def test_chosen_candidate_is_what_it_was_weighed_as(searched: Compiled) -> None:
    best = choose(list(searched.candidates), OBJECTIVES["esp"])
    assert (best.esp, best.depth) == (searched.esp, searched.depth)
    assert best.two_qubit_gates == searched.two_qubit_gates
    assert best.idle_esp == searched.idle_esp


def test_same_seed_same_circuit_on_any_number_of_workers(
    searched: Compiled, quito: Device, ring: Circuit
) -> None:
    again = compile(ring, quito, effort="balanced", budget_s=LONG, workers=2)
    assert again.circuit == searched.circuit
    assert again.candidates == searched.candidates
    assert again.final_layout == searched.final_layout
    other = compile(ring, quito, effort="balanced", budget_s=LONG, workers=1, seed=5)
    assert other.candidates != searched.candidates


@pytest.mark.parametrize("workers", [1, 2])
def test_budget_ends_the_search(quito: Device, ring: Circuit, workers: int) -> None:
    compiled = compile(ring, quito, effort="best", budget_s=1e-6, workers=workers)
    assert not compiled.complete
    assert compiled.baseline is not None
    assert compiled.esp >= compiled.baseline.esp


def test_large_device_tries_shapes_and_places(ring: Circuit) -> None:
    kolkata = Device.from_fake("kolkata")
    compiled = compile(ring, kolkata, effort="balanced", budget_s=LONG, workers=1)
    recipes = [candidate.recipe for candidate in compiled.candidates]
    assert any(recipe.region for recipe in recipes)
    assert any(recipe.placement for recipe in recipes)
    assert compiled.baseline is not None
    assert compiled.esp > compiled.baseline.esp
    assert compiled.verify().equivalent


def test_a_given_layout_is_kept(quito: Device, ring: Circuit) -> None:
    compiled = compile(ring, quito, effort="balanced", layout=(4, 1, 0, 3), workers=1)
    assert compiled.initial_layout == (4, 1, 0, 3)
    assert compiled.verify().equivalent


@pytest.mark.parametrize("objective", ["depth", "two_qubit_gates"])
def test_other_objectives(objective: str, searched: Compiled, quito: Device, ring: Circuit) -> None:
    compiled = compile(ring, quito, effort="balanced", objective=objective, workers=1)
    assert getattr(compiled, objective) <= getattr(searched, objective)
    assert compiled.baseline is not None
    assert getattr(compiled, objective) <= getattr(compiled.baseline, objective)


def test_fractional_gates_are_used_where_they_help() -> None:
    device = Device.from_fake("FakeFractionalBackend")
    circuit = Circuit(3)
    for a, b in ((0, 1), (1, 2)):
        circuit.rzz(0.4, a, b)
    circuit.rx(0.3, 0).rx(0.3, 1)
    compiled = compile(circuit, device, effort="balanced", budget_s=LONG, workers=1)
    assert {c.recipe.fractional for c in compiled.candidates} == {True, False}
    assert compiled.verify().equivalent


def test_progress_is_told(quito: Device, ring: Circuit) -> None:
    told: list[tuple[int, int]] = []
    compiled = compile(
        ring,
        quito,
        effort="balanced",
        budget_s=LONG,
        workers=1,
        progress=lambda done, total: told.append((done, total)),
    )
    assert [done for done, _ in told] == list(range(1, len(compiled.candidates)))
    assert told[-1][0] == told[-1][1]
    assert all(done <= total for done, total in told)


def test_open_parameters_get_a_note(quito: Device) -> None:
    circuit = Circuit(3)
    for q in range(3):
        circuit.ry(Input(q), q).cry(Input(q), q, (q + 1) % 3)
    compiled = compile(circuit, quito, effort="balanced", workers=1)
    assert compiled.num_inputs == 3
    (note,) = compiled.notes
    assert note.startswith("with its 3 parameters bound")
    assert f"instead of {compiled.esp:.4f}" in note
    assert compiled.verify().equivalent


def test_recipes_that_lead_nowhere_are_left_out(line: Callable[..., Device]) -> None:
    parts = line({(0, 1): 0.01, (1, 0): 0.01, (2, 3): 0.01, (3, 2): 0.01})
    compiled = compile(Circuit(2).h(0).cx(0, 1), parts, effort="balanced", workers=1)
    assert all(
        set(c.recipe.layout or ()) <= {0, 1} or set(c.recipe.layout or ()) <= {2, 3}
        for c in compiled.candidates
    )
    builder = Builder(to_qiskit(Circuit(2).cx(0, 1)), parts)
    with Workers(builder, perf_counter() + LONG, 1) as workers:
        found = workers.weigh([Recipe(layout=(0, 2)), Recipe(layout=(0, 1))], lambda done: None)
    assert found[0] is None
    assert found[1] is not None


# --- Choosing -------------------------------------------------------------------------------------


def made(esp: float, depth: int, gates: int, recipe: Recipe | None = None) -> Candidate:
    return Candidate(recipe or Recipe("peephole"), esp, 1.0, 1.0, depth, gates)


LEVEL3 = made(0.1, 99, 99, Recipe())
ESP = OBJECTIVES["esp"]


def test_ties_go_to_the_least_deep_then_to_the_fewest_gates() -> None:
    best, shallow, short = made(0.50, 100, 30), made(0.48, 80, 30), made(0.485, 81, 20)
    assert choose([LEVEL3, best, made(0.47, 10, 10)], ESP) is best  # 6% less is no tie
    assert choose([LEVEL3, best, shallow], ESP) is shallow
    assert choose([LEVEL3, best, shallow, short], ESP) is short
    assert choose([LEVEL3, best, made(0.49, 99, 30)], ESP) is best  # 1% less deep: a tie as well


def test_a_tie_is_no_excuse_to_fall_below_level_3() -> None:
    level3 = replace(LEVEL3, gate_esp=0.49)
    assert choose([level3, made(0.50, 100, 30), made(0.48, 10, 10)], ESP).esp >= 0.49


@given(
    st.lists(
        st.tuples(st.floats(0.01, 1), st.integers(1, 200), st.integers(0, 90), st.booleans()),
        min_size=1,
    )
)
def test_choice_is_within_a_tie_of_the_best_and_never_below_level_3(rows: list) -> None:
    candidates = [LEVEL3] + [
        made(esp, depth, gates, Recipe(seed=k) if level3 else None)
        for k, (esp, depth, gates, level3) in enumerate(rows, 1)
    ]
    chosen = choose(candidates, ESP)
    assert chosen.esp >= (1 - TIE) * max(c.esp for c in candidates)
    assert chosen.esp >= max(c.esp for c in candidates if c.recipe.variant == "plain")


# --- Mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"effort": "most"}, "one of fast, balanced, best, not 'most'"),
        ({"effort": "best", "objective": "fidelity"}, "one of esp, depth, two_qubit_gates"),
        ({"objective": "depth"}, "effort 'fast' is one run of Qiskit, which knows no objective"),
        ({"effort": "best", "level": 1}, "weighs all optimization levels"),
        ({"effort": "best", "budget_s": 0}, "a number of seconds above 0, not 0"),
        ({"dd": "CPMG"}, "dd is one of XX, XY4 or None"),
        ({"workers": 0}, "number of workers is a whole number from 1 on, not 0"),
    ],
)
def test_mistakes(options: dict, words: str, quito: Device) -> None:
    with pytest.raises(UsageError, match=words):
        compile(Circuit(1).h(0), quito, **options)
