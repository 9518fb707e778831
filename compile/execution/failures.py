"""Sentences for what IBM Quantum could not do, without what the client raised.

Errors of the client may quote requests, and with them the token.
"""

from __future__ import annotations

import os

from compile.device import Device
from compile.outages import passing, unreachable
from qsim.errors import UsageError


class JobFailed(UsageError):
    """IBM Quantum took a submission and gave nothing for it."""


def told(error: Exception, device: Device, job_id: str) -> UsageError:
    """The sentence for what the client raised on the way to a device, which is not shown along."""
    from qiskit_ibm_runtime.exceptions import (
        RuntimeInvalidStateError,
        RuntimeJobFailureError,
        RuntimeJobMaxTimeoutError,
    )

    failures = (RuntimeInvalidStateError, RuntimeJobFailureError, RuntimeJobMaxTimeoutError)
    goes_on = f"what was measured is kept, and Job.resume({job_id!r}) goes on with the rest"
    if isinstance(error, failures):
        return JobFailed(
            f"{device.name} failed, because {without_token(error, device)!r}: {goes_on}"
        )
    if unreachable(error):
        return UsageError(f"IBM Quantum cannot be reached: {goes_on} once the network is back")
    if passing(error):
        return UsageError(f"IBM Quantum is overloaded or out of order: {goes_on} at a later time")
    what = f"{type(error).__name__}: {without_token(error, device)}"
    return UsageError(f"{device.name} could not be used, with {what!r}; {goes_on}")


def without_token(error: Exception, device: Device) -> str:
    """What an error says, with every token of the account left out."""
    text = str(error).strip().rstrip(".")
    account = device.backend.service.active_account() or {}
    for secret in filter(None, (account.get("token"), os.environ.get("QISKIT_IBM_TOKEN"))):
        text = text.replace(secret, "***")
    return text
