"""Calibrations: as files, edited by hand, cut, compared, and as the same noise by Aer and qsim."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from qiskit.circuit import Measure, Parameter
from qiskit.circuit.library import CXGate, RZZGate, SXGate
from qiskit.transpiler import InstructionProperties, QubitProperties, Target
from qiskit_aer import AerSimulator

import compile.device
from compile import CalibrationWarning, Device, noisy
from compile import compile as compile_circuit
from compile.schedule import with_delays
from compile.simulation import on_active_qubits
from qsim import Circuit, UsageError

LineDevice = Callable[..., Device]
Calibration = dict[str, Any]


@pytest.fixture
def edited(quito: Device) -> Calibration:
    return json.loads(json.dumps(quito.calibration()))


# --- Files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["quito", "burlington", "torino", "FakeFractionalBackend"])
def test_saved_device_is_the_same_device(name: str, tmp_path: Path) -> None:
    device = Device.from_fake(name)
    again = Device.load(device.save(tmp_path / "device.json"))
    assert again.calibration() == device.calibration()
    assert again.gate_facts == device.gate_facts
    assert again.edges == device.edges
    assert again.dead_edges == device.dead_edges
    assert again.decay == device.decay
    assert again.coords == device.coords
    assert again.calibrated == device.calibrated
    assert again.supports_dynamic_circuits == device.supports_dynamic_circuits
    assert again.fractional_gates == device.fractional_gates
    for qubit in range(device.num_qubits):
        assert again.readout_errors(qubit) == device.readout_errors(qubit)
        assert again.readout_error(qubit) == pytest.approx(device.readout_error(qubit), abs=1e-12)
    assert again.diff(device).changes == ()


def test_readout_has_both_directions(quito: Device) -> None:
    p01, p10 = quito.readout_errors(0)
    assert p10 > 2 * p01  # |1> decays while it is read
    assert quito.readout_error(0) == pytest.approx((p01 + p10) / 2)


def test_same_noise_after_a_file(quito: Device, edited: Calibration) -> None:
    again = Device.from_calibration(edited)
    models = [device.noise_model([3, 1], idle=True) for device in (again, quito)]
    for part in ("gates", "readout", "relaxation", "durations", "basis"):
        first, other = (set(getattr(model, part)) for model in models)
        assert first == other
    circuit = Circuit(3).h(0).cx(0, 1).cx(1, 2)
    assert compile_circuit(circuit, again).circuit == compile_circuit(circuit, quito).circuit
    assert again.is_simulated


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(version=3), "of version 3, and this release reads up to 2: upgrade"),
        (lambda c: c.update(version=1), "of version 1.*save the device anew"),
        (lambda c: c.update(format="noise"), "its format is not 'device calibration'"),
        (lambda c: c["qubits"].pop(), "the device has 5 qubits, but describes 4"),
        (lambda c: c.update(num_qubits=0), "num_qubits is a whole number from 1 on, not 0"),
        (lambda c: c.update(num_qubit=5), "unknown entry 'num_qubit'"),
        (lambda c: c.pop("dt"), "lacks the entry 'dt': write null"),
        (
            lambda c: c["qubits"][2].update(t1=-1),
            r"qubit 2: t1 is a number above 0 or null",
        ),
        (lambda c: c["qubits"][2].update(t2="1 us"), "qubit 2: t2 is a number"),
        (lambda c: c["qubits"][1].update(T1=1e-4), "qubit 1 has the unknown entry 'T1'"),
        (lambda c: c["qubits"][0].update(readout=[0.1]), r"qubit 0: readout is \[p01, p10\]"),
        (lambda c: c["qubits"][0].update(readout=[0.1, 2]), "qubit 0: readout is .* 0 to 1, not 2"),
        (lambda c: c["gates"][0].update(error=1.5), "gate cx on .*: error is .* 0 to 1 or null"),
        (lambda c: c["gates"][0].update(duration=float("nan")), "duration is a number from 0 on"),
        (lambda c: c["gates"][0].update(qubits=[0, 7]), "there is no qubit 7, as the device has 5"),
        (lambda c: c["gates"][0].update(qubits=[1, 1]), "different whole numbers"),
        (lambda c: c["gates"][0].update(gate="cy7"), "no standard gate of that name"),
        (lambda c: c["gates"].append("cx"), "a gate is an object with"),
        (lambda c: c.update(gates=3), "gates is a list, not 3"),
        (lambda c: c.update(coords=[[0, 0]]), "coords are .* each of the 5 qubits"),
    ],
)
def test_calibration_edited_wrongly(
    edited: Calibration, change: Callable[[Calibration], object], words: str, tmp_path: Path
) -> None:
    change(edited)
    with pytest.raises(UsageError, match=words):
        Device.from_calibration(edited)
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(edited))
    with pytest.raises(UsageError, match=words) as caught:
        Device.load(path)
    assert "edited.json" in str(caught.value)


def test_file_that_is_no_calibration(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        Device.load(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"format": ')
    with pytest.raises(UsageError, match="no JSON"):
        Device.load(tmp_path / "half.json")


def test_devices_are_made_of_backends(quito: Device) -> None:
    assert Device.from_backend(quito.backend).num_qubits == 5
    with pytest.raises(UsageError, match="made from a Qiskit BackendV2"):
        Device.from_backend("quito")  # type: ignore[arg-type]


def test_a_calibration_alone_runs_nothing(edited: Calibration) -> None:
    with pytest.raises(UsageError, match=r"compile\.run simulates it"):
        Device.from_calibration(edited).backend.run([])


# --- Parts and changes ----------------------------------------------------------------------------


def test_subset_keeps_the_numbers_of_its_qubits(quito: Device) -> None:
    part = quito.subset([3, 1, 4])
    assert part.num_qubits == 3
    assert part.edges == [(0, 1), (0, 2)]
    assert part.two_qubit_error(0, 1) == quito.two_qubit_error(3, 1)
    assert part.t1(2) == quito.t1(4)
    assert part.readout_errors(0) == quito.readout_errors(3)
    assert part.name == "fake_quito[3,1,4]"
    for wrong in ([0, 0], [], [5]):
        with pytest.raises(UsageError):
            quito.subset(wrong)


def test_drift_names_what_changed(quito: Device, edited: Calibration) -> None:
    gate = next(g for g in edited["gates"] if g["gate"] == "cx" and g["qubits"] == [0, 1])
    gate["error"] *= 3
    edited["qubits"][2]["t1"] /= 2
    edited["qubits"][4]["t2"] = None
    drift = Device.from_calibration(edited).diff(quito)
    found = [(change.what, change.qubits) for change in drift.changes]
    assert found == [("t2", (4,)), ("cx", (0, 1)), ("t1", (2,))]  # largest factor first
    assert drift.changes[1].after == pytest.approx(3 * quito.two_qubit_error(0, 1))
    assert np.exp(drift.changes[2].size) == pytest.approx(2)
    assert "cx of 0, 1" in str(drift)
    assert "nothing changed" in str(quito.diff(quito))
    with pytest.raises(UsageError, match="fake_lima and fake_quito"):
        quito.diff(Device.from_fake("lima"))


def test_refresh(quito: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="snapshot, so it does not change"):
        quito.refresh()
    newer = SimpleNamespace(name="ibm_quito", num_qubits=5)
    monkeypatch.setattr(Device, "is_simulated", False)
    monkeypatch.setattr(compile.device, "real_backend", lambda name: newer)
    assert quito.refresh().backend is newer


# --- What is broken -------------------------------------------------------------------------------


def test_impossible_and_missing_numbers_are_reported_once(edited: Calibration) -> None:
    edited["qubits"][0].update(t1=1e-5, t2=9e-5)
    edited["qubits"][1].update(t1=None)
    for gate in edited["gates"]:
        if set(gate["qubits"]) == {3, 4}:
            gate["error"] = 1.0
        if gate["qubits"] == [2] and gate["gate"] == "sx":
            gate["error"] = 1.0
    device = Device.from_calibration(edited)
    assert device.t2(0) == 2e-5
    assert device.t1(1) is None
    assert device.decay[1][0] == 0.0
    assert device.offline_qubits == [2]
    assert device.dead_edges == [(1, 2), (3, 4)]
    assert device.remarks == (
        "qubits 2 are offline: nothing is placed there",
        "couplings 3-4 are dead: nothing is routed there",
        "qubits 0 have T2 above 2 T1: it counts as 2 T1",
        "qubits 1 lack T1 or T2: it counts as infinite",
    )
    circuit = Circuit(2).h(0).cx(0, 1)
    with warnings.catch_warnings(record=True) as caught:
        assert compile_circuit(circuit, device).esp > 0
        compile_circuit(circuit, device)
        device.noise_model([0])
    assert [w.category for w in caught] == [CalibrationWarning]
    assert "calibration of fake_quito: qubits 2 are offline" in str(caught[0].message)


def test_a_sound_calibration_is_not_remarked_upon(quito: Device) -> None:
    assert quito.remarks == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile_circuit(Circuit(1).h(0), Device.from_fake("quito"))


def test_offline_qubit_of_a_snapshot() -> None:
    kingston = Device.from_fake("kingston")
    assert kingston.t1(146) is None
    assert 146 in kingston.offline_qubits
    assert not any(146 in edge for edge in kingston.edges)


def fractional_device(*, dead: bool, most: float = np.pi / 2) -> Device:
    target = Target(num_qubits=3, qubit_properties=[QubitProperties(1e-4, 1e-4)] * 3)
    target.add_instruction(SXGate(), {(q,): InstructionProperties(3e-8, 1e-3) for q in range(3)})
    angle = Parameter("a")
    pairs = {(0, 1): 0.01, (1, 2): 1.0 if dead else 0.01}
    known = {pair: InstructionProperties(1e-7, error) for pair, error in pairs.items()}
    target.add_instruction(RZZGate(angle), known, angle_bounds=[(0.0, most)])
    target.add_instruction(CXGate(), known)
    target.add_instruction(Measure(), {(q,): InstructionProperties(1e-6, 0.02) for q in range(3)})
    return Device(AerSimulator(target=target))


def test_bounds_of_fractional_gates_survive_cutting_and_files() -> None:
    device = fractional_device(dead=True)
    assert device.fractional_gates == ("rzz",)
    assert device.edges == [(0, 1)]
    assert set(device.target["rzz"]) == {(0, 1)}
    for target in (device.target, Device.from_calibration(device.calibration()).backend.target):
        assert target.supported_angle_bound("rzz", [1.5])
        assert not target.supported_angle_bound("rzz", [-0.1])
    with pytest.raises(UsageError, match=r"angles of rzz .* do not go from 0 to pi/2"):
        fractional_device(dead=True, most=1.0).calibration()


def test_dynamic_circuits() -> None:
    assert Device.from_fake("manila").supports_dynamic_circuits
    assert not Device.from_fake("quito").supports_dynamic_circuits


# --- Noise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("idle", [False, True])
@pytest.mark.parametrize("name", ["quito", "torino"])
def test_aer_and_qsim_have_the_same_noise(name: str, idle: bool) -> None:
    device = Device.from_fake(name)
    circuit = Circuit(3).h(0).cx(0, 1).ry(0.4, 2).cx(1, 2).u3(0.1, 0.2, 0.3, 0).cx(0, 2)
    compiled = compile_circuit(circuit, device)
    exact = noisy(compiled, device, idle=idle).expval(dtype=torch.complex128)
    padded = (
        with_delays(compiled.circuit, device, compiled.final_layout) if idle else compiled.circuit
    )
    small, active = on_active_qubits(padded)
    small.save_density_matrix()
    model = device.aer_noise_model(active)
    simulator = AerSimulator(noise_model=model, method="density_matrix")
    result = simulator.run(small, shots=1, optimization_level=0).result()
    weights = np.diag(result.data()["density_matrix"]).real
    for value, qubit in zip(exact.tolist(), compiled.final_layout, strict=True):
        ones = weights[np.arange(len(weights)) >> active.index(qubit) & 1 == 1].sum()
        p01, p10 = device.readout_errors(qubit)
        assert value == pytest.approx(1 - 2 * ((1 - ones) * p01 + ones * (1 - p10)), abs=1e-6)
    waits = noisy(compiled, device, idle=True).expval(dtype=torch.complex128)
    assert (exact - waits).abs().max() > 1e-5 or idle


def test_noise_of_qubits_that_do_not_exist(quito: Device) -> None:
    with pytest.raises(UsageError, match="qubits 0 to 4, not 5"):
        quito.aer_noise_model([5])
