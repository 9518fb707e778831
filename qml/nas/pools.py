"""Where the genes of a search are evaluated: here, in other processes, or on a Ray cluster.

Whatever the pool, the evaluations are the same to the bit. A worker that dies takes nothing along:
what it had not finished is evaluated again.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from qml.nas.evaluation import Evaluation
from qml.nas.genes import Gene
from qml.nn.layers import times
from qsim.errors import UsageError, need

Evaluate: TypeAlias = Callable[[Gene], Evaluation]
DEATHS = 3
"""How often the workers may die while the same genes wait."""

_PRELOADED = [__name__, "qiskit.transpiler", "qiskit_ibm_runtime.fake_provider"]
"""Imported once for all workers."""


class Pool(Protocol):
    """Evaluates genes, in any order."""

    def __call__(self, genes: Sequence[Gene]) -> Iterator[tuple[Gene, Evaluation]]: ...


class OneProcess:
    """Evaluates one gene after the other, in this process."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate

    def __call__(self, genes: Sequence[Gene]) -> Iterator[tuple[Gene, Evaluation]]:
        for gene in genes:
            yield gene, self._evaluate(gene)


class LocalPool:
    """Evaluates genes in several processes of this computer.

    They start when first used and end with the `with` statement. A script that uses them has its
    work under ``if __name__ == "__main__":``, as every process imports the script.

    Args:
        evaluate: gives the worth of a gene.
        processes: how many.

    Raises:
        UsageError: `evaluate` cannot be sent to other processes, or workers die again and again.
    """

    def __init__(self, evaluate: Evaluate, processes: int) -> None:
        self._evaluate = _sendable(evaluate)
        self._processes = times(processes, "processes", 1)
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def __call__(self, genes: Sequence[Gene]) -> Iterator[tuple[Gene, Evaluation]]:
        waiting, deaths = list(genes), 0
        while waiting:
            futures = self._submit(waiting)
            for future in as_completed(futures):
                if isinstance(future.exception(), BrokenProcessPool):
                    continue  # so do all that had not finished
                waiting.remove(futures[future])
                yield futures[future], future.result()
            if waiting:
                self._stop()
                deaths += 1
                if deaths > DEATHS:
                    raise UsageError(
                        f"a worker process died {deaths} times while {len(waiting)} candidates "
                        "waited: see whether memory is short, and take fewer processes"
                    )

    def _submit(self, genes: Sequence[Gene]) -> dict[Future[Evaluation], Gene]:
        if self._executor is None:
            # Forks of this process would inherit the locks of its threads, but not the threads.
            context = get_context("forkserver")
            context.set_forkserver_preload(_PRELOADED)
            self._executor = ProcessPoolExecutor(
                self._processes,
                mp_context=context,
                initializer=_start_worker,
                initargs=(self._evaluate,),
            )
        return {self._executor.submit(_work, gene): gene for gene in genes}

    def _stop(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
            self._executor = None


class RayPool:
    """Evaluates genes on a Ray cluster; Ray repeats what a worker that died had not finished.

    Args:
        evaluate: gives the worth of a gene.
        address: of the cluster; by default a running one, or a new one on this computer.

    Raises:
        UsageError: the extra `ray` is not installed.
    """

    def __init__(self, evaluate: Evaluate, address: str | None = None) -> None:
        self._ray = need("ray", extra="ray", purpose="evaluating on a cluster")
        if not self._ray.is_initialized():
            self._ray.init(address, log_to_driver=False)
        self._reference = self._ray.put(_sendable(evaluate))
        self._task = self._ray.remote(max_retries=DEATHS)(_work_on_ray)

    def __call__(self, genes: Sequence[Gene]) -> Iterator[tuple[Gene, Evaluation]]:
        # In a list, the reference stays one: a worker fetches what it stands for only once.
        waiting = {self._task.remote([self._reference], gene): gene for gene in genes}
        while waiting:
            (task,), _ = self._ray.wait(list(waiting))
            yield waiting.pop(task), self._ray.get(task)


def _sendable(evaluate: Evaluate) -> Evaluate:
    try:
        pickle.dumps(evaluate)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"the evaluator cannot be sent to other processes ({error}): "
            "take the pool OneProcess, or functions and classes of a module"
        ) from error
    return evaluate


_worker: dict[str, Any] = {}
"""What a worker process evaluates with."""


def _start_worker(evaluate: Evaluate) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the parent, which stops its workers
    Thread(target=_leave_with_parent, daemon=True).start()
    _worker["evaluate"] = evaluate


def _leave_with_parent() -> None:
    """A worker whose parent was killed would wait for ever."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _work(gene: Gene) -> Evaluation:
    evaluation: Evaluation = _worker["evaluate"](gene)
    return evaluation


def _work_on_ray(references: list[Any], gene: Gene) -> Evaluation:
    import ray

    if _worker.get("reference") != references[0]:
        _worker.update(reference=references[0], evaluate=ray.get(references[0]))
    return _work(gene)
