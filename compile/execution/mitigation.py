"""What is done against the errors of a device when circuits run on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from qsim.errors import UsageError

READOUT = ("m3", "trex")
DECOUPLING = ("XX", "XpXm", "XY4")


@dataclass(frozen=True)
class Mitigation:
    """Error mitigation and suppression; by default none.

    Attributes:
        readout: "m3" inverts the readout errors among the bitstrings that were read, by mthree
            (Nation et al., arXiv:2108.12518); "trex" divides out their effect on expectation values
            after random flips (van den Berg et al., arXiv:2012.09738).
        dd: dynamical decoupling of idle qubits by "XX", "XpXm" or "XY4". A simulated device has no
            slow noise that it could cancel: there it costs the errors of its pulses.
        twirling: random Pauli gates around two-qubit gates and measurements, which make coherent
            errors stochastic.
        zne: factors of two-qubit gate noise, such as (1, 3, 5), from which expectation values are
            extrapolated to none (Temme et al., arXiv:1612.02058).
        pec: probabilistic error cancellation (van den Berg et al., arXiv:2201.09866). The noise of
            a simulated device is taken from its calibration; IBM Quantum learns that of a real one.

    Raises:
        UsageError: for other names and factors, and what does not go together.
    """

    readout: str | None = None
    dd: str | None = None
    twirling: bool = False
    zne: Sequence[float] = ()
    pec: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "zne", _checked_factors(self.zne))
        if self.readout not in (None, *READOUT):
            raise UsageError(f"readout is 'm3', 'trex' or None, not {self.readout!r}")
        if self.dd not in (None, *DECOUPLING):
            raise UsageError(f"dd is {', '.join(DECOUPLING)} or None, not {self.dd!r}")
        if self.zne and self.pec:
            raise UsageError("zne amplifies the noise that pec cancels: choose one of them")
        if self.readout == "m3" and (self.zne or self.pec):
            raise UsageError(
                "m3 corrects bitstrings, but zne and pec never give these: take readout='trex'"
            )

    @property
    def primitive(self) -> str:
        """What runs it: "estimator" where expectation values are corrected, "sampler" otherwise."""
        return "estimator" if self.readout == "trex" or self.zne or self.pec else "sampler"

    @property
    def remote(self) -> tuple[str, ...]:
        """Names of what has to be done where the circuits run, rather than to their results."""
        return tuple(
            name
            for name, value in asdict(self).items()
            if value and not (name == "readout" and value == "m3")
        )

    def options(self) -> dict[str, Any]:
        """As options of the primitives of qiskit-ibm-runtime, of either generation."""
        found: dict[str, Any] = {}
        if self.dd:
            found["dynamical_decoupling"] = {"enable": True, "sequence_type": self.dd}
        if self.twirling:
            found["twirling"] = {"enable_gates": True, "enable_measure": True}
        if self.primitive == "sampler":
            return found
        resilience: dict[str, Any] = {"measure_mitigation": self.readout == "trex"}
        resilience |= {"zne_mitigation": bool(self.zne), "pec_mitigation": self.pec}
        if self.zne:
            resilience["zne"] = {
                "noise_factors": list(self.zne),
                "extrapolator": ["exponential", "linear"],
            }
        return {"resilience_level": 0, "resilience": resilience, **found}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self) | {"zne": list(self.zne)}


def _checked_factors(factors: Sequence[float]) -> tuple[float, ...]:
    given = tuple(float(factor) for factor in factors)
    distinct = len(set(given)) == len(given)
    if given and (
        len(given) < 3 or not distinct or min(given) < 1 or not all(map(isfinite, given))
    ):
        raise UsageError(
            f"zne takes three or more different noise factors from 1 on, such as (1, 3, 5), "
            f"not {given}"
        )
    return given
