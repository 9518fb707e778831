"""Drawings of circuits, by Qiskit's drawer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qsim.errors import UsageError, need
from qsim.interop.qiskit import to_qiskit
from qsim.parameters import Angle, Constant, Function, Parameter

if TYPE_CHECKING:
    from qsim.circuit import Circuit


def draw(circuit: Circuit, output: str, options: dict[str, Any]) -> Any:
    """See `Circuit.draw`."""
    if output not in ("text", "mpl"):
        raise UsageError(f'a circuit is drawn as "text" or "mpl", not {output!r}')
    for module in ("matplotlib", "pylatexenc") if output == "mpl" else ():
        need(module, extra="plot", purpose="drawing circuits with matplotlib")
    drawing = to_qiskit(_with_written_angles(circuit)).draw(output, **options)
    if output == "mpl" and "ax" not in options:  # whoever gets the figure shows it
        need("matplotlib.pyplot", extra="plot", purpose="drawing circuits").close(drawing)
    return drawing


def _with_written_angles(circuit: Circuit) -> Circuit:
    """Tensors and functions, which Qiskit has not as angles, become parameters of such names."""
    written: dict[Angle, Angle] = {
        expression: Parameter(str(expression))
        for expression in circuit.expressions
        if any(isinstance(atom, Constant | Function) for atom in expression.atoms)
    }
    return circuit.replaced(written) if written else circuit
