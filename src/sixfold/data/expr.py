"""Expressions over columns: the tree that a filter, a label or a computed feature *is*.

Semantics, the same on every path: all arithmetic is float64; a missing value (NaN, or None in a text column) makes
arithmetic missing and comparisons false; division by zero and the logarithm of a number <= 0 are missing. Logic takes a
missing value as false and any number but 0 as true. Comparisons of whole numbers are exact. Text can only be compared,
and only with text, hashed, or asked whether it is missing. The operations themselves are in `operations.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array
from sixfold.data.operations import BOOLEAN, COMPARISONS, OPERATIONS, TAKE_TEXT, TEXT_MISUSED

__all__ = ["Expr", "Literal", "Op", "compiled", "evaluate", "if_else", "leaves", "maximum", "minimum"]


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

    def __neg__(self) -> "Op":
        return 0 - self

    def __abs__(self) -> "Op":
        return Op("abs", (self,))

    def log(self) -> "Op":
        """The natural logarithm; missing where x <= 0."""
        return Op("log", (self,))

    def log1p(self) -> "Op":
        """The natural logarithm of 1 + x; missing where x <= -1."""
        return Op("log1p", (self,))

    def clip(self, low: Any, high: Any) -> "Op":
        """The nearest number between `low` and `high`."""
        return minimum(maximum(self, low), high)

    def buckets(self, *edges: float) -> "Op":
        """How many of the rising `edges` are <= x, so 0 to len(edges); missing where x is."""
        if not edges or not all(a < b for a, b in pairwise((*edges, float("inf")))):
            raise DefinitionError([f"buckets of {self!r}: the edges must be given, rise and be finite; found {edges}"])
        return Op("buckets", (self, *map(wrap, edges)))

    def fill(self, value: Any) -> "Op":
        """x, or `value` where it is missing."""
        return Op("fill", (self, wrap(value)))

    def is_missing(self) -> "Op":
        """Whether there is no value."""
        return Op("missing", (self,))

    def coarse(self) -> "Op":
        """x to 8 significant bits, the nearest: within 0.4 %; 0 for what is nearer to it than the least normal number.

        Whole numbers up to 256 stay what they are.
        """
        return Op("coarse", (self,))

    def hash_bucket(self, n: int) -> "Op":
        """One of the whole numbers below `n`, always the same for a value; missing where x is.

        The first 60 bits of the MD5 of text, or of a number's decimal digits, modulo n: any database can do the same.
        """
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise DefinitionError([f"hash_bucket of {self!r}: the number of buckets must be at least 1, not {n!r}"])
        return Op("hash", (self, wrap(n)))

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
        if self.name not in TAKE_TEXT and True in text and (self.name not in COMPARISONS or False in text):
            found = " and ".join(repr(arg) for arg in self.args)
            raise DefinitionError([f"{self.name!r} of {found}: {TEXT_MISUSED}"])

    def spec(self) -> Any:
        """[name, *specs of the arguments]."""
        return [self.name, *(arg.spec() for arg in self.args)]

    @property
    def is_bool(self) -> bool:
        """Comparisons and logic give booleans; arithmetic gives numbers."""
        return self.name in BOOLEAN

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


def if_else(condition: Expr, then: Any, otherwise: Any) -> Op:
    """`then` where the condition holds, `otherwise` where it does not or is missing."""
    return Op("if", (condition, wrap(then), wrap(otherwise)))


def minimum(a: Any, b: Any) -> Op:
    """The lesser number; missing where either is."""
    return Op("minimum", (wrap(a), wrap(b)))


def maximum(a: Any, b: Any) -> Op:
    """The greater number; missing where either is."""
    return Op("maximum", (wrap(a), wrap(b)))


def evaluate(expr: Expr, lookup: Callable[[Expr], Array], n_rows: int) -> Array:
    """The values of `expr`, (n_rows,): bool or float64 for operations, the column itself for a leaf.

    `lookup` gives the column of a leaf (a field, or a feature).
    """
    if isinstance(expr, Literal):
        return np.full(n_rows, expr.value, object if isinstance(expr.value, str) else None)
    if isinstance(expr, Op):
        return OPERATIONS[expr.name](*(evaluate(arg, lookup, n_rows) for arg in expr.args))
    return lookup(expr)


def compiled(expr: Expr, place: Callable[[Expr], int]) -> Callable[[Sequence[Array]], Array]:
    """`evaluate` with the tree walked once: a function of the leaves' columns, each found at its `place`.

    Columns may be of length n or 1, which stands for n equal values; so may the result, or have no axis at all.
    """
    if isinstance(expr, Literal):
        constant = np.array(expr.value, object if isinstance(expr.value, str) else None)
        return lambda columns: constant
    if isinstance(expr, Op):
        apply, args = OPERATIONS[expr.name], [compiled(arg, place) for arg in expr.args]
        if len(args) == 1:
            return lambda columns, only=args[0]: apply(only(columns))  # type: ignore[misc]
        if len(args) > 2:
            return lambda columns: apply(*(arg(columns) for arg in args))
        return lambda columns, left=args[0], right=args[1]: apply(left(columns), right(columns))  # type: ignore[misc]
    at = place(expr)
    return lambda columns: columns[at]


def leaves(expr: Expr) -> list[Expr]:
    """The leaves of the tree that are not constants, left to right."""
    if isinstance(expr, Literal):
        return []
    below = expr.children()
    return [leaf for child in below for leaf in leaves(child)] if below else [expr]
