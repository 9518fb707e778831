"""Expressions as columns of weights and inputs: what engines get in place of them.

Just before a run, torch evaluates all expressions of a circuit at once: those with one value become
further weights, those with a value for each sample further inputs, and the circuit reads them as
symbols. Autograd carries gradients through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from qsim.errors import UsageError
from qsim.gradients import transforms
from qsim.parameters import (
    Angle,
    Atom,
    Constant,
    Expression,
    Named,
    Symbol,
    as_angle,
    check_names,
    evaluate,
    is_angle,
    listed,
)
from qsim.sums import sum_by_index

if TYPE_CHECKING:
    from qsim.circuit import Circuit

Values: TypeAlias = Mapping[str, "float | Tensor"]


def resolve(
    circuit: Circuit, weights: Tensor, inputs: Tensor, values: Values | None = None
) -> tuple[Circuit, Tensor, Tensor]:
    """The circuit with symbols and numbers only, and the weights and inputs to run it with.

    Args:
        circuit: any circuit.
        weights: [num_weights] or [batch, num_weights].
        inputs: [num_inputs] or [batch, num_inputs], of the same dtype and device.
        values: named parameters: numbers, or tensors that are scalars or [batch].

    Returns:
        (plain circuit, weights, inputs): the very arguments where no angle is an expression. Else
        expressions with one value are appended to the weights, those with a value for each sample
        to the inputs. The plain circuit is kept, so that it is planned once.

    Raises:
        UsageError: for parameters without a value, unknown names, values of a wrong shape or not
            finite, or batches of different sizes.
    """
    if not circuit.expressions and not values:
        return circuit, weights, inputs
    tensors = _values(circuit, values or {}, weights)
    atoms = circuit.kept(weights.device, lambda: _Atoms.of(circuit, weights.device))
    sources = atoms.columns(weights, inputs, tensors)
    batch = _batch({"weights": weights, "inputs": inputs}, sources)
    pattern = tuple([columns.dim() == 2 for _, columns in sources])
    plan = circuit.kept((weights.device, *pattern), lambda: _Plan.of(circuit, sources))
    shared = [columns for _, columns in sources if columns.dim() == 1]
    once = torch.cat(shared) if shared else weights.new_zeros(0)
    if plan.once:
        weights = _widened(weights, _finite(plan.once, plan.once(once)))
    if plan.each:
        apart = [columns for _, columns in sources if columns.dim() == 2]
        found = plan.each(torch.cat([once.expand(batch, -1), *apart], -1))
        inputs = _widened(inputs, _finite(plan.each, found))
    return plan.circuit, weights, inputs


def tensors_of(circuit: Circuit, values: Values | None) -> dict[str, Tensor]:
    """The tensors that take part in a run besides weights and inputs, by what to call them."""
    named = {f"the value of {n}": v for n, v in (values or {}).items() if isinstance(v, Tensor)}
    atoms = circuit.kept(torch.device("cpu"), lambda: _Atoms.of(circuit, torch.device("cpu")))
    return {**named, **{str(atom): atom.tensor for atom in atoms.constants}}


def _values(circuit: Circuit, values: Values, like: Tensor) -> dict[str, Tensor]:
    check_names(circuit, values)
    missing = sorted(circuit.parameters - set(values))
    if missing:
        raise UsageError(
            f"{listed(missing)} without a value: pass values={{{missing[0]!r}: ...}} or call "
            "circuit.assign"
        )
    for name, value in values.items():
        if is_angle(value):
            raise UsageError(
                f"the value of {name} is a number or a tensor, not {value}: use assign"
            )
        as_angle(value, f"parameter {name}")
    return {n: torch.as_tensor(v, dtype=like.dtype, device=like.device) for n, v in values.items()}


Source: TypeAlias = tuple[list[Atom], Tensor]


class _Atoms(NamedTuple):
    """What a circuit's expressions are made of, and where its symbols stand."""

    symbols: list[tuple[str, list[Atom], Tensor]]
    others: list[Atom]
    constants: list[Constant]

    @classmethod
    def of(cls, circuit: Circuit, device: torch.device) -> _Atoms:
        products = [product for e in circuit.expressions for _, product in e.terms]
        atoms = list(dict.fromkeys(atom for product in products for atom in product))
        symbols = [atom for atom in atoms if isinstance(atom, Symbol)]
        found: list[tuple[str, list[Atom], Tensor]] = []
        for source in ("weight", "input"):
            read = [symbol for symbol in symbols if symbol.source == source]
            places = torch.tensor([symbol.index for symbol in read], device=device)
            found += [(source, list(read), places)] if read else []
        others: list[Atom] = [atom for atom in atoms if not isinstance(atom, Symbol)]
        every = [atom for e in circuit.expressions for atom in e.atoms]
        return cls(found, others, [atom for atom in every if isinstance(atom, Constant)])

    def columns(self, weights: Tensor, inputs: Tensor, values: dict[str, Tensor]) -> list[Source]:
        """Atoms and their columns [atoms] or [batch, atoms]."""
        own = {"weight": weights, "input": inputs}
        read = [(atoms, own[source][..., places]) for source, atoms, places in self.symbols]
        rest = [_value(atom, weights, inputs, values).unsqueeze(-1) for atom in self.others]
        return [*read, *(([a], column) for a, column in zip(self.others, rest, strict=True))]


