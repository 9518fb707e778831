"""What running a circuit takes and refuses: tensors, observables and engines."""

import warnings
from collections.abc import Callable

import pytest
import torch

import qsim.engines
from qsim import Circuit, Input, PauliString, UsageError, Weight, expval, probabilities, state
from qsim.engines import select_engine
from qsim.engines.cpu import CpuEngine
from qsim.engines.reference import ReferenceEngine
from qsim.errors import need
from qsim.observables import all_z

NAN = float("nan")


def circuit() -> Circuit:
    return Circuit(2).rx(Weight(0), 0).ry(Weight(1), 1).rz(Input(0), 0).cx(0, 1)


W, X = torch.zeros(2), torch.zeros(5, 1)

MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "no weights": (lambda: expval(circuit(), inputs=X), r"2 weights: pass weights=.*\[2\]"),
    "no inputs": (lambda: state(circuit(), W), r"1 inputs?: pass inputs=.*\[1\]"),
    "too many weights": (
        lambda: state(circuit(), torch.zeros(3), X),
        r"weights of shape \[3\] do not fit .* \[2\] or \[batch, 2\]",
    ),
    "weights of three dimensions": (
        lambda: state(circuit(), torch.zeros(1, 1, 2), X),
        r"weights of shape \[1, 1, 2\]",
    ),
    "weights a number": (lambda: state(circuit(), torch.tensor(0.0), X), r"weights of shape \[\]"),
    "inputs transposed": (
        lambda: probabilities(circuit(), W, X.T),
        r"inputs of shape \[1, 5\] do not fit .* \[1\] or \[batch, 1\]",
    ),
    "inputs not wanted": (
        lambda: state(Circuit(1).rx(Weight(0), 0), torch.zeros(1), X),
        r"inputs of shape \[5, 1\] do not fit",
    ),
    "batches of two sizes": (
        lambda: state(circuit(), torch.zeros(4, 2), X),
        "weights are a batch of 4, inputs of 5",
    ),
    "weights a list": (lambda: state(circuit(), [0.0, 0.0], X), "torch tensor, not list"),
    "weights are whole numbers": (
        lambda: state(circuit(), torch.zeros(2, dtype=torch.long), X),
        "floating-point angles, not torch.int64",
    ),
    "weights are complex": (
        lambda: state(circuit(), W.to(torch.complex64), X),
        "real floating-point angles, not torch.complex64",
    ),
    "weights are NaN": (lambda: state(circuit(), torch.tensor([0.1, NAN]), X), "finite|nan"),
    "inputs are infinite": (lambda: state(circuit(), W, X + float("inf")), "finite|inf"),
    "two devices": (
        lambda: state(circuit(), W, X.to("meta")),
        r"different devices: \['cpu', 'meta'\]",
    ),
    "device of the engine": (
        lambda: state(circuit(), W.to("meta"), X.to("meta"), engine="cpu"),
        "cpu engine takes tensors on a cpu device, not on meta",
    ),
    "unknown engine": (
        lambda: state(circuit(), W, X, engine="gpu"),
        "no engine 'gpu': use auto, cpu, cuda, reference or stim",
    ),
    "real dtype": (
        lambda: state(circuit(), W, X, dtype=torch.float32),
        "torch.complex64 or torch.complex128, not torch.float32",
    ),
    "observable too short": (
        lambda: expval(circuit(), [PauliString("Z")], W, X),
        "observable Z acts on 1 qubits?, but the circuit has 2",
    ),
    "observable a word": (
        lambda: expval(circuit(), ["ZZ"], W, X),  # type: ignore[list-item]
        r"PauliString such as PauliString\('IZ'\), not 'ZZ'",
    ),
    "observables a word": (lambda: expval(circuit(), "ZZ", W, X), "list of PauliString"),  # type: ignore[arg-type]
    "observables one string": (
        lambda: expval(circuit(), PauliString("ZZ"), W, X),  # type: ignore[arg-type]
        "list of PauliString or PauliSum, not one",
    ),
    "weights for observables": (lambda: expval(circuit(), W, X), "PauliString"),  # type: ignore[arg-type]
    "letters unknown": (lambda: PauliString("AZ"), "letters I, X, Y and Z, not 'AZ'"),
    "letters small": (lambda: PauliString("zz"), "letters I, X, Y and Z, not 'zz'"),
    "letters missing": (lambda: PauliString(""), "letters I, X, Y and Z, not ''"),
    "Z out of range": (lambda: PauliString.z(2, 2), "Z on qubit 2: 2 qubits are 0 to 1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_sentence(mistake: str) -> None:
    run, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence) as error:
        run()
    assert "\n" not in str(error.value)


def test_shapes_follow_the_batch() -> None:
    assert expval(circuit(), None, W, X).shape == (5, 2)
    assert expval(circuit(), None, W, X[0]).shape == (2,)
    assert expval(circuit(), None, W[None], X[0]).shape == (1, 2)
    assert expval(circuit(), [PauliString("XX")], W, X).shape == (5, 1)
    assert state(circuit(), W, X).shape == (5, 4)
    assert state(circuit(), W, X[0]).shape == (4,)
    assert probabilities(circuit(), W, X).shape == (5, 4)
    assert state(Circuit(1).h(0), inputs=torch.zeros(3, 0)).shape == (3, 2)


def test_observables_may_come_from_a_generator() -> None:
    labels = ("ZI", "IX", "YY")
    listed = expval(circuit(), [PauliString(label) for label in labels], W, X)
    generated = expval(circuit(), (PauliString(label) for label in labels), W, X)  # type: ignore[arg-type]
    assert torch.equal(listed, generated)


def test_probabilities_add_up_to_one() -> None:
    found = probabilities(circuit(), torch.randn(2).double(), torch.randn(5, 1).double())
    torch.testing.assert_close(found.sum(1), torch.ones(5).double())


def test_pauli_strings_read_from_the_right() -> None:
    string = PauliString("XYIZ")
    assert (string.num_qubits, string.x_mask, string.z_mask, string.num_y) == (4, 12, 5, 1)
    assert [p.label for p in all_z(3)] == ["IIZ", "IZI", "ZII"]
    assert PauliString.z(1, 3) == PauliString("IZI")


def test_auto_takes_the_compiled_engine() -> None:
    assert isinstance(select_engine("auto", "cpu"), CpuEngine)
    assert isinstance(select_engine("cpu", "cpu"), CpuEngine)
    assert isinstance(select_engine("reference", "cpu"), ReferenceEngine)


def test_without_the_extension_the_reference_serves_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(qsim.engines, "native_missing", "no such file")
    qsim.engines.warn_reference.cache_clear()
    with pytest.warns(UserWarning, match="slow.*no such file.*reinstall") as record:
        value = expval(Circuit(1).x(0))
    assert value.item() == -1
    assert record[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expval(Circuit(1).x(0))
    with pytest.raises(UsageError, match="cpu engine was not built"):
        expval(Circuit(1).x(0), engine="cpu")
    qsim.engines.warn_reference.cache_clear()


def test_need_imports_or_names_the_extra() -> None:
    assert need("json", extra="ibm", purpose="reading").loads("1") == 1
    with pytest.raises(UsageError, match=r"drawing needs nosuch, .* 'efficient-qml\[plot\]'"):
        need("nosuch.part", extra="plot", purpose="drawing")
