"""Evaluations that are kept: none is lost or made twice, and no others are taken for them."""

import json
from types import SimpleNamespace

import pytest

from qml.nas.evaluation import Evaluation
from qml.nas.evaluations import EvaluationLog, Evaluations
from qml.nas.genes import Gene, GeneSpace
from qml.nas.spaces import U3CU3
from qml.nas.supercircuit import SubConfig, SuperCircuit
from qml.pools import OneProcess
from qsim.errors import UsageError

ABOUT = {"device": "toy", "seed": 3}
LINE = SimpleNamespace(name="toy", num_qubits=4, edges=[(0, 1), (1, 2), (2, 3)])
SPACE = GeneSpace(SuperCircuit(U3CU3, 4), LINE)
GENES = [Gene((0, 1, 2, 3), SubConfig((1 + k, *[1] * 15), 1)) for k in range(3)]
FOUND = [
    Evaluation(1 / 3 + k, 0.7, accuracy, 0.1, 3, 9) for k, accuracy in enumerate([None, 0.5, 1])
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run" / "evaluations.jsonl"
    log = EvaluationLog(path, ABOUT)
    for gene, evaluation in zip(GENES, FOUND, strict=True):
        log.add(gene, evaluation)
    return path


def test_what_is_kept_is_read_again_to_the_bit(path) -> None:
    assert EvaluationLog(path, ABOUT).known == dict(zip(GENES, FOUND, strict=True))


@pytest.mark.parametrize("cut", [1, 20, 90])
def test_what_a_kill_left_of_a_line_is_dropped(path, cut) -> None:
    path.write_bytes(path.read_bytes()[:-cut])
    log = EvaluationLog(path, ABOUT)
    assert list(log.known) == GENES[:2]
    log.add(GENES[2], FOUND[2])
    assert EvaluationLog(path, ABOUT).known == dict(zip(GENES, FOUND, strict=True))


@pytest.mark.parametrize(
    ("line", "content"), [(0, "{"), (1, '{"gene": {}}'), (2, "\x00\x00"), (3, "[1, 2]"), (2, "")]
)
def test_a_damaged_line_is_named(path, line, content) -> None:
    lines = path.read_text().split("\n")
    lines[line] = content
    path.write_text("\n".join(lines))
    with pytest.raises(UsageError, match=rf"jsonl' is damaged \(line {line + 1} .*delete it"):
        EvaluationLog(path, ABOUT)


def test_evaluations_of_another_search_are_refused(path) -> None:
    with pytest.raises(UsageError, match=r"another search, with seed 3 where this one has 4"):
        EvaluationLog(path, ABOUT | {"seed": 4})
    with pytest.raises(UsageError, match=r"with estimator None where this one has 'noise'"):
        EvaluationLog(path, ABOUT | {"estimator": "noise"})


def test_files_of_another_kind_are_refused(path) -> None:
    header = json.loads(path.read_text().split("\n")[0])
    path.write_text(json.dumps(header | {"version": 2}) + "\n")
    with pytest.raises(UsageError, match=r"has format 2 of evaluations.* reads format 1"):
        EvaluationLog(path, ABOUT)
    path.write_text('{"epochs": 3}\n')
    with pytest.raises(UsageError, match="holds no evaluations of a search"):
        EvaluationLog(path, ABOUT)


def test_equal_genes_are_evaluated_once_and_answered_in_order() -> None:
    seen, told = [], []

    def evaluate(gene: Gene) -> Evaluation:
        seen.append(gene)
        return FOUND[gene.config.layers[0] - 1]

    evaluations = Evaluations(SPACE, OneProcess(evaluate), progress=told.append)
    assert evaluations([*GENES, GENES[0]]) == [*FOUND, FOUND[0]]
    assert evaluations(GENES[:1]) == FOUND[:1]
    assert seen == [SPACE.key(gene) for gene in GENES]
    assert told == [1, 2, 3]
    assert len(evaluations) == 3


def test_a_score_that_is_no_number_stops_the_search(path) -> None:
    log = EvaluationLog(path, ABOUT)
    broken = Evaluation(float("nan"), 0.1, None, 0.1, 3, 9)
    gene = Gene((3, 2, 1, 0), GENES[0].config)
    with pytest.raises(UsageError, match=r"the score of Gene\(layout=\(3, 2, 1, 0\).* is nan"):
        Evaluations(SPACE, OneProcess(lambda _: broken), log=log)([gene])
    assert len(EvaluationLog(path, ABOUT).known) == 3
