"""Until the CPU engine takes initial states itself: the reference engine runs those calls."""

from __future__ import annotations

from torch import Tensor

from qsim.circuit import Circuit
from qsim.engines.cpu import CpuEngine
from qsim.engines.reference import ReferenceEngine
from qsim.observables import PauliString


class CpuFromZero(CpuEngine):
    """The CPU engine, which starts from |0...0>, and from other states by the reference engine."""

    def expval(
        self,
        circuit: Circuit,
        strings: tuple[PauliString, ...],
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None = None,
    ) -> Tensor:
        if initial is None:
            return super().expval(circuit, strings, weights, inputs, batch)
        return ReferenceEngine().expval(circuit, strings, weights, inputs, batch, initial)

    def state(
        self,
        circuit: Circuit,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None = None,
    ) -> Tensor:
        if initial is None:
            return super().state(circuit, weights, inputs, batch)
        return ReferenceEngine().state(circuit, weights, inputs, batch, initial)
