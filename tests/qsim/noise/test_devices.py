"""Noise models of devices against Aer's, and Aer's exact simulation with equal channels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from qiskit.quantum_info import PTM, Kraus, SuperOp
from qiskit_aer import AerSimulator
from qiskit_aer import noise as aer
from qiskit_ibm_runtime import fake_provider

from compile.calibration.targets import cut
from qsim import Circuit, NoiseModel, UsageError, channels, density_matrix, probabilities
from qsim.interop.qiskit import to_qiskit
from qsim.noise.devices import from_backend

FIVE = [3, 4, 5, 6, 7]


def aers(circuit: QuantumCircuit, model: aer.NoiseModel) -> np.ndarray:
    saved = circuit.copy()
    saved.save_density_matrix()
    simulator = AerSimulator(method="density_matrix", noise_model=model)
    return simulator.run(saved).result().data()["density_matrix"].data


def random_native(num_qubits: int, edges: list[tuple[int, ...]], pair: str, seed: int) -> Circuit:
    """Gates that a device has, on edges that it has."""
    generator = np.random.default_rng(seed)
    circuit = Circuit(num_qubits)
    for _ in range(40):
        qubit = int(generator.integers(num_qubits))
        circuit.rz(float(generator.uniform(-3, 3)), qubit).sx(qubit)
        if generator.random() < 0.5:
            circuit.append(pair, edges[generator.integers(len(edges))])
    return circuit.x(0)


@pytest.fixture(scope="module")
def quito() -> BackendV2:
    return fake_provider.FakeQuitoV2()


def test_quito_is_aers(quito: BackendV2) -> None:
    edges = list(quito.target["cx"])
    circuit = random_native(5, edges, "cx", 0)
    noise = NoiseModel.from_backend(quito, idle=False)
    found = density_matrix(circuit, noise=noise, dtype=torch.complex128)
    expected = aers(to_qiskit(circuit), aer.NoiseModel.from_backend(quito))
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_readout_errors_keep_their_directions(quito: BackendV2) -> None:
    noise = NoiseModel.from_backend(quito)
    for qubit, (p01, p10) in noise.readout_errors.items():
        known = quito.properties().qubit_property(qubit)
        assert (p01, p10) == (known["prob_meas1_prep0"][0], known["prob_meas0_prep1"][0])
        assert (p01 + p10) / 2 == pytest.approx(quito.target["measure"][(qubit,)].error)
    read = probabilities(Circuit(5).x(2), noise=noise, qubits=[0, 2]).numpy()
    (a, _), (_, b) = noise.readout_errors[0], noise.readout_errors[2]
    flips = (1 - a, a)
    # X itself is noisy, by less than 0.1%.
    np.testing.assert_allclose(read[:2], [flips[0] * b, flips[1] * b], atol=2e-3)


def test_five_qubits_of_a_large_device_are_aers() -> None:
    device = fake_provider.FakeFez()
    small = cut(device.target, FIVE, lambda name, _: name != "if_else")
    edges = list(small["cz"])
    circuit = random_native(5, edges, "cz", 1)
    noise = NoiseModel.from_backend(device, FIVE, idle=False)
    assert noise.qubits == set(range(5))
    found = density_matrix(circuit, noise=noise, dtype=torch.complex128)
    expected = aers(to_qiskit(circuit), aer.NoiseModel.from_backend(AerSimulator(target=small)))
    np.testing.assert_allclose(found, expected, atol=1e-10)
    later = NoiseModel.from_backend(device, idle=False).on(FIVE)
    assert set(later.gates) == set(noise.gates)
    assert set(later.readout) == set(noise.readout)


def test_targets_do_without_their_backend(quito: BackendV2) -> None:
    model = from_backend(quito.target)
    assert model.gates == from_backend(quito).gates
    assert model.readout_errors[0][0] == model.readout_errors[0][1]


class Target(dict):
    """What a noise model asks a target of two qubits for."""

    num_qubits = 2

    def __init__(self, properties: dict, t1: float | None, t2: float | None) -> None:
        super().__init__(properties)
        self.operation_names = list(properties)
        self.qubit_properties = [SimpleNamespace(t1=t1, t2=t2)] * 2


def test_gaps_and_dead_gates_in_a_calibration_are_no_obstacle() -> None:
    known = SimpleNamespace
    device = Target(
        {
            "cx": {
                (0, 1): known(error=1.0, duration=3e-7),
                (1, 0): known(error=None, duration=None),
            },
            "sx": {(0,): known(error=1e-6, duration=3e-8), (1,): None},
            "if_else": None,
            "measure": {(0,): known(error=0.1, duration=None), (1,): None},
        },
        t1=1e-5,
        t2=5e-5,
    )
    model = from_backend(device)
    assert model.basis == {"cx", "sx"}
    assert model.readout_errors == {0: (0.1, 0.1)}
    assert {known.t2 for known in model.relaxation} == {2e-5}
    dead = [noise.channel for noise in model.gates if noise.gate == "cx"]
    lost = PTM(SuperOp(Kraus(list(dead[0].kraus)))).data.real
    assert np.trace(lost) / 16 < 0.01
    # The error of sx is below what relaxation alone costs.
    assert [n.channel.name for n in model.gates if n.gate == "sx"] == ["thermal_relaxation"]
    unknown = from_backend(Target({"sx": {(0,): known(error=1e-3, duration=3e-8)}}, None, None))
    assert [n.channel.name for n in unknown.gates] == ["depolarizing", "thermal_relaxation"]


def test_what_is_no_device_gets_a_sentence(quito: BackendV2) -> None:
    with pytest.raises(UsageError, match="BackendV2 or Target"):
        from_backend("quito")
    with pytest.raises(UsageError, match="has qubits 0 to 4"):
        from_backend(quito, [0, 5])
    with pytest.raises(UsageError, match="knows the gates cx, i, rz, sx, x, but the circuit has h"):
        density_matrix(Circuit(5).h(0), noise=from_backend(quito))


@pytest.mark.parametrize("seed", range(3))
def test_equal_channels_give_aers_density_matrix(seed: int) -> None:
    after = {
        "sx": channels.thermal_relaxation(50.0, 70.0, 3.0, 0.1),
        "h": channels.generalized_amplitude_damping(0.1, 0.3),
        "cx": channels.depolarizing(0.1, 2),
        "cz": channels.crosstalk_zz(0.2),
        "x": channels.reset_error(0.1, 0.05),
    }
    noise, theirs = NoiseModel(), aer.NoiseModel(basis_gates=["sx", "h", "cx", "cz", "x", "rz"])
    for name, channel in after.items():
        noise = noise.add(name, channel)
        theirs.add_all_qubit_quantum_error(aer.QuantumError(Kraus(list(channel.kraus))), name)
    edges = [(0, 1), (2, 1), (3, 0)]
    circuit = random_native(4, edges, "cx", seed).h([0, 1, 2]).cz(1, 3).h(3)
    found = density_matrix(circuit, noise=noise, dtype=torch.complex128)
    np.testing.assert_allclose(found, aers(to_qiskit(circuit), theirs), atol=1e-10)
