"""Exact noise of compiled circuits: against Aer, finite differences and the logical circuit."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import DensityMatrix, Pauli
from qiskit_aer import AerSimulator

from compile import Device, compile, noisy, run
from compile.decoupling import SEQUENCES
from compile.schedule import with_delays
from qsim import GATES, Circuit, Input, PauliString, PauliSum, UsageError, Weight, expval

SHOTS = 50_000


def ansatz(num_qubits: int) -> Circuit:
    circuit = Circuit(num_qubits)
    weights = iter(range(2 * num_qubits))
    for qubit in range(num_qubits):
        circuit.ry(Input(qubit), qubit).rx(Weight(next(weights)), qubit)
    for qubit in range(num_qubits):
        circuit.cry(Weight(next(weights)), qubit, (qubit + 1) % num_qubits)
    return circuit


@pytest.mark.parametrize("layout", [None, (4, 1, 0)])
def test_noise_is_what_run_simulates(quito: Device, layout: tuple[int, ...] | None) -> None:
    circuit, inputs = ansatz(3), torch.rand(4, 3, generator=torch.Generator().manual_seed(0)) * 3
    weights = torch.linspace(-1, 2, circuit.num_weights)
    bound = compile(circuit.bind(weights=weights), quito, layout=layout)
    exact = noisy(bound, quito).expval(inputs=inputs)
    assert (exact - run(bound, quito, inputs, shots=SHOTS)).abs().max() < 5 / SHOTS**0.5
    assert (exact - expval(circuit, None, weights, inputs)).abs().max() > 0.05


def test_weights_may_stay_open(quito: Device) -> None:
    circuit, inputs = ansatz(3), torch.rand(2, 3, dtype=torch.float64)
    weights = torch.linspace(-1, 2, circuit.num_weights, dtype=torch.float64, requires_grad=True)
    compiled = noisy(compile(circuit, quito), quito, idle=True)
    assert compiled.circuit.num_weights == circuit.num_weights

    def under_noise(weights: torch.Tensor) -> torch.Tensor:
        return compiled.expval(None, weights, inputs, dtype=torch.complex128)

    assert torch.autograd.gradcheck(under_noise, (weights,))
    with pytest.raises(UsageError, match=r"6 open weights: bind them by circuit\.bind"):
        run(compile(circuit, quito), quito, inputs)


@pytest.mark.filterwarnings("ignore:.*has no QubitProperties")
def test_observables_follow_the_layout(random_circuit: Callable[..., Circuit]) -> None:
    device = Device(GenericBackendV2(5, seed=0, noise_info=False))
    circuit = random_circuit(2, 3)
    compiled = noisy(compile(circuit, device, layout=(3, 0, 2)), device)
    observables = [PauliString("ZXY"), PauliSum({"IZZ": 0.5, "XIY": -1.5})]
    expected = expval(circuit, observables)
    assert torch.allclose(compiled.expval(observables), expected, atol=1e-5)


def test_qubits_without_gates_are_read_too(quito: Device) -> None:
    values = noisy(compile(Circuit(2).x(0), quito, layout=(0, 4)), quito).expval()
    p01, _ = quito.noise_model([4]).readout_errors[0]
    assert values[1].item() == pytest.approx(1 - 2 * p01, abs=1e-6)


@pytest.mark.parametrize("dd", list(SEQUENCES))
def test_pulses_of_decoupling_stay_in_their_places(quito: Device, dd: str) -> None:
    circuit = Circuit(2).h(0).cx(0, 1)
    for _ in range(80):
        circuit.x(1)
    compiled = compile(circuit.cx(0, 1).h(0), quito, level=0, layout=(0, 1), dd=dd)
    padded = with_delays(compiled.circuit, quito, compiled.final_layout)
    for physical, idle in ((compiled.circuit, False), (padded, True)):
        simulator = AerSimulator(noise_model=quito.aer_noise_model(), method="density_matrix")
        noisy_circuit = physical.copy()
        noisy_circuit.save_density_matrix(list(compiled.final_layout))
        state = DensityMatrix(simulator.run(noisy_circuit).result().data()["density_matrix"])
        found = noisy(compiled, quito, idle=idle)
        found = replace(found, noise=replace(found.noise, readout=()))
        for label in ("IX", "IZ", "ZI", "ZZ"):
            expected = state.expectation_value(Pauli(label)).real
            assert found.expval([PauliString(label)]).item() == pytest.approx(expected, abs=1e-4)


def test_another_device(quito: Device) -> None:
    compiled = compile(Circuit(1).x(0), Device.from_name("belem"))
    with pytest.raises(UsageError, match="compiled for fake_belem, so the noise of fake_quito"):
        noisy(compiled, quito)


@pytest.mark.filterwarnings("ignore:.*has no QubitProperties")
def test_open_weights_of_every_gate_with_a_phase() -> None:
    device = Device(
        GenericBackendV2(3, basis_gates=["rz", "sx", "x", "cz"], seed=0, noise_info=False)
    )
    angles = iter(map(Weight, range(100)))
    circuit = Circuit(3).h([0, 1, 2])
    for name, qubits in (
        ("p", (0,)), ("u2", (1,)), ("u3", (2,)),
        ("cp", (0, 1)), ("cu3", (1, 2)), ("cu", (2, 0)), ("cu3", (0, 1)),
    ):  # fmt: skip
        gate = GATES[name]
        circuit.append(gate, qubits, [next(angles) for _ in range(gate.num_params)])
    circuit.h([0, 1, 2])
    weights = torch.linspace(-2, 3, circuit.num_weights)
    found = noisy(compile(circuit, device), device).expval(None, weights)
    assert torch.allclose(found, expval(circuit, None, weights), atol=1e-5)


def test_open_weights_compile_quickly_for_every_basis() -> None:
    # Symbolic phases once took minutes here; the limit of the test run would show it.
    torino, circuit = Device.from_name("torino"), Circuit(4)
    for layer in range(4):
        for qubit in range(4):
            angles = [Weight(24 * layer + 6 * qubit + k) for k in range(6)]
            circuit.u3(*angles[:3], qubit).cu3(*angles[3:], qubit, (qubit + 1) % 4)
    compiled = compile(circuit, torino)
    assert compiled.num_weights == 96
    assert compiled.circuit.global_phase == 0
