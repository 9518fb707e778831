"""Circuits as JSON, as a run folder keeps them for its later stages and its report."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from qsim import GATES, Circuit, Symbol
from qsim.errors import UsageError


def circuit_to_json(circuit: Circuit) -> dict[str, Any]:
    """A JSON-able dictionary; an angle is a number or the fields of its symbol.

    Raises:
        UsageError: for gates that are not in the table, or angles that are other expressions.
    """
    for operation in circuit.operations:
        plain = all(isinstance(angle, (float, Symbol)) for angle in operation.params)
        if operation.gate.name not in GATES or not plain:
            raise UsageError(
                f"a run folder keeps gates of the table with numbers, weights or inputs as angles, "
                f"not {operation}"
            )
    return {
        "num_qubits": circuit.num_qubits,
        "num_weights": circuit.num_weights,
        "num_inputs": circuit.num_inputs,
        "operations": [
            {
                "gate": operation.gate.name,
                "qubits": list(operation.qubits),
                "params": [
                    asdict(angle) if isinstance(angle, Symbol) else angle
                    for angle in operation.params
                ],
            }
            for operation in circuit.operations
        ],
    }


def circuit_from_json(value: dict[str, Any]) -> Circuit:
    """The circuit of `circuit_to_json`. Raises UsageError if the dictionary describes none."""
    try:
        circuit = Circuit(value["num_qubits"], value["num_weights"], value["num_inputs"])
        for operation in value["operations"]:
            params = [
                Symbol(**angle) if isinstance(angle, dict) else float(angle)
                for angle in operation["params"]
            ]
            circuit.append(operation["gate"], tuple(operation["qubits"]), params)
    except (KeyError, TypeError) as error:
        raise UsageError(
            f"this is no circuit as 'circuit_to_json' writes it: {error} is wrong"
        ) from error
    return circuit
