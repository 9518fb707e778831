"""Generated C, compiled and run here."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from classical.errors import UsageError
from classical.quantization.inference import check_input
from classical.quantization.integer import Value
from classical.tiny.footprint import Footprint
from classical.tiny.generator import Program

FLAGS = ("-std=c99", "-O3", "-fno-asynchronous-unwind-tables")
"""Of the compiler; the last leaves out tables that only debuggers and exceptions read."""
_DEPTH = 3
"""No chain of calls is longer: run, a layer, its kernel, where that is not inlined."""


class HostBuild:
    """A program compiled for this machine, where one runs at a time: its memory is static.

    Attributes:
        footprint: flash is code and weights, as the compiler made them for this machine; SRAM is
            the arena and the largest frames of the stack.
        run: the function in C, from what is in the arena to what is in the arena.
    """

    def __init__(self, program: Program, flags: Sequence[str] = FLAGS) -> None:
        """Compile.

        Args:
            program: from `generate`.
            flags: of the compiler, which $CC names, else it is cc.

        Raises:
            UsageError: if there is no compiler, or it fails.
        """
        self.program = program
        with TemporaryDirectory() as folder:
            source = Path(folder) / "network.c"
            program.save(source)
            unit, library = source.with_suffix(".o"), source.with_suffix(".so")
            compiler = os.environ.get("CC", "cc").split()
            _run([*compiler, *flags, "-fPIC", "-fstack-usage", "-c", str(source), "-o", str(unit)])
            _run([*compiler, "-shared", str(unit), "-o", str(library)])
            self.footprint = _measure(program, unit)
            functions = ctypes.CDLL(str(library))
        self.run = functions[f"{program.name}_run"]
        self.run.restype = None
        self._input = _array(functions[f"{program.name}_input"], program.network.input)
        self._output = _array(functions[f"{program.name}_output"], program.network.output)

    def __call__(self, q: Tensor) -> Tensor:
        """int8 [batch, *network.input.shape] -> int8 [batch, *network.output.shape]."""
        check_input(self.program.network, q)
        results = np.empty((len(q), *self.program.network.output.shape), np.int8)
        for image, result in zip(q.numpy(), results, strict=True):
            self._input[...] = np.moveaxis(image, 0, -1)
            self.run()
            result[...] = np.moveaxis(self._output, -1, 0)
        return torch.from_numpy(results)


def _array(place: ctypes._NamedFuncPointer, value: Value) -> np.ndarray:
    """The memory of a value, with channels last."""
    place.restype = ctypes.POINTER(ctypes.c_int8)
    return np.ctypeslib.as_array(place(), (*value.shape[1:], value.shape[0]))


def _measure(program: Program, unit: Path) -> Footprint:
    head, numbers = (line.split() for line in _run(["size", str(unit)]).splitlines())
    size = dict(zip(head, map(int, numbers[:3]), strict=False))
    frames = sorted(
        int(line.split("\t")[1]) for line in unit.with_suffix(".su").read_text().splitlines()
    )
    return replace(
        program.footprint,
        flash_bytes=size["text"] + size["data"],
        sram_bytes=size["data"] + size["bss"] + sum(frames[-_DEPTH:]),
    )


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise UsageError(
            f"there is no {command[0]!r} here: install a C compiler (Debian, Ubuntu: apt install "
            "gcc), or name one by the environment variable CC"
        ) from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines()
        reason = next((line for line in lines if "error" in line), "it gives no reason")
        raise UsageError(f"{command[0]} cannot compile the program: {reason}") from None
    return done.stdout
