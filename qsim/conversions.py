"""Methods of `Circuit` that turn it into data and make it from what others know as circuits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from qsim.circuit import Circuit


class Conversions:
    """Files and neighbours."""

    def to_dict(self) -> dict[str, Any]:
        """The circuit as a dictionary for JSON: see `qsim.serialization`.

        Raises:
            UsageError: for an instruction that qsim does not know.
        """
        from qsim.serialization import circuit_to_dict

        return circuit_to_dict(cast("Circuit", self))

    @staticmethod
    def from_dict(value: Any) -> Circuit:
        """The circuit of `to_dict`.

        Raises:
            UsageError: for what is none, a newer version, or an unknown gate or channel.
        """
        from qsim.serialization import circuit_from_dict

        return circuit_from_dict(value)

    def save(self, path: str | Path) -> Path:
        """Write the circuit in one step: as OpenQASM 3 if the name ends in .qasm, else as JSON.

        OpenQASM needs Qiskit, has gates where qsim has some that it lacks, and no channels; JSON
        keeps all.
        """
        from qsim.serialization import save_circuit

        return save_circuit(cast("Circuit", self), path)

    @staticmethod
    def load(path: str | Path) -> Circuit:
        """Read a circuit that `save` wrote, or any OpenQASM 2 or 3 file (.qasm).

        Raises:
            UsageError: for a file that is missing, damaged, of a newer version, or that names a
                gate that is not there.
        """
        from qsim.serialization import load_circuit

        return load_circuit(path)

    @staticmethod
    def from_any(source: Any) -> Circuit:
        """A circuit from whatever is known as one: see `qsim.interop.anything.from_any`."""
        from qsim.interop.anything import from_any

        return from_any(source)
