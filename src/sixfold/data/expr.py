"""Expressions over columns: the tree that a filter, a label or a computed feature *is*.

Semantics, the same on every path: all arithmetic is float64; a missing value (NaN, or None in a text column) makes
arithmetic missing and comparisons false; division by zero and the logarithm of a number <= 0 are missing. Logic takes a
missing value as false and any number but 0 as true. Text can only be compared, and only with text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array

__all__ = ["Expr", "Literal", "Op", "compiled", "evaluate", "leaves"]

_TEXT_MISUSED = "text can only be compared, and only with text"


class Expr:
    """A node of an expression tree; Python operators build larger trees. Use `equals` for equality of values."""

    __slots__ = ()

    def __add__(self, other: Any) -> "Op":
        return Op("add", (self, wrap(other)))

    def __radd__(self, other: Any) -> "Op":
        return Op("add", (wrap(other), self))

    def __sub__(self, other: Any) -> "Op":
        return Op("sub", (self, wrap(other)))

    def __rsub__(self, other: Any) -> "Op":
        return Op("sub", (wrap(other), self))

    def __mul__(self, other: Any) -> "Op":
        return Op("mul", (self, wrap(other)))

    def __rmul__(self, other: Any) -> "Op":
        return Op("mul", (wrap(other), self))

    def __truediv__(self, other: Any) -> "Op":
        return Op("div", (self, wrap(other)))

    def __rtruediv__(self, other: Any) -> "Op":
        return Op("div", (wrap(other), self))

    def __ge__(self, other: Any) -> "Op":
        return Op("ge", (self, wrap(other)))

    def __gt__(self, other: Any) -> "Op":
        return Op("gt", (self, wrap(other)))

    def __le__(self, other: Any) -> "Op":
        return Op("le", (self, wrap(other)))

    def __lt__(self, other: Any) -> "Op":
        return Op("lt", (self, wrap(other)))

    def __and__(self, other: Any) -> "Op":
        return Op("and", (self, wrap(other)))

    def __or__(self, other: Any) -> "Op":
        return Op("or", (self, wrap(other)))

    def __invert__(self) -> "Op":
        return Op("not", (self,))

    def __bool__(self) -> bool:
        raise DefinitionError(["an expression has no truth value: write `a & b` for `a and b`, `~a` for `not a`"])

    def equals(self, other: Any) -> "Op":
        """True where the values are equal; false where either is missing."""
        return Op("eq", (self, wrap(other)))

    def log1p(self) -> "Op":
        """The natural logarithm of 1 + x; missing where x <= -1."""
        return Op("log1p", (self,))

    @property
    def is_bool(self) -> bool:
        """Whether the values are true or false."""
        return False

    @property
    def is_text(self) -> bool | None:
        """Whether the values are text; None where that is not known before they are seen."""
        return None

    def spec(self) -> Any:
        """The tree as plain lists and strings: equal specs mean equal definitions."""
        raise DefinitionError([f"{type(self).__name__} cannot be part of an expression"])

    def children(self) -> tuple["Expr", ...]:
        """The nodes directly below."""
        return ()


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Expr):
    """A constant."""

    value: float | bool | str

    def spec(self) -> Any:
        """["literal", value]."""
        return ["literal", self.value]

    @property
    def is_bool(self) -> bool:
        """Whether the constant is True or False."""
        return isinstance(self.value, bool)

    @property
    def is_text(self) -> bool:
        """Whether the constant is text."""
        return isinstance(self.value, str)


@dataclass(frozen=True, slots=True, eq=False)
class Op(Expr):
    """An operation on other expressions; `name` is a key of the table of operations."""

    name: str
    args: tuple[Expr, ...]

    def __post_init__(self) -> None:
        text = [arg.is_text for arg in self.args]
        if True in text and (self.name not in _COMPARISONS or False in text):
            found = " and ".join(repr(arg) for arg in self.args)
            raise DefinitionError([f"{self.name!r} of {found}: {_TEXT_MISUSED}"])

    def spec(self) -> Any:
        """[name, *specs of the arguments]."""
        return [self.name, *(arg.spec() for arg in self.args)]

    @property
    def is_bool(self) -> bool:
        """Comparisons and logic give booleans; arithmetic gives numbers."""
        return self.name in _BOOLEAN

    @property
    def is_text(self) -> bool:
        """No operation gives text."""
        return False

    def children(self) -> tuple[Expr, ...]:
        """The arguments."""
        return self.args


def wrap(value: Any) -> Expr:
    """The value as an expression: expressions as they are, plain values as constants."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, bool | float | str) or (isinstance(value, int) and -(2**63) <= value < 2**63):
        return Literal(value)
    raise DefinitionError([f"{value!r} cannot be part of an expression: use fields, numbers, booleans or text"])


