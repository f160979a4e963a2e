"""Lanes: the int64 accumulators that every aggregate is made of; they merge by wrapping addition or by maximum.

Both operations are associative and commutative on int64, so a value does not depend on how the events were grouped,
ordered or cut; that is why all evaluators agree to the bit. Sums are fixed point: integers as they are, floats rounded
(half to even) to 2**-20 after clipping to +-2**31. A maximum is kept over an order-preserving image of float64 in
int64, a minimum as the maximum of the complement; the neutral element is the image of no number and reads back as NaN.
"""

from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import Any, Literal

import numpy as np

from sixfold._core.table import Array
from sixfold.data.events import Field
from sixfold.data.expr import Expr
from sixfold.features.store import NEUTRAL

__all__ = ["LIMB_BITS", "SCALE", "Lane", "fixed", "growth", "order_image", "order_value", "prepare", "value_kind"]

SCALE = 2.0**20
LIMIT = 2.0**31
LIMB_BITS = 34
_CLIPPED = 2**51
_LOW_BITS = np.int64(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One int64 accumulator.

    `events` and `present` count, `sum` adds, `high` and `low` keep an extreme of `value`. `clipped` adds whole numbers
    clipped to +-2**51, `square` the limb of 34 bits number `argument` of the square of such a number (of a float in
    fixed point), `match` counts the values equal to `argument`. With a half-life (in microseconds) an event's part is
    that of a float, times `growth`, in fixed point.
    """

    form: Literal["events", "present", "sum", "clipped", "square", "match", "high", "low"]
    value: Expr | None = None
    argument: Any = None
    half_life: int | None = None

    @property
    def adds(self) -> bool:
        """Whether the lane merges by addition (which has an inverse) rather than by maximum."""
        return self.form not in ("high", "low")

    @property
    def neutral(self) -> int:
        """What an event that does not take part contributes."""
        return 0 if self.adds else NEUTRAL

    def spec(self) -> Any:
        """The lane as plain values."""
        return [self.form, None if self.value is None else self.value.spec(), self.argument, self.half_life]


def value_kind(expr: Expr) -> type:
    """bool, int, float or str: the type of an expression's values."""
    if isinstance(expr, Field):
        return expr.kind
    return bool if expr.is_bool else float


def prepare(lane: Lane, values: Array | None, n_rows: int, at: Array | None = None) -> Array:
    """What each event contributes to a lane, (n_rows,) int64; `values` are those of the lane's expression.

    `at` is needed for a lane with a half-life only.
    """
    if lane.half_life is not None and at is not None:
        return _decayed(lane, values, growth(at, lane.half_life))
    if lane.form == "events" or values is None:
        return np.ones(n_rows, np.int64)
    match lane.form:
        case "present":
            return np.asarray(~np.isnan(values), np.int64)
        case "sum":
            return fixed(values)
        case "clipped":
            return np.clip(fixed(values), -_CLIPPED, _CLIPPED)
        case "square":
            return _square_limb(np.clip(fixed(values), -_CLIPPED, _CLIPPED), lane.argument)
        case "match":
            return np.asarray(values == lane.argument, np.bool_).astype(np.int64)
        case _:
            image = order_image(values)
            return np.where(np.isnan(values), NEUTRAL, ~image if lane.form == "low" else image)


def _decayed(lane: Lane, values: Array | None, weight: Array) -> Array:
    if values is None:
        return np.rint(weight * SCALE).astype(np.int64)
    values = values.astype(np.float64)
    missing = np.isnan(values)
    part = np.ones(len(values)) if lane.form == "present" else np.clip(values, -LIMIT, LIMIT)
    return np.rint(np.where(missing, 0.0, part) * weight * SCALE).astype(np.int64)


def growth(at: Array, half_life: int) -> Array:
    """2**(at / half_life - floor(at / half_life)), in [1, 2): what an event weighs against one as old as its tile.

    Forward decay (Cormode et al. 2009, section 3): weights that only grow need no rescaling as time passes. The
    fraction is cut to 20 bits, and the power made of square roots, so that the bits are the same on every machine.

    >>> growth(np.array([0, 5, 10, 15]), 10).tolist() == [1.0, sqrt(2), 1.0, sqrt(2)]
    True
    """
    part = np.floor((at % half_life) / half_life * 2.0**20).astype(np.int64)
    coarse, fine = _powers()
    return np.asarray(coarse[part >> 10] * fine[part & 1023])


@cache
def _powers() -> tuple[Array, Array]:
    """2**(i / 2**10) and 2**(i / 2**20) for i below 1024, as products of the roots of 2 named by the bits of i."""
    roots = [2.0]
    for _ in range(20):
        roots.append(sqrt(roots[-1]))
    tables = []
    for first in (1, 11):
        table = np.ones(1024)
        for bit in range(10):
            table *= np.where(np.arange(1024) >> (9 - bit) & 1, roots[first + bit], 1.0)
        tables.append(table)
    return tables[0], tables[1]


def _square_limb(x: Array, limb: int) -> Array:
    """34 bits of x * x, for |x| <= 2**51, from the products of the halves of x."""
    high, low = np.abs(x) >> 26, np.abs(x) & (2**26 - 1)
    top, cross, bottom = high * high, 2 * high * low, low * low  # at 2**52, 2**26 and 1
    rest = bottom + ((cross & 255) << 26)
    if limb == 0:
        return np.asarray(rest & (2**LIMB_BITS - 1))
    middle = (rest >> LIMB_BITS) + (cross >> 8) + ((top & 65535) << 18)
    return np.asarray(middle & (2**LIMB_BITS - 1) if limb == 1 else (middle >> LIMB_BITS) + (top >> 16))


def fixed(values: Array) -> Array:
    """Numbers as exact int64: integers and booleans as they are, floats times 2**20; missing is 0.

    >>> fixed(np.array([0.5, np.nan, np.inf])).tolist() == [2**19, 0, 2**51]
    True
    """
    if values.dtype != np.float64:
        return values.astype(np.int64)
    known = np.where(np.isnan(values), 0.0, values)
    return np.rint(np.clip(known, -LIMIT, LIMIT) * SCALE).astype(np.int64)


def order_image(values: Array) -> Array:
    """float64 as int64 of the same order (-0.0 counts as 0.0).

    >>> order_image(np.array([-2.0, -1.0, -0.0, 0.0, 3.0])).argsort(kind="stable").tolist()
    [0, 1, 2, 3, 4]
    """
    bits = (values.astype(np.float64) + 0.0).view(np.int64)
    return bits ^ ((bits >> np.int64(63)) & _LOW_BITS)


def order_value(image: Array) -> Array:
    """The inverse of `order_image`; NaN for the neutral element and its complement."""
    values = (image ^ ((image >> np.int64(63)) & _LOW_BITS)).view(np.float64)
    return np.where(np.isnan(values), np.nan, values)
