"""Our training step and its peers', in turn, on the same cores, with the machine's ceilings.

Writes a table and a JSON file; ends with 1 if results disagree or one of the runs failed.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.harness import CASES, Case

ROOT = Path(__file__).resolve().parents[1]
RELATIVE_TOLERANCE = 1e-4  # sums of thousands of complex64 results
SECONDS_PER_PROCESS = 600
Result = dict[str, Any]


@dataclass(frozen=True)
class Contender:
    name: str
    module: str
    environment: str | None = None  # folder below --peers; None: the Python that runs this

    def python(self, peers: Path | None) -> str | None:
        """The interpreter, or None where the environment is not installed."""
        if self.environment is None:
            return sys.executable
        path = peers / self.environment / "bin" / "python" if peers else None
        return str(path) if path and path.exists() else None


OURS = Contender("Efficient QML", "benchmarks.step")
CONTENDERS = (
    OURS,
    Contender("TorchQuantum", "benchmarks.peers.torchquantum", "tq"),
    Contender("Qulacs", "benchmarks.peers.qulacs", "main"),
    Contender("TensorCircuit-NG (JAX)", "benchmarks.peers.tensorcircuit", "main"),
    Contender("PennyLane default.qubit", "benchmarks.peers.pennylane_default", "main"),
    Contender("PennyLane lightning.qubit", "benchmarks.peers.pennylane_lightning", "main"),
)


def run_module(python: str, module: str, *arguments: str, threads: int) -> Result:
    """The last line that the module prints, or why there is none, as `status`."""
    try:
        process = subprocess.run(
            [python, "-m", module, *arguments],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
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


def run_contender(contender: Contender, case: Case, peers: Path | None, threads: int) -> Result:
    python = contender.python(peers)
    if python is None:
        return {"status": "not installed"}
    return run_module(python, contender.module, "--case", str(case), threads=threads)


def median_result(rounds: list[Result]) -> Result:
    """The first round, its times replaced by the median over rounds; a failure wins."""
    for result in rounds:
        if result["status"] != "measured":
            return result
    times = [result["milliseconds"] for result in rounds]
    compile_times = [result["compile_seconds"] for result in rounds]
    return rounds[0] | {
        "milliseconds": statistics.median(times),
        "milliseconds_of_rounds": times,
        "compile_seconds": statistics.median(compile_times),
        "cpu_share": min(result["cpu_share"] for result in rounds),
    }


def compare(results: list[Result]) -> None:
    """Add `ratio` (time over ours) and `agrees` (values against the first measured ones)."""
    measured = [result for result in results if result["status"] == "measured"]
    for result in measured:
        if results[0] is measured[0]:
            result["ratio"] = result["milliseconds"] / results[0]["milliseconds"]
        result["agrees"] = all(
            abs(result[key] - measured[0][key]) <= RELATIVE_TOLERANCE * max(1, abs(result[key]))
            for key in ("loss", "gradient_sum", "gradient_projection")
        )


def table(case: Case, results: list[Result]) -> str:
    """The results of a case as a table in Markdown."""
    rows = [
        (
            f"{case.qubits} qubits, {case.layers} layers, batch {case.batch}",
            "ms",
            "fastest - slowest round",
            "over ours",
            "first step more, s",
            "least CPU share",
            "values",
        ),
        ("-", "-:", "-:", "-:", "-:", "-:", "-"),
    ]
    for result in results:
        if result["status"] != "measured":
            rows.append((result["peer"], "", "", "", "", "", result["status"]))
            continue
        times = result["milliseconds_of_rounds"]
        row = (
            f"{result['peer']} {result['version']}",
            f"{result['milliseconds']:.4g}",
            f"{min(times):.4g} - {max(times):.4g}",
            f"{result['ratio']:.3g}" if "ratio" in result else "",
            f"{result['compile_seconds']:.2g}",
            f"{result['cpu_share']:.2f}",
            "agree" if result["agrees"] else "DISAGREE",
        )
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (map(str.ljust, row, widths) for row in rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def processor() -> str:
    """The processor's name where Linux tells it, its architecture elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def machine(cores: list[int]) -> Result:
    return {
        "processor": processor(),
        "processors": os.cpu_count(),
        "memory_gibibytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        "system": f"{platform.system()} {platform.release()}",
        "cores_used": cores,
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--peers", type=Path, help="folder of the peers' environments (README.md)")
    parser.add_argument("--cases", type=Case.parse, nargs="+", default=CASES, metavar="N,L,B")
    parser.add_argument("--rounds", type=int, default=3, help="times everything runs in turn")
    parser.add_argument(
        "--cores", type=int, nargs="+", default=[0], help="cores to run on, one thread each"
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "step.json"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}, and at least 1 is needed")
    if hasattr(os, "sched_setaffinity"):
        available = os.sched_getaffinity(0)
        if not available.issuperset(arguments.cores):
            parser.error(f"--cores is {arguments.cores}, and there are {sorted(available)}")
        os.sched_setaffinity(0, arguments.cores)  # what this starts inherits it
    return arguments


def measure(arguments: argparse.Namespace) -> tuple[list[Result], list[list[Result]]]:
    """Ceilings of each round, and for each case the results of all contenders."""
    threads = len(arguments.cores)
    ceilings: list[Result] = []
    rounds: dict[tuple[Case, Contender], list[Result]] = {
        (case, contender): [] for case in arguments.cases for contender in CONTENDERS
    }
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=arguments.rounds * (len(rounds) + 1))
        for number in range(arguments.rounds):
            progress.update(task, description=f"round {number + 1}: ceilings")
            ceilings.append(run_module(sys.executable, "benchmarks.ceilings", threads=threads))
            progress.advance(task)
            for (case, contender), results in rounds.items():
                progress.update(task, description=f"round {number + 1}: {case} {contender.name}")
                if all(result["status"] == "measured" for result in results):
                    result = run_contender(contender, case, arguments.peers, threads)
                    results.append({"peer": contender.name, **result})
                progress.advance(task)
    per_case = [
        [median_result(rounds[case, contender]) for contender in CONTENDERS]
        for case in arguments.cases
    ]
    return ceilings, per_case


def write(path: Path, report: Result) -> None:
    """Write JSON that a reader never sees half of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=2) + "\n")
    temporary.replace(path)


def main() -> None:
    arguments = parse_arguments()
    ceilings, per_case = measure(arguments)
    for case, results in zip(arguments.cases, per_case, strict=True):
        compare(results)
        print(table(case, results))
    medians = {
        key: statistics.median(round_[key] for round_ in ceilings)
        for key in ceilings[0]
        if key not in ("status", "threads")
    }
    print("ceilings: " + ", ".join(f"{k} {v:.4g}" for k, v in medians.items()))
    write(
        arguments.output,
        {
            "machine": machine(arguments.cores),
            "rounds": arguments.rounds,
            "ceilings": medians,
            "cases": [
                {"case": str(case), "results": results}
                for case, results in zip(arguments.cases, per_case, strict=True)
            ],
        },
    )
    everything = [result for results in per_case for result in results]
    if not all(result.get("agrees", True) for result in everything):
        sys.exit("results disagree: see the table")
    if any(result["status"].startswith("failed") for result in everything):
        sys.exit("a run failed: see the table")


if __name__ == "__main__":
    main()
