import re
import sys
from base64 import b64decode
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path

import pytest

from compile import Device
from qml.job.presets import load_preset
from qml.job.report import write_report
from qml.runs import CIRCUITS, TITLES, RunFolder
from qsim import Circuit, Input
from qsim.errors import UsageError

SECTIONS = {
    "results", "search", "circuit", "device", "confusion", "training", "time", "reproduce",
}  # fmt: skip
DEVICE = "FakeQuitoV2"
FACTS = {
    "baseline": (48, 0.931, 0.287, 51, 25, 90, 0.2841),
    "matched": (25, 0.882, 0.611, 34, 11, 52, 0.5032),
    "searched": (24, 0.917, 0.799, 33, 14, 53, 0.4233),
    "pruned": (18, 0.903, 0.854, 31, 13, 45, 0.4261),
}
CALIBRATION = Device.from_name(DEVICE).calibration()


class Page(HTMLParser):
    """What a test wants to know of a page: tags, attributes, sections and the cells of tables."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._in_cell = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        self._in_cell = tag in {"td", "th"} or (self._in_cell and tag not in {"tr", "p"})
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag in {"td", "th"}:
            self._in_cell = False

    def handle_data(self, data):
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data

    @property
    def sections(self) -> set[str | None]:
        return {attributes.get("id") for tag, attributes in self.tags if tag == "section"}

    @property
    def images(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "img"]


def start_run(path: Path, device: str = DEVICE) -> RunFolder:
    sizes = asdict(load_preset("tiny"))
    config = {"task": "digits-4", "device": device, "preset": "tiny", "seed": 7, "sizes": sizes}
    return RunFolder.create(path, config, seeds={"all": 7}, calibration=CALIBRATION)


def finish_training(folder: RunFolder, name: str) -> None:
    history = [
        {"train_loss": 1.4 / epoch, "valid_loss": 1.5 / epoch, "valid_accuracy": 1 - 0.5 / epoch}
        for epoch in (1, 2, 3)
    ]
    result = {"parameters": 48, "history": history, "seconds": 2.5}
    if name in FACTS:
        parameters, noise_free, *_ = FACTS[name]
        result |= {"parameters": parameters, "noise_free_accuracy": noise_free}
        circuit = Circuit(4).rx(Input(0), 0).u3(0.1, 0.2, 0.3, 1).cu3(0.4, 0.5, 0.6, 1, 2)
        folder.write_json(f"circuits/{name}.json", circuit.to_dict())
    folder.finish_stage(name, result)


def finish_search(folder: RunFolder) -> None:
    gene = {"layout": [3, 1, 0, 2], "layers": [4, 3, 2, 1], "blocks": 2}
    history = [
        {"generation": g, "best": 1.3 - g / 10, "mean": 1.6 - g / 10, "loss": 0.9, "esp": 0.4,
         "evaluations": 6 * g}
        for g in (1, 2, 3)
    ]  # fmt: skip
    evaluation = {"score": 1.0, "loss": 0.9, "esp": 0.4}
    result = {"gene": gene, "evaluation": evaluation, "history": history, "seconds": 5.0}
    folder.finish_stage("search", result)


def finish_device(folder: RunFolder, name: str) -> None:
    _, _, noisy, one_qubit, two_qubit, depth, esp = FACTS[name]
    folder.finish_stage(
        f"device-{name}",
        {
            "noisy_accuracy": noisy,
            "one_qubit_gates": one_qubit,
            "two_qubit_gates": two_qubit,
            "depth": depth,
            "esp": esp,
            "initial_layout": [3, 1, 0, 2],
            "final_layout": [3, 1, 0, 2],
            "predictions": [0, 1, 2, 3, 3, 1],
            "labels": [0, 1, 2, 3, 2, 0],
            "seconds": 1.5,
        },
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = start_run(tmp_path_factory.mktemp("runs") / "finished")
    for name in TITLES:
        finish_search(folder) if name == "search" else finish_training(folder, name)
    for name in CIRCUITS:
        finish_device(folder, name)
    return folder


@pytest.fixture(scope="module")
def page(finished: RunFolder) -> Page:
    path = write_report(finished)
    assert path == finished.path / "report.html"
    return Page(path)


def test_table_holds_the_results(page: Page) -> None:
    columns = zip(*FACTS.values(), strict=True)
    parameters, noise_free, noisy, one_qubit, two_qubit, depth, esp = (list(c) for c in columns)
    assert page.rows[:10] == [
        ["", *CIRCUITS.values()],
        ["Noise-free accuracy", *(f"{x:.1%}" for x in noise_free)],
        ["Accuracy on device", *(f"{x:.1%}" for x in noisy)],
        ["Success probability", *(f"{x:.3f}" for x in esp)],
        ["One-qubit gates", *map(str, one_qubit)],
        ["Two-qubit gates", *map(str, two_qubit)],
        ["Depth", *map(str, depth)],
        ["Trained angles", *map(str, parameters)],
        ["Seconds to train", *["2.5"] * 4],
        ["Seconds on device", *["1.5"] * 4],
    ]


def test_every_section_is_there(page: Page) -> None:
    assert page.sections == SECTIONS
    assert "not finished" not in page.text


def test_head_names_the_run(page: Page) -> None:
    assert "digits-4 on FakeQuitoV2" in page.text
    assert "85.4% of 6 test images" in " ".join(page.text.split())
    assert "qml run --task digits-4 --device FakeQuitoV2 --preset tiny --seed 7" in page.text
    for name in ("torch", "qiskit", "numpy"):
        assert re.search(rf"{name} \d+\.\d+", page.text)


def test_page_needs_nothing_outside(page: Page) -> None:
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "base"}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in {"src", "href", "srcset", "poster", "data"}:
                assert tag == "img"
                assert value.startswith("data:image/svg+xml;base64,")
            assert "url(" not in (value or "")
    assert "@import" not in page.text
    assert "url(" not in page.text
    for image in page.images:
        drawing = b64decode(image["src"].partition(",")[2]).decode()
        assert not re.search(r"""(href|src)=["'](?!#|data:)""", drawing)


