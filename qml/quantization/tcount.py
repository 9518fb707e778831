"""T gates of a circuit of Clifford and T gates."""

from __future__ import annotations

from math import pi

from qsim import Circuit
from qsim.errors import UsageError, need
from qsim.interop.qiskit import to_qiskit

_BASIS = ["cx", "rz", "sx", "x"]
_TO = 1e-5  # what single precision leaves of a multiple of pi/4


def t_count(circuit: Circuit) -> int:
    """T gates of a circuit with weights bound, gate by gate: an upper bound, as none are merged.

    Each gate is written by CX, SX, X and RZ; an RZ by an odd multiple of pi/4 takes one T gate.
    Rotations by inputs are not counted.

    Raises:
        UsageError: for an angle that is no multiple of pi/4, open weights, or if Qiskit is not
            installed.
    """
    qiskit = need("qiskit", extra="ibm", purpose="counting T gates")
    if circuit.num_weights:
        raise UsageError("T gates are counted with weights bound: call circuit.bind(weights=...)")
    # Merging gates on a qubit would make angles that are no multiples.
    written = qiskit.transpile(to_qiskit(circuit), basis_gates=_BASIS, optimization_level=0)
    angles = [step.params[0] for step in written.data if step.name == "rz"]
    quarters = [float(a) / (pi / 4) for a in angles if not getattr(a, "parameters", ())]
    for turns in quarters:
        if abs(turns - round(turns)) > _TO:
            raise UsageError(
                f"the circuit turns by {turns * pi / 4:.4g}, which is no multiple of pi/4: "
                "quantize it with clifford_t_grid"
            )
    return sum(round(turns) % 2 for turns in quarters)
