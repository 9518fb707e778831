"""Executors: against exact values under the device's noise, and what they refuse."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit_aer import AerSimulator

from compile import Compiled, Device, Executor, Mitigation, compile, noisy
from compile.execution.frequencies import frequencies
from compile.execution.links import Cloud
from qsim import Circuit, Input, PauliString, PauliSum, UsageError, Weight, expval

SHOTS = 8192
SIGMA = SHOTS**-0.5
OBSERVABLES = [PauliString("XYZ"), PauliSum({"IZZ": 0.5, "YIX": -1.5, "III": 2.0})]


def layered() -> Circuit:
    circuit = Circuit(3)
    for q in range(3):
        circuit.ry(Input(q), q).rx(Weight(q), q)
        circuit.cry(Weight(3 + q % 2), q, (q + 1) % 3).rz(0.5 * Weight(0) + 1, q)
    return circuit


@pytest.fixture(scope="module")
def open_circuit(quito: Device) -> Compiled:
    return compile(layered(), quito, layout=(3, 1, 0))


WEIGHTS = torch.linspace(-1, 2, 5, dtype=torch.float64)
INPUTS = torch.tensor([[0.3, 1.0, -0.5], [2.0, 0.1, 0.7]], dtype=torch.float64)


@pytest.mark.parametrize(
    "options",
    [{}, {"simulator": "qsim"}, {"simulator": "aer"}, {"primitives": "service"}],
    ids=["default", "qsim", "aer", "old"],
)
def test_every_backend_gives_what_the_noise_gives(
    quito: Device, open_circuit: Compiled, options: dict[str, Any]
) -> None:
    exact = noisy(open_circuit, quito).expval(OBSERVABLES, WEIGHTS.float(), INPUTS.float())
    executor = Executor(quito, shots=SHOTS, **options)
    values = executor.expval(open_circuit, OBSERVABLES, WEIGHTS, INPUTS)
    assert values.shape == (2, 2)
    assert (values - exact).abs().max() < 5 * 2 * SIGMA
    counts = executor.sample(open_circuit, WEIGHTS, INPUTS)
    z = torch.tensor(
        [
            [sum(n * (1 - 2 * int(bits[-1 - q])) for bits, n in row.items()) for q in range(3)]
            for row in counts
        ]
    )
    exact = noisy(open_circuit, quito).expval(None, WEIGHTS.float(), INPUTS.float())
    assert (z / SHOTS - exact).abs().max() < 5 * SIGMA
    assert torch.equal(values, executor.expval(open_circuit, OBSERVABLES, WEIGHTS, INPUTS))


def test_a_snapshot_is_simulated_by_qsim_unless_mitigation_needs_aer(quito: Device) -> None:
    compiled = compile(Circuit(1).x(0), quito)
    for options, simulator in (
        ({}, "qsim"),
        ({"mitigation": Mitigation(readout="m3")}, "qsim"),
        ({"mitigation": Mitigation(twirling=True)}, "aer"),
        ({"primitives": "service"}, "aer"),
    ):
        job = Executor(quito, shots=10, **options).submit(compiled)
        assert job.settings.simulator == simulator


@pytest.mark.parametrize("dd", [None, "XX"])
def test_simulators_agree_on_decoupling_and_scalar_parameters(
    quito: Device, dd: str | None
) -> None:
    source, angles = QuantumCircuit(2), [Parameter("b"), Parameter("a")]
    source.h(0)
    source.cx(0, 1)
    for _ in range(120):  # while qubit 0 waits
        source.x(1)
    source.ry(angles[0], 1)
    source.cx(0, 1)
    source.rx(angles[1] + 0.2, 0)
    compiled = compile(source, quito, level=0, layout=(0, 1), dd=dd)
    inputs = torch.tensor([[0.3, 1.5], [2.0, -0.4]])
    by_qsim, by_aer = (
        Executor(quito, shots=SHOTS, simulator=name).expval(compiled, None, None, inputs)
        for name in ("qsim", "aer")
    )
    assert (by_qsim - by_aer).abs().max() < 5 * 2**0.5 * SIGMA


def test_a_backend_of_qiskit() -> None:
    target = Device.from_fake("quito").target
    executor = Executor(AerSimulator(target=target), shots=100)
    compiled = compile(Circuit(2).x(1), executor.device)
    assert next(iter(executor.sample(compiled))) == "10"


@pytest.mark.parametrize("simulator", ["aer", "qsim"])
def test_gradient_by_shifts(quito: Device, open_circuit: Compiled, simulator: str) -> None:
    circuit = noisy(open_circuit, quito)
    exact = torch.autograd.functional.jacobian(
        lambda w: circuit.expval(OBSERVABLES, w, INPUTS, dtype=torch.complex128), WEIGHTS
    )
    executor = Executor(quito, shots=SHOTS, simulator=simulator)
    found = executor.gradient(open_circuit, OBSERVABLES, WEIGHTS, INPUTS, wrt=[4, 0])
    assert found.shape == (2, 2, 2)
    assert (found - exact[..., [4, 0]]).abs().max() < 5 * 4 * SIGMA
    single = executor.gradient(open_circuit, OBSERVABLES, WEIGHTS, INPUTS[0], wrt=[4, 0])
    assert (single - exact[0][:, [4, 0]]).abs().max() < 5 * 4 * SIGMA


def test_gradient_by_spsa_is_a_slope_along_its_direction(
    quito: Device, open_circuit: Compiled
) -> None:
    circuit = noisy(open_circuit, quito)
    executor = Executor(quito, shots=100 * SHOTS, simulator="qsim")
    found = executor.gradient(open_circuit, None, WEIGHTS, INPUTS, method="spsa", seed=3)
    for sample, slopes in zip(INPUTS, found.double(), strict=True):
        move = 0.1 * slopes[0].sign()  # the direction, up to its sign
        ahead, behind = (circuit.expval(None, WEIGHTS + s * move, sample) for s in (1, -1))
        expected = (ahead - behind)[:, None] / 0.2 * move.sign()
        assert (slopes - expected).abs().max() < 5 / (100 * SHOTS) ** 0.5 / 0.1
    other = executor.gradient(open_circuit, None, WEIGHTS, INPUTS, method="spsa", seed=4)
    assert not torch.equal(found.sign(), other.sign())


def test_frequencies(quito: Device) -> None:
    circuit = Circuit(2).rx(Weight(0), 0).cry(Weight(1), 0, 1).rz(0.5 * Weight(0), 0)
    circuit.u3(Input(0), 0.2, Weight(2), 1)
    found = frequencies(compile(circuit, quito))
    assert found == ((0.5, 1.0, 1.5), (0.5, 1.0), (1.0,), (1.0,))


def test_all_shifts_travel_in_one_pub(
    service: Any, cloud: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = compile(layered(), cloud)
    sent = []
    submit = Cloud.submit

    def spy(self: Cloud, submission: Any) -> str:
        sent.append((self._program, submission))
        return submit(self, submission)

    monkeypatch.setattr(Cloud, "submit", spy)
    Executor(cloud, shots=20).gradient(compiled, None, WEIGHTS, INPUTS, wrt=[1, 3])
    ((program, submission),) = sent
    assert [len(pub.values) for pub in program.pubs] == [2 * (2 + 8)]  # a rotation, two controlled
    assert [tuple(piece) for piece in submission.pieces] == [(0, 0, 20)]
    assert len(service.ran()) == 1


def test_constant_observables_and_no_wanted_weights(quito: Device, open_circuit: Compiled) -> None:
    executor = Executor(quito, shots=10)
    constant = [PauliSum({"III": 2.0})]
    assert executor.expval(open_circuit, constant, WEIGHTS, INPUTS).tolist() == [[2.0], [2.0]]
    empty = executor.gradient(open_circuit, None, WEIGHTS, INPUTS, wrt=[])
    assert empty.shape == (2, 3, 0)


# --- Mitigation -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noisy_circuit(quito: Device) -> tuple[Compiled, torch.Tensor]:
    circuit = Circuit(3).h(0).cx(0, 1).cx(1, 2)
    for k in range(2):
        circuit.rx(0.3 + k, 1).cx(0, 1).rz(0.4, 1).cx(1, 2).rx(0.2, 2)
    return compile(circuit, quito), expval(circuit, MEASURED)


MEASURED = [PauliString("ZIZ"), PauliString("IZZ"), PauliString("XXX")]


@pytest.mark.parametrize(
    ("mitigation", "at_most"),
    [
        (Mitigation(readout="m3"), 0.8),
        (Mitigation(readout="m3", twirling=True), 0.9),
        (Mitigation(readout="trex"), 0.8),
        (Mitigation(readout="trex", zne=(1, 3, 5)), 0.4),
        pytest.param(Mitigation(readout="trex", pec=True), 0.5, marks=pytest.mark.slow),
    ],
    ids=lambda value: str(value),
)
def test_mitigation_comes_closer_to_the_noise_free_value(
    quito: Device,
    noisy_circuit: tuple[Compiled, torch.Tensor],
    mitigation: Mitigation,
    at_most: float,
) -> None:
    """Mean error, as a share of that without mitigation."""
    compiled, ideal = noisy_circuit
    plain = (noisy(compiled, quito).expval(MEASURED) - ideal).abs().mean()
    values = Executor(quito, mitigation, shots=20_000).expval(compiled, MEASURED)
    assert (values - ideal).abs().mean() < at_most * plain


def test_m3_undoes_readout_errors_alone(quito: Device) -> None:
    pytest.importorskip("mthree")
    circuit = Circuit(4).x(1).x(3)  # no two-qubit gates: what is left is the readout
    compiled = compile(circuit, quito, layout=(4, 1, 3, 0))
    observables = [
        PauliString("IIIZ"),
        PauliString("IIZI"),
        PauliString("ZIII"),
        PauliString("ZZZZ"),
    ]
    plain = Executor(quito, shots=20_000).expval(compiled, observables)
    values = Executor(quito, Mitigation(readout="m3"), shots=20_000).expval(compiled, observables)
    expected = torch.tensor([1.0, -1.0, -1.0, 1.0])
    assert (values - expected).abs().max() < 0.02
    assert (plain - expected).abs().max() > 0.1


def test_dynamical_decoupling_is_played(quito: Device) -> None:
    compiled = compile(Circuit(3).h(0).cx(0, 1).cx(0, 1).cx(0, 1).cx(1, 2), quito)
    plain = Executor(quito, shots=500).sample(compiled)
    assert Executor(quito, Mitigation(dd="XY4"), shots=500).sample(compiled) != plain
    decoupled = compile(Circuit(2).h(0).cx(0, 1), quito, dd="XX")
    if "delay" in decoupled.circuit.count_ops():
        with pytest.raises(UsageError, match="compiled with delays already"):
            Executor(quito, Mitigation(dd="XY4")).sample(decoupled)


def test_mitigation_at_ibm_quantum(service: Any, cloud: Device, compiled: Compiled) -> None:
    Executor(cloud, Mitigation(readout="trex", twirling=True), shots=64).expval(
        compiled, inputs=torch.tensor([0.0])
    )
    (ran,) = service.ran()
    assert ran["program"] == "executor"
    assert "measure_mitigation" in str(ran["inputs"])


@pytest.mark.parametrize(
    ("mitigation", "options", "words"),
    [
        ({"dd": "XY4"}, {"primitives": "service"}, "dd would be ignored: the older primitives"),
        ({"zne": (1, 3, 5)}, {"simulator": "qsim"}, "zne would be ignored by simulator='qsim'"),
        ({"readout": "trex"}, {"simulator": "qsim"}, "readout would be ignored"),
    ],
)
def test_mitigation_that_would_be_ignored(
    quito: Device,
    noisy_circuit: tuple[Compiled, torch.Tensor],
    mitigation: dict[str, Any],
    options: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(UsageError, match=words):
        Executor(quito, Mitigation(**mitigation), **options).expval(noisy_circuit[0])


def test_samples_are_not_corrected(
    quito: Device, cloud: Device, compiled: Compiled, noisy_circuit: tuple[Compiled, torch.Tensor]
) -> None:
    for options in ({"readout": "m3"}, {"zne": (1, 3, 5)}, {"pec": True}):
        with pytest.raises(UsageError, match="would be ignored: samples are what was read"):
            Executor(quito, Mitigation(**options)).sample(noisy_circuit[0])
    with pytest.raises(UsageError, match="take primitives='service'"):
        Executor(cloud, Mitigation(pec=True)).expval(compiled, inputs=torch.zeros(1))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"readout": "magic"}, "readout is 'm3', 'trex' or None, not 'magic'"),
        ({"dd": "XYXY"}, "dd is XX, XpXm, XY4 or None"),
        ({"zne": (1, 3)}, "three or more different noise factors"),
        ({"zne": (0.5, 1, 3)}, "from 1 on"),
        ({"zne": (1, 1, 3)}, "different"),
        ({"zne": (1, 3, 5), "pec": True}, "choose one of them"),
        ({"readout": "m3", "pec": True}, "take readout='trex'"),
    ],
)
def test_mitigation_that_makes_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Mitigation(**options)


# --- Options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"primitives": "new"}, "primitives is one of 'client', 'service', not 'new'"),
        ({"simulator": "stim"}, "simulator is one of None, 'aer', 'qsim', not 'stim'"),
        (
            {"simulator": "qsim", "primitives": "service"},
            "primitives='service' would be ignored by simulator='qsim'",
        ),
        ({"mode": "job"}, "mode is one of None, 'session', 'batch', not 'job'"),
        ({"shots": 0}, "the number of shots"),
        ({"max_seconds": 0}, "max_seconds is positive, not 0"),
    ],
)
def test_options(quito: Device, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Executor(quito, **options)


def test_calls_that_do_not_fit(quito: Device, open_circuit: Compiled) -> None:
    executor = Executor(quito, shots=10)
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: executor.expval(open_circuit, None, None, INPUTS), "5 open weights: bind them"),
        (lambda: executor.expval(open_circuit, None, WEIGHTS[:2], INPUTS), r"of shape \[2\]"),
        (lambda: executor.expval(open_circuit, None, WEIGHTS / 0, INPUTS), "the weights hold NaN"),
        (
            lambda: executor.gradient(open_circuit, None, WEIGHTS, INPUTS, wrt=[5]),
            "there is no open weight 5: the circuit has 5",
        ),
        (
            lambda: executor.gradient(open_circuit, None, WEIGHTS, INPUTS, method="adjoint"),
            "a device gives gradients by 'shift', 'finite-difference' or 'spsa', not 'adjoint'",
        ),
    ]
    for call, words in wrong:
        with pytest.raises(UsageError, match=words):
            call()


@pytest.mark.parametrize("mode", ["session", "batch"])
def test_sessions_are_closed_whatever_happens(
    service: Any, cloud: Device, compiled: Compiled, mode: str
) -> None:
    inputs = torch.zeros(1)
    with Executor(cloud, shots=10, mode=mode) as executor:
        executor.expval(compiled, inputs=inputs)
        assert set(service.sessions.values()) == {"open"}
    assert set(service.sessions.values()) == {"closed"}
    assert service.ran()[0]["session"] == "session0"
    for error in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), Executor(cloud, shots=10, mode=mode):
            raise error
        assert set(service.sessions.values()) == {"closed"}
    with pytest.raises(UsageError, match=rf"with Executor\(..., mode='{mode}'\) as executor"):
        Executor(cloud, mode=mode).expval(compiled, inputs=inputs)
    service.before["close"] = [ConnectionError("dropped")]
    with Executor(cloud, shots=10, mode=mode):
        pass
    assert set(service.sessions.values()) == {"closed"}
    service.before["close"] = [ConnectionError("dropped")] * 8
    with pytest.raises(UsageError, match=rf"the {mode} session5 could not be closed"):
        Executor(cloud, shots=10, mode=mode).__enter__().__exit__(None, None, None)
    with pytest.raises(ValueError, match="mine") as caught, Executor(cloud, shots=10, mode=mode):
        raise ValueError("mine")
    assert "could not be closed" in caught.value.__notes__[0]


def test_a_real_device_is_not_simulated(cloud: Device) -> None:
    with pytest.raises(UsageError, match="ibm_quito is no simulated device: leave out simulator"):
        Executor(cloud, simulator="aer")
