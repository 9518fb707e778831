"""Angles: numbers, symbols for weights and inputs, named parameters, tensors, and polynomials.

Engines know numbers and `Symbol`, which is affine in one weight or input. Every other angle is an
`Expression`, which `qsim.columns` evaluates with torch just before a run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from qsim.errors import UsageError

if TYPE_CHECKING:
    from qsim.circuit import Circuit


class _Arithmetic:
    """+, -, *, / and whole powers of whatever is in an angle."""

    __slots__ = ()
    __array_ufunc__ = None  # numbers of NumPy leave the operation to this class

    def __add__(self, other: Any) -> Any:
        return _sum([*_terms(self), *_terms(other)])

    def __mul__(self, other: Any) -> Any:
        return _sum(
            [
                (a * b, tuple(sorted([*left, *right], key=_order)))
                for a, left in _terms(self)
                for b, right in _terms(other)
            ]
        )

    def __neg__(self) -> Any:
        return self * -1.0

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __truediv__(self, divisor: Any) -> Any:
        if isinstance(divisor, _Arithmetic):
            raise UsageError(f"an angle is a polynomial: {self} is not divided by {divisor}")
        return self * (1 / divisor)

    def __rtruediv__(self, other: Any) -> Any:
        raise UsageError(f"an angle is a polynomial: nothing is divided by {self}")

    def __pow__(self, exponent: int) -> Any:
        count = whole(exponent)
        if count is None or count < 1:
            raise UsageError(f"a power of an angle is a whole number from 1 on, not {exponent!r}")
        return math.prod([self] * (count - 1), start=self)

    def __radd__(self, other: Any) -> Any:
        return self + other

    def __rmul__(self, other: Any) -> Any:
        return self * other


@dataclass(frozen=True, slots=True)
class Symbol(_Arithmetic):
    """The angle scale * source[index] + offset, in radians; source is "weight" or "input"."""

    source: str
    index: int
    scale: float = 1.0
    offset: float = 0.0

    # Numbers keep a symbol a symbol: circuits are built from these, so they take the short way.
    def __mul__(self, other: Any) -> Any:
        if _is_number(other):
            number = float(other)
            return replace(self, scale=self.scale * number, offset=self.offset * number)
        return _Arithmetic.__mul__(self, other)

    def __add__(self, other: Any) -> Any:
        if _is_number(other):
            return replace(self, offset=self.offset + float(other))
        return _Arithmetic.__add__(self, other)

    def __str__(self) -> str:
        name = f"{'w' if self.source == 'weight' else 'x'}[{self.index}]"
        return f"{_factor(self.scale)}{name}" + (f"{self.offset:+.4g}" if self.offset else "")


@dataclass(frozen=True, slots=True)
class Named:
    """A parameter that gets its value by name."""

    name: str

    def __str__(self) -> str:
        return self.name


class Constant:
    """A tensor, scalar or [batch]; equal to itself only."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self.tensor is other.tensor

    def __hash__(self) -> int:
        return id(self.tensor)

    def __str__(self) -> str:
        return f"tensor{list(self.tensor.shape)}"


@dataclass(frozen=True)
class Function:
    """A function of angles that is no polynomial, as a torch function of tensors."""

    function: Callable[..., Tensor]
    arguments: tuple[Angle, ...]

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.arguments))
        return f"{self.function.__name__.strip('_')}({shown})"


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    function.__name__: function
    for function in (
        *(torch.sin, torch.cos, torch.tan, torch.asin, torch.acos, torch.atan),
        *(torch.exp, torch.log, torch.pow, torch.abs, torch.sign),
    )
}
"""Functions of angles by the names that files and converters know."""

Atom: TypeAlias = "Symbol | Named | Constant | Function"
Term: TypeAlias = tuple[float, tuple[Atom, ...]]


