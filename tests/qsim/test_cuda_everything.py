"""All that runs on the cpu runs on the GPU engine, with the same numbers."""

import traceback
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import qsim
import qsim.sums
from qsim import Circuit, Input, NoiseModel, PauliString, PauliSum, State, Weight, channels

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("named_cuda")]

# Where tensors are, and the engine that is asked for.
PLACES = [("cpu", "cuda-emulated"), pytest.param(("cuda", "auto"), marks=pytest.mark.gpu)]

ENERGY = PauliSum({"ZZI": 0.5, "XXY": 0.25, "IIZ": -1.0})
READ = NoiseModel().add_readout([0, 2], 0.02, 0.1)
NOISE = READ.add("cx", channels.depolarizing(0.1, 2))


def pure() -> Circuit:
    circuit = Circuit(3)
    for qubit in range(3):
        circuit.ry(Input(qubit), qubit).rz(Weight(qubit), qubit)
    return circuit.cx(0, 1).crx(Weight(0), 1, 2).rzz(2 * Weight(1), 0, 2)


def damped() -> Circuit:
    return pure().append(channels.amplitude_damping(0.2), 1).ry(Weight(2), 1)


def dynamic() -> Circuit:
    circuit = pure().measure(0, 0).if_test((0, 1), Circuit(3).x(1)).reset(0)
    return circuit.ry(Weight(1), 0).measure(1, 1)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def slopes(value: Tensor, weights: Tensor, inputs: Tensor) -> list[Tensor]:
    real = torch.view_as_real(value) if value.is_complex() else value
    return [value, *torch.autograd.grad(real.square().sum(), (weights, inputs))]


def twice(circuit: Circuit, w: Tensor, x: Tensor, **options: Any) -> Tensor:
    """A derivative of a gradient."""
    values = qsim.expval(circuit, [ENERGY], w, x, **options)
    (first,) = torch.autograd.grad(values.sum(), w, create_graph=True)
    return torch.autograd.grad(first.square().sum(), w)[0]


def basis_state(like: Tensor) -> Tensor:
    psi = torch.zeros(8, dtype=torch.complex128, device=like.device)
    psi[5] = 1
    return psi


def fixed(given: Tensor) -> Tensor:
    return given.detach()


EXACT: dict[str, Any] = {"noise": NOISE, "method": "exact"}
DRAWN: dict[str, Any] = {"noise": NOISE, "method": "trajectories"}

