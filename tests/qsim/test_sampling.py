"""Shots: their statistics, their seeds, and what is refused."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

import qsim.memory
from qsim import (
    Circuit,
    Input,
    PauliString,
    PauliSum,
    State,
    UsageError,
    Weight,
    counts,
    expval,
    probabilities,
    samples,
)
from qsim.sampling import count, draw


def circuit(num_qubits: int = 3) -> Circuit:
    built = Circuit(num_qubits)
    for q in range(num_qubits):
        built.ry(Input(0) + 0.4 * q, q).rx(Weight(q), q)
    for q in range(num_qubits - 1):
        built.cx(q, q + 1)
    return built


W = torch.tensor([0.5, 1.2, -0.7])
X = torch.tensor([[0.3], [1.0], [2.0]])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def one_each(*seeds: int) -> list[torch.Generator]:
    return [seeded(seed) for seed in seeds]


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31))
def test_samples_pass_a_chi_square_test(seed: int) -> None:
    drawn = samples(circuit(), 4000, W, X, generator=seeded(seed))
    expected = probabilities(circuit(), W, X).double()
    for row in range(3):
        found = torch.bincount(drawn[row], minlength=8).numpy()
        share = expected[row].numpy() / expected[row].sum().item()
        # 60 tests: one of them falls below 1e-6 in one run out of 10,000.
        assert chisquare(found, share * 4000).pvalue > 1e-6


def test_rare_states_are_drawn_as_often_as_they_should() -> None:
    """Sums in single precision, which are 2**-24 apart below 1, would lose half of them."""
    rare = 2.0**-25
    share = torch.full((1, 64), rare)
    share[0, 0] = 1 - 63 * rare
    numbers = 1 - 63 * rare * (torch.arange(630, dtype=torch.float64) + 0.5) / 630
    drawn = draw(share, numbers[None])
    assert torch.bincount(drawn[0], minlength=64).tolist() == [0, *[10] * 63]


def test_what_has_no_probability_is_never_drawn() -> None:
    share = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0, 0.0]])
    edges = torch.tensor([[0.0, 0.5 - 2**-54, 0.5, 1 - 2**-53]], dtype=torch.float64)
    assert draw(share, edges).tolist() == [[1, 1, 3, 3]]
    share = torch.tensor([[0.1, 0.2, 0.7, 0.0]])  # whose sum is not 1
    assert draw(share, edges[:, -1:]).item() == 2


def test_bits_are_in_the_order_of_qiskit() -> None:
    flipped = Circuit(3).x(0).x(1)
    assert samples(flipped, 4).tolist() == [3, 3, 3, 3]
    assert counts(flipped, 4) == {"011": 4}
    assert counts(flipped, 4, qubits=[2, 0]) == {"10": 4}
    assert counts(flipped, 4, inputs=torch.zeros(2, 0)) == [{"011": 4}] * 2
    assert counts(flipped, 4, qubits=iter([2, 1])) == {"10": 4}


def test_counts_are_those_of_samples_most_frequent_first() -> None:
    found = counts(circuit(), 500, W, X[0], generator=seeded(3))
    drawn = samples(circuit(), 500, W, X[0], generator=seeded(3))
    assert isinstance(found, dict)
    assert sum(found.values()) == 500
    for bits, number in found.items():
        assert (drawn == int(bits, 2)).sum() == number
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert count(torch.tensor([2, 0, 2, 3]), 2) == {"10": 2, "00": 1, "11": 1}


def test_seeds_repeat_samples() -> None:
    first = samples(circuit(), 50, W, X, generator=seeded(1))
    assert first.shape == (3, 50)
    assert first.dtype == torch.int64
    assert torch.equal(first, samples(circuit(), 50, W, X, generator=seeded(1)))
    assert not torch.equal(first, samples(circuit(), 50, W, X, generator=seeded(2)))
    torch.manual_seed(4)
    again = samples(circuit(), 50, W, X)
    torch.manual_seed(4)
    assert torch.equal(again, samples(circuit(), 50, W, X))


VALUE = [PauliSum({"ZZI": 0.5, "XIX": 1.5, "YYI": -1, "III": 2}), PauliString("IZZ")]
PER_SAMPLE: dict[str, Callable[[Tensor, list[torch.Generator]], Tensor]] = {
    "samples": lambda x, g: samples(circuit(), 20, W, x, generator=g),
    "expval": lambda x, g: expval(circuit(), VALUE, W, x, shots=20, generator=g),
    "shift": lambda x, g: gradient(x, g, "shift"),
    "finite-difference": lambda x, g: gradient(x, g, "finite-difference"),
    "spsa": lambda x, g: gradient(x, g, "spsa"),
}


def gradient(x: Tensor, generators: list[torch.Generator], rule: str) -> Tensor:
    leaf = x.clone().requires_grad_()
    values = expval(circuit(), VALUE, W, leaf, shots=20, generator=generators, gradient=rule)
    values.sum().backward()
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.parametrize("name", PER_SAMPLE)
def test_generators_of_their_own_make_samples_independent_of_the_batch(name: str) -> None:
    run = PER_SAMPLE[name]
    together = run(X, one_each(5, 6, 7))
    for row, seed in enumerate((5, 6, 7)):
        assert torch.equal(run(X[row : row + 1], one_each(seed))[0], together[row])
    assert torch.equal(run(X[[2, 0]], one_each(7, 5)), together[[2, 0]])


def test_estimates_spread_about_the_value_as_their_variance_says() -> None:
    shots, runs = 200, 400
    start = State(torch.view_as_complex(torch.randn(8, 2, generator=seeded())).div(4))
    psi = State(start.amplitudes / start.amplitudes.norm())
    strings = [PauliString(label) for label in ("ZZI", "XYX", "IIY", "III")]
    many = State(psi.amplitudes.expand(runs, -1))
    found = many.expval(strings, shots=shots, generator=seeded(1)).double()
    exact, spread = psi.expval(strings).double(), psi.variance(strings).double()
    error = (spread / shots / runs).sqrt()
    assert ((found.mean(0) - exact).abs() <= 4.5 * error + 1e-6).all()
    # The variance of an estimate is known to about sqrt(2 / runs) of itself.
    torch.testing.assert_close(found.var(0), spread / shots, rtol=0.35, atol=1e-9)


def test_all_strings_are_measured_each_in_its_basis() -> None:
    """Bases share the turns of their first qubits; 27 of them measure the 63 strings."""
    strings = [PauliString("".join(letters)) for letters in product("IXYZ", repeat=3)]
    shots = 20_000
    found = expval(circuit(), strings, W, X, shots=shots, generator=seeded(2))
    exact = expval(circuit(), strings, W, X)
    error = ((1 - exact**2).clamp(min=0) / shots).sqrt()
    assert ((found - exact).abs() <= 5 * error + 1e-6).all()


def test_strings_measured_together_are_correlated_as_the_state_says() -> None:
    """One setting for ZZ, ZI and IZ: their product is then 1 in every shot."""
    bell = State(torch.tensor([1, 0, 0, 1], dtype=torch.complex64) / 2**0.5)
    strings = [PauliString("ZI"), PauliString("IZ"), PauliString("ZZ")]
    found = bell.expval(strings, shots=100, generator=seeded())
    assert found[0] == found[1]
    assert found[2] == 1


def test_estimates_of_identities_are_exact_and_sums_are_sums() -> None:
    value = PauliSum({"III": 2.0, "ZII": 1.0, "XII": 0.5})
    parts = [PauliString("ZII"), PauliString("XII")]
    whole = expval(circuit(), [value], W, X, shots=10, generator=seeded())
    alone = expval(circuit(), parts, W, X, shots=10, generator=seeded())
    torch.testing.assert_close(whole[:, 0], 2 + alone[:, 0] + 0.5 * alone[:, 1])


def test_shots_without_gradient_need_no_rule() -> None:
    weights = W.clone().requires_grad_()
    with torch.no_grad():
        assert expval(circuit(), VALUE, weights, X, shots=10).shape == (3, 2)
    numbers = torch.tensor([0.5, 1.0], requires_grad=True)
    value = PauliSum(["ZII", "IZI"], numbers)
    found = expval(circuit(), [value], W, X[0], shots=10, generator=seeded())
    (slope,) = torch.autograd.grad(found[0], numbers)
    alone = expval(circuit(), list(value.strings), W, X[0], shots=10, generator=seeded())
    torch.testing.assert_close(slope, alone)


def with_generator(generator: object) -> object:
    return samples(circuit(), 5, W, X, generator=generator)  # type: ignore[arg-type]


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "no shots": (lambda: samples(circuit(), 0, W, X), "from 1 on, not 0"),
    "negative shots": (lambda: counts(circuit(), -3, W, X), "from 1 on, not -3"),
    "half a shot": (lambda: samples(circuit(), 0.5, W, X), "from 1 on, not 0.5"),  # type: ignore[arg-type]
    "shots yes": (lambda: samples(circuit(), True, W, X), "from 1 on, not True"),
    "negative shots of a value": (
        lambda: expval(circuit(), None, W, X, shots=-1),
        "from 1 on, not -1",
    ),
    "too many shots": (
        lambda: samples(circuit(), 10**15, W, X),
        "1000000000000000 shots of 3 samples takes 48,000,000,000,000,000 bytes, but this machine",
    ),
    "too many shots of a value": (
        lambda: expval(circuit(), VALUE, W, X, shots=10**15),
        "takes 144,000,000,000,000,000 bytes",
    ),
    "a seed": (lambda: with_generator(7), "torch.Generator, or a list of them .* not 7"),
    "seeds": (lambda: with_generator([1, 2, 3]), r"a list of them .* not \[1, 2, 3\]"),
    "too few generators": (
        lambda: with_generator(one_each(1, 2)),
        "2 generators do not fit a batch of 3",
    ),
    "generators of a value": (
        lambda: expval(circuit(), None, W, X, shots=5, generator=one_each(1)),
        "1 generators do not fit a batch of 3",
    ),
    "adjoint gradient": (
        lambda: expval(circuit(), None, W.clone().requires_grad_(), X, shots=5),
        "shots have no adjoint gradient: use gradient='shift'",
    ),
    "qubits": (lambda: counts(circuit(), 5, W, X, qubits=[3]), "no qubit 3: 3 qubits are 0 to 2"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_sentence(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qsim.memory, "machine_bytes", lambda: 2**40)
    attempt, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence) as error:
        attempt()
    assert "\n" not in str(error.value)


def test_samples_and_probabilities_agree_on_some_of_the_qubits() -> None:
    drawn = samples(circuit(), 20_000, W, X[1], qubits=[2, 0], generator=seeded())
    found = np.bincount(drawn.numpy(), minlength=4)
    share = probabilities(circuit(), W, X[1], qubits=[2, 0]).double().numpy()
    assert chisquare(found, share / share.sum() * 20_000).pvalue > 1e-6
