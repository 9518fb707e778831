"""Noise models: channels for gates, idle time and readings, which any circuit can be run with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from qsim.circuit import Circuit, Operation
from qsim.errors import UsageError
from qsim.files import write_atomically
from qsim.gates import GATES, Gate, find_gate
from qsim.instructions import Instruction
from qsim.noise.channels import Channel, check_probability, is_number, make_channel
from qsim.noise.schedule import Relaxation, idle_channels
from qsim.serialization import check_header, load_json

FORMAT = "qsim noise model"
VERSION = 1


@dataclass(frozen=True)
class GateNoise:
    """A channel that follows a gate.

    Attributes:
        gate: name of the gate.
        channel: what follows it.
        qubits: the gate's qubits in order; None for any.
        on: the channel's qubits, where they are not the gate's.
    """

    gate: str
    channel: Channel
    qubits: tuple[int, ...] | None = None
    on: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ReadoutError:
    """Probabilities to read a qubit wrongly: 1 for |0>, and 0 for |1>."""

    qubit: int
    p01: float
    p10: float


@dataclass(frozen=True)
class Duration:
    """Seconds that a gate takes, on these qubits in order; None for any."""

    gate: str
    seconds: float
    qubits: tuple[int, ...] | None = None


@dataclass(frozen=True)
class NoiseModel:
    """What happens to a circuit's qubits besides its gates. Immutable: `add_...` gives a new one.

    After a gate come the channels for its name and qubits, or if there are none, those for its name
    on any qubits. While a qubit waits for its next gate, it relaxes: gates start as late as they
    can, and a qubit before its first gate stays in |0>. In the end it is read with its error.

    A model that was made by `add_...` fits circuits that have every gate it names. One of a device
    knows all gates of the device (`basis`); it fits circuits of these gates alone.

    Example:
        >>> from qsim.noise.channels import depolarizing
        >>> noise = NoiseModel().add("cx", depolarizing(0.02, 2)).add_readout(0, 0.01, 0.03)
        >>> circuit = Circuit(2).h(0).cx(0, 1)
        >>> qsim.expval(circuit, [PauliString("ZZ")], noise=noise).item()
        0.94080...
    """

    gates: tuple[GateNoise, ...] = ()
    readout: tuple[ReadoutError, ...] = ()
    relaxation: tuple[Relaxation, ...] = ()
    durations: tuple[Duration, ...] = ()
    basis: frozenset[str] | None = None

    # --- Building ---------------------------------------------------------------------------------

    def add(
        self,
        gate: str,
        channel: Channel,
        qubits: Iterable[int] | None = None,
        on: Iterable[int] | None = None,
    ) -> NoiseModel:
        """Let a channel follow a gate.

        Args:
            gate: name or alias of a gate.
            channel: on as many qubits as the gate, or on one: then it acts on each of them.
            qubits: the gate's qubits in order, controls first; any by default.
            on: where the channel acts instead, such as on neighbours that suffer from crosstalk.

        Raises:
            UsageError: for an unknown gate, or a channel or qubits that do not fit it.
        """
        name = _name(gate)
        if not isinstance(channel, Channel):
            raise UsageError(f"noise of {name} is a channel, not {channel!r}")
        where, places = _place(qubits), _place(on)
        size = GATES[name].num_qubits if name in GATES else None
        if where is not None and size is not None and len(where) != size:
            raise UsageError(f"{name} acts on {size} qubits, not on {list(where)}")
        if places is not None:
            if where is None or len(places) != channel.num_qubits:
                raise UsageError(
                    f"where {channel} acts instead of on the qubits of {name} is said by both "
                    f"qubits=..., those of the gate, and on=..., {channel.num_qubits} of any"
                )
        elif channel.num_qubits not in (1, size if size is not None else channel.num_qubits):
            raise UsageError(
                f"{channel} acts on {channel.num_qubits} qubits, but {name} on {size}: say on "
                "which by on=..."
            )
        return replace(self, gates=(*self.gates, GateNoise(name, channel, where, places)))

    def add_readout(self, qubits: int | Iterable[int], p01: float, p10: float) -> NoiseModel:
        """Let qubits be read wrongly.

        Args:
            qubits: one or more.
            p01: probability to read 1 for |0>.
            p10: probability to read 0 for |1>.

        Raises:
            UsageError: for numbers that are no probabilities.
        """
        check_probability(p01, "the probability to read 1 for |0>")
        check_probability(p10, "the probability to read 0 for |1>")
        errors = [ReadoutError(q, float(p01), float(p10)) for q in _places(qubits)]
        others = [error for error in self.readout if error.qubit not in _places(qubits)]
        return replace(self, readout=(*others, *errors))

    def add_relaxation(
        self,
        qubits: int | Iterable[int],
        t1: float | None,
        t2: float | None,
        excited_population: float = 0.0,
    ) -> NoiseModel:
        """Let qubits relax while they wait; every gate of a circuit then needs its duration.

        Args:
            qubits: one or more.
            t1: relaxation time in seconds; None for infinite.
            t2: coherence time in seconds, at most 2 t1; None for infinite.
            excited_population: probability of |1> in equilibrium.

        Raises:
            UsageError: as `thermal_relaxation`.
        """
        made = [Relaxation(q, t1, t2, excited_population) for q in _places(qubits)]
        for relaxation in made:
            relaxation.over(0.0)  # checks
        others = [known for known in self.relaxation if known.qubit not in _places(qubits)]
        return replace(self, relaxation=(*others, *made))

    def add_duration(
        self, gate: str, seconds: float, qubits: Iterable[int] | None = None
    ) -> NoiseModel:
        """Say how long a gate takes, on any or on given qubits.

        Raises:
            UsageError: for an unknown gate, or a time that is negative or not finite.
        """
        if not (is_number(seconds) and 0 <= seconds < float("inf")):
            raise UsageError(f"a duration is 0 seconds or more, not {seconds!r}")
        made = Duration(_name(gate), float(seconds), _place(qubits))
        return replace(self, durations=(*self.durations, made))

    @classmethod
    def from_backend(
        cls, backend: Any, qubits: Iterable[int] | None = None, *, idle: bool = True
    ) -> NoiseModel:
        """The noise of a Qiskit BackendV2 or Target: see `qsim.noise.devices.from_backend`."""
        from qsim.noise.devices import from_backend

        return from_backend(backend, qubits, idle=idle)

    @classmethod
    def from_numbers(cls, num_qubits: int, **numbers: Any) -> NoiseModel:
        """Noise from a few numbers: see `qsim.noise.devices.from_numbers`."""
        from qsim.noise.devices import from_numbers

        return from_numbers(num_qubits, **numbers)

    # --- Use --------------------------------------------------------------------------------------

    @cached_property
    def readout_errors(self) -> dict[int, tuple[float, float]]:
        """(p01, p10) by qubit."""
        return {error.qubit: (error.p01, error.p10) for error in self.readout}

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, f.name) for f in fields(self)))

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _by_gate(self) -> dict[tuple[str, tuple[int, ...] | None], list[GateNoise]]:
        found: dict[tuple[str, tuple[int, ...] | None], list[GateNoise]] = {}
        for noise in self.gates:
            found.setdefault((noise.gate, noise.qubits), []).append(noise)
        return found

    @cached_property
    def _placed(self) -> dict[tuple[str, tuple[int, ...]], list[Operation[Channel]]]:
        return {}

    @cached_property
    def _seconds(self) -> dict[tuple[str, tuple[int, ...] | None], float]:
        return {(known.gate, known.qubits): known.seconds for known in self.durations}

    @cached_property
    def qubits(self) -> frozenset[int]:
        """All qubits that it names."""
        several = [
            *(where for noise in self.gates for where in (noise.qubits, noise.on)),
            *(duration.qubits for duration in self.durations),
            tuple(error.qubit for error in self.readout),
            tuple(relaxation.qubit for relaxation in self.relaxation),
        ]
        return frozenset(qubit for where in several for qubit in where or ())

    def check(self, circuit: Circuit) -> None:
        """Raises UsageError for a circuit that the model does not fit; see NoiseModel."""
        beyond = [q for q in self.qubits if q >= circuit.num_qubits]
        if beyond:
            raise UsageError(
                f"the noise model names qubit {min(beyond)}, but the circuit has qubits 0 to "
                f"{circuit.num_qubits - 1}: cut the model by model.on(qubits)"
            )
        present = {op.gate.name for op in circuit.operations if isinstance(op.gate, Gate)}
        if self.basis is None:
            missing = sorted({noise.gate for noise in self.gates} - present)
            if missing:
                gate = "gate" if len(missing) == 1 else "gates"
                raise UsageError(
                    f"the noise model has noise after the {gate} {', '.join(missing)}, but the "
                    f"circuit has no such {gate}: leave it out, or say by NoiseModel(basis=...) "
                    "which gates the device has"
                )
        else:
            unknown = present - self.basis - {"barrier"}
            if unknown:
                raise UsageError(
                    f"the noise model knows the gates {', '.join(sorted(self.basis))}, but the "
                    f"circuit has {min(unknown)}: compile it for the device first"
                )

    def applied(self, circuit: Circuit) -> Circuit:
        """The circuit with the channels of gates and idle time; readout errors are left out.

        Raises:
            UsageError: for a gate on qubits where the device has none, or without a duration where
                qubits relax.
        """
        waits = idle_channels(circuit, self._duration, self.relaxation) if self.relaxation else {}
        noisy: list[Operation[Gate | Instruction]] = []
        for number, operation in enumerate(circuit.operations):
            noisy.append(operation)
            if isinstance(operation.gate, Gate):
                noisy += self._following(operation.gate, operation.qubits)
            noisy += [Operation(channel, (q,), ()) for channel, q in waits.get(number, ())]
        return circuit.with_operations(noisy, circuit.num_qubits)

    def _following(self, gate: Gate, qubits: tuple[int, ...]) -> list[Operation[Channel]]:
        """What follows a gate."""
        key = (gate.name, qubits)
        if key not in self._placed:
            self._placed[key] = list(self._placements(*key))
        return self._placed[key]

    def _placements(self, name: str, qubits: tuple[int, ...]) -> Iterable[Operation[Channel]]:
        default = self._by_gate.get((name, None), [])
        for noise in self._by_gate.get((name, qubits), default):
            if noise.on is not None:
                yield Operation(noise.channel, noise.on, ())
            elif noise.channel.num_qubits == len(qubits):
                yield Operation(noise.channel, qubits, ())
            elif noise.channel.num_qubits == 1:
                yield from (Operation(noise.channel, (qubit,), ()) for qubit in qubits)
            else:
                raise UsageError(
                    f"{noise.channel} acts on {noise.channel.num_qubits} qubits, but {name} on "
                    f"{len(qubits)}"
                )

    def _duration(self, operation: Operation[Gate | Instruction]) -> float:
        """Seconds of an operation; barriers and channels take none.

        Raises:
            UsageError: if the model does not say.
        """
        name, qubits = operation.gate.name, operation.qubits
        if isinstance(operation.gate, Channel) or name == "barrier":
            return 0.0
        for key in ((name, qubits), (name, None)):
            if key in self._seconds:
                return self._seconds[key]
        raise UsageError(
            f"qubits of the noise model relax while they wait, but it has no duration of {name} on "
            f"{list(qubits)}: say it by add_duration"
        )

    def on(self, qubits: Iterable[int]) -> NoiseModel:
        """The model of some qubits alone, renumbered by their place in `qubits`."""
        place = {qubit: k for k, qubit in enumerate(_places(qubits))}

        def moved(where: tuple[int, ...] | None) -> tuple[int, ...] | None:
            return None if where is None else tuple([place[q] for q in where])

        def inside(*parts: tuple[int, ...] | None) -> bool:
            return all(q in place for part in parts for q in part or ())

        return NoiseModel(
            tuple(
                replace(noise, qubits=moved(noise.qubits), on=moved(noise.on))
                for noise in self.gates
                if inside(noise.qubits, noise.on)
            ),
            tuple(replace(e, qubit=place[e.qubit]) for e in self.readout if e.qubit in place),
            tuple(replace(r, qubit=place[r.qubit]) for r in self.relaxation if r.qubit in place),
            tuple(replace(d, qubits=moved(d.qubits)) for d in self.durations if inside(d.qubits)),
            self.basis,
        )

    # --- Files ------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, for JSON."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "gates": [
                {
                    "gate": noise.gate,
                    **dict(zip(("channel", "arguments"), noise.channel.recipe, strict=True)),
                    "qubits": noise.qubits,
                    "on": noise.on,
                }
                for noise in self.gates
            ],
            "readout": [vars(error) for error in self.readout],
            "relaxation": [vars(relaxation) for relaxation in self.relaxation],
            "durations": [vars(duration) for duration in self.durations],
            "basis": None if self.basis is None else sorted(self.basis),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NoiseModel:
        """The model that `to_dict` wrote; everything in it is checked again.

        Raises:
            UsageError: for other data, or a newer version.
        """
        check_header(data, FORMAT, VERSION, "this dictionary")
        try:
            model = cls(basis=None if data["basis"] is None else frozenset(data["basis"]))
            for row in data["gates"]:
                channel = make_channel(row["channel"], row["arguments"])
                model = model.add(row["gate"], channel, row["qubits"], row["on"])
            for row in data["readout"]:
                model = model.add_readout(row["qubit"], row["p01"], row["p10"])
            for row in data["relaxation"]:
                model = model.add_relaxation(
                    row["qubit"], row["t1"], row["t2"], row["excited_population"]
                )
            for row in data["durations"]:
                model = model.add_duration(row["gate"], row["seconds"], row["qubits"])
        except (AttributeError, KeyError, TypeError) as error:
            raise UsageError(
                f"this is no noise model as 'to_dict' writes it: {type(error).__name__}, {error}"
            ) from None
        return model

    def save(self, path: str | Path) -> Path:
        """Write it as JSON, in one step.

        Raises:
            UsageError: if the place cannot be written.
        """
        return write_atomically(Path(path), json.dumps(self.to_dict(), indent=1).encode())

    @classmethod
    def load(cls, path: str | Path) -> NoiseModel:
        """Read what `save` wrote.

        Raises:
            UsageError: if it cannot be read, or is no noise model.
        """
        return cls.from_dict(load_json(Path(path), FORMAT, VERSION))


def check_noise(noise: Any) -> None:
    """Raises UsageError for what is neither a NoiseModel nor None."""
    if noise is not None and not isinstance(noise, NoiseModel):
        raise UsageError(f"noise is a NoiseModel, not {type(noise).__name__}")


def _name(gate: Any) -> str:
    """The canonical name of a gate; gates of any size have names beside the table."""
    known = ("unitary", "diagonal", "permutation", "pauli_rotation")
    if not isinstance(gate, str):
        raise UsageError(f"noise follows a gate by its name, such as 'cx', not {gate!r}")
    return gate if gate in known else find_gate(gate).name


def _place(qubits: Iterable[int] | None) -> tuple[int, ...] | None:
    return None if qubits is None else _places(qubits)


def _places(qubits: int | Iterable[int]) -> tuple[int, ...]:
    given = tuple(qubits) if isinstance(qubits, Iterable) else (qubits,)
    wrong = [q for q in given if isinstance(q, bool) or not hasattr(q, "__index__") or q < 0]
    if wrong or not given or len(set(given)) != len(given):
        raise UsageError(f"qubits are different whole numbers from 0 on, not {list(given)}")
    return tuple(int(q) for q in given)