def test_every_picture_is_described(page: Page) -> None:
    described = [image["alt"] for image in page.images]
    # Accuracy, search, circuit, device, four confusion matrices and five trainings;
    # two of the search.
    assert len(described) == len(set(described)) == 14
    assert all(len(text) > 40 for text in described)


def test_no_figure_is_left_in_pyplot(page: Page) -> None:
    from matplotlib import pyplot

    assert pyplot.get_fignums() == []


def test_run_that_has_just_begun(tmp_path: Path) -> None:
    page = Page(write_report(start_run(tmp_path / "new")))
    assert page.sections == {"reproduce"}
    assert "qml run --resume new" in page.text
    assert not page.images


def test_run_stopped_in_the_search(tmp_path: Path) -> None:
    folder = start_run(tmp_path / "stopped")
    for name in ("baseline", "supercircuit"):
        finish_training(folder, name)
    path = write_report(folder)
    page, content = Page(path), path.read_bytes()
    assert page.sections == {"results", "circuit", "training", "time", "reproduce"}
    assert ["Accuracy on device", "–"] in page.rows
    assert ["Noise-free accuracy", "93.1%"] in page.rows
    assert TITLES["search"] in page.text
    assert write_report(folder).read_bytes() == content


def test_names_are_escaped(tmp_path: Path) -> None:
    path = write_report(start_run(tmp_path / "a&b", device="<b>ibm</b> & 'co'"))
    page = Page(path)
    assert "digits-4 on <b>ibm</b> & 'co'" in page.text
    assert "b" not in {tag for tag, _ in page.tags}
    assert "resume a&amp;b" in path.read_text()


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_missing_package_is_named(
    finished: RunFolder, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"{module}.*efficient-qml\[plot\]"):
        write_report(finished)


def test_damaged_stage_leaves_the_report_alone(tmp_path: Path) -> None:
    folder = start_run(tmp_path / "run")
    before = write_report(folder).read_bytes()
    folder.write_text("stages/baseline.json", "{")
    with pytest.raises(UsageError, match="damaged"):
        write_report(folder)
    assert (folder.path / "report.html").read_bytes() == before
