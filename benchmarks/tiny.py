"""Generated C for networks of integers: bytes, and time against plain loops and PyTorch.

    python -m benchmarks.tiny [--nets vgg mobile] [--flags=-march=native] [--output FILE]

The plain loops are one function for all convolutions, with the same layout and the same compiler
flags; both have to give the integers of `run_integer` on real images, or the run ends with 1. Flash
is code and weights for this machine, SRAM the arena and the stack. PyTorch runs the float network
on one image and one thread. Each program runs in turn with the other, and the median of all rounds
counts.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.report import Result, machine, markdown, write
from classical.data import load_images, photographs
from classical.metrics import measure_latency
from classical.models import VGG, efficientnet_lite0, mnist_vgg
from classical.models.efficientnet import InvertedResidual, convolution
from classical.quantization import run_integer, to_integer
from classical.tiny import FLAGS, HostBuild, generate

ROUNDS, ROUND_SECONDS = 9, 0.1


def small_vgg() -> nn.Module:
    return VGG((8, 8, "pool", 16, 16, "pool", 32, 32, "pool"))


def mobile() -> nn.Module:
    return nn.Sequential(
        convolution(1, 16, 3, 2, same=False),
        InvertedResidual(16, 16, 3, 1, 6),
        InvertedResidual(16, 24, 5, 2, 6),
        InvertedResidual(24, 24, 5, 1, 6),
        InvertedResidual(24, 40, 3, 2, 6),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(40, 10),
    )


def digits() -> Tensor:
    return load_images("mnist").train.x[:256]


NETS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "vgg": (mnist_vgg, digits),
    "small-vgg": (small_vgg, digits),
    "mobile": (mobile, digits),
    "efficientnet": (efficientnet_lite0, photographs),
}


def seconds(build: HostBuild) -> float:
    runs, start = 0, time.perf_counter()
    while time.perf_counter() - start < ROUND_SECONDS:
        build.run()
        runs += 1
    return (time.perf_counter() - start) / runs


def measure(name: str, flags: list[str]) -> Result:
    torch.manual_seed(0)
    make, images = NETS[name]
    model, x = make(), images()
    if model.training:  # its normalizations have seen nothing yet
        model(x)
    network = to_integer(model, x)
    source = network.input
    q = ((x / source.scale).round() + source.zero_point).clamp(-128, 127).to(torch.int8)
    builds = [HostBuild(generate(network, style=s), flags) for s in ("specialized", "naive")]
    if any(not torch.equal(build(q[:64]), run_integer(network, q[:64])) for build in builds):
        sys.exit(f"{name}: the integers of C and Python differ")
    rounds = [[seconds(build) for build in builds] for _ in range(ROUNDS)]
    generated, naive = (statistics.median(times) for times in zip(*rounds, strict=True))
    plan, footprint = builds[0].program.plan, builds[0].footprint
    return {
        "flash_bytes": footprint.flash_bytes,
        "weight_bytes": network.weight_bytes,
        "sram_bytes": footprint.sram_bytes,
        "arena_bytes": plan.peak_bytes,
        "arena_bytes_at_least": plan.lower_bound,
        "naive_sram_bytes": builds[1].footprint.sram_bytes,
        "generated_seconds": generated,
        "naive_seconds": naive,
        "ratio": naive / generated,
        "torch_seconds": measure_latency(model, x[:1], threads=1).median,
    }


def table(results: dict[str, Result]) -> str:
    rows: list[tuple[str, ...]] = [
        ("net", "flash", "SRAM", "generated, us", "naive, us", "ratio", "torch float, us", "")
    ]
    for name, found in results.items():
        times = [1e6 * found[f"{who}_seconds"] for who in ("generated", "naive", "torch")]
        sizes = [f"{found[f'{memory}_bytes']:,}" for memory in ("flash", "sram")]
        first, second, third = (f"{t:,.0f}" for t in times)
        rows.append((name, *sizes, first, second, f"{found['ratio']:.1f}", third, ""))
    return markdown(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tiny",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--flags", nargs="+", default=[], help="of the compiler, besides the usual")
    default = Path(__file__).parent / "results" / "tiny.json"
    parser.add_argument("--output", type=Path, default=default, help="file for the results")
    arguments = parser.parse_args()
    flags = [*FLAGS, *arguments.flags]
    results = {name: measure(name, flags) for name in arguments.nets}
    write(arguments.output, {"machine": machine([]), "flags": flags, "results": results})
    print(table(results))


if __name__ == "__main__":
    main()
