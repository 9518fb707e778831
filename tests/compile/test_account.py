"""Real devices: every way to have no access is told by its own sentence, without the token."""

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import qiskit_ibm_runtime
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime.accounts import AccountNotFoundError, InvalidAccountError
from qiskit_ibm_runtime.fake_provider import FakeQuitoV2, FakeTorino
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import HTTPError, ProxyError

from compile import Device, real_device
from qsim import UsageError

TOKEN = "s3cret-t0ken"


def wrapped(cause: Exception) -> Exception:
    """As the client wraps everything that goes wrong."""
    error = InvalidAccountError(f"Unable to retrieve instances with {TOKEN}.")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AccountNotFoundError("Unable to find account."), "no IBM Quantum account is saved"),
        (wrapped(NoConnection("no route")), "cannot be reached.*check the network"),
        (wrapped(ProxyError("refused")), "check the network"),
        (wrapped(TimeoutError("late")), "check the network"),
        (wrapped(HTTPError("401")), "refused the saved account"),
        (RuntimeError("500"), "did not give access to ibm_torino, with RuntimeError"),
    ],
)
def test_no_access(error: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def service() -> None:
        raise error

    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", service)
    with pytest.raises(UsageError, match=words) as caught:
        Device.from_name("ibm_torino")
    assert "ibm_torino" in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert caught.value.__suppress_context__  # a traceback would quote the request


def test_how_to_save_an_account_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def service() -> None:
        raise AccountNotFoundError("none")

    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", service)
    with pytest.raises(UsageError, match=r"QiskitRuntimeService\.save_account.*FakeQuitoV2"):
        Device.from_name("ibm_torino")


class _Service:
    """An account with two devices."""

    def __init__(self) -> None:
        backends = [SimpleNamespace(name=n, num_qubits=133) for n in ("ibm_torino", "ibm_fez")]
        self._backends = {backend.name: backend for backend in backends}

    def backends(self) -> list[SimpleNamespace]:
        return list(self._backends.values())

    def backend(self, name: str) -> SimpleNamespace:
        return self._backends[name]


def test_devices_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", _Service)
    assert Device.from_name("ibm_torino").num_qubits == 133
    with pytest.raises(UsageError, match=r"no device 'ibm_turino': it has ibm_torino, ibm_fez"):
        Device.from_name("ibm_turino")


class _Choosing:
    """An account that notes what it is asked for."""

    asked: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **options: Any) -> None:
        self.asked.append(options)

    def least_busy(self, *, filters: Any, **options: Any) -> Any:
        self.asked.append(options)
        snapshots = [FakeQuitoV2(), FakeTorino()]
        for queue, backend in enumerate(snapshots):
            backend.status = lambda queue=queue: SimpleNamespace(pending_jobs=5 - 5 * queue)
        found = [b for b in snapshots if b.num_qubits >= options["min_num_qubits"]]
        found = [b for b in found if filters is None or filters(b)]
        if not found:
            raise QiskitBackendNotFoundError("No backend matches the criteria.")
        return found[0]

    def backends(self) -> list[Any]:
        return [FakeTorino()]

    def backend(self, name: str, **options: Any) -> Any:
        self.asked.append({"name": name, **options})
        return FakeTorino()


def test_the_least_busy_device_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", _Choosing)
    _Choosing.asked.clear()
    assert real_device().name == "fake_quito"
    assert real_device(max_queue=3).name == "fake_torino"
    assert real_device(max_two_qubit_error=0.005).name == "fake_torino"
    found = real_device(min_qubits=100, instance="crn:mine", fractional_gates=True)
    assert found.name == "fake_torino"
    assert _Choosing.asked[-2:] == [
        {"instance": "crn:mine"},
        {"min_num_qubits": 100, "use_fractional_gates": True},
    ]
    with pytest.raises(UsageError, match="no device of your IBM Quantum account fits"):
        real_device(min_qubits=1000)


def test_a_device_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", _Choosing)
    assert real_device("fake_torino", fractional_gates=True).num_qubits == 133
    assert _Choosing.asked[-1] == {"name": "fake_torino", "use_fractional_gates": True}
    with pytest.raises(UsageError, match="ibm_fez is what it is: leave out min_qubits"):
        real_device("ibm_fez", min_qubits=5)
