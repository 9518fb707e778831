"""Pauli strings and sums: their arithmetic is that of their matrices, and of Qiskit."""

import math
import pickle
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import SparsePauliOp

from qsim import Circuit, PauliString, PauliSum, UsageError, Weight, expval
from qsim.strings import Strings

LABELS = st.text("IXYZ", min_size=3, max_size=3)
NUMBERS = st.integers(-8, 8).map(lambda k: k / 4)
SUMS = st.lists(st.tuples(NUMBERS, LABELS), min_size=1, max_size=6).map(PauliSum)


def dense(value: PauliSum) -> np.ndarray:
    found: np.ndarray = SparsePauliOp.from_list([(p.label, c) for c, p in value.terms]).to_matrix()
    return found


@given(SUMS)
def test_matrix_is_that_of_qiskit(value: PauliSum) -> None:
    np.testing.assert_allclose(value.matrix(), dense(value), atol=1e-12)


@given(SUMS, SUMS, NUMBERS)
def test_sums_and_multiples_are_those_of_matrices(a: PauliSum, b: PauliSum, number: float) -> None:
    left, right = dense(a), dense(b)
    np.testing.assert_allclose(dense(a + b), left + right, atol=1e-12)
    np.testing.assert_allclose(dense(a - b), left - right, atol=1e-12)
    np.testing.assert_allclose(dense(number * a), number * left, atol=1e-12)
    np.testing.assert_allclose(dense(-a / 4), -left / 4, atol=1e-12)
    np.testing.assert_allclose(dense(1 - a + number), (1 + number) * np.eye(8) - left, atol=1e-12)


@settings(max_examples=60)
@given(SUMS, SUMS)
def test_products_are_those_of_matrices_or_refused(a: PauliSum, b: PauliSum) -> None:
    product = dense(a) @ dense(b)
    np.testing.assert_allclose(dense(a * a), dense(a) @ dense(a), atol=1e-10)
    if np.abs(product - product.conj().T).max() > 1e-6:
        with pytest.raises(UsageError, match=r"not Hermitian.*do not commute"):
            _ = a * b
    else:
        np.testing.assert_allclose(dense(a * b), product, atol=1e-10)


@given(LABELS, LABELS)
def test_products_of_strings_have_the_phase_of_qiskit(first: str, second: str) -> None:
    phase, string = PauliString(first).times(PauliString(second))
    product = dense(PauliSum([(1.0, first)])) @ dense(PauliSum([(1.0, second)]))
    np.testing.assert_allclose(phase * dense(PauliSum([(1.0, string)])), product, atol=1e-12)


def test_ways_to_write_a_sum_are_equal() -> None:
    ways = [
        0.5 * PauliString("ZZI") - PauliString("IIX") + 2,
        PauliSum({"ZZI": 0.5, "IIX": -1, PauliString("III"): 2}),
        PauliSum([(2, "III"), (0.25, "ZZI"), (-1, PauliString("IIX")), (0.25, "ZZI")]),
        PauliSum(["ZZI", "IIX", "III"], torch.tensor([0.5, -1, 2])),
        PauliSum(["ZZI", "IIX", "III"], np.array([0.5, -1, 2])),
        PauliSum.from_sparse([("ZZ", [2, 1], 0.5), ("X", [0], -1), ("", [], 2)], 3),
        np.float64(0.5) * PauliString("ZZI") - PauliString("IIX") + Fraction(2),
        2 + PauliString("ZZI") / 2 - 1 * PauliString("IIX") + 0 * PauliString("XXX"),
    ]
    for way in ways:
        assert way == ways[0]
        assert pickle.loads(pickle.dumps(way)) == ways[0]  # noqa: S301 (our own)
    assert ways[0] != ways[0] + 1e-9
    assert ways[0] != "ZZI"


def test_letters_and_qubits_are_in_the_order_of_qiskit() -> None:
    ours = PauliSum.from_sparse([("ZX", [0, 3], 1.0), ("Y", [1], 2.0)], 4)
    theirs = SparsePauliOp.from_sparse_list([("ZX", [0, 3], 1.0), ("Y", [1], 2.0)], 4)
    np.testing.assert_allclose(ours.matrix(), theirs.to_matrix())
    assert PauliString.from_sparse("ZX", [0, 3], 4) == PauliString("XIIZ")


def test_terms_are_collected_and_dropped() -> None:
    value = PauliSum([(0.5, "ZZ"), (1e-14, "XX"), (0.25, "ZZ")])
    assert value.terms == ((0.75, PauliString("ZZ")), (1e-14, PauliString("XX")))
    assert value.simplify().terms == ((0.75, PauliString("ZZ")),)
    assert (value - value).simplify().terms == ((0.0, PauliString("II")),)
    assert str(value - 1) == "0.75*ZZ + 1e-14*XX - 1*II"
    assert len(value) == 2


def test_a_sum_keeps_nothing_of_what_it_was_made_from() -> None:
    numbers = torch.tensor([1.0, 2.0], dtype=torch.float64)
    value = PauliSum(["Z", "X"], numbers)
    numbers[0] = 7
    assert value.terms[0][0] == 1


def test_trained_coefficients_are_seen_at_their_present_values() -> None:
    numbers = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
    value = PauliSum(["Z", "X", "Z"], numbers)
    for _ in range(2):  # the graph of the first pass must not be needed by the second
        expval(Circuit(1), [value])[0].backward()
    torch.testing.assert_close(numbers.grad, torch.tensor([2.0, 0.0, 2.0]))
    with torch.no_grad():
        numbers[0] = 10
    assert value.terms[0] == (14, PauliString("Z"))


