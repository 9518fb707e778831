"""Every technique against PyTorch and numpy, on sizes that fit no tile and no vector."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from classical.errors import UsageError
from classical.kernels import (
    CONV2D_METHODS,
    MATMUL_METHODS,
    conv2d,
    depthwise,
    depthwise_,
    matmul,
)

pytestmark = pytest.mark.native
SIDES = st.integers(1, 70)
THREADS = st.integers(1, 3)
LAYOUTS = [(layout, method) for layout, names in CONV2D_METHODS.items() for method in names]


def _whole(*shape: int, seed: int) -> Tensor:
    """Small whole numbers: their sums are exact, in any order."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 5, shape, generator=generator).float()


@pytest.mark.parametrize("method", MATMUL_METHODS)
@given(rows=SIDES, columns=SIDES, inner=SIDES, threads=THREADS, seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_products_are_exact(
    method: str, rows: int, columns: int, inner: int, threads: int, seed: int
) -> None:
    a, b = _whole(rows, inner, seed=seed), _whole(inner, columns, seed=seed + 1)
    expected = a.numpy().astype(np.int64) @ b.numpy().astype(np.int64)
    np.testing.assert_array_equal(matmul(a, b, method, threads).numpy(), expected)


@pytest.mark.parametrize("method", MATMUL_METHODS)
def test_products_larger_than_all_tiles(method: str) -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(shape, generator=generator) for shape in ((230, 530), (530, 143)))
    torch.testing.assert_close(
        matmul(a, b, method, threads=2), (a.double() @ b.double()).float(), atol=1e-4, rtol=1e-5
    )


@pytest.mark.parametrize("method", MATMUL_METHODS)
def test_transposed_operands_are_read_as_they_are(method: str) -> None:
    a, b = _whole(20, 30, seed=0), _whole(17, 20, seed=1)
    assert torch.equal(matmul(a.T, b.T, method), a.T @ b.T)


@pytest.mark.parametrize(("layout", "method"), LAYOUTS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_convolutions_are_exact(layout: str, method: str, data: st.DataObject) -> None:
    kernel = [3, 3] if method == "winograd" else [data.draw(st.integers(1, 5)) for _ in range(2)]
    padding = data.draw(st.integers(0, 4))
    sides = [data.draw(st.integers(max(1, k - 2 * padding), 23)) for k in kernel]
    images, inputs = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 9))
    outputs = data.draw(st.integers(1, 35))
    x = _whole(images, inputs, *sides, seed=data.draw(st.integers(0, 99)))
    w = _whole(outputs, inputs, *kernel, seed=7)
    expected = functional.conv2d(x.double(), w.double(), padding=padding).float()
    if layout == "nhwc":
        x, w, expected = (t.permute(0, 2, 3, 1).contiguous() for t in (x, w, expected))
    threads = data.draw(THREADS)
    y = conv2d(x, w, method, padding=padding, layout=layout, threads=threads)
    assert torch.equal(y, expected)


@given(
    channels=st.integers(1, 9),
    high=st.integers(1, 20),
    wide=st.integers(1, 40),
    kernel=st.sampled_from([1, 3, 5]),
    threads=THREADS,
)
@settings(max_examples=40, deadline=None)
def test_depthwise_in_place_is_depthwise(
    channels: int, high: int, wide: int, kernel: int, threads: int
) -> None:
    x, w = _whole(2, channels, high, wide, seed=3), _whole(channels, 1, kernel, kernel, seed=4)
    expected = functional.conv2d(x, w, padding=kernel // 2, groups=channels)
    assert torch.equal(depthwise(x, w, padding=kernel // 2, threads=threads), expected)
    assert depthwise_(x, w, threads=threads) is x
    assert torch.equal(x, expected)


def test_depthwise_without_padding_and_with_an_oblong_kernel() -> None:
    x, w = _whole(1, 3, 9, 21, seed=0), _whole(3, 1, 2, 4, seed=1)
    assert torch.equal(depthwise(x, w), functional.conv2d(x, w, groups=3))


def test_inputs_stay_as_they_are() -> None:
    x, w = _whole(1, 4, 12, 12, seed=0), _whole(4, 4, 3, 3, seed=1)
    before = x.clone(), w.clone()
    for method in CONV2D_METHODS["nchw"]:
        conv2d(x, w, method)
    depthwise(x, w[:, :1])
    assert torch.equal(x, before[0])
    assert torch.equal(w, before[1])


X, W = torch.ones(1, 2, 4, 4), torch.ones(3, 2, 3, 3)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: matmul(X[0, 0], X[0, 0], "magic"), "no method 'magic': choose one of naive, reo"),
        (lambda: matmul(torch.ones(2, 3), torch.ones(2, 3)), r"a \[2, 3\] cannot be multiplied"),
        (lambda: matmul(torch.ones(2, 3), torch.ones(3)), "b has 2 dimensions, none of them empty"),
        (lambda: matmul(torch.ones(0, 3), torch.ones(3, 1)), r"its shape is \[0, 3\]"),
        (lambda: matmul(X[0, 0].double(), X[0, 0]), "and a is float64 on cpu"),
        (lambda: matmul(X[0, 0], X[0, 0], threads=0), "threads=0 was given"),
        (lambda: conv2d(X, W, "winograd", layout="nhwc"), "choose one of naive, direct$"),
        (lambda: conv2d(X, W, layout="nwhc"), "no layout 'nwhc'"),
        (lambda: conv2d(X, W[:, :1]), "x has 2 channels and w reads 1"),
        (lambda: conv2d(X, torch.ones(3, 2, 5, 5), "winograd"), "and this one is 5x5"),
        (lambda: conv2d(X, torch.ones(3, 2, 5, 5)), "5x5 does not fit into 4x4 pixels"),
        (lambda: conv2d(X, W, padding=-1), "padding=-1: take a smaller one"),
        (lambda: depthwise(X, W), r"w is \[2, 1, kernel height, kernel width\] for 2 channels"),
        (lambda: depthwise_(X.permute(0, 1, 3, 2)[..., :3], W), "takes a contiguous tensor"),
        (lambda: depthwise_(X.clone(), torch.ones(2, 1, 2, 2)), r"odd square kernels, not \[2, 2"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(call, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=sentence):
        call()
