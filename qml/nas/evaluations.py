"""Every evaluation of a search, made once and kept in a file that a kill does not damage."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from qml.nas.evaluation import Evaluation
from qml.nas.genes import Gene, GeneSpace
from qml.pools import Pool
from qsim.errors import UsageError
from qsim.files import damaged, read_text, unwritable, write_atomically

FORMAT = "efficient-qml evaluations"
FORMAT_VERSION = 1
_REMEDY = "delete it to evaluate anew"


class EvaluationLog:
    """A file of evaluations: a line of JSON that says what decides them, then one for each.

    A line is flushed to the disk before the search goes on. What a kill leaves of an unfinished
    last line is dropped.

    Args:
        path: of the file, which is made if it is missing.
        about: `Evaluator.about` of the evaluator whose evaluations are kept.

    Attributes:
        known: the evaluations in the file.

    Raises:
        UsageError: the file is damaged, of another kind or evaluator, or cannot be written.
    """

    def __init__(self, path: str | Path, about: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.known: dict[Gene, Evaluation] = {}
        if self.path.exists():
            self._read(dict(about))
        else:
            header = {"format": FORMAT, "version": FORMAT_VERSION, "about": dict(about)}
            write_atomically(self.path, _line(header).encode())

    def add(self, gene: Gene, evaluation: Evaluation) -> None:
        """Keep an evaluation. Raises UsageError if the file cannot be written."""
        self.known[gene] = evaluation
        line = _line({"gene": gene.to_json(), "evaluation": evaluation.to_json()})
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(self.path, error) from error

    def _read(self, about: dict[str, Any]) -> None:
        whole, _, rest = read_text(self.path).rpartition("\n")
        lines = whole.split("\n")
        self._check(self._parsed(lines[0], 1), about)
        for number, line in enumerate(lines[1:], 2):
            value = self._parsed(line, number)
            try:
                gene, evaluation = Gene.from_json(value["gene"]), Evaluation(**value["evaluation"])
            except (KeyError, TypeError) as error:
                raise self._damaged(number) from error
            self.known[gene] = evaluation
        if rest:
            write_atomically(self.path, f"{whole}\n".encode())

    def _check(self, header: Any, about: dict[str, Any]) -> None:
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise UsageError(
                f"{str(self.path)!r} holds no evaluations of a search: give another path"
            )
        if header.get("version") != FORMAT_VERSION or not isinstance(header.get("about"), dict):
            raise UsageError(
                f"{str(self.path)!r} has format {header.get('version')} of evaluations, but this "
                f"release reads format {FORMAT_VERSION}: {_REMEDY}"
            )
        then = header["about"]
        changed = [key for key in {**then, **about} if then.get(key) != about.get(key)]
        if changed:
            key = changed[0]
            raise UsageError(
                f"{str(self.path)!r} holds evaluations of another search, with {key} "
                f"{then.get(key)!r} where this one has {about.get(key)!r}: give another path, or "
                "delete the file to evaluate anew"
            )

    def _parsed(self, line: str, number: int) -> Any:
        try:
            return json.loads(line)
        except json.JSONDecodeError as error:
            raise self._damaged(number) from error

    def _damaged(self, number: int) -> UsageError:
        return damaged(self.path, f"line {number} is not what was written there", _REMEDY)


class Evaluations:
    """Evaluates genes, each distinct one once.

    Args:
        space: tells which genes are the same.
        pool: evaluates what is not known.
        log: what is known from before, and where new evaluations are kept.
        progress: called with the number of evaluations asked for so far, after each.
    """

    def __init__(
        self,
        space: GeneSpace,
        pool: Pool[Gene, Evaluation],
        *,
        log: EvaluationLog | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        self.space = space
        self._pool = pool
        self._log = log
        self._progress = progress
        self._found: dict[Gene, Evaluation] = {}

    @property
    def found(self) -> list[tuple[Gene, Evaluation]]:
        """All that was asked for, in order of arrival."""
        return list(self._found.items())

    def __len__(self) -> int:
        """Number of distinct genes asked for."""
        return len(self._found)

    def __call__(self, genes: Sequence[Gene]) -> list[Evaluation]:
        """The evaluations of the genes, in their order.

        Raises:
            UsageError: a score is not a finite number.
        """
        keys = [self.space.key(gene) for gene in genes]
        known = {} if self._log is None else self._log.known
        asked = dict.fromkeys(key for key in keys if key not in self._found)
        for key in [key for key in asked if key in known]:
            self._add(key, known[key])
        for key, evaluation in self._pool([key for key in asked if key not in known]):
            if not isfinite(evaluation.score):
                raise UsageError(
                    f"the score of {key} is {evaluation.score}: "
                    "check the shared weights and the objective of the search"
                )
            if self._log is not None:
                self._log.add(key, evaluation)
            self._add(key, evaluation)
        return [self._found[key] for key in keys]

    def _add(self, key: Gene, evaluation: Evaluation) -> None:
        self._found[key] = evaluation
        if self._progress is not None:
            self._progress(len(self._found))


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, allow_nan=False) + "\n"
