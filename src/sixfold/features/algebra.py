"""The aggregation algebra: every aggregate is a few int64 lanes that merge by wrapping addition or by maximum.

Both operations are associative and commutative on int64, so a value does not depend on how the events were grouped,
ordered or cut; that is why all evaluators agree to the bit. Sums are fixed point: integers as they are, floats rounded
(half to even) to 2**-20 after clipping to +-2**31. A maximum is kept over an order-preserving image of float64 in
int64, a minimum as the maximum of the complement; the neutral element is the image of no number and reads back as NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sixfold._core.table import Array
from sixfold.data.events import Field
from sixfold.data.expr import Expr
from sixfold.features.definitions import Aggregate
from sixfold.features.store import NEUTRAL

__all__ = ["SCALE", "Lane", "finalize", "lanes_of", "prepare", "value_kind"]

SCALE = 2.0**20
LIMIT = 2.0**31
_LOW_BITS = np.int64(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One int64 accumulator: `events` and `present` count, `sum` adds, `high` and `low` keep an extreme of `value`."""

    form: Literal["events", "present", "sum", "high", "low"]
    value: Expr | None = None

    @property
    def adds(self) -> bool:
        """Whether the lane merges by addition (which has an inverse) rather than by maximum."""
        return self.form in ("events", "present", "sum")

    @property
    def neutral(self) -> int:
        """What an event that does not take part contributes."""
        return 0 if self.adds else NEUTRAL

    def spec(self) -> Any:
        """The lane as plain values."""
        return [self.form, None if self.value is None else self.value.spec()]


def value_kind(expr: Expr) -> type:
    """bool, int, float or str: the type of an expression's values."""
    if isinstance(expr, Field):
        return expr.kind
    return bool if expr.is_bool else float


def lanes_of(feature: Aggregate) -> tuple[Lane, ...]:
    """The lanes that an aggregate is finalised from, in the order that `finalize` wants them."""
    value = feature.value
    if value is None:
        return (Lane("events"),)
    match feature.kind:
        case "sum":
            return (Lane("sum", value),)
        case "mean":
            return (Lane("sum", value), Lane("present", value) if value_kind(value) is float else Lane("events"))
        case "rate":
            return (Lane("sum", value), Lane("events"))
        case "max":
            return (Lane("high", value),)
        case _:
            return (Lane("low", value),)


def prepare(lane: Lane, values: Array | None, n_rows: int) -> Array:
    """What each event contributes to a lane, (n_rows,) int64; `values` are those of the lane's expression."""
    if lane.form == "events" or values is None:
        return np.ones(n_rows, np.int64)
    if lane.form == "present":
        return np.asarray(~np.isnan(values), np.int64)
    if lane.form == "sum":
        return fixed(values)
    image = order_image(values)
    if lane.form == "low":
        image = ~image
    return np.where(np.isnan(values), NEUTRAL, image)


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


def finalize(feature: Aggregate, lanes: Sequence[Array]) -> Array:
    """The value of an aggregate from its merged lanes (see `lanes_of`), float64."""
    first = lanes[0]
    if feature.kind == "count":
        return first.astype(np.float64)
    if feature.kind == "max":
        return order_value(np.ascontiguousarray(first))
    if feature.kind == "min":
        return order_value(~first)
    total = first.astype(np.float64)
    if feature.kind == "rate":
        hits, events = feature.prior
        return _ratio(total + hits, lanes[1].astype(np.float64) + events)
    if feature.kind == "mean":
        total = _ratio(total, lanes[1].astype(np.float64))
    return total / SCALE if feature.value is not None and value_kind(feature.value) is float else total


def _ratio(a: Array, b: Array) -> Array:
    return np.asarray(np.divide(a, b, out=np.full(len(a), np.nan), where=b != 0))
