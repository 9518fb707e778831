"""Running: against exact values with and without noise, seeds, shapes and progress."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import DensityMatrix, Pauli
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

import compile.simulation as simulation
from compile import Compiled, Device, Executor, compile, run
from compile.execution import simulated
from qsim import Circuit, Input, UsageError, expval

RandomCircuit = Callable[..., Circuit]
SHOTS = 4096
SIGMA = 1 / SHOTS**0.5


def noisy_z(compiled: Compiled, device: Device) -> list[float]:
    """Exact <Z> under the gate errors of the whole device and its two-way readout errors."""
    circuit = compiled.circuit.copy()
    circuit.save_density_matrix()
    simulator = AerSimulator.from_backend(device.backend)
    state = DensityMatrix(simulator.run(circuit).result().data()["density_matrix"])
    z = [state.expectation_value(Pauli("Z"), [q]).real for q in compiled.final_layout]
    wrong = [directions(device, qubit) for qubit in compiled.final_layout]
    return [value * (1 - p01 - p10) + p10 - p01 for value, (p01, p10) in zip(z, wrong, strict=True)]


def directions(device: Device, qubit: int) -> tuple[float, float]:
    """Probabilities to read 1 for |0>, and 0 for |1>."""
    known = device.backend.properties().qubit_property(qubit)
    return known["prob_meas1_prep0"][0], known["prob_meas0_prep1"][0]


@pytest.mark.filterwarnings("ignore:.*has no QubitProperties")
def test_exact_values_on_a_device_without_noise(random_circuit: RandomCircuit) -> None:
    device = Device(GenericBackendV2(5, seed=0, noise_info=False))
    circuit = random_circuit(0, 4, num_inputs=16)
    inputs = torch.rand(5, 16) * 3
    measured = run(compile(circuit, device), device, inputs, shots=SHOTS)
    assert measured.shape == (5, 4)
    assert measured.dtype == torch.float32
    assert (measured - expval(circuit, inputs=inputs)).abs().max() < 5 * SIGMA


@pytest.mark.parametrize("layout", [None, (4, 1, 0, 3)])
def test_noise_is_that_of_the_device(
    quito: Device, random_circuit: RandomCircuit, layout: tuple[int, ...] | None
) -> None:
    circuit = random_circuit(1, 4, gates=30)
    compiled = compile(circuit, quito, layout=layout)
    measured = run(compiled, quito, shots=50_000)
    assert measured.shape == (4,)
    expected = torch.tensor(noisy_z(compiled, quito))
    assert (measured - expected).abs().max() < 5 / 50_000**0.5
    assert (measured - expval(circuit)).abs().max() > 0.1


def test_trajectories_agree_with_exact_noise(
    quito: Device, random_circuit: RandomCircuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = compile(random_circuit(1, 3, gates=20), quito)
    for module in (simulation, simulated):
        monkeypatch.setattr(module, "simulation_method", lambda *_: "statevector")
    for simulator in ("qsim", "aer"):
        measured = Executor(quito, shots=SHOTS, simulator=simulator).expval(compiled)
        assert (measured - torch.tensor(noisy_z(compiled, quito))).abs().max() < 5 * SIGMA


def test_method_follows_qubits_and_shots() -> None:
    assert simulation.simulation_method(5, 8192) == "density_matrix"
    assert simulation.simulation_method(12, 8192) == "density_matrix"
    assert simulation.simulation_method(14, 8192) == "statevector"
    assert simulation.simulation_method(12, 64) == "statevector"


def test_noise_model_of_active_qubits_is_that_of_the_device() -> None:
    device = Device.from_name("guadalupe")
    circuit = Circuit(3).h(0).cx(0, 1).cx(1, 2)
    small, active = simulation.on_active_qubits(
        compile(circuit, device, layout=(13, 12, 10)).measured()
    )
    assert active == [10, 12, 13]
    assert small.num_qubits == 3
    part = simulation.noisy_simulator(small, device, active, 100).options.noise_model.to_dict()
    whole = NoiseModel.from_backend(device.backend).to_dict()

    def errors(model: dict, place: dict[int, int]) -> dict:
        return {
            (*error["operations"], *(place[q] for q in error["gate_qubits"][0])): (
                error.get("instructions"),
                error["probabilities"],
            )
            for error in model["errors"]
            if set(error["gate_qubits"][0]) <= place.keys()
        }

    cut = errors(part, dict(enumerate(active)))
    full = errors(whole, {q: q for q in active})
    assert {name for name, *_ in cut} == {"cx", "sx", "measure"}
    for qubit in active:
        p01, p10 = directions(device, qubit)
        _, rows = cut.pop(("measure", qubit))
        np.testing.assert_allclose(rows, [[1 - p01, p01], [p10, 1 - p10]])
    kept = {gate: error for gate, error in full.items() if gate[0] in {"cx", "sx"}}
    np.testing.assert_equal(cut, kept)


def test_every_qubit_is_read_at_its_place(quito: Device) -> None:
    circuit = Circuit(4).x(2).x(0).swap(0, 3)
    for layout in ((0, 1, 2, 3), (4, 2, 0, 1)):
        measured = run(compile(circuit, quito, layout=layout), quito, shots=1000)
        assert (measured.sign() == torch.tensor([1, 1, -1, -1])).all()


def test_features_reach_their_gates(quito: Device) -> None:
    circuit = Circuit(2, num_inputs=12)  # as many as sort differently by name and by number
    circuit.rx(Input(2), 0).rx(Input(11), 1)
    inputs = torch.zeros(2, 12)
    inputs[0, 2] = inputs[1, 11] = torch.pi
    measured = run(compile(circuit, quito), quito, inputs, shots=500)
    assert (measured.sign() == torch.tensor([[-1, 1], [1, -1]])).all()


def test_seeds(quito: Device, random_circuit: RandomCircuit) -> None:
    compiled = compile(random_circuit(2, 3, num_inputs=3), quito)
    inputs = torch.ones(40, 3)
    first = run(compiled, quito, inputs, shots=500)
    assert torch.equal(first, run(compiled, quito, inputs, shots=500))
    assert not torch.equal(first, run(compiled, quito, inputs, shots=500, seed=1))
    # Equal samples are measured anew, across jobs too.
    assert len(first[[0, 1, 32, 33]].unique(dim=0)) == 4
    spread = first.std(0) / ((1 - first.mean(0) ** 2) / 500).sqrt()
    assert ((spread > 0.6) & (spread < 1.5)).all()


def test_progress_counts_samples(quito: Device) -> None:
    compiled = compile(Circuit(2).rx(Input(0), 0).cx(0, 1), quito)
    seen: list[tuple[int, int]] = []
    run(compiled, quito, torch.rand(40, 1), shots=10, progress=lambda *now: seen.append(now))
    assert seen == [(32, 40), (40, 40)]


def test_shapes(quito: Device) -> None:
    compiled = compile(Circuit(2).rx(Input(0), 0), quito)
    assert run(compiled, quito, torch.rand(1), shots=10).shape == (2,)
    assert run(compiled, quito, torch.rand(1, 1), shots=10).shape == (1, 2)
    assert run(compiled, quito, torch.rand(0, 1), shots=10).shape == (0, 2)
    unused = compile(Circuit(2, num_inputs=3).h(0), quito)
    assert run(unused, quito, torch.rand(5, 3), shots=10).shape == (5, 2)


@pytest.mark.filterwarnings("ignore:.*has no QubitProperties")
def test_more_bits_than_a_byte() -> None:
    device = Device(GenericBackendV2(11, seed=0, noise_info=False))
    circuit = Circuit(11).x(0).x(8).x(10)
    assert run(compile(circuit, device), device, shots=20).tolist() == [
        -1.0 if q in (0, 8, 10) else 1.0 for q in range(11)
    ]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (None, r"\[batch, 3\], but was given none"),
        (torch.rand(2, 4), r"\[batch, 3\], but was given a tensor of shape \[2, 4\]"),
        (torch.rand(1, 2, 3), r"shape \[1, 2, 3\]"),
        (torch.tensor([0.0, torch.nan, 0.0]), "NaN"),
    ],
)
def test_inputs_that_do_not_fit(quito: Device, inputs: torch.Tensor | None, words: str) -> None:
    compiled = compile(Circuit(1).rx(Input(0), 0).rx(Input(2), 0), quito)
    with pytest.raises(UsageError, match=words):
        run(compiled, quito, inputs)


def test_mistakes_in_options(quito: Device) -> None:
    compiled = compile(Circuit(1).h(0), quito)
    with pytest.raises(UsageError, match="the number of shots is a whole number from 1 on, not 0"):
        run(compiled, quito, shots=0)
    with pytest.raises(UsageError, match="the seed is a whole number"):
        run(compiled, quito, seed=-3)
    with pytest.raises(
        UsageError, match="compiled for fake_quito, so it does not run on fake_lima"
    ):
        run(compiled, Device.from_name("lima"))
