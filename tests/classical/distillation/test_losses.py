"""Losses against formulas, their invariances, and what they train."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from classical.data import DataSet
from classical.distillation import (
    AttentionMaps,
    Factors,
    FeatureLoss,
    Hints,
    Logits,
    MutualLearning,
    Relations,
    SelfDistillation,
    soft_divergence,
)
from classical.errors import UsageError
from classical.models import VGG
from classical.training import TrainConfig, accuracy, train

CONV, BEFORE_POOL = "backbone.conv0", "backbone.relu1"
QUICK = TrainConfig(epochs=8, lr=0.2)


def _net(width: int, seed: int = 0) -> VGG:
    torch.manual_seed(seed)
    return VGG((width, "pool", 2 * width))


def _batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(12, 1, 8, 8, generator=generator), torch.arange(12) % 10


def test_soft_labels_by_the_formula() -> None:
    student, teacher = np.array([[1.0, 2.0, 0.5]]), np.array([[0.0, 3.0, 1.0]])
    p, q = (np.exp(z / 2) / np.exp(z / 2).sum() for z in (teacher, student))
    expected = 4 * (p * np.log(p / q)).sum()
    assert soft_divergence(torch.tensor(student), torch.tensor(teacher), 2).item() == (
        pytest.approx(expected)
    )


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_logits_mix_soft_and_hard_labels(weight: float) -> None:
    (x, y), teacher, student = _batch(), _net(8, 1).eval(), _net(4)
    logits = student(x)
    soft = soft_divergence(logits, teacher(x), 3.0)
    expected = weight * soft + (1 - weight) * cross_entropy(logits, y)
    assert torch.allclose(Logits(teacher, 3.0, weight)(student, x, y), expected)


def test_the_teacher_stays_as_it_was_and_the_student_learns(digits: DataSet) -> None:
    teacher, student = _net(8, 1).train(), _net(4)
    before = copy.deepcopy(teacher.state_dict())
    loss = Logits(teacher, weight=0.1)
    train(student, digits, QUICK, loss=loss)
    assert accuracy(student, digits.test) > 0.85
    for kept in (teacher, loss.teacher):
        assert all(torch.equal(kept.state_dict()[name], value) for name, value in before.items())
    assert teacher.training


def _term(loss: FeatureLoss, student: nn.Module) -> Tensor:
    """What a loss adds to its base of zero."""
    loss.base = lambda model, x, y: 0 * model(x).sum()
    return loss(student, *_batch())


@pytest.mark.parametrize("kind", [AttentionMaps, Relations])
def test_a_twin_has_nothing_to_learn(kind: type[FeatureLoss]) -> None:
    teacher = _net(4).eval()
    loss = kind(teacher, {CONV: CONV, BEFORE_POOL: BEFORE_POOL})
    assert _term(loss, teacher).item() == pytest.approx(0, abs=1e-6)
    assert _term(loss, _net(4, 1).eval()).item() > 1e-3


def test_attention_maps_by_the_formula() -> None:
    maps = [torch.randn(2, channels, 3, 3) for channels in (4, 5)]
    loss = AttentionMaps(_net(2), {CONV: CONV})
    a, b = ((m**2).mean(1).flatten(1) for m in maps)
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    expected = ((a - b) ** 2).sum() / 2
    assert torch.allclose(loss.compare(CONV, *maps), expected)
    assert torch.allclose(loss.compare(CONV, 7 * maps[0], maps[1]), expected)


def test_relations_do_not_see_rotations_and_scales() -> None:
    features = torch.randn(6, 5, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))[0]
    loss = Relations(_net(2), {CONV: CONV})
    assert loss.compare(CONV, 3 * features @ rotation, features).item() == pytest.approx(0)
    # Three on a line against a right angle, by hand: distances (1, 1, 2) and (3, 4, 5) over their
    # means, and the cosines at the corners.
    line, corner = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[3.0, 0], [0, 0], [0, 4.0]])
    gaps = np.array([3 / 4 - 3 / 4, 3 / 4 - 1, 6 / 4 - 5 / 4])
    distance = 2 * (gaps**2 / 2).sum() / 9
    cosines = np.array([1 - 3 / 5, -1 - 0, 1 - 4 / 5])
    angle = 2 * (cosines**2 / 2).sum() / 27
    assert loss.compare(CONV, line, corner).item() == pytest.approx(distance + 2 * angle, rel=1e-5)


def test_hints_train_their_regressors_along(digits: DataSet) -> None:
    teacher, student = _net(8, 1), _net(4)
    loss = Hints(teacher, student, {CONV: CONV}, digits.example, weight=10.0)
    before = copy.deepcopy(loss.regressors.state_dict())
    first = _term(copy.deepcopy(loss), student).item()
    train(student, digits, TrainConfig(epochs=1), loss=loss)
    assert all(not torch.equal(loss.regressors.state_dict()[k], v) for k, v in before.items())
    assert _term(loss, student).item() < first / 2


def test_hints_vanish_if_the_regressor_is_the_identity() -> None:
    net = _net(4).eval()
    loss = Hints(net, net, {BEFORE_POOL: BEFORE_POOL}, torch.zeros(1, 1, 8, 8))
    nn.init.eye_(loss.regressors[0].linear.weight)
    nn.init.zeros_(loss.regressors[0].linear.bias)
    assert _term(loss, net).item() == pytest.approx(0, abs=1e-12)


def test_maps_of_different_sizes_are_averaged() -> None:
    teacher, student = _net(4), _net(4)
    layers = {BEFORE_POOL: CONV}  # 4x4 pixels and 8x8
    loss = Hints(teacher, student, layers, torch.zeros(1, 1, 8, 8))
    assert torch.isfinite(loss(student, *_batch()))


def test_the_paraphraser_learns_to_reconstruct_only(digits: DataSet) -> None:
    teacher, student = _net(8, 1), _net(4)
    loss = Factors(teacher, student, (BEFORE_POOL, BEFORE_POOL), digits.example, weight=20.0)
    features = [torch.randn(3, 8, 4, 4), torch.randn(3, 16, 4, 4)]
    gradients = torch.autograd.grad(
        loss.weight * loss.compare(BEFORE_POOL, *features), list(loss.paraphraser.parameters())
    )
    alone = (loss.reconstruction(loss.paraphraser(features[1])) - features[1]).square().mean()
    expected = torch.autograd.grad(alone, list(loss.paraphraser.parameters()))
    assert all(torch.allclose(*pair, rtol=1e-4) for pair in zip(gradients, expected, strict=True))
    before = _term(copy.deepcopy(loss), student).item()
    train(student, digits, TrainConfig(epochs=1), loss=loss)
    assert _term(loss, student).item() < before


def test_losses_compose() -> None:
    (x, y), teacher, student = _batch(), _net(8, 1), _net(4).eval()
    base = Logits(teacher)
    loss = AttentionMaps(teacher, {CONV: CONV}, weight=2.0, base=base)
    only = AttentionMaps(teacher, {CONV: CONV}, weight=2.0)
    expected = base(student, x, y) + only(student, x, y) - cross_entropy(student(x), y)
    assert torch.allclose(loss(student, x, y), expected)


def test_peers_learn_together(digits: DataSet) -> None:
    student, peer = _net(4), _net(4, 1).eval()
    train(student, digits, QUICK, loss=MutualLearning([peer]))
    assert min(accuracy(net, digits.test) for net in (student, peer)) > 0.85


def test_mutual_learning_by_the_formula() -> None:
    (x, y), student, peers = _batch(), _net(4).eval(), [_net(4, seed).eval() for seed in (1, 2)]
    logits = [net(x) for net in (student, *peers)]
    expected = sum(cross_entropy(own, y) for own in logits)
    for own in logits:
        for other in logits:
            expected = expected + soft_divergence(own, other) / 2
    assert torch.allclose(MutualLearning(peers)(student, x, y), expected)


def test_inner_classifiers_learn_from_the_end(digits: DataSet) -> None:
    student = _net(8)
    loss = SelfDistillation(student, ["backbone.relu0"], digits.example)
    train(student, digits, QUICK, loss=loss)
    assert accuracy(student, digits.test) > 0.85
    with torch.no_grad():
        inner = student.backbone.get_submodule("relu0")(
            student.backbone.bn0(student.backbone.conv0(digits.test.x))
        )
        guessed = loss.classifiers[0](inner.mean((2, 3))).argmax(1)
    assert (guessed == digits.test.y).float().mean() > 0.2  # 0.1 by chance


def test_what_does_not_fit_is_refused() -> None:
    (x, y), net = _batch(), _net(4)
    with pytest.raises(UsageError, match="VGG has no layer 'conv9': choose one of backbone"):
        AttentionMaps(net, {CONV: "conv9"})
    with pytest.raises(UsageError, match="no layer 'conv9'"):
        AttentionMaps(net, {"conv9": CONV})(net, x, y)
    with pytest.raises(UsageError, match="name at least one pair"):
        Relations(net, {})
    with pytest.raises(UsageError, match="weight of features is positive, and 0"):
        Relations(net, {CONV: CONV}, weight=0)
    with pytest.raises(UsageError, match="attention maps need feature maps"):
        AttentionMaps(net, {"flatten": "flatten"})(net, x, y)
    with pytest.raises(UsageError, match="shape \\(12, 10\\) and the teacher of shape \\(12, 3\\)"):
        Logits(VGG((4,), num_classes=3))(net, x, y)
    with pytest.raises(UsageError, match="temperature is positive, and 0"):
        Logits(net, temperature=0)(net, x, y)
    with pytest.raises(UsageError, match=r"from 0 to 1, and 1\.5"):
        Logits(net, weight=1.5)
    with pytest.raises(UsageError, match="at least one peer"):
        MutualLearning([])
    with pytest.raises(UsageError, match="at least one inner layer"):
        SelfDistillation(net, [], x)
