"""Several Python threads at once: results stay what they are, and kernels let others go on."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Semaphore, Thread
from typing import Any

import pytest
import torch
from torch import Tensor

from qsim import Circuit, Input, PauliString, Weight, _native, expval, state

pytestmark = pytest.mark.native

Job = tuple[int, int, Callable[..., Tensor]]
THREADS = 8
MEASURED = [PauliString("XIZIY"), PauliString("IIIIZ"), PauliString("ZZXII")]


def layered(num_qubits: int, layers: int) -> Circuit:
    circuit = Circuit(num_qubits)
    for layer in range(layers):
        for qubit in range(num_qubits):
            circuit.ry(Input(qubit), qubit).rx(Weight(layer * num_qubits + qubit), qubit)
        for qubit in range(num_qubits):
            circuit.crz(Weight(layer), qubit, (qubit + 1) % num_qubits)
    return circuit


def step(circuit: Circuit, batch: int, of: Callable[..., Tensor]) -> tuple[Tensor, ...]:
    """Values and gradients, the same for the same arguments."""
    generator = torch.Generator().manual_seed(batch)
    weights = torch.randn(circuit.num_weights, generator=generator, requires_grad=True)
    inputs = torch.randn(batch, circuit.num_inputs, generator=generator, requires_grad=True)
    result = of(circuit, weights, inputs)
    (result.abs() ** 2).sum().backward()
    assert weights.grad is not None
    assert inputs.grad is not None
    return result.detach(), weights.grad, inputs.grad


def values(circuit: Circuit, weights: Tensor, inputs: Tensor) -> Tensor:
    return expval(circuit, MEASURED, weights, inputs, engine="cpu")


def states(circuit: Circuit, weights: Tensor, inputs: Tensor) -> Tensor:
    return state(circuit, weights, inputs, engine="cpu")[:, ::3]


def test_calls_at_once_give_what_they_give_one_after_another() -> None:
    """Also the first calls, which plan a circuit and place its observables."""
    circuits = [layered(5, layers) for layers in (1, 2, 4)]
    jobs = [
        (number, batch, of)
        for batch in (1, 3, 7, 20)
        for number in range(len(circuits))
        for of in (values, states)
    ]
    expected = {job: step(circuits[job[0]].copy(), *job[1:]) for job in jobs}
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(10):
            shared = [circuit.copy() for circuit in circuits]
            start = Barrier(THREADS)

            def work(
                first: int, shared: list[Circuit] = shared, start: Barrier = start
            ) -> dict[Job, tuple[Tensor, ...]]:
                start.wait()
                return {job: step(shared[job[0]], *job[1:]) for job in jobs[first:] + jobs[:first]}

            for found in pool.map(work, range(THREADS)):
                for job, tensors in found.items():
                    assert all(map(torch.equal, tensors, expected[job]))


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Kernels share their work out, also on a machine of one processor."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    """Those of its parent are not there, and whoever waited for them would wait for ever."""
    circuit, weights = layered(14, 2), torch.ones(28)
    inputs = torch.ones(4, 14)
    expected = expval(circuit, None, weights, inputs, engine="cpu")
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        found = expval(circuit, None, weights, inputs, engine="cpu")
        os._exit(0 if torch.equal(found, expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def no_switching() -> Iterator[None]:
    """A thread keeps the GIL until it gives it away."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("no_switching")
def test_kernels_let_other_python_threads_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bystander is woken right before a kernel and looked for right after it.

    In between it can only have run if the kernel gave the GIL away; the system may be slow to
    wake it, hence the repetitions.
    """
    wake, ran, seen = Semaphore(0), [False], set()

    def bystander() -> None:
        while wake.acquire() and wanted:
            ran[0] = True

    def watched(name: str) -> Callable[..., None]:
        kernel = getattr(_native.float32.Run, name)

        def call(*arguments: Any) -> None:
            ran[0] = False
            wake.release()
            kernel(*arguments)
            if ran[0]:
                seen.add(name)

        return call

    wanted = True
    thread = Thread(target=bystander)
    thread.start()
    kernels = ("forward", "backward")
    for name in kernels:
        monkeypatch.setattr(_native.float32.Run, name, watched(name))
    circuit = layered(16, 2)
    for _ in range(50):
        step(circuit, 1, lambda c, w, x: expval(c, None, w, x, engine="cpu"))
        if seen == set(kernels):
            break
    wanted = False
    wake.release()
    thread.join()
    assert seen == set(kernels)
