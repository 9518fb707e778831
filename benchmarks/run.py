"""Our engine and its peers at the same works, in turn, on the same cores, beside its ceilings.

Writes tables and one JSON file for each work; ends with 1 if results disagree or a run failed.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmarks.contenders import WORKS, Contender, Work
from benchmarks.harness import Case
from benchmarks.report import (
    Ceilings,
    Result,
    add_rates,
    compare,
    machine,
    median_ceilings,
    median_result,
    rate_table,
    time_table,
    write,
)

ROOT = Path(__file__).resolve().parents[1]
SECONDS_PER_PROCESS = 600


def run_module(python: str, module: str, *arguments: str, cores: Sequence[int]) -> Result:
    """The last line that the module prints, or why there is none, as `status`."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)  # the process inherits it
    try:
        process = subprocess.run(
            [python, "-m", f"benchmarks.{module}", *arguments],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": str(len(cores))},
            capture_output=True,
            text=True,
            timeout=SECONDS_PER_PROCESS,
        )
    except subprocess.TimeoutExpired:
        return {"status": f"failed: took longer than {SECONDS_PER_PROCESS} s"}
    if process.returncode < 0:
        return {"status": f"failed: ended by signal {-process.returncode}"}
    if process.returncode:
        reason = process.stderr.strip().rpartition("\n")[2]
        if reason.startswith("ModuleNotFoundError"):
            return {"status": f"not installed: {reason}"}
        sys.stderr.write(process.stderr)
        return {"status": f"failed: {reason}"}
    return {"status": "measured", **json.loads(process.stdout.splitlines()[-1])}


def run_contender(
    contender: Contender, case: Case, peers: Path | None, cores: Sequence[int]
) -> Result:
    python = contender.python(peers)
    if python is None:
        result = {"status": "not installed"}
    elif contender.threads > len(cores):
        result = {"status": f"needs {contender.threads} cores"}
    else:
        chosen = cores[: contender.threads]
        result = run_module(python, contender.module, "--case", str(case), cores=chosen)
    return {**result, "peer": contender.name}


def run_ceilings(work: Work, cores: Sequence[int]) -> dict[int, Ceilings]:
    """For each number of threads of the work that there are cores for."""
    found = {}
    for threads in sorted(work.threads):
        if threads <= len(cores):
            result = run_module(sys.executable, "ceilings", cores=cores[:threads])
            if result.pop("status") != "measured":
                sys.exit("the machine's ceilings could not be measured")
            found[threads] = result
    return found


def measure(
    name: str, cases: Sequence[Case], arguments: argparse.Namespace
) -> tuple[dict[int, Ceilings], list[list[Result]]]:
    """Ceilings by threads, and for each case the results of all contenders."""
    work = WORKS[name]
    ceilings: list[dict[int, Ceilings]] = []
    rounds: dict[tuple[Case, Contender], list[Result]] = {
        (case, contender): [] for case in cases for contender in work.contenders
    }
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=arguments.rounds * (len(rounds) + 1))
        for number in range(arguments.rounds):
            shown = f"{name}, round {number + 1}:"
            progress.update(task, description=f"{shown} ceilings")
            ceilings.append(run_ceilings(work, arguments.cores))
            progress.advance(task)
            for (case, contender), results in rounds.items():
                progress.update(task, description=f"{shown} {case} {contender.name}")
                if all(result["status"] == "measured" for result in results):
                    results.append(run_contender(contender, case, arguments.peers, arguments.cores))
                progress.advance(task)
    medians = {
        threads: median_ceilings([round_[threads] for round_ in ceilings])
        for threads in ceilings[0]
    }
    per_case = [
        [median_result(rounds[case, contender]) for contender in work.contenders] for case in cases
    ]
    return medians, per_case


def run_work(name: str, arguments: argparse.Namespace) -> list[Result]:
    """Measure, print and keep one work; returns all its results."""
    cases = arguments.cases or WORKS[name].cases
    ceilings, per_case = measure(name, cases, arguments)
    for case, results in zip(cases, per_case, strict=True):
        compare(results, case.tolerance)
        add_rates(case, results, ceilings)
        print(time_table(f"{name} {case}", results))
        print(rate_table(f"{name} {case}", results))
    for threads, limits in ceilings.items():
        shown = ", ".join(f"{key} {value:.4g}" for key, value in limits.items())
        print(f"ceilings of {threads} thread{'s' if threads > 1 else ''}: {shown}")
    report = {
        "work": name,
        "machine": machine(arguments.cores),
        "rounds": arguments.rounds,
        "ceilings": ceilings,
        "cases": [
            {"case": str(case), "results": results}
            for case, results in zip(cases, per_case, strict=True)
        ],
    }
    write(arguments.output / f"{name}.json", report)
    return [result for results in per_case for result in results]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--works", choices=WORKS, nargs="+", default=list(WORKS))
    parser.add_argument("--cases", nargs="+", help="sizes other than the usual ones of one work")
    parser.add_argument("--peers", type=Path, help="folder of the peers' environments (README.md)")
    parser.add_argument("--rounds", type=int, default=3, help="times everything runs in turn")
    parser.add_argument(
        "--cores", type=int, nargs="+", default=[0, 1], help="cores to run on, one thread each"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "benchmarks" / "results",
        help="folder for the results",
    )
    arguments = parser.parse_args()
    if arguments.cases:
        if len(arguments.works) > 1:
            parser.error("--cases are sizes of one work: name it by --works")
        parse = type(WORKS[arguments.works[0]].cases[0]).parse
        try:
            arguments.cases = [parse(text) for text in arguments.cases]
        except argparse.ArgumentTypeError as error:
            parser.error(f"--cases: {error}")
    if arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}, and at least 1 is needed")
    if hasattr(os, "sched_getaffinity"):
        available = os.sched_getaffinity(0)
        if not available.issuperset(arguments.cores):
            parser.error(f"--cores is {arguments.cores}, and there are {sorted(available)}")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    everything = [result for name in arguments.works for result in run_work(name, arguments)]
    if not all(result.get("agrees", True) for result in everything):
        sys.exit("results disagree: see the tables")
    if any(result["status"].startswith("failed") for result in everything):
        sys.exit("a run failed: see the tables")
