"""Snapshots of IBM devices that come with qiskit-ibm-runtime and need no account."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from qsim.errors import need

if TYPE_CHECKING:
    from qiskit.providers import BackendV2


def fake_device_names() -> list[str]:
    """Names of the simulated devices, such as "FakeQuitoV2"."""
    return sorted({snapshot.__name__ for snapshot in _snapshots().values()})


def fake_backend(name: str) -> BackendV2 | None:
    """The snapshot of that name, or None. Case, "Fake" and "V2" in the name do not matter."""
    snapshot = _snapshots().get(short_name(name))
    return snapshot and snapshot()


def short_name(name: str) -> str:
    """What tells devices apart: "quito" for "FakeQuitoV2", "fake_quito" and "Quito"."""
    return name.strip().lower().removeprefix("fake").removeprefix("_").removesuffix("v2")


@cache
def _snapshots() -> dict[str, Any]:
    provider = need(
        "qiskit_ibm_runtime.fake_provider", extra="ibm", purpose="reading device snapshots"
    )
    base = provider.fake_backend.FakeBackendV2
    found = [value for value in vars(provider).values() if isinstance(value, type)]
    return {short_name(v.__name__): v for v in found if issubclass(v, base) and v is not base}
