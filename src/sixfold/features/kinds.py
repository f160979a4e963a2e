"""The kinds of aggregation, as one table: what each keeps, how that merges, and what comes out of it.

An event whose value is missing (NaN, None) takes no part in any kind. `exact` in the column of errors means: the bits
are those of the sentence that defines the kind, on every evaluator.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sixfold._core.table import Array
from sixfold.data.expr import Expr
from sixfold.features.definitions import Aggregate
from sixfold.features.lanes import LIMB_BITS, SCALE, Lane, order_value, value_kind
from sixfold.features.windows import HALF_LIVES

__all__ = ["KINDS", "KindOf"]

Lanes = Callable[[Aggregate], tuple[Lane, ...]]
Finalize = Callable[[Aggregate, Sequence[Array]], Array]


@dataclass(frozen=True, slots=True)
class KindOf:
    """A kind of feature: its algebra, whether an event can be taken out again, its column, its value over no events,
    its error bound; and for lanes, which they are and how the merged ones become a value.
    """

    algebra: str
    inverse: bool
    column: str
    empty: str
    error: str
    lanes: Lanes | None = None
    finalize: Finalize | None = None


def _value(feature: Aggregate) -> Expr:
    if feature.value is None:
        raise AssertionError(f"{feature!r} has no value")
    return feature.value


def _is_float(feature: Aggregate) -> bool:
    return value_kind(_value(feature)) is float


def _one(form: str) -> Lanes:
    return lambda feature: (Lane(form, feature.value),)  # type: ignore[arg-type]


def _events(feature: Aggregate) -> tuple[Lane, ...]:
    return (Lane("events"),)


def _present(feature: Aggregate) -> Lane:
    """How many values there are: whole numbers and booleans are never missing."""
    return Lane("present", feature.value) if _is_float(feature) else Lane("events")


def _moments(feature: Aggregate) -> tuple[Lane, ...]:
    total = Lane("sum" if _is_float(feature) else "clipped", feature.value)
    return (_present(feature), total, *(Lane("square", feature.value, limb) for limb in range(3)))


def _decayed(forms: tuple[str, ...]) -> Lanes:
    return lambda feature: tuple(
        Lane(form, feature.value, half_life=feature.window)  # type: ignore[arg-type]
        for form in forms
    )


def _count(feature: Aggregate, lanes: Sequence[Array]) -> Array:
    return lanes[0].astype(np.float64)


def _scaled(feature: Aggregate, total: Array) -> Array:
    return total / SCALE if _is_float(feature) else total


def _sum(feature: Aggregate, lanes: Sequence[Array]) -> Array:
    return _scaled(feature, lanes[0].astype(np.float64))


def _mean(feature: Aggregate, lanes: Sequence[Array]) -> Array:
    return _scaled(feature, _ratio(lanes[0].astype(np.float64), lanes[1].astype(np.float64)))


def _rate(feature: Aggregate, lanes: Sequence[Array]) -> Array:
    hits, events = feature.prior
    return _ratio(lanes[0].astype(np.float64) + hits, lanes[1].astype(np.float64) + events)


def _variance(feature: Aggregate, lanes: Sequence[Array]) -> Array:
    """(n * S2 - S1**2) / n**2 in whole numbers of Python, whose division is correctly rounded."""
    out = np.full(len(lanes[0]), np.nan)
    some = np.flatnonzero(lanes[0])
    parts = zip(*(lane[some].tolist() for lane in lanes), strict=True)
    out[some] = [
        (n * (low + (middle << LIMB_BITS) + (high << 2 * LIMB_BITS)) - total * total) / (n * n)
        for n, total, low, middle, high in parts
    ]
    return out / SCALE**2 if _is_float(feature) else out


def _deviation(feature: Aggregate, lanes: Sequence[Array]) -> Array:
    return np.sqrt(_variance(feature, lanes))


def _newest_tiles(lanes: Sequence[Array], lane: int) -> Array:
    """The sums of the tiles, each half as much as the next one, in units of the weight of the newest tile."""
    cuts = lanes[lane :: len(lanes) // HALF_LIVES]
    out = np.zeros(len(lanes[0]))
    for older, newer in zip(cuts, (*cuts[1:], 0), strict=True):
        out = out * 0.5 + (older - newer).astype(np.float64)
    return out


def _decayed_sum(feature: Aggregate, lanes: Sequence[Array]) -> Array:
    return _newest_tiles(lanes, 0) / SCALE


def _decayed_mean(feature: Aggregate, lanes: Sequence[Array]) -> Array:
    return _ratio(_newest_tiles(lanes, 0), _newest_tiles(lanes, 1))


def _histogram(feature: Aggregate, lanes: Sequence[Array]) -> Array:
    return np.stack(lanes, axis=1).astype(np.float64)


def _ratio(a: Array, b: Array) -> Array:
    return np.asarray(a / np.where(b == 0, np.nan, b))


_ADDS = "adds"
_ITEMS = "adds, by key and value"
_FIXED = "2**-21 a value, clipped to +-2**31; whole numbers exact; the sum modulo 2**63"
_DECAY = f"older than {HALF_LIVES} half-lives counts nothing; 2**-20 a value"

KINDS: Mapping[str, KindOf] = {
    "count": KindOf(_ADDS, True, "float64", "0", "exact", _events, _count),
    "sum": KindOf(_ADDS, True, "float64", "0", _FIXED, _one("sum"), _sum),
    "mean": KindOf(
        "adds sum and count", True, "float64", "missing", _FIXED, lambda f: (Lane("sum", f.value), _present(f)), _mean
    ),
    "rate": KindOf(
        "adds hits and events",
        True,
        "float64",
        "a / b of the prior, missing without",
        "exact",
        lambda f: (Lane("sum", f.value), Lane("events")),
        _rate,
    ),
    "min": KindOf(
        "maximum", False, "float64", "missing", "exact", _one("low"), lambda f, lanes: order_value(~lanes[0])
    ),
    "max": KindOf(
        "maximum",
        False,
        "float64",
        "missing",
        "exact",
        _one("high"),
        lambda f, lanes: order_value(np.ascontiguousarray(lanes[0])),
    ),
    "var": KindOf(
        "adds count, sum, square",
        True,
        "float64",
        "missing",
        "of the values in fixed point correctly rounded; whole numbers clipped to +-2**51",
        _moments,
        _variance,
    ),
    "std": KindOf(
        "adds count, sum, square", True, "float64", "missing", "the rounded root of var", _moments, _deviation
    ),
    "decayed_count": KindOf("adds a tile", True, "float64", "0", _DECAY, _decayed(("events",)), _decayed_sum),
    "decayed_sum": KindOf("adds a tile", True, "float64", "0", _DECAY, _decayed(("sum",)), _decayed_sum),
    "decayed_mean": KindOf(
        "adds a tile", True, "float64", "missing", _DECAY, _decayed(("sum", "present")), _decayed_mean
    ),
    "histogram": KindOf(
        "adds a category",
        True,
        "float64 (n_rows, categories)",
        "0",
        "exact",
        lambda f: tuple(Lane("match", f.value, category) for category in f.options),
        _histogram,
    ),
    "distinct": KindOf(_ITEMS, True, "float64", "0", "exact", _events),
    "top_k": KindOf(_ITEMS, True, "that of the values (n_rows, k)", "missing", "exact; equals by value", _events),
    "quantile": KindOf(
        _ITEMS, True, "float64", "missing", "2**-8 of the value; exact for whole numbers to 256", _events
    ),
}
"""Every kind by name."""
