"""Networks of integers in files: the same after reading, and refused when damaged."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.quantization import load_integer, run_integer, save_integer, to_integer


def test_networks_come_back(every_model: tuple[nn.Module, Tensor], tmp_path: Path) -> None:
    network = to_integer(*every_model)
    size = save_integer(network, tmp_path / "net.eqin")
    assert network.weight_bytes < size == (tmp_path / "net.eqin").stat().st_size
    found = load_integer(tmp_path / "net.eqin")
    with np.printoptions(threshold=np.inf):
        assert repr(found) == repr(network)
    q = torch.randint(-128, 128, (4, *network.input.shape), dtype=torch.int8)
    assert torch.equal(run_integer(found, q), run_integer(network, q))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.eqin"
    save_integer(to_integer(nn.Sequential(nn.Linear(4, 2)), torch.randn(8, 4)), path)
    data = path.read_bytes()
    for place in range(0, len(data), 13):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(UsageError, match=r"is damaged|is no network of integers|has version"):
            load_integer(path)
    with pytest.raises(UsageError, match="cannot read"):
        load_integer(tmp_path / "none.eqin")
    with pytest.raises(UsageError, match="cannot write"):
        save_integer(to_integer(nn.Linear(4, 2), torch.randn(8, 4)), tmp_path / "none" / "n.eqin")


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"kind": "Value", "shape": [1], "scale": 1.0, "zero_point": 0},
        {"kind": "IntegerModel", "input": 1},
        {"kind": "Popen"},
        {"array": "object", "shape": [1], "start": 0},
        {"array": "int8", "shape": [9], "start": 0},
    ],
)
def test_headers_that_lie_are_refused(header: object, tmp_path: Path) -> None:
    packed = zlib.compress(json.dumps(header).encode())
    rest = struct.pack("<I", len(packed)) + packed + bytes(8)
    (tmp_path / "n").write_bytes(struct.pack("<4sBI", b"EQIN", 1, zlib.crc32(rest)) + rest)
    with pytest.raises(UsageError, match="is no network of integers, though its checksum fits"):
        load_integer(tmp_path / "n")