@dataclass(frozen=True)
class Expression(_Arithmetic):
    """A polynomial: the sum over terms of a number times a product of atoms.

    Atoms are weights, inputs, named parameters, tensors and functions of angles. Equal polynomials
    are equal, in whatever order they were written.
    """

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        shown = [
            _factor(c) + "*".join(map(str, atoms)) if atoms else f"{c:.4g}"
            for c, atoms in self.terms
        ]
        return "+".join(shown).replace("+-", "-")

    @property
    def atoms(self) -> set[Atom]:
        """All atoms in it, also those inside functions."""
        return set(_inside(self))


Angle: TypeAlias = float | Symbol | Expression


def Weight(position: int) -> Symbol:
    """Trainable angle number `position` of the weights tensor."""
    return _symbol("weight", position)


def Input(position: int) -> Symbol:
    """Angle from column `position` of the inputs tensor [batch, features]."""
    return _symbol("input", position)


def Parameter(name: str) -> Expression:
    """An angle that gets its value by name: by `circuit.assign`, or as `values={name: ...}`."""
    if not isinstance(name, str) or not name:
        raise UsageError(f'a parameter has a name such as Parameter("theta"), not {name!r}')
    return Expression(((1.0, (Named(name),)),))


def derived(function: Callable[..., Tensor], *arguments: Angle) -> Angle:
    """function(arguments) as an angle; a number where all arguments are numbers."""
    if all(isinstance(a, float) for a in arguments):
        return float(function(*[torch.tensor(a, dtype=torch.float64) for a in arguments]))
    return Expression(((1.0, (Function(function, arguments),)),))


def as_angle(value: Any, where: str) -> Angle:
    """The value as an angle of a circuit.

    Raises:
        UsageError: for what is no angle: not real, not finite, of a wrong shape.
    """
    if type(value) is float and isfinite(value):
        return value
    if type(value) is Symbol:
        if isfinite(value.scale) and isfinite(value.offset):
            return value
        numbers: tuple[float, ...] = (value.scale, value.offset)
    elif isinstance(value, Expression):
        numbers = tuple(c for c, _ in value.terms)
    elif isinstance(value, Tensor) and not _is_number(value):
        return _tensor_angle(value, where)
    else:
        value = _number(value, where)
        numbers = (value,)
    if not all(map(isfinite, numbers)):
        raise UsageError(f"an angle of {where} is {value}: its numbers must be finite, in radians")
    return value