def _value(atom: Atom, weights: Tensor, inputs: Tensor, values: dict[str, Tensor]) -> Tensor:
    """One atom as a tensor, [] or [batch]."""
    if isinstance(atom, Symbol):
        return (weights if atom.source == "weight" else inputs)[..., atom.index]
    if isinstance(atom, Named):
        return values[atom.name]
    if isinstance(atom, Constant):
        return atom.tensor.to(weights)

    def computed(angle: Angle) -> Tensor:
        found = evaluate(angle, lambda inner: _value(inner, weights, inputs, values))
        return torch.as_tensor(found).to(weights)

    try:
        return atom.function(*torch.broadcast_tensors(*map(computed, atom.arguments)))
    except RuntimeError:
        raise UsageError(f"the angle {atom} mixes batches of different sizes") from None


def _batch(given: dict[str, Tensor], sources: list[Source]) -> int:
    """The common batch; 1 if there is none."""
    sizes = {name: len(tensor) for name, tensor in given.items() if tensor.dim() == 2}
    for atoms, columns in sources:
        if columns.dim() == 2 and not isinstance(atoms[0], Symbol):
            sizes[str(atoms[0])] = len(columns)
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise UsageError(f"batches of different sizes cannot be one: {shown} samples")
    return max(sizes.values(), default=1)


class _Sums:
    """Expressions as sums of products of columns, evaluated together in a few operations."""

    def __init__(self, expressions: list[Expression], atoms: list[Atom], device: Any) -> None:
        position = {atom: k for k, atom in enumerate(atoms)}
        terms = [(k, c, p) for k, e in enumerate(expressions) for c, p in e.terms]
        degree = max(len(product) for _, _, product in terms)
        one = len(atoms)  # a column of ones fills products up
        self.expressions = expressions
        self.owner = torch.tensor([k for k, _, _ in terms], device=device)
        self.coefficients = torch.tensor(
            [c for _, c, _ in terms], dtype=torch.float64, device=device
        )
        self.factors = [
            torch.tensor(
                [position[p[j]] if j < len(p) else one for _, _, p in terms], device=device
            )
            for j in range(degree)
        ]

    def __call__(self, columns: Tensor) -> Tensor:
        """[..., atoms] -> [..., expressions]."""
        padded = torch.cat([columns, columns.new_ones(*columns.shape[:-1], 1)], -1)
        product = self.coefficients.to(columns)
        for factor in self.factors:
            product = product * padded[..., factor]
        return sum_by_index(product, self.owner, len(self.expressions), dim=-1)


class _Plan(NamedTuple):
    """How a circuit is made plain, for one pattern of what has a batch."""

    circuit: Circuit
    once: _Sums | None
    each: _Sums | None

    @classmethod
    def of(cls, circuit: Circuit, sources: Sequence[Source]) -> _Plan:
        shared = [a for atoms, columns in sources if columns.dim() == 1 for a in atoms]
        apart = [a for atoms, columns in sources if columns.dim() == 2 for a in atoms]
        device, varying = sources[0][1].device, set(apart)
        symbols: dict[Angle, Angle] = {}
        counts = {"weight": circuit.num_weights, "input": circuit.num_inputs}
        groups: dict[str, list[Expression]] = {"weight": [], "input": []}
        for expression in circuit.expressions:
            each = any(a in varying for _, product in expression.terms for a in product)
            source = "input" if each else "weight"
            symbols[expression] = Symbol(source, counts[source] + len(groups[source]))
            groups[source].append(expression)
        return cls(
            circuit.replaced(symbols),
            _Sums(groups["weight"], shared, device) if groups["weight"] else None,
            _Sums(groups["input"], [*shared, *apart], device) if groups["input"] else None,
        )


def _finite(sums: _Sums, columns: Tensor) -> Tensor:
    if columns.device.type != "cpu" or transforms.active():  # there, a run sees the values itself
        return columns
    if not isfinite(columns.detach().sum().item()):
        wrong = (~columns.detach().isfinite()).reshape(-1, columns.shape[-1]).any(0).tolist()
        raise UsageError(
            f"the angle {sums.expressions[wrong.index(True)]} has a value that is not finite"
        )
    return columns


def _widened(columns: Tensor, added: Tensor) -> Tensor:
    """[columns] or [batch, columns] with further columns."""
    batch = max(len(t) if t.dim() == 2 else 0 for t in (columns, added))
    if batch:
        columns, added = (t if t.dim() == 2 else t.expand(batch, -1) for t in (columns, added))
    return torch.cat([columns, added], -1)
