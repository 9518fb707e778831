"""TorchQuantum: batched torch tensors, gradients by autograd."""

import sys
from unittest.mock import MagicMock

import torch

from benchmarks.harness import Run, main, threads
from benchmarks.works.step import CASES, Case

# TorchQuantum imports torchvision for its data sets; they are not used here.
for module in ("", ".datasets", ".datasets.utils", ".transforms"):
    sys.modules["torchvision" + module] = MagicMock()

import torchquantum as tq  # noqa: E402
import torchquantum.functional as tqf  # noqa: E402


def build(case: Case) -> Run:
    inputs, weights = case.angles()
    torch.set_num_threads(threads())
    x = torch.tensor(inputs, dtype=torch.float32)
    parameters = torch.tensor(weights, dtype=torch.float32, requires_grad=True)
    measure = tq.MeasureAll(tq.PauliZ)

    def run():
        parameters.grad = None
        device = tq.QuantumDevice(n_wires=case.qubits, bsz=case.batch)
        for qubit in range(case.qubits):
            tqf.ry(device, wires=qubit, params=x[:, qubit])
        for layer in parameters:
            for qubit in range(case.qubits):
                for gate, angle in zip((tqf.rx, tqf.ry, tqf.rz), layer[qubit], strict=True):
                    gate(device, wires=qubit, params=angle.view(1, 1))
            for qubit in range(case.qubits):
                tqf.cnot(device, wires=[qubit, (qubit + 1) % case.qubits])
        loss = measure(device).sum()
        loss.backward()
        return loss.item(), parameters.grad.numpy()

    return run


if __name__ == "__main__":
    main("TorchQuantum", "torchquantum", "complex64", CASES, build)