CALLS: dict[str, Callable[..., Any]] = {
    "expval": lambda w, x, **o: slopes(qsim.expval(pure(), None, w, x, **o), w, x),
    "sums": lambda w, x, **o: slopes(qsim.expval(pure(), [ENERGY, ENERGY], w, x, **o), w, x),
    "state": lambda w, x, **o: slopes(qsim.state(pure(), w, x, **o), w, x),
    "probabilities": lambda w, x, **o: slopes(
        qsim.probabilities(pure(), w, x, qubits=[2, 0], **o), w, x
    ),
    "variance": lambda w, x, **o: slopes(qsim.variance(pure(), [ENERGY], w, x, **o), w, x),
    "covariance": lambda w, x, **o: slopes(qsim.covariance(pure(), None, w, x, **o), w, x),
    "density matrix": lambda w, x, **o: slopes(qsim.density_matrix(pure(), w, x, **o), w, x),
    "reduced": lambda w, x, **o: slopes(
        qsim.reduced_density_matrix(pure(), [2, 0], w, x, **o), w, x
    ),
    "purity": lambda w, x, **o: slopes(qsim.purity(pure(), [0], w, x, **o), w, x),
    "entropy": lambda w, x, **o: slopes(qsim.entropy(pure(), [0], w, x, **o), w, x),
    "fidelity": lambda w, x, **o: slopes(
        qsim.fidelity(pure(), State(basis_state(w)), w, x, **o), w, x
    ),
    "initial": lambda w, x, **o: slopes(
        qsim.expval(pure(), None, w, x, initial_state=basis_state(w), **o), w, x
    ),
    "second": lambda w, x, **o: twice(pure(), w, x, **o),
    "shift": lambda w, x, **o: slopes(qsim.expval(pure(), None, w, x, gradient="shift", **o), w, x),
    "jacobian": lambda w, x, **o: qsim.jacobian(pure(), None, w, x, **o),
    "metric": lambda w, x, **o: qsim.metric_tensor(pure(), w, x, **o),
    "hessian": lambda w, x, **o: qsim.hessian(pure(), [ENERGY], w, x[0], **o),
    "shots": lambda w, x, **o: qsim.expval(
        pure(), [ENERGY], fixed(w), fixed(x), shots=50, generator=seeded(), **o
    ),
    "shots shifted": lambda w, x, **o: slopes(
        qsim.expval(pure(), None, w, x, shots=50, generator=seeded(), gradient="shift", **o),
        w,
        x,
    ),
    "samples": lambda w, x, **o: qsim.samples(pure(), 50, w, x, generator=seeded(), **o),
    "counts": lambda w, x, **o: qsim.counts(pure(), 50, w, x, generator=seeded(), **o),
    "noisy": lambda w, x, **o: slopes(qsim.expval(damped(), [ENERGY], w, x, **EXACT, **o), w, x),
    "noisy matrix": lambda w, x, **o: slopes(
        qsim.density_matrix(damped(), w, x, **EXACT, **o), w, x
    ),
    "noisy probabilities": lambda w, x, **o: slopes(
        qsim.probabilities(damped(), w, x, **EXACT, **o), w, x
    ),
    "noisy from elsewhere": lambda w, x, **o: qsim.expval(
        damped(), None, w, x, initial_state=basis_state(w), **EXACT, **o
    ),
    "noisy and idle": lambda w, x, **o: [
        qsim.expval(Circuit(3).ry(Weight(0), 1), None, w[:1], noise=READ, **o),
        qsim.density_matrix(Circuit(3).ry(Weight(0), 1), w[:1], noise=READ, **o),
    ],
    "noisy second": lambda w, x, **o: twice(damped(), w, x, **EXACT, **o),
    "noisy shots": lambda w, x, **o: qsim.expval(
        damped(), [ENERGY], fixed(w), fixed(x), shots=50, generator=seeded(), **EXACT, **o
    ),
    "noisy samples": lambda w, x, **o: qsim.samples(
        damped(), 50, w, x, generator=seeded(), **EXACT, **o
    ),
    "trajectories": lambda w, x, **o: slopes(
        qsim.expval(damped(), [ENERGY], w, x, trajectories=9, generator=seeded(), **DRAWN, **o),
        w,
        x,
    ),
    "trajectories' probabilities": lambda w, x, **o: qsim.probabilities(
        damped(), w, x, trajectories=9, generator=seeded(), **DRAWN, **o
    ),
    "trajectories from elsewhere": lambda w, x, **o: qsim.expval(
        damped(),
        None,
        w,
        x,
        initial_state=basis_state(w),
        trajectories=9,
        generator=seeded(),
        **DRAWN,
        **o,
    ),
    "trajectories second": lambda w, x, **o: twice(
        damped(), w, x, trajectories=9, generator=seeded(), **DRAWN, **o
    ),
    "trajectories' shots": lambda w, x, **o: qsim.expval(
        damped(), [ENERGY], fixed(w), fixed(x), shots=9, generator=seeded(), **DRAWN, **o
    ),
    "trajectories' samples": lambda w, x, **o: qsim.samples(
        damped(), 9, w, x, generator=seeded(), **DRAWN, **o
    ),
    "dynamic": lambda w, x, **o: slopes(qsim.expval(dynamic(), [ENERGY], w, x, **o), w, x),
    "dynamic outcomes": lambda w, x, **o: slopes(
        qsim.outcome_probabilities(dynamic(), w, x, **o), w, x
    ),
    "dynamic samples": lambda w, x, **o: qsim.samples(dynamic(), 9, w, x, generator=seeded(), **o),
    "dynamic and noisy": lambda w, x, **o: slopes(
        qsim.expval(dynamic(), [PauliString("ZIZ")], w, x, noise=NOISE, **o), w, x
    ),
}


def results(name: str, device: str, engine: str) -> list[Any]:
    generator = torch.Generator().manual_seed(1)
    weights, inputs = (
        torch.rand(shape, generator=generator, dtype=torch.float64).to(device).requires_grad_()
        for shape in ((3,), (4, 3))
    )
    found = CALLS[name](weights, inputs, engine=engine)
    found = found if isinstance(found, list) else [found]
    for result in found:
        assert not isinstance(result, Tensor) or result.device.type == device
    return [result.cpu() if isinstance(result, Tensor) else result for result in found]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])
@pytest.mark.parametrize("name", CALLS)
def test_the_cpu_engine_gives_the_same(name: str, place: tuple[str, str]) -> None:
    for ours, theirs in zip(results(name, *place), results(name, "cpu", "cpu"), strict=True):
        if isinstance(ours, Tensor):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)
        else:
            assert ours == theirs


# What PyTorch's notes on torch.use_deterministic_algorithms name, and the ways back of gather and
# index_select.
UNORDERED = {"cumsum", "gather_backward", "index_add", "index_select_backward", "put"}
UNORDERED |= {"scatter_add", "scatter_reduce", "histc"}


class Unordered(TorchDispatchMode):
    """Keeps the names of operations on reals that a GPU does in an order of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__.rstrip("_")
        if name in UNORDERED and not any(
            frame.filename == qsim.sums.__file__ for frame in traceback.extract_stack()
        ):
            result = args[0]
            if result.is_floating_point() or result.is_complex():
                self.names.add(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", CALLS)
def test_a_gpu_would_do_it_in_one_order(name: str) -> None:
    with Unordered() as unordered:
        results(name, "cpu", "cuda-emulated")
    assert not unordered.names
