"""The training step by gates on plain tensors, one after another, on the GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import torch
from torch import Tensor

from benchmarks.gpu_works import Work


def step(work: Work) -> tuple[str, Callable[[], Any]]:
    """Who takes the step, and the step.

    TorchQuantum where it can be imported (CONTRIBUTING.md says how), otherwise our own engine in
    plain torch, which is no peer: it says so in its name.
    """
    weights, inputs = work.tensors("cuda", torch.float32)
    if find_spec("torchquantum") is None:
        name = "our reference engine in plain torch, because torchquantum is not installed"
        return name, work.step("cuda", torch.float32, "reference")
    return "TorchQuantum", _by_torchquantum(work, weights, inputs)


def _torchquantum() -> tuple[ModuleType, ModuleType]:
    # It imports torchvision for its data sets; they are not used here.
    for module in ("", ".datasets", ".datasets.utils", ".transforms"):
        sys.modules.setdefault("torchvision" + module, MagicMock())
    return import_module("torchquantum"), import_module("torchquantum.functional")


def _by_torchquantum(work: Work, weights: Tensor, inputs: Tensor) -> Callable[[], Any]:
    tq, functional = _torchquantum()
    measure = tq.MeasureAll(tq.PauliZ)
    names = {"cx": "cnot"}
    circuit = work.circuit

    def run() -> tuple[Tensor, ...]:
        device = tq.QuantumDevice(n_wires=circuit.num_qubits, bsz=work.batch, device="cuda")
        for gate, qubits, params in circuit.gates:
            apply = getattr(functional, names.get(gate.name, gate.name))
            if params:
                (symbol,) = params
                given = inputs[:, symbol.index] if symbol.source == "input" else None
                angle = weights[symbol.index].view(1, 1) if given is None else given
                apply(device, wires=list(qubits), params=angle)
            else:
                apply(device, wires=list(qubits))
        loss = measure(device).sum()
        return (loss, *torch.autograd.grad(loss, weights))

    return run
