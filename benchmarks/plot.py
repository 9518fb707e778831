"""Draw how much longer others take than we do, from the files in a folder of results.

python -m benchmarks.plot [--results benchmarks/results] [--output ratios.svg]
"""

import argparse
import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from benchmarks.contenders import WORKS

RESULTS = Path(__file__).with_name("results")
Row = tuple[str, dict[str, float]]


def read_rows(results: Path) -> list[Row]:
    """For each case, in the order of the works: its name, and ratios by contender."""
    rows = []
    for work in WORKS:
        path = results / f"{work}.json"
        for case in json.loads(path.read_text())["cases"] if path.exists() else ():
            others = [result for result in case["results"][1:] if "ratio" in result]
            if others:
                ratios = {result["peer"]: result["ratio"] for result in others}
                rows.append((f"{work} {case['case']}", ratios))
    return rows


def draw(rows: list[Row], output: Path) -> None:
    names = list(dict.fromkeys(name for _, ratios in rows for name in ratios))
    figure, axes = plt.subplots(figsize=(8, 1.6 + 0.35 * len(rows)), layout="constrained")
    for number, name in enumerate(names):
        points = [(ratios[name], y) for y, (_, ratios) in enumerate(rows) if name in ratios]
        marker = "osD^vP*X"[number % 8]
        axes.plot(*zip(*points, strict=True), marker, color=f"C{number % 10}", label=name)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("time over ours")
    axes.set_yticks(range(len(rows)), [title for title, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(output, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plot", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--output", type=Path, default=RESULTS / "ratios.svg")
    arguments = parser.parse_args()
    rows = read_rows(arguments.results)
    if not rows:
        parser.error(f"no ratios in {arguments.results}: run `python -m benchmarks` first")
    mpl.rcParams["svg.hashsalt"] = "ratios"  # the same results, the same file
    draw(rows, arguments.output)


if __name__ == "__main__":
    main()
