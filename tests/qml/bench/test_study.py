"""The study of QuantumNAS at its smallest: every row runs, what has finished stays."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from qml.bench import study, table
from qml.bench.cells import Cell, Sizes
from qml.bench.energies import ENERGY_ROWS
from qml.bench.folder import open_study
from qml.bench.rows import ABLATIONS, ROWS
from qml.bench.table import CellName
from qml.nas.search import SearchConfig
from qml.progress import ConsoleReporter
from qml.runs import RunFolder
from qsim.errors import UsageError

TINY = Sizes(
    blocks=(2, 1),
    energy_steps=20,
    super_epochs=1,
    epochs=1,
    tuning_epochs=1,
    batch_size=128,
    search=SearchConfig(parents=1, mutations=2, crossovers=1, generations=2),
    search_samples=16,
    finalists=2,
    energy_finalists=2,
    shots=64,
    test_samples=(20, 2),
    exact_blocks=(1,),
)
NAMES = [CellName("digits-2", "FakeQuitoV2", 0), CellName("vqe-h2", "FakeQuitoV2", 0)]


def run(folder: RunFolder, sizes: Sizes, names: list[CellName], *, ablations: bool) -> None:
    with ConsoleReporter(Console(quiet=True)) as reporter:
        study.run_study(folder, sizes, names, ablations=ablations, processes=1, reporter=reporter)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = open_study(tmp_path_factory.mktemp("study") / "study", "quantumnas", TINY)
    run(folder, TINY, NAMES, ablations=True)
    return folder


def test_every_row_has_its_facts(finished: RunFolder) -> None:
    rows = finished.read_json(NAMES[0].file)
    assert list(rows) == [*ROWS, *ABLATIONS]
    for facts in rows.values():
        assert 0 <= facts["noisy"] <= 1
        assert 0 <= facts["noise_free"] <= 1
        assert 0 < facts["esp"] < 1
        assert facts["seconds"] > 0
    energies = finished.read_json(NAMES[1].file)
    assert list(energies) == list(ENERGY_ROWS)
    assert energies["UCCSD"]["noise_free"] == pytest.approx(0, abs=0.01)
    assert all(facts["noise_free"] > -1e-3 for facts in energies.values())
    assert energies["UCCSD"]["noisy"] > 10


def test_what_has_finished_stays(finished: RunFolder) -> None:
    rows = finished.read_json(NAMES[0].file)
    kept = {**rows, "human": {**rows["human"], "noisy": -1.0}}
    lost = kept.pop("random")
    finished.write_json(NAMES[0].file, kept)
    run(finished, TINY, NAMES[:1], ablations=False)
    again = finished.read_json(NAMES[0].file)
    assert again["human"]["noisy"] == -1.0
    assert {**again["random"], "seconds": 0} == {**lost, "seconds": 0}
    finished.write_json(NAMES[0].file, rows)


def test_tables_and_pictures(finished: RunFolder) -> None:
    path = study.write_tables(finished, [*NAMES, CellName("digits-4", "FakeQuitoV2", 0)])
    lines = path.read_text().split("\n\n")[-1].splitlines()
    assert len(lines) == 2 + len(ROWS) + len(ABLATIONS) + len(ENERGY_ROWS)
    assert "mHa" in lines[-1]
    assert (finished.path / "digits-2.svg").exists()


def test_another_study_is_refused(finished: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another study, or one of other sizes"):
        open_study(finished.path, "quantumnas", replace(TINY, epochs=2))
    (tmp_path / "something").touch()
    with pytest.raises(UsageError, match="already holds files"):
        open_study(tmp_path, "quantumnas", TINY)


def test_devices_that_are_too_small_are_left_out_and_named() -> None:
    found, left_out = study.cells(["digits-10", "vqe-lih"], ["quito", "guadalupe"], [0])
    assert [(name.task, name.device) for name in found] == [
        ("digits-10", "guadalupe"),
        ("vqe-lih", "quito"),
        ("vqe-lih", "guadalupe"),
    ]
    assert left_out == ["digits-10 needs 10 qubits, quito has 5"]
    with pytest.raises(UsageError, match="needs 10 connected qubits"):
        Cell("digits-10", "quito", 0, TINY)


def test_means_and_spreads_by_hand() -> None:
    facts = dict.fromkeys(table.FACTS, 1.0) | {"two_qubit_gates": 2, "esp": 0.5}
    cells = {
        CellName("mnist-4", "quito", seed): {"human": {**facts, "noise_free": 0.9, "noisy": noisy}}
        for seed, noisy in enumerate((0.7, 0.8, 0.9))
    }
    (record,) = table.summary(cells)
    assert record["seeds"] == 3
    assert record["noisy"] == pytest.approx([0.8, 0.1])
    line = table.markdown([record]).splitlines()[-1]
    assert line == (
        "| mnist-4 | quito | human | 90.0 ± 0.0 % | 80.0 ± 10.0 % | 1 | 2 | 0.500 | 1.0 | 3 |"
    )
    assert table.overview([record], ["mnist-4", "mnist-2"]).splitlines()[-1] == (
        "| human | 80.0 (90.0) |  |"
    )


def test_what_noise_takes_by_device_by_hand() -> None:
    others = dict.fromkeys(table.FACTS, 1.0)
    found = {
        ("FakeQuitoV2", "human"): {"noise_free": 0.9, "noisy": 0.5, "two_qubit_gates": 12},
        ("FakeTorino", "human"): {"noise_free": 0.8, "noisy": 0.7, "two_qubit_gates": 4},
        ("FakeTorino", "random search"): {"noise_free": 0.6, "noisy": 0.7, "two_qubit_gates": 3},
    }
    cells: dict[CellName, dict[str, dict[str, float]]] = {}
    for (device, row), facts in found.items():
        cells.setdefault(CellName("mnist-4", device, 0), {})[row] = {**others, **facts}
    records = table.summary(cells)
    assert table.by_device(records, "mnist-4").splitlines() == [
        "| mnist-4, % | noise-free | Quito | Torino | gap | two-qubit gates |",
        "| --- | --- | --- | --- | --- | --- |",
        "| human | 85.0 | 50.0 | 70.0 | 25.0 | 4 to 12 |",
        "| random search | 60.0 |  | 70.0 | -10.0 | 3 to 3 |",
    ]
    report = table.report(records)
    assert report.startswith(table.overview(records[:2], ["mnist-4"]))
    assert report.endswith(table.markdown(records))


def test_what_a_study_needs_in_the_end_is_asked_for_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"needs matplotlib.*efficient-qml\[plot\]"):
        open_study(tmp_path / "study", "quantumnas", TINY)
    assert not (tmp_path / "study").exists()
