"""Run folders: atomic, recognised, never damaged, and one sentence for whatever is wrong."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from qml.runs import FORMAT_VERSION, RunFolder, Stage
from qsim.errors import UsageError


def create(path: Path) -> RunFolder:
    return RunFolder.create(
        path, {"task": "digits-4"}, seeds={"all": 7}, calibration={"name": "quito", "t1": None}
    )


def contents(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


def test_open_finds_what_create_wrote(tmp_path: Path) -> None:
    create(tmp_path / "deep" / "run")
    folder = RunFolder.open(tmp_path / "deep" / "run")
    assert folder.config == {"task": "digits-4"}
    assert folder.header["seeds"] == {"all": 7}
    assert folder.header["versions"]["numpy"] == np.__version__
    assert folder.read_json("calibration.json") == {"name": "quito", "t1": None}
    assert folder.changed_versions() == {}
    assert not folder.finished


def test_changed_versions_are_named(tmp_path: Path) -> None:
    folder = create(tmp_path / "run")
    now = folder.header["versions"]["numpy"]
    folder.header["versions"] |= {"numpy": "1.0", "gone": "2.0"}
    assert folder.changed_versions() == {"numpy": ("1.0", now), "gone": ("2.0", None)}


def test_tensors_and_state_come_back_together(tmp_path: Path) -> None:
    folder = create(tmp_path / "run")
    tensors = {"w": torch.randn(3, dtype=torch.float64), "mask": torch.tensor([True, False])}
    state = {"epoch": 3, "choices": None, "loss": 0.1 + 0.2}
    folder.save_checkpoint("search", tensors, state)
    loaded, loaded_state = folder.load_checkpoint("search") or ({}, None)
    assert loaded_state == state
    assert {name: t.tolist() for name, t in loaded.items()} == {
        name: t.tolist() for name, t in tensors.items()
    }
    assert loaded["w"].dtype == torch.float64


def test_a_finished_stage_drops_its_checkpoint(tmp_path: Path) -> None:
    folder = create(tmp_path / "run")
    assert folder.stage("search") is None
    folder.save_checkpoint("search", {}, 1)
    folder.finish_stage("search", {"seconds": 1.5})
    assert folder.stage("search") == {"seconds": 1.5}
    assert folder.load_checkpoint("search") is None


def test_the_clock_of_a_stage_runs_on_after_an_interruption(tmp_path: Path) -> None:
    folder = create(tmp_path / "run")
    folder.save_checkpoint("search", {}, {"seconds": 100.0, "state": "half"})
    stage = Stage(folder, "search")
    assert stage.state == "half"
    assert stage.finish({"x": 1})["seconds"] >= 100.0
    assert folder.stage("search") == {"seconds": pytest.approx(100.0, abs=60), "x": 1}


def test_a_failed_write_leaves_the_old_content_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = create(tmp_path / "run")
    folder.write_text("results.json", "old")
    before = contents(folder.path)

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(UsageError, match=r"results\.json.*no space left on device"):
        folder.write_text("results.json", "new")
    assert contents(folder.path) == before


def test_files_are_as_readable_as_others_of_the_user(tmp_path: Path) -> None:
    folder = create(tmp_path / "run")
    (tmp_path / "plain").touch()
    plain = (tmp_path / "plain").stat().st_mode
    assert (folder.path / "run.json").stat().st_mode == plain


def test_create_refuses_a_folder_with_files_and_leaves_it_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match=r"already holds files.*--resume"):
        create(tmp_path)
    assert contents(tmp_path) == {"thesis.tex": b"precious"}


def test_create_takes_an_empty_folder(tmp_path: Path) -> None:
    assert create(tmp_path).path == tmp_path


def test_create_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("precious")
    with pytest.raises(UsageError, match="is a file"):
        create(tmp_path / "run")
    with pytest.raises(UsageError, match=r"cannot write .*not a directory"):
        create(tmp_path / "run" / "below")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_create_says_where_it_may_not_write(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UsageError, match=r"cannot write .*permission denied"):
        create(tmp_path / "locked" / "run")


def test_open_refuses_what_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run folder"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is not a run folder"):
        RunFolder.open(tmp_path)
    (tmp_path / "run.json").write_text('{"format": "another program"}')
    with pytest.raises(UsageError, match="is not a run folder"):
        RunFolder.open(tmp_path)


def test_open_refuses_another_format_version(tmp_path: Path) -> None:
    folder = create(tmp_path / "run")
    folder.write_json("run.json", folder.header | {"version": FORMAT_VERSION + 1})
    with pytest.raises(UsageError, match=f"format {FORMAT_VERSION + 1}.*format {FORMAT_VERSION}"):
        RunFolder.open(folder.path)


@pytest.mark.parametrize(
    "half",
    ["", '{"format": "effi', f'{{"format": "efficient-qml run", "version": {FORMAT_VERSION}}}'],
)
def test_open_refuses_a_half_written_header(tmp_path: Path, half: str) -> None:
    folder = create(tmp_path / "run")
    (folder.path / "run.json").write_text(half)
    with pytest.raises(UsageError, match=r"run\.json' is damaged"):
        RunFolder.open(folder.path)


def test_half_written_files_are_named(tmp_path: Path) -> None:
    folder = create(tmp_path / "run")
    path = folder.write_tensors("weights/baseline.safetensors", {"weights": torch.zeros(9)})
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UsageError, match=r"baseline\.safetensors' is damaged"):
        folder.read_tensors("weights/baseline.safetensors")
    folder.write_text("stages/search.json", '{"gene": {"lay')
    with pytest.raises(UsageError, match=r"search\.json' is damaged"):
        folder.stage("search")
    with pytest.raises(UsageError, match=r"results\.json' is damaged \(no such file"):
        folder.read_json("results.json")


def test_what_was_edited_out_of_a_file_is_named(tmp_path: Path) -> None:
    folder = create(tmp_path / "run")
    folder.write_text("stages/search.json", '{"gene": {"layers": [1]}}')
    found = folder.stage("search")
    assert found is not None
    assert found["gene"]["layers"] == [1]
    with pytest.raises(
        UsageError, match=r"search\.json' is damaged \(it lacks 'seconds'\): restore"
    ):
        found["seconds"]
    with pytest.raises(
        UsageError, match=r"search\.json' is damaged \(it lacks 'layout'\): restore"
    ):
        found["gene"]["layout"]
    folder.write_text("results.json", "[1, 2]")
    with pytest.raises(UsageError, match=r"results\.json' is damaged \(it holds no object\)"):
        folder.read_json("results.json")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = create(tmp_path / "run")
    with (
        folder.lock(),
        pytest.raises(UsageError, match="another process"),
        RunFolder.open(folder.path).lock(),
    ):
        pass
    with RunFolder.open(folder.path).lock():
        pass


def test_numbers_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    folder = create(tmp_path / "run")
    with pytest.raises(ValueError, match="JSON"):
        folder.write_json("results.json", {"loss": float("nan")})
    assert not folder.finished
