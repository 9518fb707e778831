"""Real devices: every way to have no access is told by its own sentence, without the token."""

from types import SimpleNamespace

import pytest
import qiskit_ibm_runtime
from qiskit_ibm_runtime.accounts import AccountNotFoundError, InvalidAccountError
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import HTTPError, ProxyError

from compile import Device
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
