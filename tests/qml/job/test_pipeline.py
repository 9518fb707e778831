"""What can be chosen for the main job, and what its circuits are made of."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console

from compile import Device
from qml.cli import main
from qml.job.pipeline import Job, JobConfig, first_gates
from qml.nas.estimators import SuccessProbability, SurvivingSignal, default_estimator
from qml.nas.spaces import SPACES
from qml.progress import ConsoleReporter
from qml.runs import RunFolder
from qsim import Circuit, Input, Weight

OPTIONS = {"space": "rxyz", "estimator": "success", "processes": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run in another space, by another estimator, in two processes."""
    path = tmp_path_factory.mktemp("runs") / "run"
    options = [word for name, value in OPTIONS.items() for word in (f"--{name}", str(value))]
    assert main(["run", "--preset", "tiny", *options, "--out", str(path)]) == 0
    return RunFolder.open(path)


def test_space_and_estimator_are_kept_and_used(folder: RunFolder) -> None:
    assert OPTIONS.items() <= folder.config.items()
    job = Job.open(folder)
    assert job.supercircuit.space == replace(SPACES["rxyz"], blocks=2)
    assert job.estimator == SuccessProbability()
    assert "SuccessProbability()" in folder.read_text("evaluations.jsonl").splitlines()[0]
    names = set(Circuit.from_dict(folder.read_json("circuits/searched.json")).count_ops())
    assert names == {"ry", "rz", "rx", "sh", "cz"}


def test_the_report_tells_them(folder: RunFolder) -> None:
    page = folder.read_text("report.html")
    assert "qml run --task digits-4 --device FakeQuitoV2" in page
    assert "--seed 0 --space rxyz --estimator success" in page
    gene = folder.read_json("stages/search.json")["gene"]
    # After the layer that every circuit starts with.
    blocks = [gene["layers"][1:5], gene["layers"][5:9]][: gene["blocks"]]
    assert ", ".join(" + ".join(map(str, block)) for block in blocks) in page


def test_one_process_finds_the_same(folder: RunFolder, tmp_path: Path) -> None:
    path = shutil.copytree(folder.path, tmp_path / "run")
    for name in ("evaluations.jsonl", "stages/search.json"):
        (path / name).unlink()
    again = RunFolder.open(path)
    again.config["processes"] = 1
    with ConsoleReporter(Console(quiet=True)) as reporter:
        Job.open(again).run(reporter)
    first, second = (f.read_json("stages/search.json") for f in (folder, again))
    assert first | {"seconds": 0} == second | {"seconds": 0}


@pytest.mark.parametrize(("preset", "blocks"), [("paper", 20), ("default", 20), ("tiny", 2)])
def test_blocks_are_those_of_the_space_unless_the_preset_says(preset: str, blocks: int) -> None:
    config = JobConfig.from_names("digits-4", "FakeQuitoV2", preset, 0, space="ibmq_basis")
    assert config.design_space.blocks == blocks


def test_a_run_from_before_there_were_options_goes_on(tmp_path: Path) -> None:
    settings = asdict(JobConfig.from_names("digits-10", "FakeGuadalupeV2", "tiny", 0))
    for name in ("space", "estimator", "processes"):
        del settings[name]
    calibration = Device.from_name("FakeGuadalupeV2").calibration()
    old = RunFolder.create(tmp_path / "old", settings, seeds={}, calibration=calibration)
    job = Job.open(old)
    assert job.supercircuit.space.name == "u3cu3"
    assert job.estimator == default_estimator(10) == SurvivingSignal()


def test_the_first_gates_end_where_weights_do() -> None:
    circuit = Circuit(2).rx(Input(0), 0).rz(Weight(0), 0).rz(Weight(1), 1).cx(0, 1)
    circuit.rz(Weight(2), 0).cx(1, 0)
    front = first_gates(circuit, 2)
    assert [gate.name for gate, _, _ in front.gates] == ["rx", "rz", "rz", "cx"]
    assert front.num_weights == 2
