"""Devices: names, calibrated errors, what is broken, and what an unknown name gets to hear."""

import json
from collections.abc import Callable

import pytest

from compile import Device, fake_device_names
from compile.calibration.targets import cut
from qsim import UsageError

LineDevice = Callable[..., Device]


@pytest.mark.parametrize("name", ["FakeQuitoV2", "fakequito", "fake_quito", "Quito", "quitov2"])
def test_names_of_snapshots_forgive_spelling(name: str) -> None:
    assert Device.from_name(name).name == "fake_quito"


def test_all_listed_names_are_devices() -> None:
    names = fake_device_names()
    assert len(names) > 60
    assert names == sorted(names)
    assert "FakeQuitoV2" in names
    assert "FakeBackendV2" not in names


@pytest.mark.parametrize(
    ("name", "hint"), [("quitto", "did you mean FakeQuitoV2"), ("#", "fake_device_names()")]
)
def test_unknown_name_tells_what_there_is(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"unknown device '{name}'") as caught:
        Device.from_name(name)
    assert hint in str(caught.value)
    assert "ibm_" in str(caught.value)


def test_errors_are_those_of_the_calibration(quito: Device) -> None:
    target = quito.backend.target
    assert quito.num_qubits == 5
    assert quito.is_simulated
    assert quito.edges == [(0, 1), (1, 2), (1, 3), (3, 4)]
    assert quito.dead_edges == []
    assert quito.two_qubit_error(3, 1) == target["cx"][(1, 3)].error
    assert quito.one_qubit_error(2) == target["sx"][(2,)].error
    assert quito.readout_error(4) == target["measure"][(4,)].error
    assert quito.t1(0) == target.qubit_properties[0].t1
    assert quito.t2(0) == target.qubit_properties[0].t2


def test_qubits_and_couplings_that_do_not_exist(quito: Device) -> None:
    with pytest.raises(UsageError, match="qubit 0 is coupled to 1"):
        quito.two_qubit_error(0, 4)
    for ask in (quito.readout_error, quito.one_qubit_error, quito.t1):
        with pytest.raises(UsageError, match="physical qubits 0 to 4, not 5"):
            ask(5)


@pytest.mark.parametrize("name", ["quito", "kingston", "boston"])
def test_calibration_survives_json(name: str) -> None:
    device = Device.from_name(name)
    calibration = device.calibration()
    assert json.loads(json.dumps(calibration, allow_nan=False)) == calibration
    assert calibration["name"] == device.name
    assert calibration["calibrated"][:2] == "20"
    assert len(calibration["qubits"]) == device.num_qubits
    a, b = device.edges[0]
    two_qubit = [g["error"] for g in calibration["gates"] if set(g["qubits"]) == {a, b}]
    assert device.two_qubit_error(a, b) in two_qubit


def test_dead_and_uncalibrated_edges_are_no_edges(line: LineDevice) -> None:
    device = line({(0, 1): 0.01, (1, 2): 1.0, (2, 3): None, (3, 4): 0.02})
    assert device.edges == [(0, 1), (3, 4)]
    assert device.dead_edges == [(1, 2), (2, 3)]
    assert device.two_qubit_error(1, 2) == 1.0
    assert set(device.target["cx"]) == {(0, 1), (3, 4)}


def test_edges_of_a_dead_qubit_are_dead(line: LineDevice) -> None:
    device = line({(0, 1): 0.01, (1, 2): 0.01}, sx={2: 1.0})
    assert device.edges == [(0, 1)]
    assert device.dead_edges == [(1, 2)]


def test_ideal_device_has_edges_without_errors(line: LineDevice) -> None:
    device = line({(0, 1): None, (1, 2): None}, sx={0: None}, t1=None)
    assert device.edges == [(0, 1), (1, 2)]
    assert device.two_qubit_error(0, 1) == 0.0
    assert device.t1(0) is None
    json.dumps(device.calibration(), allow_nan=False)


def test_a_target_without_dead_gates_is_taken_as_it_is(quito: Device) -> None:
    assert quito.target is quito.backend.target


def test_cut_keeps_errors_and_renumbers_qubits(quito: Device) -> None:
    target = quito.backend.target
    part = cut(target, [3, 1, 4], lambda name, _: name != "id")
    assert part.num_qubits == 3
    assert "id" not in part.operation_names
    assert set(part["cx"]) == {(0, 1), (1, 0), (0, 2), (2, 0)}
    assert part["cx"][(1, 0)] == target["cx"][(1, 3)]
    assert part["measure"][(2,)] == target["measure"][(4,)]
    assert part.qubit_properties[0].t1 == target.qubit_properties[3].t1
