"""Weighing candidates one after another, or in parallel processes, until the budget ends."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as LateError
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compile.choice.candidates import Builder, Candidate, Recipe

_builder: Builder | None = None  # of this process, where it is a worker


def available_workers() -> int:
    """Processes that can work side by side. Where processes cannot be forked, one does it all.

    Starting a fresh interpreter with Qiskit takes longer than most searches.
    """
    if "fork" not in multiprocessing.get_all_start_methods() or os.uname().sysname == "Darwin":
        return 1
    affinity = getattr(os, "sched_getaffinity", None)  # what this process may use, on Linux
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class Workers:
    """Weighs recipes in order; use it as a context.

    Args:
        builder: makes the candidates.
        deadline: of `perf_counter`; what is not weighed by then is left out.
        count: processes.
    """

    def __init__(self, builder: Builder, deadline: float, count: int) -> None:
        self.builder = builder
        self.deadline = deadline
        self._pool = _forked(builder, count) if count > 1 else None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            # Workers may be in the middle of a long candidate, which nobody waits for any more.
            for process in list((self._pool._processes or {}).values()):
                process.kill()
            self._pool.shutdown(cancel_futures=True)

    def weigh(
        self, recipes: Sequence[Recipe], done: Callable[[int], object]
    ) -> list[Candidate | None]:
        """Candidates of the first recipes, all of them if time allows; None where Qiskit fails."""
        if self._pool is None:
            return self._alone(recipes, done)
        futures = [self._pool.submit(_weigh, recipe) for recipe in recipes]
        found: list[Candidate | None] = []
        for future in futures:
            try:
                found.append(future.result(max(self.deadline - perf_counter(), 0.0)))
            except LateError:
                break
            done(len(found))
        return found

    def _alone(
        self, recipes: Sequence[Recipe], done: Callable[[int], object]
    ) -> list[Candidate | None]:
        found: list[Candidate | None] = []
        for recipe in recipes:
            if perf_counter() > self.deadline:
                break
            found.append(_candidate(self.builder, recipe))
            done(len(found))
        return found


def _forked(builder: Builder, count: int) -> ProcessPoolExecutor:
    """Workers that are copies of this process, builder included: nothing has to be sent.

    Threads of Qiskit's and of PyTorch's do not live on in the copies, which therefore use none.
    """
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(count, context, _become_worker, (builder,))
    with warnings.catch_warnings():
        # Python 3.12 warns of threads in the parent; the workers call nothing that waits for them.
        warnings.simplefilter("ignore", DeprecationWarning)
        for _ in range(count):
            pool.submit(os.getpid)
    return pool


def _become_worker(builder: Builder) -> None:
    global _builder
    _builder = builder
    os.environ["QISKIT_IN_PARALLEL"] = "TRUE"  # Qiskit's own threads stay off


def _weigh(recipe: Recipe) -> Candidate | None:
    assert _builder is not None
    return _candidate(_builder, recipe)


def _candidate(builder: Builder, recipe: Recipe) -> Candidate | None:
    from qiskit.transpiler.exceptions import TranspilerError

    try:
        return builder.candidate(recipe)
    except TranspilerError:
        return None
