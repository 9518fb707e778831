"""Generated C: the same integers as Python's, from a file that needs nothing else."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from classical.data import DataSet
from classical.errors import UsageError
from classical.models import VGG, efficientnet_lite0
from classical.models.efficientnet import InvertedResidual, convolution
from classical.quantization import IntegerModel, run_integer, to_integer
from classical.tiny import FLAGS, Footprint, HostBuild, Program, Target, generate

STRICT = ("-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")
STYLES = ("specialized", "naive")


def quantized(network: IntegerModel, x: Tensor) -> Tensor:
    source = network.input
    return ((x / source.scale).round() + source.zero_point).clamp(-128, 127).to(torch.int8)


@pytest.fixture(scope="session")
def strict() -> tuple[str, ...]:
    """Flags that refuse what is not C99, and end a program on undefined behaviour."""
    trap = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
    return *FLAGS, "-O1", *STRICT, *trap


@pytest.mark.parametrize("style", STYLES)
def test_every_kind_of_layer_is_exact(
    every_model: tuple[nn.Module, Tensor], style: str, strict: tuple[str, ...]
) -> None:
    network = to_integer(*every_model)
    build = HostBuild(generate(network, style=style), strict)
    q = torch.randint(-128, 128, (8, *network.input.shape), dtype=torch.int8)
    assert torch.equal(build(q), run_integer(network, q))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(6, 7, 3, padding=2, groups=1),
        nn.Conv2d(6, 9, 3, stride=(2, 1), groups=3),
        nn.Conv2d(6, 12, 3, padding=1, groups=6),
        nn.Conv2d(6, 6, 1, padding=1, groups=6),
        nn.Conv2d(6, 6, (5, 3), stride=(1, 3), padding=(4, 0), groups=6),
        nn.Conv2d(6, 5, 1),
        nn.Conv2d(6, 8, 1, stride=2),
        nn.MaxPool2d(3, 2, 1),
        nn.AvgPool2d((7, 2), padding=(1, 0)),
        nn.Flatten(),
    ],
)
def test_all_sizes_are_exact(layer: nn.Module, style: str, strict: tuple[str, ...]) -> None:
    network = to_integer(nn.Sequential(nn.MaxPool2d(1), layer), torch.randn(16, 6, 7, 9))
    q = torch.randint(-128, 128, (3, 6, 7, 9), dtype=torch.int8)
    build = HostBuild(generate(network, style=style), strict)
    assert torch.equal(build(q), run_integer(network, q))
    assert torch.equal(build(q[:1]), run_integer(network, q[:1]))  # a second run finds a used arena


def _mobile() -> nn.Module:
    return nn.Sequential(
        convolution(1, 8, 3, same=False),
        InvertedResidual(8, 8, 3, 1, 6),
        InvertedResidual(8, 16, 5, 2, 6),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


@pytest.mark.parametrize("model", [lambda: VGG((8, 16, "pool", 16)), _mobile])
def test_digits_are_exact_when_optimized(model: Callable[[], nn.Module], digits: DataSet) -> None:
    net = model().train()
    net(digits.train.x)
    network = to_integer(net, digits.train.x[:256])
    q = quantized(network, digits.test.x)
    expected = run_integer(network, q)
    assert len(expected.unique()) > 20
    for flags in (FLAGS, (*FLAGS, "-march=native")):
        assert torch.equal(HostBuild(generate(network), flags)(q), expected)


@pytest.fixture(scope="session")
def vgg() -> Program:
    return generate(to_integer(VGG(), torch.rand(64, 1, 28, 28)), "vgg")


def test_the_vgg_fits_64_kilobytes(vgg: Program) -> None:
    build = HostBuild(vgg)
    assert vgg.plan.peak_bytes == vgg.plan.lower_bound
    # Both images of the second convolution, and four columns of 3 x 3 x 16 values of 16 bits.
    assert vgg.plan.peak_bytes == 28 * 28 * (16 + 32) + 4 * 2 * 9 * 16
    assert vgg.plan.peak_bytes < build.footprint.sram_bytes < 64 * 1024
    assert vgg.network.weight_bytes < build.footprint.flash_bytes < 1.2 * vgg.network.weight_bytes


def test_it_stands_alone(vgg: Program, tmp_path: Path) -> None:
    vgg.save(tmp_path / "vgg.c")
    included = [line for line in vgg.source.splitlines() if line.startswith("#include")]
    assert included == ["#include <stdint.h>"]
    unit = tmp_path / "vgg.o"
    subprocess.run(["cc", *FLAGS, "-c", str(tmp_path / "vgg.c"), "-o", str(unit)], check=True)
    symbols = subprocess.run(["nm", str(unit)], capture_output=True, text=True, check=True).stdout
    kinds = {line.split()[-1]: line.split()[-2] for line in symbols.splitlines()}
    # GCC takes these three for granted even where there is no library.
    needed = {name for name, kind in kinds.items() if kind == "U"}
    assert needed <= {"memcpy", "memmove", "memset"}
    public = {name for name, kind in kinds.items() if kind.isupper() and kind != "U"}
    assert public == {"vgg_input", "vgg_output", "vgg_run"}


@pytest.mark.slow
def test_efficientnet_is_exact_on_photographs() -> None:
    photographs = pytest.importorskip("classical.data").photographs()
    network = to_integer(efficientnet_lite0(), photographs)
    q = quantized(network, photographs)
    program = generate(network)
    assert program.plan.peak_bytes == program.plan.lower_bound
    assert torch.equal(HostBuild(program)(q), run_integer(network, q))


@pytest.mark.parametrize(
    ("flash", "sram", "message"),
    [
        (300, 1, r"9 bytes of SRAM, 8 more than chip has, most of them in layer 'peak': lower the"),
        (299, 9, r"300 bytes of flash, 1 more than chip has, most of them in layer 'heavy': prune"),
        (300, 9, ""),
    ],
)
def test_what_does_not_fit_is_refused(flash: int, sram: int, message: str) -> None:
    chip = Target("chip", "a core", None, flash, sram, "")
    footprint = Footprint(300, 9, "heavy", "peak")
    if message:
        with pytest.raises(UsageError, match=message):
            footprint.check_fits(chip)
    else:
        footprint.check_fits(chip)


def test_layers_are_named_where_most_is_needed(vgg: Program) -> None:
    assert vgg.footprint.peak_layer == "backbone.conv1"
    assert vgg.footprint.heaviest_layer == "backbone.conv5"
    assert vgg.footprint.flash_bytes == vgg.network.weight_bytes


def test_useless_programs_are_refused(vgg: Program, tmp_path: Path) -> None:
    network = to_integer(nn.Sequential(nn.Linear(4, 2)), torch.randn(8, 4))
    with pytest.raises(UsageError, match="'two words' is no name for a function in C"):
        generate(network, "two words")
    with pytest.raises(UsageError, match="there is no style 'fast': choose one of specialized, na"):
        generate(network, style="fast")
    with pytest.raises(UsageError, match="a network without layers"):
        generate(replace(network, layers=()))
    with pytest.raises(UsageError, match="cannot write"):
        generate(network).save(tmp_path / "none" / "network.c")
    with pytest.raises(UsageError, match=r"takes int8 \[batch, 4\], not float32 \[8, 4\]"):
        HostBuild(generate(network))(torch.randn(8, 4))
    with pytest.raises(UsageError, match=r"cannot compile the program: .*-no-such-flag"):
        HostBuild(generate(network), ("--no-such-flag",))


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    network = to_integer(nn.Sequential(nn.Linear(4, 2)), torch.randn(8, 4))
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(UsageError, match="there is no 'no-such-compiler' here: install a C compil"):
        HostBuild(generate(network))


def test_names_of_layers_stay_in_their_comments() -> None:
    network = to_integer(nn.Sequential(nn.Linear(4, 2)), torch.randn(8, 4))
    layer = replace(network.layers[0], name="first\n#error \\")
    build = HostBuild(generate(replace(network, layers=(layer,))), (*FLAGS, *STRICT))
    q = torch.ones(1, 4, dtype=torch.int8)
    assert torch.equal(build(q), run_integer(network, q))