def _number(value: Any, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UsageError(
            f"an angle of {where} is a number, Weight(i) or Input(i), not {value!r}: "
            'or Parameter("name"), a tensor, or a polynomial of these'
        ) from None


def _tensor_angle(value: Tensor, where: str) -> Expression:
    if value.dim() > 1 or not value.is_floating_point() or not value.numel():
        raise UsageError(
            f"a tensor as an angle of {where} is real and floating-point, a scalar or [batch], "
            f"not {value.dtype} {list(value.shape)}"
        )
    return Expression(((1.0, (Constant(value),)),))


# --- Polynomials ----------------------------------------------------------------------------------


def whole(value: Any) -> int | None:
    """A Python int of any whole number, None of anything else."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    try:
        return index(value)
    except TypeError:  # an array or tensor of several
        return None


def _is_number(value: Any) -> bool:
    """Whether a number will do: tensors that want a gradient or have a batch must stay tensors."""
    if isinstance(value, Tensor):
        return value.dim() == 0 and not value.requires_grad
    return not isinstance(value, _Arithmetic)


def _factor(number: float) -> str:
    return {1.0: "", -1.0: "-"}.get(number, f"{number:.4g}*")


def _symbol(source: str, position: int) -> Symbol:
    if type(position) is int and position >= 0:
        return _kept(source, position)
    number = whole(position)
    if number is None or number < 0:
        raise UsageError(f"a {source} index is a whole number from 0 on, not {position!r}")
    return _kept(source, number)


_kept = lru_cache(maxsize=65536)(Symbol)  # symbols do not change, and circuits name many


def _terms(value: Any) -> list[Term]:
    if isinstance(value, Expression):
        return list(value.terms)
    if isinstance(value, Symbol):
        atom = Symbol(value.source, value.index)
        return [(value.scale, (atom,)), *([(value.offset, ())] if value.offset else [])]
    if _is_number(value):
        return [(float(value), ())]
    return list(_tensor_angle(value, "a circuit").terms)


def _order(atom: Atom) -> tuple[str, Any]:
    kind = type(atom).__name__
    if isinstance(atom, Symbol):
        return kind, (atom.source != "weight", atom.index)
    return kind, id(atom.tensor) if isinstance(atom, Constant) else str(atom)


def _sum(terms: Iterable[Term]) -> Angle:
    """The polynomial of these terms, as a number or a symbol where it is one."""
    collected: dict[tuple[Atom, ...], float] = {}
    for coefficient, atoms in terms:
        collected[atoms] = collected.get(atoms, 0.0) + coefficient
    offset = collected.pop((), 0.0)
    left = {atoms: c for atoms, c in collected.items() if c}
    if not left:
        return offset
    if len(left) == 1:
        ((atoms, scale),) = left.items()
        if len(atoms) == 1 and isinstance(atoms[0], Symbol):
            return replace(atoms[0], scale=scale, offset=offset)
    ordered = sorted(left.items(), key=lambda item: [_order(atom) for atom in item[0]])
    constant: list[Term] = [(offset, ())] if offset else []
    return Expression((*[(c, atoms) for atoms, c in ordered], *constant))


def _inside(angle: Angle) -> Iterable[Atom]:
    if isinstance(angle, Symbol):
        yield angle
    if isinstance(angle, Expression):
        for _, atoms in angle.terms:
            for atom in atoms:
                yield atom
                if isinstance(atom, Function):
                    for argument in atom.arguments:
                        yield from _inside(argument)


def symbols_of(angle: Angle) -> list[Symbol]:
    """The weights and inputs that it reads."""
    return [atom for atom in _inside(angle) if isinstance(atom, Symbol)]


def is_angle(value: Any) -> bool:
    """Whether it is a symbol or an expression, not a number or tensor."""
    return isinstance(value, _Arithmetic)


def names_of(angle: Angle) -> set[str]:
    """The named parameters in it."""
    return {atom.name for atom in _inside(angle) if isinstance(atom, Named)}


def evaluate(angle: Angle, value_of: Callable[[Atom], Any]) -> Any:
    """The polynomial, with `value_of` each of its atoms: whatever has products and sums."""
    if isinstance(angle, Symbol):
        return angle.scale * value_of(Symbol(angle.source, angle.index)) + angle.offset
    if not isinstance(angle, Expression):
        return angle
    products = [math.prod(map(value_of, atoms), start=c) for c, atoms in angle.terms]
    return sum(products[1:], start=products[0])


def substitute(angle: Angle, lookup: Callable[[Atom], Angle | None]) -> Angle:
    """The angle with atoms replaced: `lookup` gives an angle, or None to keep the atom."""

    def replaced(atom: Atom) -> Angle:
        if isinstance(atom, Function):
            return derived(atom.function, *[substitute(a, lookup) for a in atom.arguments])
        found = lookup(atom)
        if found is not None:
            return found
        return atom if isinstance(atom, Symbol) else Expression(((1.0, (atom,)),))

    found: Angle = evaluate(angle, replaced)
    return found


def check_names(circuit: Circuit, values: Mapping[str, Any]) -> None:
    """Raises UsageError for a name that the circuit does not have."""
    unknown = sorted(set(values) - circuit.parameters)
    if unknown:
        there = listed(sorted(circuit.parameters)) if circuit.parameters else "no named parameters"
        raise UsageError(f"the circuit has no parameter {unknown[0]!r}: it has {there}")


def listed(names: list[str]) -> str:
    """The named parameters, for a sentence."""
    return f"parameter{'s' if len(names) > 1 else ''} {', '.join(names)}"
