"""Downloads: what arrives is checked, kept once, and read as the formats say."""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch

from classical.data import Download, cifar, cifar10, coco, visual_wake_words
from classical.errors import UsageError

CONTENT = bytes(range(256)) * 20


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and of "truncated" files half of what it announces."""

    def log_message(self, *_: object) -> None:
        pass

    def copyfile(self, source: io.BufferedReader, outputfile: io.BufferedIOBase) -> None:
        content = source.read()
        half = len(content) // 2 if "truncated" in self.path else len(content)
        outputfile.write(content[:half])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and where it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def of(url: str, content: bytes) -> Download:
    return Download(url, hashlib.sha256(content).hexdigest(), len(content))


def test_a_file_is_fetched_once(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    (folder / "data.bin").write_bytes(CONTENT)
    download, cache = of(f"{address}/data.bin", CONTENT), tmp_path / "cache"
    path = download.fetch(cache)
    assert path == cache / "data.bin"
    assert path.read_bytes() == CONTENT
    (folder / "data.bin").unlink()
    assert download.fetch(cache) == path
    assert [file.name for file in cache.iterdir()] == ["data.bin"]


@pytest.mark.parametrize("name", ["corrupted.bin", "truncated.bin"])
def test_another_file_is_not_kept(name: str, served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    wrong = b"another" + CONTENT[7:] if name == "corrupted.bin" else CONTENT
    (folder / name).write_bytes(wrong)
    with pytest.raises(UsageError, match=rf"not the file of 5,120 bytes but .* to .*{name}"):
        of(f"{address}/{name}", CONTENT).fetch(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_file_in_the_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(UsageError, match=r"data\.bin is damaged, .* remove it"):
        of("http://127.0.0.1:9/data.bin", CONTENT).fetch(tmp_path)


def test_without_a_network_a_sentence_says_what_to_bring_where(
    served: tuple[Path, str], tmp_path: Path
) -> None:
    for url in ("http://127.0.0.1:9/data.bin", f"{served[1]}/data.bin"):
        with pytest.raises(UsageError, match=r"bring the file there by hand; its SHA-256") as found:
            of(url, CONTENT).fetch(tmp_path)
        assert url in str(found.value)
        assert str(tmp_path / "data.bin") in str(found.value)
        assert "\n" not in str(found.value)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be fetched"):
        of("http://127.0.0.1:9/data.bin", CONTENT).fetch(tmp_path / "file")


def test_cifar_is_read_as_its_page_describes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 20, 3, 32, 32), np.uint8)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for k in range(6):
            name = f"data_batch_{k + 1}.bin" if k < 5 else "test_batch.bin"
            records = b"".join(bytes([i % 10]) + pixels[k, i].tobytes() for i in range(20))
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(records)
            archive.addfile(member, io.BytesIO(records))
    path = tmp_path / cifar.CIFAR10.name
    path.write_bytes(content.getvalue())
    monkeypatch.setattr(cifar, "CIFAR10", of(cifar.CIFAR10.url, content.getvalue()))
    data = cifar10(folder=tmp_path)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [90, 10, 20]
    assert torch.equal(data.test.x, torch.from_numpy(pixels[5]).float() / 255)
    assert data.test.y.tolist() == [*range(10)] * 2
    assert data.valid.y.sort().values.tolist() == [*range(10)]
    seen = torch.cat([data.train.x, data.valid.x])
    assert seen.sum().item() == pytest.approx(pixels[:5].sum() / 255)
    assert len(seen.unique(dim=0)) == 100


def test_persons_of_half_a_percent_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pytest.importorskip("PIL.Image")
    kinds = [{"id": 1, "name": "person"}, {"id": 7, "name": "train"}]
    size = {"width": 200, "height": 100}  # half a percent are 100 pixels
    images = [{"id": 40 - k, "file_name": f"{k:012}.jpg", **size} for k in range(20)]
    found = [{"image_id": 40 - k, "category_id": 1, "area": 101.0} for k in range(10)]
    found += [{"image_id": 25, "category_id": 1, "area": 100.0}]
    found += [{"image_id": 26, "category_id": 7, "area": 9999.0}]
    archives = {coco.IMAGES.name: io.BytesIO(), coco.ANNOTATIONS.name: io.BytesIO()}
    with zipfile.ZipFile(archives[coco.ANNOTATIONS.name], "w") as archive:
        lists = {"categories": kinds, "images": images, "annotations": found}
        archive.writestr("annotations/instances_val2017.json", json.dumps(lists))
    with zipfile.ZipFile(archives[coco.IMAGES.name], "w") as archive:
        for k in range(20):
            content = io.BytesIO()
            image.new("L", (200, 100), 10 * k).save(content, "JPEG")
            archive.writestr(f"val2017/{k:012}.jpg", content.getvalue())
    for name, content in archives.items():
        (tmp_path / name).write_bytes(content.getvalue())
    for name in ("IMAGES", "ANNOTATIONS"):
        known = getattr(coco, name)
        monkeypatch.setattr(coco, name, of(known.url, archives[known.name].getvalue()))
    data = visual_wake_words(side=8, folder=tmp_path)
    parts = (data.train, data.valid, data.test)
    assert [len(part) for part in parts] == [14, 2, 4]
    assert data.example.shape == (1, 3, 8, 8)
    for part in parts:
        darker = part.x.mean((1, 2, 3)) < 95 / 255  # the first ten photographs have a person
        assert torch.equal(part.y, darker.long())
