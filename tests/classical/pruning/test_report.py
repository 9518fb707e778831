"""The report: masks alone promise nothing, and smaller layers are counted."""

import re

import torch
from torch import nn

from classical.models import VGG
from classical.pruning import ChannelPruner, WeightPruner, pruning_report

X = torch.ones(1, 2, 8, 8)


def _model() -> nn.Module:
    torch.manual_seed(0)
    return VGG((8, 8), 3, 2)


def test_a_mask_alone_promises_no_speed() -> None:
    model = _model()
    report = pruning_report(model, WeightPruner()(model, {"backbone.conv1.weight": 0.5}), X)
    assert report.after.nonzeros == report.before.nonzeros - 8 * 8 * 9 // 2
    assert (report.smaller, report.after.macs) == (False, report.before.macs)
    text = str(report)
    assert "no speed-up expected" in text
    assert re.search(r"parameters stored: [\d,]+, unchanged", text)
    assert "input of 1x2x8x8" in text


def test_channels_make_it_smaller() -> None:
    model = _model()
    report = pruning_report(model, ChannelPruner(X)(model, {"backbone.conv0": 0.5}), X, threads=1)
    assert report.before.macs == 64 * 9 * (2 * 8 + 8 * 8) + 24
    assert report.after.macs == 64 * 9 * (2 * 4 + 4 * 8) + 24
    assert report.smaller
    text = str(report)
    assert "no speed-up expected" not in text
    assert "MACs: 46,104 before, 23,064 after (0.50 times)" in text
    assert "1 thread" in text
