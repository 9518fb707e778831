"""Several objectives: fronts compared with the definition of dominance."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qml.nas.evaluation import Evaluation
from qml.nas.evaluations import Evaluations
from qml.nas.genes import Gene, GeneSpace
from qml.nas.pareto import OBJECTIVES, ParetoRank, pareto_front
from qml.nas.search import EvolutionarySearch, SearchConfig
from qml.nas.spaces import U3CU3
from qml.nas.supercircuit import SuperCircuit
from qml.pools import OneProcess
from qsim.errors import UsageError

pytest.importorskip("pymoo")

evaluations = st.lists(
    st.builds(
        Evaluation,
        score=st.integers(0, 5).map(float),
        loss=st.just(0.5),
        accuracy=st.sampled_from([None, 0.0, 0.5, 1.0]),
        esp=st.just(0.1),
        two_qubit_gates=st.integers(0, 5),
        depth=st.integers(0, 5),
    ),
    min_size=1,
    max_size=20,
)


def values(evaluation: Evaluation, objectives=OBJECTIVES) -> tuple[float, ...]:
    return tuple(getattr(evaluation, name) for name in objectives)


def dominated(one, others, objectives=OBJECTIVES) -> bool:
    """Whether another is nowhere worse and somewhere better."""
    mine = values(one, objectives)
    return any(
        other != mine and all(a <= b for a, b in zip(other, mine, strict=True))
        for other in (values(other, objectives) for other in others)
    )


@given(evaluations, st.sampled_from([OBJECTIVES, ("error", "two_qubit_gates"), ("depth",)]))
def test_the_front_is_what_nothing_dominates(found, objectives) -> None:
    pairs = list(enumerate(found))
    front = pareto_front(pairs, objectives)
    assert {place for place, _ in front} == {
        place for place, one in pairs if not dominated(one, found, objectives)
    }
    assert [values(e, objectives) for _, e in front] == sorted(
        values(e, objectives) for _, e in front
    )


@given(evaluations)
def test_nothing_is_ranked_before_what_dominates_it(found) -> None:
    order = ParetoRank()(found)
    assert sorted(order) == list(range(len(found)))
    for place, index in enumerate(order):
        later = [found[other] for other in order[place + 1 :]]
        assert not dominated(found[index], later)


def test_ends_of_the_front_come_before_its_crowd() -> None:
    points = [(0, 9), (4, 5), (5, 4), (9, 0)]
    found = [Evaluation(float(a), 0.5, None, 0.1, b, 0) for a, b in points]
    assert set(ParetoRank(("score", "two_qubit_gates"))(found)[:2]) == {0, 3}


def test_the_search_finds_compromises() -> None:
    line = SimpleNamespace(name="toy", num_qubits=4, edges=[(0, 1), (1, 2), (2, 3)])
    space = GeneSpace(SuperCircuit(replace(U3CU3, blocks=4), 4), line)

    def opposed(gene: Gene) -> Evaluation:
        gates = sum(gene.config.layers[: 2 * gene.config.blocks])
        return Evaluation(100.0 / gates, 0.5, None, 0.1, gates, 0)

    def front(seed: int) -> list[int]:
        known = Evaluations(space, OneProcess(opposed))
        config = SearchConfig(generations=8)
        EvolutionarySearch(space, known, config, seed, rank=ParetoRank()).run()
        return [evaluation.two_qubit_gates for _, evaluation in pareto_front(known.found)]

    gates = front(0)
    assert gates == front(0)
    assert set(gates) >= {*range(2, 5), *range(12, 25)}  # nearly all of 2 to 32, and no end missing


def test_objectives_that_are_none(monkeypatch) -> None:
    with pytest.raises(UsageError, match=r"among error, score, loss, two_qubit_gates, depth, not"):
        ParetoRank(("accuracy",))
    with pytest.raises(UsageError, match="objectives of a search are among"):
        pareto_front([], ())
    monkeypatch.setitem(sys.modules, "pymoo.util.nds.non_dominated_sorting", None)
    with pytest.raises(UsageError, match=r"efficient-qml\[nas\]"):
        ParetoRank()
