"""Noise models of devices: from Qiskit's BackendV2 or Target, or from a few numbers.

As in Aer's NoiseModel.from_backend, qubits relax for the duration of a gate, after a depolarizing
channel that brings the gate's average infidelity to the stated error. Readout errors keep both
directions where the backend's properties have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import inf
from typing import Any

import numpy as np

from qsim.errors import UsageError
from qsim.gates import ALIASES, GATES
from qsim.noise.channels import depolarizing
from qsim.noise.model import Duration, GateNoise, NoiseModel, ReadoutError
from qsim.noise.schedule import Relaxation

_NO_GATES = ("barrier", "delay", "measure", "reset")


def from_backend(
    backend: Any, qubits: Iterable[int] | None = None, *, idle: bool = True
) -> NoiseModel:
    """The noise of a device.

    Args:
        backend: a Qiskit BackendV2 or Target; Qiskit itself is not needed.
        qubits: physical qubits, of which the model gets its qubits 0, 1, ...; all by default.
        idle: whether qubits relax while they wait, too.

    Errors beyond the largest possible one, as dead gates have them, count as that; T2 above 2 T1
    counts as 2 T1; unknown T1 and T2 are infinite.

    Raises:
        UsageError: for another object, or qubits that the device does not have.
    """
    target = getattr(backend, "target", backend)
    if not hasattr(target, "operation_names") or not hasattr(target, "qubit_properties"):
        raise UsageError(
            f"a noise model is made from a Qiskit BackendV2 or Target, not from {backend!r:.60}"
        )
    count = target.num_qubits or 0
    chosen = list(range(count)) if qubits is None else list(qubits)
    if len(set(chosen)) != len(chosen) or any(q not in range(count) for q in chosen):
        raise UsageError(f"qubits {chosen} do not fit: the device has qubits 0 to {count - 1}")
    place = {qubit: k for k, qubit in enumerate(chosen)}
    coherence = [
        _coherence(k, target.qubit_properties[q] if target.qubit_properties else None)
        for k, q in enumerate(chosen)
    ]
    gates: list[GateNoise] = []
    durations: list[Duration] = []
    basis = set()
    for name, known in _gate_properties(target):
        basis.add(name)
        for where, properties in known.items():
            if properties is None or any(q not in place for q in where):
                continue
            at = tuple(place[q] for q in where)
            gates += _gate_noise(
                name, at, properties.error, properties.duration, [coherence[k] for k in at]
            )
            if properties.duration is not None:
                durations.append(Duration(name, float(properties.duration), at))
    return NoiseModel(
        tuple(gates),
        tuple(readout_errors(backend, chosen)),
        tuple(coherence) if idle else (),
        tuple(durations),
        frozenset(basis),
    )


def from_numbers(
    num_qubits: int,
    *,
    errors: Mapping[str, float],
    durations: Mapping[str, float] | None = None,
    t1: float | Sequence[float | None] | None = None,
    t2: float | Sequence[float | None] | None = None,
    readout: tuple[float, float] | Sequence[tuple[float, float]] = (0.0, 0.0),
    idle: bool = True,
) -> NoiseModel:
    """The noise of a device whose gates are alike on all qubits.

    Args:
        num_qubits: its qubits.
        errors: average infidelity of each gate of the device, by name.
        durations: seconds of each gate, by name; 0 where it is not there.
        t1: seconds, one number or one for each qubit; None for infinite.
        t2: likewise, at most 2 t1.
        readout: (p01, p10), the probabilities to read 1 for |0> and 0 for |1>, or one such pair for
            each qubit.
        idle: whether qubits relax while they wait, too.

    Raises:
        UsageError: for unknown gates, numbers that are not physical, or lists of another length.
    """
    model = NoiseModel()
    pairs = [readout] * num_qubits if np.ndim(readout) == 1 else readout
    times = [t if isinstance(t, Sequence) else [t] * num_qubits for t in (t1, t2)]
    if any(len(given) != num_qubits for given in (pairs, *times)):
        raise UsageError(f"lists of T1, T2 and readout errors have {num_qubits} entries")
    for qubit, (a, b, (p01, p10)) in enumerate(zip(*times, pairs, strict=True)):
        model = model.add_readout(qubit, p01, p10).add_relaxation(qubit, a, b)
    coherence = {known.qubit: known for known in model.relaxation}
    seconds = {_known(name): float(value) for name, value in (durations or {}).items()}
    gates: list[GateNoise] = []
    for given, error in errors.items():
        name = _known(given)
        if not 0 <= error < 1:
            raise UsageError(f"the error of {name} is from 0 to below 1, not {error}")
        time = seconds.setdefault(name, 0.0)
        for where in np.ndindex(*[num_qubits] * GATES[name].num_qubits):
            if len(set(where)) == len(where):
                gates += _gate_noise(name, where, error, time, [coherence[q] for q in where])
    return NoiseModel(
        tuple(gates),
        model.readout,
        model.relaxation if idle else (),
        tuple(Duration(name, time) for name, time in seconds.items()),
        frozenset(seconds),
    )


def _gate_noise(
    name: str,
    qubits: tuple[int, ...],
    error: float | None,
    seconds: float | None,
    coherence: Sequence[Relaxation],
) -> list[GateNoise]:
    """Depolarizing, then relaxation, of average infidelity `error` if relaxation leaves room."""
    relaxed = [known.over(seconds) for known in coherence] if seconds else []
    fidelity = average_fidelity([channel.ptm() for channel in relaxed], len(qubits))
    found = []
    dim = 2 ** len(qubits)
    lost = min(error or 0.0, dim / (dim + 1)) - (1 - fidelity)
    if lost > 0:
        parameter = dim * lost / (dim * fidelity - 1)
        most = 4 ** len(qubits) / (4 ** len(qubits) - 1)
        found.append(GateNoise(name, depolarizing(min(parameter, most), len(qubits)), qubits))
    for qubit, channel in zip(qubits, relaxed, strict=False):
        found.append(GateNoise(name, channel, qubits, (qubit,)))
    return found


def average_fidelity(matrices: Sequence[np.ndarray], num_qubits: int) -> float:
    """Average fidelity of one-qubit channels [4, 4] side by side; the other qubits are left alone.

    (d F + 1) / (d + 1) with F = tr R / d**2 (Nielsen, arXiv:quant-ph/0205035).
    """
    dim = 2**num_qubits
    process = np.prod([np.trace(matrix) / 4 for matrix in matrices])
    return float((dim * process + 1) / (dim + 1))


def _coherence(qubit: int, properties: Any) -> Relaxation:
    t1, t2 = getattr(properties, "t1", None), getattr(properties, "t2", None)
    if t1 is not None:
        t2 = min(inf if t2 is None else t2, 2 * t1)
    return Relaxation(qubit, t1, t2)


def _gate_properties(target: Any) -> Iterable[tuple[str, Mapping[Any, Any]]]:
    """Gates that this simulator knows, with what the target says of them on which qubits."""
    for given in target.operation_names:
        name = _qiskit_names().get(given)
        known = target[given] if name else None
        if name and known and given not in _NO_GATES and None not in known:
            yield name, known


@cache
def _qiskit_names() -> dict[str, str]:
    own = {gate.qiskit or gate.name: gate.name for gate in GATES.values()}
    return {**{name: name for name in GATES}, **ALIASES, **own}


def _known(name: str) -> str:
    found = ALIASES.get(name, name)
    if found not in GATES:
        raise UsageError(f"there is no gate {name!r}: qsim.GATES lists all")
    return found


def readout_errors(backend: Any, qubits: Iterable[int]) -> Iterable[ReadoutError]:
    """Errors of reading some qubits of a BackendV2 or Target, which become qubits 0, 1, ...

    They come from the backend's properties, which have both directions, or else from the target.
    Qubits that are always read right are left out.
    """
    target = getattr(backend, "target", backend)
    given = getattr(backend, "properties", None)
    properties = given() if callable(given) else given
    measured = target["measure"] if "measure" in target.operation_names else {}
    for k, qubit in enumerate(qubits):
        known = (measured or {}).get((qubit,))
        both = _directions(properties, qubit) or _directions(known, None)
        if both is None and getattr(known, "error", None):
            both = (known.error, known.error)  # type: ignore[union-attr]
        if both is not None and any(both):
            yield ReadoutError(k, float(both[0]), float(both[1]))


def _directions(properties: Any, qubit: int | None) -> tuple[float, float] | None:
    """The probabilities to read 1 for |0> and 0 for |1>, where they are told apart."""
    names = ("prob_meas1_prep0", "prob_meas0_prep1")
    if qubit is None:
        found = [getattr(properties, name, None) for name in names]
    elif hasattr(properties, "qubit_property"):
        known = properties.qubit_property(qubit)
        found = [known[name][0] if name in known else None for name in names]
    else:
        return None
    p01, p10 = found
    return None if p01 is None or p10 is None else (p01, p10)
