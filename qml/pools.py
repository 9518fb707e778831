"""Where independent pieces of work are done: here, in other processes, or on a Ray cluster.

They are the genes of a search, or the cells of a study. Whatever the pool, the results are the same
to the bit. A worker that dies takes nothing along: what it had not finished is done again.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from qml.nn.layers import times
from qsim.errors import UsageError, need

Item = TypeVar("Item", bound=Hashable)
Found = TypeVar("Found")
Found_co = TypeVar("Found_co", covariant=True)
DEATHS = 3
"""How often the workers may die while the same items wait."""

_PRELOADED = [__name__, "qiskit.transpiler", "qiskit_ibm_runtime.fake_provider"]
"""Imported once for all workers."""


class Pool(Protocol[Item, Found_co]):
    """Works on items, in any order."""

    def __call__(self, items: Sequence[Item]) -> Iterator[tuple[Item, Found_co]]: ...


class OneProcess(Generic[Item, Found]):
    """Works on one item after the other, in this process."""

    def __init__(self, work: Callable[[Item], Found]) -> None:
        self._work = work

    def __call__(self, items: Sequence[Item]) -> Iterator[tuple[Item, Found]]:
        for item in items:
            yield item, self._work(item)


class LocalPool(Generic[Item, Found]):
    """Works in several processes of this computer.

    They start when first used and end with the `with` statement, whatever they do. A script that
    uses them has its work under ``if __name__ == "__main__":``: every process imports the script.

    Args:
        work: gives the result of an item.
        processes: how many.

    Raises:
        UsageError: `work` cannot be sent to other processes, or workers die again and again.
    """

    def __init__(self, work: Callable[[Item], Found], processes: int) -> None:
        self._work = _sendable(work)
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

    def __call__(self, items: Sequence[Item]) -> Iterator[tuple[Item, Found]]:
        waiting, deaths = list(items), 0
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
                        f"a worker process died {deaths} times while {len(waiting)} items "
                        "waited: see whether memory is short, and take fewer processes"
                    )

    def _submit(self, items: Sequence[Item]) -> dict[Future[Found], Item]:
        if self._executor is None:
            # Forks of this process would inherit the locks of its threads, but not the threads.
            context = get_context("forkserver")
            context.set_forkserver_preload(_PRELOADED)
            ended, self._lifeline = context.Pipe(duplex=False)
            self._executor = ProcessPoolExecutor(
                self._processes,
                mp_context=context,
                initializer=_start_worker,
                initargs=(self._work, ended),
            )
        return {self._executor.submit(_work, item): item for item in items}

    def _stop(self) -> None:
        if self._executor is not None:
            self._lifeline.close()
            self._executor.shutdown(cancel_futures=True)
            self._executor = None


class RayPool(Generic[Item, Found]):
    """Works on a Ray cluster; Ray repeats what a worker that died had not finished.

    Args:
        work: gives the result of an item.
        address: of the cluster; by default a running one, or a new one on this computer.

    Raises:
        UsageError: the extra `ray` is not installed.
    """

    def __init__(self, work: Callable[[Item], Found], address: str | None = None) -> None:
        self._ray = need("ray", extra="ray", purpose="evaluating on a cluster")
        if not self._ray.is_initialized():
            self._ray.init(address, log_to_driver=False)
        self._reference = self._ray.put(_sendable(work))
        self._task = self._ray.remote(max_retries=DEATHS)(_work_on_ray)

    def __call__(self, items: Sequence[Item]) -> Iterator[tuple[Item, Found]]:
        # In a list, the reference stays one: a worker fetches what it stands for only once.
        waiting = {self._task.remote([self._reference], item): item for item in items}
        while waiting:
            (task,), _ = self._ray.wait(list(waiting))
            yield waiting.pop(task), self._ray.get(task)


@contextmanager
def local_pool(work: Callable[[Item], Found], processes: int) -> Iterator[Pool[Item, Found]]:
    """A pool of so many processes of this computer; one is this process itself."""
    if processes == 1:
        yield OneProcess(work)
        return
    with LocalPool(work, processes) as pool:
        yield pool


def _sendable(work: Callable[[Item], Found]) -> Callable[[Item], Found]:
    try:
        pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"the work cannot be sent to other processes ({error}): "
            "take the pool OneProcess, or functions and classes of a module"
        ) from error
    return work


_worker: dict[str, Any] = {}
"""What a worker process works with."""


def _start_worker(work: Callable[[Any], Any], ended: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the parent, which stops its workers
    Thread(target=_leave, args=(ended,), daemon=True).start()
    _worker["work"] = work


def _leave(ended: Connection) -> None:
    """Leave the work as it is when the other end of the pipe closes, as by the parent's death."""
    ended.poll(None)
    os._exit(1)


def _work(item: Any) -> Any:
    return _worker["work"](item)


def _work_on_ray(references: list[Any], item: Any) -> Any:
    import ray

    if _worker.get("reference") != references[0]:
        _worker.update(reference=references[0], work=ray.get(references[0]))
    return _work(item)
