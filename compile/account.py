"""Real devices, through the IBM Quantum account saved on this computer."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from compile.outages import causes, unreachable
from qsim.errors import UsageError, need

if TYPE_CHECKING:
    from qiskit.providers import BackendV2

_SAVE = (
    "QiskitRuntimeService.save_account(token=...) of qiskit_ibm_runtime with a token from "
    "quantum.cloud.ibm.com"
)


def real_backend(
    name: str | None,
    *,
    instance: str | None = None,
    fractional_gates: bool = False,
    min_qubits: int = 1,
    suits: Callable[[BackendV2], bool] | None = None,
) -> BackendV2:
    """A device, as the saved account sees it.

    Args:
        name: of the device; None for the one with the shortest queue.
        instance: name or CRN of the instance that is charged; by default that of the account.
        fractional_gates: whether to have rzz and rx of any angle, where the device has them.
        min_qubits: how many the one with the shortest queue has at least.
        suits: what else is asked of it.

    Raises:
        UsageError: there is no account, it is refused, IBM Quantum cannot be reached, or the
            account has no such device. What the client raised is not shown along: it may quote
            the request.
    """
    runtime = need("qiskit_ibm_runtime", extra="ibm", purpose="reaching IBM Quantum")
    options = {"use_fractional_gates": True} if fractional_gates else {}
    try:
        service = runtime.QiskitRuntimeService(**({"instance": instance} if instance else {}))
        if name is None:
            return service.least_busy(min_num_qubits=min_qubits, filters=suits, **options)
        return _find(service, name, options)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(_reason(error, name or "the device with the shortest queue")) from None


def _find(service: Any, name: str, options: dict[str, Any]) -> BackendV2:
    names = [backend.name for backend in service.backends()]
    if name in names:
        return service.backend(name, **options)
    similar = get_close_matches(name, names, n=3, cutoff=0.0)
    raise UsageError(
        f"your IBM Quantum account has no device {name!r}: "
        + (f"it has {', '.join(similar)} among {len(names)}" if names else "it has none at all")
    )


def _reason(error: Exception, name: str) -> str:
    """The client wraps every failure as a bad token: what went wrong stands in the causes."""
    from qiskit.providers.exceptions import QiskitBackendNotFoundError
    from qiskit_ibm_runtime.accounts import AccountNotFoundError, InvalidAccountError

    found = list(causes(error))
    if any(isinstance(cause, AccountNotFoundError) for cause in found):
        return (
            f"no IBM Quantum account is saved on this computer, so {name} cannot be reached: "
            f"save one by {_SAVE}, or take a simulated device such as FakeQuitoV2"
        )
    if unreachable(error):
        return (
            f"IBM Quantum cannot be reached, so there is no {name} now: check the network (and "
            "proxy) of this computer, or take a simulated device such as FakeQuitoV2"
        )
    if any(isinstance(cause, InvalidAccountError) for cause in found):
        return (
            f"IBM Quantum refused the saved account, so {name} cannot be reached: "
            f"save a valid one by {_SAVE} and overwrite=True"
        )
    if isinstance(error, QiskitBackendNotFoundError):
        return "no device of your IBM Quantum account fits and is open now: ask for less of it"
    return f"IBM Quantum did not give access to {name}, with {type(error).__name__}: try again"