_NOTHING = np.array(None, object)


def _known(values: Array) -> Array:
    """Which values of a text column (object) are not missing."""
    return np.asarray(np.not_equal(values, _NOTHING), np.bool_)


def _number(values: Array) -> Array:
    if values.dtype == object and _known(values).any():
        raise DefinitionError([f"arithmetic or logic on text: {_TEXT_MISUSED}"])
    return values.astype(np.float64, copy=False)


def _divide(a: Array, b: Array) -> Array:
    a, b = _number(a), _number(b)
    with np.errstate(all="ignore"):
        return np.where(b == 0, np.nan, a / np.where(b == 0, 1.0, b))


def _log1p(a: Array) -> Array:
    a = _number(a)
    with np.errstate(all="ignore"):
        return np.where(a > -1, np.log1p(np.where(a > -1, a, 0.0)), np.nan)


def _arithmetic(ufunc: Callable[..., Array]) -> Callable[[Array, Array], Array]:
    def apply(a: Array, b: Array) -> Array:
        with np.errstate(all="ignore"):
            return ufunc(_number(a), _number(b))

    return apply


def _equal(a: Array, b: Array) -> Array:
    same: Array = np.asarray(a == b, np.bool_)
    return same & _known(a) if a.dtype == object else same


def _comparison(ufunc: Callable[..., Array]) -> Callable[[Array, Array], Array]:
    def apply(a: Array, b: Array) -> Array:
        if object not in (a.dtype, b.dtype):
            return ufunc(a, b)
        a, b = np.broadcast_arrays(a, b)
        known = _known(a) & _known(b)
        out = np.zeros(a.shape, np.bool_)
        try:
            out[known] = ufunc(a[known], b[known])
        except TypeError as error:
            raise DefinitionError([f"a comparison of text with numbers: {_TEXT_MISUSED}"]) from error
        return out

    return apply


def _true(values: Array) -> Array:
    if values.dtype == np.bool_:
        return values
    values = _number(values)
    return np.asarray((values != 0) & ~np.isnan(values))


_OPS: Mapping[str, Callable[..., Array]] = {
    "add": _arithmetic(np.add),
    "sub": _arithmetic(np.subtract),
    "mul": _arithmetic(np.multiply),
    "div": _divide,
    "log1p": _log1p,
    "eq": _equal,
    "ge": _comparison(np.greater_equal),
    "gt": _comparison(np.greater),
    "le": _comparison(np.less_equal),
    "lt": _comparison(np.less),
    "and": lambda a, b: _true(a) & _true(b),
    "or": lambda a, b: _true(a) | _true(b),
    "not": lambda a: ~_true(a),
}
_COMPARISONS = frozenset({"eq", "ge", "gt", "le", "lt"})
_BOOLEAN = _COMPARISONS | {"and", "or", "not"}


def evaluate(expr: Expr, lookup: Callable[[Expr], Array], n_rows: int) -> Array:
    """The values of `expr`, (n_rows,): bool or float64 for operations, the column itself for a leaf.

    `lookup` gives the column of a leaf (a field, or a feature).
    """
    if isinstance(expr, Literal):
        return np.full(n_rows, expr.value, object if isinstance(expr.value, str) else None)
    if isinstance(expr, Op):
        return _OPS[expr.name](*(evaluate(arg, lookup, n_rows) for arg in expr.args))
    return lookup(expr)


def compiled(expr: Expr, place: Callable[[Expr], int]) -> Callable[[Sequence[Array]], Array]:
    """`evaluate` with the tree walked once: a function of the leaves' columns, each found at its `place`.

    Columns may be of length n or 1, which stands for n equal values; so may the result, or have no axis at all.
    """
    if isinstance(expr, Literal):
        constant = np.array(expr.value, object if isinstance(expr.value, str) else None)
        return lambda columns: constant
    if isinstance(expr, Op):
        apply, args = _OPS[expr.name], [compiled(arg, place) for arg in expr.args]
        if len(args) == 1:
            return lambda columns, only=args[0]: apply(only(columns))  # type: ignore[misc]
        return lambda columns, left=args[0], right=args[1]: apply(left(columns), right(columns))  # type: ignore[misc]
    at = place(expr)
    return lambda columns: columns[at]


def leaves(expr: Expr) -> list[Expr]:
    """The leaves of the tree that are not constants, left to right."""
    if isinstance(expr, Literal):
        return []
    below = expr.children()
    return [leaf for child in below for leaf in leaves(child)] if below else [expr]
