"""Compiled circuits as files: JSON with the device's calibration and circuits in Qiskit's QPY."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compile.choice.candidates import Candidate, Recipe
from compile.compiled import Compiled
from compile.device import Device
from qsim.errors import UsageError, need
from qsim.files import damaged, write_atomically
from qsim.serialization import load_json

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

FORMAT = "compiled circuit"
VERSION = 1


def save(compiled: Compiled, path: str | Path) -> Path:
    """Write a compiled circuit, the calibration it was compiled for, and how it was chosen."""
    value = {
        "format": FORMAT,
        "version": VERSION,
        "device": compiled.device.calibration(),
        "circuit": _to_text(compiled.circuit),
        "source": _to_text(compiled.source),
        "initial_layout": compiled.initial_layout,
        "final_layout": compiled.final_layout,
        "num_inputs": compiled.num_inputs,
        "num_weights": compiled.num_weights,
        "features": dict(compiled.features),
        "candidates": [asdict(candidate) for candidate in compiled.candidates],
        "baseline": compiled.baseline and asdict(compiled.baseline),
        "complete": compiled.complete,
        "notes": compiled.notes,
    }
    return write_atomically(Path(path), json.dumps(value, separators=(",", ":")).encode())


def load(path: str | Path) -> Compiled:
    """Read what `save` wrote.

    Raises:
        UsageError: the file is missing, damaged, of a newer version, or its circuits were written
            by a newer Qiskit.
    """
    need("qiskit", extra="ibm", purpose="reading a compiled circuit")
    value = load_json(Path(path), FORMAT, VERSION)
    try:
        return _from_json(value)
    except UsageError:
        raise
    except (LookupError, TypeError, ValueError) as error:
        raise damaged(Path(path), f"{type(error).__name__}, {error}", "compile again") from error


def _from_json(value: dict[str, Any]) -> Compiled:
    return Compiled(
        circuit=_from_text(value["circuit"]),
        device=Device.from_calibration(value["device"]),
        source=_from_text(value["source"]),
        initial_layout=tuple(value["initial_layout"]),
        final_layout=tuple(value["final_layout"]),
        num_inputs=value["num_inputs"],
        num_weights=value["num_weights"],
        features=value["features"],
        candidates=tuple(map(_candidate, value["candidates"])),
        baseline=value["baseline"] and _candidate(value["baseline"]),
        complete=value["complete"],
        notes=tuple(value["notes"]),
    )


def _candidate(value: dict[str, Any]) -> Candidate:
    recipe: dict[str, Any] = dict(value["recipe"])
    for name in ("layout", "region", "placement"):
        recipe[name] = recipe[name] and tuple(recipe[name])
    return Candidate(**{**value, "recipe": Recipe(**recipe)})


def _to_text(circuit: QuantumCircuit) -> str:
    from qiskit import qpy

    bare = circuit.copy()
    bare._layout = None  # `Compiled` has it; QPY cannot always write Qiskit's
    file = io.BytesIO()
    qpy.dump(bare, file)
    return base64.b64encode(file.getvalue()).decode()


def _from_text(text: str) -> QuantumCircuit:
    from qiskit import qpy
    from qiskit.exceptions import QiskitError

    try:
        return qpy.load(io.BytesIO(base64.b64decode(text, validate=True)))[0]
    except QiskitError as error:
        raise UsageError(
            f"Qiskit cannot read the circuit ({error.message.strip()}): a newer Qiskit may have "
            "written it, or the file is damaged"
        ) from None