def test_arithmetic_keeps_the_graph_of_coefficients() -> None:
    a = torch.tensor(0.5, requires_grad=True)
    circuit = Circuit(1).ry(0.3, 0)
    value = (a * PauliString("Z") + 2 * a * a * PauliString("X")) * 3
    (slope,) = torch.autograd.grad(expval(circuit, [value])[0], a)
    assert slope.item() == pytest.approx(3 * math.cos(0.3) + 12 * 0.5 * math.sin(0.3), abs=1e-6)
    square = (a * PauliString("Z") + 1) * (a * PauliString("Z") + 1)
    (slope,) = torch.autograd.grad(expval(circuit, [square])[0], a)
    assert slope.item() == pytest.approx(1 + 2 * math.cos(0.3), abs=1e-6)


@given(st.lists(LABELS, min_size=1, max_size=30, unique=True))
def test_settings_measure_every_string_in_its_letters(labels: list[str]) -> None:
    strings = Strings([PauliString(label) for label in labels])
    measured = []
    for setting in strings.settings:
        for k, support in zip(setting.indices, setting.supports, strict=True):
            label = strings[k].label
            assert all(a in ("I", b) for a, b in zip(label, setting.basis, strict=True))
            assert [support >> q & 1 for q in range(3)] == [a != "I" for a in label[::-1]]
            measured.append(k)
    assert sorted(measured) == [k for k, label in enumerate(labels) if label != "III"]


def test_strings_that_differ_only_in_z_share_a_setting() -> None:
    assert len(Strings([PauliString(x) for x in ("ZZI", "IZZ", "IIX", "XIX", "ZII")]).settings) == 2


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "complex number": (lambda: 1j * PauliString("X"), "real, not 1j: only Hermitian"),
    "complex tensor": (lambda: PauliSum(["X"], torch.tensor([1j])), "real, not torch.complex64"),
    "not Hermitian": (lambda: PauliString("X") * PauliString("Y"), "not Hermitian.*Z gets an imag"),
    "NaN": (lambda: float("nan") * PauliString("X"), "finite numbers"),
    "infinite": (lambda: PauliSum({"X": float("inf")}), "finite numbers"),
    "a word": (lambda: PauliSum({"X": "one"}), "real number, not 'one'"),
    "no terms": (lambda: PauliSum([]), "one term or more"),
    "no pairs": (lambda: PauliSum(["XX"]), "made of pairs such as .* not of 'XX'"),
    "one string": (lambda: PauliSum("XX"), "made of pairs such as .* not of 'XX'"),
    "unknown letters": (lambda: PauliSum({"AB": 1.0}), "letters I, X, Y and Z, not 'AB'"),
    "no string": (lambda: PauliSum([(1.0, 3)]), "a label such as 'ZZ': not 3"),
    "a number as string": (lambda: PauliString(5), "letters I, X, Y and Z, not 5"),  # type: ignore[arg-type]
    "a number": (lambda: expval(Circuit(1), 5), "come as a list .* not one 5"),  # type: ignore[arg-type]
    "lengths": (lambda: PauliSum({"X": 1, "XX": 2}), r"equally many qubits, not \[1, 2\]"),
    "adding lengths": (
        lambda: PauliString("X") + PauliString("XX"),
        "on 1 and 2 qubits do not combine",
    ),
    "too few numbers": (
        lambda: PauliSum(["X", "Y"], [1.0]),
        r"shape \[1\] do not fit 2 strings: they are \[2\]",
    ),
    "sparse letters": (lambda: PauliString.from_sparse("XY", [0], 2), "one letter for each qubit"),
    "sparse qubit": (lambda: PauliString.from_sparse("X", [2], 2), "no qubit 2: 2 qubits are 0 to"),
    "sparse repeated": (
        lambda: PauliString.from_sparse("XX", [1, 1], 2),
        r"different ones, not \[1, 1\]",
    ),
    "large matrix": (
        lambda: PauliSum({"Z" * 30: 1}).matrix(),
        "matrix of 30 qubits takes 18,446,744,073,709,551,616 bytes, but this machine has",
    ),
    "sum of another size": (
        lambda: expval(Circuit(1), [PauliSum({"XX": 1})]),
        "a PauliSum acts on 2 qubits, but the circuit has 1",
    ),
    "one sum": (
        lambda: expval(Circuit(1), PauliSum({"X": 1})),  # type: ignore[arg-type]
        "list of PauliString or PauliSum, not one",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_sentence(mistake: str) -> None:
    run, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence) as error:
        run()
    assert "\n" not in str(error.value)


def test_trained_coefficients_that_became_nan_are_refused() -> None:
    numbers = torch.tensor([1.0], requires_grad=True)
    value = PauliSum(["Z"], numbers)
    with torch.no_grad():
        numbers *= float("nan")
    with pytest.raises(UsageError, match=r"coefficients .* not finite"):
        expval(Circuit(1).rx(Weight(0), 0), [value], torch.zeros(1))


def test_constant_coefficients_are_copied_to_a_device_once() -> None:
    numbers, there = torch.tensor([0.5, -1.2]), torch.device("meta")
    constant = PauliSum(["ZZ", "XI"], numbers)
    assert constant.coefficients_on(there) is constant.coefficients_on(there)
    assert constant.coefficients_on(there).dtype == torch.float64
    trained = PauliSum(["ZZ", "XI"], numbers.clone().requires_grad_())
    assert trained.coefficients_on(there) is not trained.coefficients_on(there)
