"""Results of a work: medians, comparison, tables, and the file they are kept in."""

import json
import os
import platform
import statistics
from pathlib import Path
from typing import Any

from benchmarks.costs import rates
from benchmarks.harness import Case

OURS = "Efficient QML"
Result = dict[str, Any]
Ceilings = dict[str, float]


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


def median_ceilings(rounds: list[Ceilings]) -> Ceilings:
    return {key: statistics.median(round_[key] for round_ in rounds) for key in rounds[0]}


def compare(results: list[Result], tolerance: float) -> None:
    """Add `ratio` (time over that of the first) and `agrees` (values of the first measured one)."""
    measured = [result for result in results if result["status"] == "measured"]
    for result in measured:
        if results[0] is measured[0]:
            result["ratio"] = result["milliseconds"] / results[0]["milliseconds"]
        result["agrees"] = all(
            abs(result[key] - measured[0][key]) <= tolerance * max(1, abs(result[key]))
            for key in ("value", "gradient_sum", "gradient_projection")
        )


def add_rates(case: Case, results: list[Result], ceilings: dict[int, Ceilings]) -> None:
    """Add `rates` to ours, from the model in costs.py and the ceilings for as many threads."""
    for result in results:
        if result["status"] == "measured" and result["peer"].startswith(OURS):
            limits = ceilings[result["threads"]]
            result["rates"] = rates(case.cost(), result["milliseconds"], limits)


def markdown(rows: list[tuple[str, ...]]) -> str:
    """A table whose first row is its head; the first and last column are text, others numbers."""
    rule = ("-", *["-:"] * (len(rows[0]) - 2), "-")
    lines = [rows[0], rule, *rows[1:]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(f"| {' | '.join(map(str.ljust, line, widths))} |\n" for line in lines)


def time_table(title: str, results: list[Result]) -> str:
    head = (title, "ms", "fastest - slowest round", "over ours", "first run more, s")
    rows = [(*head, "least CPU share", "values")]
    for result in results:
        if result["status"] != "measured":
            rows.append((result["peer"], *[""] * 5, result["status"]))
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
    return markdown(rows)


def rate_table(title: str, results: list[Result]) -> str:
    rows = [(title, "Gflop", "Gflop/s", "of sgemm", "GB", "GB/s", "of copy", "in")]
    for result in results:
        if "rates" in result:
            found = result["rates"]
            row = (
                result["peer"],
                f"{1e-9 * found['flops']:.3g}",
                f"{found['gigaflops']:.3g}",
                f"{found['share_of_gigaflops']:.0%}",
                f"{1e-9 * found['bytes']:.3g}",
                f"{found['gigabytes_per_second']:.3g}",
                f"{found['share_of_gigabytes_per_second']:.0%}",
                found["level"],
            )
            rows.append(row)
    return markdown(rows)


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


def write(path: Path, report: Result) -> None:
    """Write JSON that a reader never sees half of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=2) + "\n")
    temporary.replace(path)
