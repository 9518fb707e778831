"""Pools: the same evaluations to the bit, and none lost where a worker dies."""

import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from time import sleep

import pytest
import torch

from compile import Device
from qml.nas.estimators import ExactNoise
from qml.nas.evaluation import Evaluation, Evaluator, Inherited
from qml.nas.evaluations import EvaluationLog, Evaluations
from qml.nas.genes import Gene, GeneSpace
from qml.nas.objectives import Energy
from qml.nas.search import EvolutionarySearch, SearchConfig
from qml.nas.spaces import find_space
from qml.nas.supercircuit import SuperCircuit
from qml.pools import LocalPool, OneProcess, RayPool
from qsim import PauliSum
from qsim.errors import UsageError

SUPER = SuperCircuit(replace(find_space("rxyz"), blocks=2), 2)
GENES = [Gene((k, 1 - k), SUPER.largest(blocks)) for k in (0, 1) for blocks in (1, 2)]


def evaluator() -> Evaluator:
    weights = torch.rand(SUPER.num_weights, generator=torch.Generator().manual_seed(0))
    objective = Energy(PauliSum(["ZZ", "XI"], [1.0, 0.5]))
    return Evaluator(Inherited(SUPER, weights), objective, Device.from_name("quito"), ExactNoise())


@dataclass
class Dying:
    """Kills its process at the first gene, as often as there are files to take away."""

    folder: Path

    def __call__(self, gene: Gene) -> Evaluation:
        with (self.folder / "calls").open("a") as file:
            file.write(f"{GENES.index(gene)}\n")
        lives = list(self.folder.glob("life*"))
        if gene == GENES[0] and lives:
            lives[0].unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        score = float(GENES.index(gene))
        return Evaluation(score, 0.0, None, 1.0, 0, 0)


@dataclass
class Slow:
    """Works for so many seconds, and leaves a file where it took some."""

    file: Path

    def __call__(self, seconds: int) -> None:
        sleep(seconds)
        if seconds:
            self.file.touch()


def dying(folder: Path, lives: int) -> Dying:
    for life in range(lives):
        (folder / f"life{life}").touch()
    return Dying(folder)


def searched(pool) -> list:
    space = GeneSpace(SUPER, Device.from_name("quito"))
    config = SearchConfig(parents=2, mutations=3, crossovers=1, generations=3)
    search = EvolutionarySearch(space, Evaluations(space, pool), config, seed=1)
    search.run()
    return [search.best, search.history]


def test_processes_find_what_one_finds() -> None:
    with LocalPool(evaluator(), 2) as pool:
        assert searched(pool) == searched(OneProcess(evaluator()))


@pytest.mark.parametrize("lives", [1, 3])
def test_what_a_dead_worker_had_is_evaluated_again(tmp_path, lives) -> None:
    space = GeneSpace(SUPER, Device.from_name("quito"))
    log = EvaluationLog(tmp_path / "log", {})
    with LocalPool(dying(tmp_path, lives), 2) as pool:
        found = Evaluations(space, pool, log=log)(GENES)
    assert [evaluation.score for evaluation in found] == [0, 1, 2, 3]
    assert len((tmp_path / "log").read_text().splitlines()) == 1 + 4  # a header, none doubled
    assert (tmp_path / "calls").read_text().split().count("0") == lives + 1


def test_workers_that_die_again_and_again_end_the_search(tmp_path) -> None:
    with LocalPool(dying(tmp_path, 99), 1) as pool:
        with pytest.raises(UsageError, match=r"a worker process died 4 times while \d items"):
            list(pool(GENES))
        assert dict(pool(GENES[1:])).keys() == set(GENES[1:])  # it can go on


def test_leaving_does_not_wait_for_the_work(tmp_path) -> None:
    work = Slow(tmp_path / "finished")
    with LocalPool(work, 1) as pool:
        assert next(iter(pool([0, 20]))) == (0, None)
    assert not work.file.exists()


def test_an_error_of_a_worker_is_that_of_the_search() -> None:
    foreign = Gene((0, 1), SuperCircuit(find_space("zz_ry"), 2).largest())
    with LocalPool(evaluator(), 1) as pool, pytest.raises(UsageError, match="rxyz on 2 qubits"):
        list(pool([foreign]))


def test_what_cannot_be_sent_is_refused() -> None:
    with pytest.raises(UsageError, match=r"cannot be sent to other processes.*OneProcess"):
        LocalPool(lambda gene: gene, 2)
    with pytest.raises(UsageError, match="the number of processes is 1 or more, not 0"):
        LocalPool(evaluator(), 0)


def test_a_cluster_without_ray(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"needs ray.*efficient-qml\[ray\]"):
        RayPool(evaluator())


class TestRay:
    """A cluster of this computer."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def cluster(cls):
        ray = pytest.importorskip("ray")
        here = str(Path(__file__).parent)
        ray.init(num_cpus=2, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": here}})
        yield
        ray.shutdown()

    def test_a_cluster_finds_what_one_process_finds(self) -> None:
        assert searched(RayPool(evaluator())) == searched(OneProcess(evaluator()))

    def test_what_a_dead_worker_had_is_evaluated_again(self, tmp_path) -> None:
        found = dict(RayPool(dying(tmp_path, 2))(GENES))
        assert [found[gene].score for gene in GENES] == [0, 1, 2, 3]
        assert (tmp_path / "calls").read_text().split().count("0") == 3
