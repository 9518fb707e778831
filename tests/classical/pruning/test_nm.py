"""N:M sparsity: which weights stay, and storage that gives back every bit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from classical.errors import UsageError
from classical.pruning import nm_masks, pack_nm, semi_structured


def test_the_two_largest_of_four_stay() -> None:
    layer = nn.Linear(8, 1)
    layer.weight.data = torch.tensor([[1.0, -4, 3, 2, 0.1, 0.2, -0.4, 0.3]])
    kept = nm_masks(layer)["weight"].int().tolist()
    assert kept == [[0, 1, 1, 0, 0, 0, 1, 1]]


def test_groups_lie_along_the_inputs_of_convolutions() -> None:
    torch.manual_seed(0)
    mask = nm_masks(nn.Conv2d(8, 3, 3), 1, 4)["weight"]
    assert (mask.reshape(3, 2, 4, 3, 3).sum(2) == 1).all()


@given(
    st.sampled_from([(2, 4), (1, 4), (4, 8), (1, 2), (3, 5), (1, 200)]),
    st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    st.integers(0, 5),
)
def test_packing_gives_back_every_bit(
    pattern: tuple[int, int], dtype: torch.dtype, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = nn.Conv2d(2 * pattern[1], 3, (1, 2)).to(dtype)
    nm_masks(layer, *pattern)(layer)
    weight = layer.weight.detach()
    bits = torch.int32 if dtype == torch.float32 else torch.int16
    packed = pack_nm(weight, *pattern)
    assert torch.equal(packed.unpack().view(bits), weight.view(bits))


def test_a_minus_zero_is_a_value() -> None:
    weight = torch.tensor([[0.0, -0.0, 0.0, 1.0]])
    assert pack_nm(weight).unpack().signbit().tolist() == [[False, True, False, False]]


def test_packed_size_by_hand() -> None:
    layer = nn.Linear(64, 32)
    nm_masks(layer)(layer)
    assert pack_nm(layer.weight).nbytes == 32 * 32 * 4 + 32 * 32 * 2 // 8


def test_bad_requests_are_refused() -> None:
    layer = nn.Linear(6, 2)
    with pytest.raises(UsageError, match="1 <= N < M <= 256, such as 2:4, not 4:4"):
        nm_masks(layer, 4, 4)
    with pytest.raises(UsageError, match=r"inputs are a multiple of 4, not \[\]; there are weight"):
        nm_masks(layer)
    with pytest.raises(UsageError, match=r"weight \[2, 6\] has no inputs in groups of 4"):
        nm_masks(layer, names=["weight"])
    with pytest.raises(UsageError, match="not 2:4 sparse, for 4 of 4 weights are not zero"):
        pack_nm(torch.ones(2, 4))


def test_the_kernel_is_for_linear_layers_on_cuda() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    with pytest.raises(UsageError, match="need a CUDA device, and 0 is on cpu"):
        semi_structured(model, ["0"])
    with pytest.raises(UsageError, match="1 is ReLU"):
        semi_structured(model, ["1"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_kernel_multiplies_as_the_dense_layer() -> None:
    model = nn.Sequential(nn.Linear(128, 128)).cuda().half()
    nm_masks(model)(model)
    x = torch.randn(64, 128, device="cuda", dtype=torch.float16)
    with torch.no_grad():
        assert torch.allclose(semi_structured(model, ["0"])(x), model(x), atol=1e-2)
