"""The analytical costs, the latency table and the accelerator, against measurements and hands."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from classical.errors import UsageError
from classical.metrics import count_macs, measure_activations, model_size_bytes
from classical.nas import (
    ACCELERATORS,
    Accelerator,
    LatencyTable,
    Layer,
    MobileNet,
    MobileSpace,
    Supernet,
    predict_costs,
)


def _deployed(net: nn.Module) -> nn.Module:
    """As on a device: normalization folded, ReLU in place."""
    net = copy.deepcopy(net).eval()
    for part in list(net.modules()):
        if hasattr(part, "norm"):
            part.conv = fuse_conv_bn_eval(part.conv, part.norm)
            part.norm = nn.Identity()
            if hasattr(part, "relu"):
                part.relu = nn.ReLU6(inplace=True)
    return net


@pytest.mark.parametrize("seed", range(12))
def test_costs_are_those_of_the_extracted_network(supernet: Supernet, seed: int) -> None:
    gene = supernet.space.sample(np.random.default_rng(seed))
    net = _deployed(supernet.extract(gene))
    image = torch.zeros(1, 1, gene["resolution"], gene["resolution"])
    costs = predict_costs(supernet.mobile.plan(gene), bits=32)
    assert costs.macs == count_macs(net, image)
    assert costs.peak_bytes == measure_activations(net, image).peak_bytes
    assert costs.flash_bytes == model_size_bytes(net)
    eight = supernet.mobile.costs(gene)
    assert (eight.peak_bytes, eight.flash_bytes) == (costs.peak_bytes // 4, costs.flash_bytes // 4)


def test_less_than_one_bit_is_refused(mobile: MobileSpace) -> None:
    with pytest.raises(UsageError, match="at least 1 bit"):
        predict_costs(mobile.plan(mobile.space.smallest), bits=0)


def test_a_table_measures_every_layer_once_and_survives_its_file(
    mobile: MobileSpace, tmp_path: Path
) -> None:
    asked = []

    def measure(layer: Layer) -> float:
        asked.append(layer)
        return 1e-9 * layer.macs

    table = LatencyTable(measure=measure)
    plan = mobile.plan(mobile.space.largest)
    assert table.predict(plan) == pytest.approx(1e-9 * predict_costs(plan).macs)
    table.predict(plan)
    assert len(asked) == len(set(plan.layers())) < len(list(plan.layers()))
    assert table[Layer(1, 1, held=9)] == table[Layer(1, 1)]
    assert len(asked) == len(table.seconds) == len(set(plan.layers())) + 1
    table.save(tmp_path / "table.json")
    loaded = LatencyTable.load(tmp_path / "table.json")
    assert loaded.predict(plan) == pytest.approx(table.predict(plan))
    with pytest.raises(UsageError, match="the latency table has no Layer"):
        loaded[Layer(1, 1, 9)]
    (tmp_path / "table.json").write_text('[{"macs": 1}]')
    with pytest.raises(UsageError, match="is no latency table"):
        LatencyTable.load(tmp_path / "table.json")


def test_layers_are_measured_as_they_are() -> None:
    layer = Layer(4, 8, 3, stride=2, side=6)
    assert LatencyTable()[layer] > 0
    assert count_macs(layer.module(), torch.zeros(1, 4, 6, 6)) == layer.macs


def test_cycles_and_traffic_by_hand() -> None:
    chip = Accelerator(rows=8, columns=4, buffer_bytes=256)
    dense = Layer(12, 6, 3, side=4)
    assert chip.cycles(dense) == 16 * 9 * 2 * 2
    assert chip.cycles(replace(dense, outputs=12, groups=12)) == 16 * 9 * 1 * 3
    weights = 6 * (9 * 12 + 1)  # 654, in parts of 128 bytes
    assert chip.traffic(dense) == weights + 6 * 12 * 16 + 6 * 16
    assert chip.area == 8 * 4 + 256 / 64


def test_larger_arrays_are_faster_and_less_used(mobile: MobileSpace) -> None:
    plan = mobile.plan(mobile.space.largest)
    small, large = Accelerator(4, 4).run(plan), Accelerator(32, 32).run(plan)
    assert large.seconds < small.seconds
    assert large.utilization < small.utilization <= 1
    assert Accelerator(8, 8, 65536).run(plan).joules < Accelerator(8, 8, 256).run(plan).joules


def test_an_accelerator_comes_from_a_gene_of_both(mobile: MobileSpace) -> None:
    gene = (mobile.space | ACCELERATORS).largest
    assert Accelerator.from_gene(gene) == Accelerator(32, 32, 65536)
    assert MobileNet(mobile.plan(gene)).plan.resolution == 8
    with pytest.raises(UsageError, match="rows cannot be 5"):
        Accelerator.from_gene({**gene, "rows": 5})
    with pytest.raises(UsageError, match="at least one of everything"):
        Accelerator(rows=0)
