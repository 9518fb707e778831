"""How long a quantum computer will be busy, before anything is submitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compile.checks import check_whole
from compile.compiled import Compiled
from compile.device import Device
from compile.execution.mitigation import Mitigation
from compile.execution.programs import Program

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

OVERHEAD = 2.0  # seconds of a job, by the documentation of IBM Quantum
REP_DELAY = 250e-6  # seconds between executions where the device does not say
_PEC_OVERHEAD = 100  # sampling overhead that the primitives allow at most


@dataclass(frozen=True)
class Usage:
    """An estimate.

    Attributes:
        seconds: of a quantum computer's time.
        executions: of circuits, shots counted.
        assumptions: what the estimate rests on.
    """

    seconds: float
    executions: int
    assumptions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s for {self.executions:,} executions, if " + ", and ".join(
            self.assumptions
        )


def estimate_usage(
    compiled: Compiled,
    shots: int,
    *,
    samples: int = 1,
    bases: int = 1,
    mitigation: Mitigation | None = None,
) -> Usage:
    """The time of a quantum computer that a circuit takes.

    Seconds are 2 + (delay between executions + duration of the circuit) * executions, as IBM
    Quantum documents it; what it charges is known afterwards only.

    Args:
        compiled: circuit; the durations and delays of its device count.
        shots: for each sample.
        samples: rows of inputs.
        bases: that the observables have to be measured in.
        mitigation: may take more executions.

    Raises:
        UsageError: for numbers that are not positive.
    """
    for name, value in (("shots", shots), ("samples", samples), ("bases", bases)):
        check_whole(f"the number of {name}", value, 1)
    circuits = [(compiled.measured(), samples * bases)]
    return _estimate(circuits, shots, compiled.device, mitigation or Mitigation())


def usage_of(
    program: Program, shots: int, device: Device, mitigation: Mitigation, bases: int
) -> Usage:
    """The same for a program; `bases` are those of an estimator."""
    factor = bases if program.primitive == "estimator" else 1
    circuits = [(pub.circuit, len(pub.values) * factor) for pub in program.pubs]
    return _estimate(circuits, shots, device, mitigation)


def _estimate(
    circuits: list[tuple[QuantumCircuit, int]], shots: int, device: Device, mitigation: Mitigation
) -> Usage:
    """For circuits and their numbers of rows."""
    delay = _rep_delay(device)
    factor, stretch, assumptions = 1.0, 1.0, []
    if mitigation.zne:
        factor = len(mitigation.zne)
        stretch = sum(mitigation.zne) / factor
        assumptions.append(f"zne measures {factor:g} times")
    if mitigation.pec:
        factor = _PEC_OVERHEAD
        assumptions.append(f"pec measures {factor:g} times, its limit, and learning comes on top")
    if mitigation.readout == "trex":
        circuits = [*circuits, (circuits[0][0], 1)] if circuits else circuits
        assumptions.append("trex measures one circuit more")
    executions = sum(rows for _, rows in circuits) * shots * factor
    busy = sum(
        (delay + stretch * _duration(circuit, device)) * rows * shots * factor
        for circuit, rows in circuits
    )
    return Usage(
        OVERHEAD + busy,
        round(executions),
        (
            f"a job costs {OVERHEAD:g} s",
            f"{delay * 1e6:g} us pass between executions",
            "gates last as long as calibrated",
            *assumptions,
        ),
    )


def _rep_delay(device: Device) -> float:
    """Seconds between executions."""
    configuration = getattr(device.backend, "configuration", lambda: None)()
    return getattr(configuration, "default_rep_delay", None) or REP_DELAY


def _duration(circuit: QuantumCircuit, device: Device) -> float:
    """Seconds of one execution; 0 where the device does not tell durations."""
    from qiskit import QiskitError

    try:
        return float(circuit.estimate_duration(device.target, unit="s"))
    except QiskitError:
        return 0.0
