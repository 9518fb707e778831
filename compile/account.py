"""Real devices, through the IBM Quantum account saved on this computer."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from qsim.errors import UsageError, need

if TYPE_CHECKING:
    from qiskit.providers import BackendV2

_SAVE = (
    "QiskitRuntimeService.save_account(token=...) of qiskit_ibm_runtime with a token from "
    "quantum.cloud.ibm.com"
)


def real_backend(name: str) -> BackendV2:
    """The device of that name, as the saved account sees it.

    Raises:
        UsageError: there is no account, it is refused, IBM Quantum cannot be reached, or the
            account has no such device. What the client raised is not shown along: it may quote
            the request.
    """
    runtime = need("qiskit_ibm_runtime", extra="ibm", purpose="reaching IBM Quantum")
    try:
        return _find(runtime.QiskitRuntimeService(), name)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(_reason(error, name)) from None


def _find(service: Any, name: str) -> BackendV2:
    names = [backend.name for backend in service.backends()]
    if name in names:
        return service.backend(name)
    similar = get_close_matches(name, names, n=3, cutoff=0.0)
    raise UsageError(
        f"your IBM Quantum account has no device {name!r}: "
        + (f"it has {', '.join(similar)} among {len(names)}" if names else "it has none at all")
    )


def _reason(error: Exception, name: str) -> str:
    """The client wraps every failure as a bad token: what went wrong stands in the causes."""
    from qiskit_ibm_runtime.accounts import AccountNotFoundError, InvalidAccountError
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import Timeout

    causes = list(_causes(error))
    if any(isinstance(cause, AccountNotFoundError) for cause in causes):
        return (
            f"no IBM Quantum account is saved on this computer, so {name} cannot be reached: "
            f"save one by {_SAVE}, or take a simulated device such as FakeQuitoV2"
        )
    if any(isinstance(c, NoConnection | Timeout | ConnectionError | TimeoutError) for c in causes):
        return (
            f"IBM Quantum cannot be reached, so there is no {name} now: check the network (and "
            "proxy) of this computer, or take a simulated device such as FakeQuitoV2"
        )
    if any(isinstance(cause, InvalidAccountError) for cause in causes):
        return (
            f"IBM Quantum refused the saved account, so {name} cannot be reached: "
            f"save a valid one by {_SAVE} and overwrite=True"
        )
    return f"IBM Quantum did not give access to {name}, with {type(error).__name__}: try again"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
