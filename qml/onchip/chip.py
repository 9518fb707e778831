"""Expectation values and their gradients as a device measures them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from compile import Device, compile, run
from qsim import Circuit
from qsim.errors import UsageError
from qsim.gradients.rules import Function, Rule, find_rule
from qsim.gradients.shifted import Unrolled
from qsim.observables import Observables, check_observables
from qsim.prepare import prepare

_ALL_ROWS = 2**62  # no chunks: everything that a step measures is one PUB of one job
_SEEDS = 2**31


class OnChip:
    """Measures a circuit on a device, and its gradients: a runner for `QuantumLayer.on`.

    Values and all shifts of their gradient travel in one job of one PUB: every angle is a parameter
    of the circuit, which is compiled once. Without gradients it is evaluation with shots.

    Args:
        circuit: weights and inputs open.
        device: where to run; snapshots are simulated.
        shots: of each circuit.
        gradient: "shift", "spsa", "finite-difference" or an object of `qsim.gradients.rules`.
        layout, level, seed: as for `compile.compile`.

    Attributes:
        compiled: the compiled circuit; its inputs are the angles of the gates one by one.
        circuits: how many have been run.

    Example:
        chip = OnChip(model.circuit, Device.from_name("quito"), shots=1024)
        evaluate(model.on(chip), task.test)
        train_on_chip(model, chip, task.train, OnChipConfig(steps=50), seed=0)
    """

    def __init__(
        self,
        circuit: Circuit,
        device: Device,
        *,
        shots: int = 1024,
        gradient: str | Rule = "shift",
        layout: Sequence[int] | None = None,
        level: int = 3,
        seed: int = 0,
    ) -> None:
        """Raises UsageError as `compile.compile`, and for a gradient that no device can measure."""
        rule = find_rule(gradient)
        if rule is None:
            raise UsageError(
                f"a device cannot measure the gradient {gradient!r}: use 'shift', 'spsa' or "
                "'finite-difference'"
            )
        self.circuit = circuit
        self.device = device
        self.shots = shots
        self.rule = rule
        zeros = torch.zeros(circuit.num_weights), torch.zeros(circuit.num_inputs)
        self._unrolled = Unrolled.of(prepare(circuit, *zeros))
        self.compiled = compile(
            self._unrolled.call.circuit, device, layout=layout, level=level, seed=seed
        )
        self.circuits = 0

    def expval(
        self,
        observables: Observables = None,
        weights: Tensor | None = None,
        inputs: Tensor | None = None,
        *,
        wanted: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Measured <Z> of every logical qubit, real [batch, qubits]; differentiable.

        Args:
            observables: Z on every qubit, which is what `compile.run` measures.
            weights: radians, [num_weights].
            inputs: radians, [batch, num_inputs] or [num_inputs].
            wanted: bool [num_weights]: weights whose derivative is measured; those of others are 0.
            generator: what seeds of simulations, and directions of SPSA, are drawn with.

        Raises:
            UsageError: for other observables, and as `qsim.expval` and `compile.run`.
        """
        qubits = self.circuit.num_qubits
        if check_observables(observables, qubits) != check_observables(None, qubits):
            raise UsageError(
                "a device measures Z of every qubit here: turn other observables to Z by gates at "
                "the end of the circuit"
            )
        unrolled = Unrolled.of(prepare(self.circuit, weights, inputs))
        call, angles = unrolled.call, unrolled.angles
        seed, directions = torch.randint(_SEEDS, (2,), generator=generator).tolist()
        function = self._function(angles.detach(), self._coordinates(weights, inputs, wanted))
        rows = torch.cat([function.point, self._shifted(function, directions)])
        measured = run(self.compiled, self.device, rows, shots=self.shots, seed=seed)
        self.circuits += len(rows)
        values, shifted = measured.to(rows).split([call.batch, len(rows) - call.batch])
        if len(shifted):
            jacobian = self._jacobian(function, _replayed(shifted), directions)
            # Adds nothing but its slope.
            values = values + torch.einsum("boc,bc->bo", jacobian, angles - angles.detach())
        return values if call.batched else values[0]

    def _function(self, angles: Tensor, coordinates: list[int]) -> Function:
        """What the rule differentiates; its values are filled in where they are known."""
        return Function(
            values=lambda rows: rows,
            point=angles,
            wanted=coordinates,
            outputs=self.circuit.num_qubits,
            frequencies=self._unrolled.frequencies,
            sampled=True,
            most_rows=_ALL_ROWS,
        )

    def _coordinates(
        self, weights: Tensor | None, inputs: Tensor | None, wanted: Tensor | None
    ) -> list[int]:
        """Angles whose derivative is to be measured."""
        if not torch.is_grad_enabled():
            return []
        given = {"weight": weights, "input": inputs}
        asked = {
            source
            for source, tensor in given.items()
            if tensor is not None and tensor.requires_grad
        }
        if wanted is not None and wanted.shape != (self.circuit.num_weights,):
            raise UsageError(
                f"wanted is a mask of the circuit's {self.circuit.num_weights} weights, not of "
                f"shape {list(wanted.shape)}"
            )
        return [
            j
            for j, symbol in enumerate(self._unrolled.symbols)
            if symbol.source in asked
            and (symbol.source == "input" or wanted is None or bool(wanted[symbol.index]))
        ]

    def _shifted(self, function: Function, seed: int) -> Tensor:
        """Every point at which the rule needs values, [rows, angles]."""
        asked = [function.point[:0]]

        def ask(rows: Tensor) -> Tensor:
            asked.append(rows)
            return rows.new_zeros(len(rows), function.outputs)

        if function.wanted:
            self._jacobian(function, ask, seed)
        return torch.cat(asked)

    def _jacobian(
        self, function: Function, values: Callable[[Tensor], Tensor], seed: int
    ) -> Tensor:
        """The rule's derivative from these values: real [batch, outputs, angles]."""
        generator = torch.Generator().manual_seed(seed)
        return self.rule.jacobian(replace(function, values=values), generator)

    def circuits_of(self, batch_size: int, wanted: Tensor | None = None) -> int:
        """Circuits that one step of training runs: values and shifts.

        Args:
            batch_size: samples of the step.
            wanted: weights whose derivative is measured; all by default.
        """
        weights = torch.zeros(self.circuit.num_weights, requires_grad=True)
        with torch.enable_grad():
            coordinates = self._coordinates(weights, None, wanted)
        angles = torch.zeros(batch_size, len(self._unrolled.symbols))
        function = self._function(angles, coordinates)
        return batch_size + len(self._shifted(function, 0))


def _replayed(values: Tensor) -> Callable[[Tensor], Tensor]:
    """A function that gives these values, [rows, outputs], to those who ask as before."""
    begin = 0

    def next_ones(rows: Tensor) -> Tensor:
        nonlocal begin
        begin += len(rows)
        return values[begin - len(rows) : begin]

    return next_ones
