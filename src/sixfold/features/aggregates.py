"""Aggregations over windows: each function gives one feature, or one for each window of `over`.

`over` is one window such as "7d", several, "lifetime", or "today", which is the calendar day in UTC and begins anew at
midnight; a decayed aggregation has a half-life instead.
"""

from typing import Any, overload

from sixfold._core.errors import DefinitionError
from sixfold._core.times import DAY, duration
from sixfold.data.events import Events, Field, stream_of
from sixfold.data.expr import Expr, leaves
from sixfold.data.labels import Label
from sixfold.features.definitions import Aggregate, By, Key, Kind, check_key, check_where, keys_of

__all__ = [
    "aggregates",
    "count",
    "decayed_count",
    "decayed_mean",
    "decayed_sum",
    "histogram",
    "max",
    "mean",
    "min",
    "named_by",
    "rate",
    "std",
    "sum",
    "var",
]

Over = str | tuple[str, ...]
Prior = tuple[float, float]


def named_by(*parts: str, keys: tuple[Key, ...], where: Expr | None = None) -> str:
    """A name for a feature, such as count_watch_if_liked_by_user."""
    condition = f"if_{what(where)}" if where is not None else ""
    by = ("by", *(key.name for key in keys)) if keys else ("overall",)
    return "_".join(part for part in (*parts, condition, *by) if part)


def what(expr: Expr) -> str:
    """The fields of an expression, for names."""
    if isinstance(expr, Field):
        return expr.name
    return "_".join(leaf.name for leaf in leaves(expr) if isinstance(leaf, Field))


def aggregates(kind: Kind, stream: Events, value: Expr | None, over: Over, **options: Any) -> Any:
    """One aggregate, or one for each window of a tuple; `options` are `by`, `where`, and fields of Aggregate.

    `text` says that the value may be text; `label` names it in place of its fields. Raises DefinitionError on what
    makes no sense.
    """
    keys, label = keys_of(options.pop("by")), options.pop("label", None)
    check_key(stream, keys)
    where = options.get("where")
    check_where(stream, where)
    if not options.pop("text", False) and value is not None and value.is_text:
        raise DefinitionError([f"{kind} over {value!r}: the field is text; aggregate a number or a boolean"])
    label = ("" if value is None else what(value)) if label is None else label
    base = named_by(kind, stream.name, label, where=where, keys=keys)
    windows = (over,) if isinstance(over, str) else tuple(over)
    if kind.startswith("decayed") and (wrong := [w for w in windows if not _span(w) or w == "today"]):
        raise DefinitionError([f"{base}: {wrong} is no half-life; give a duration such as '7d'"])
    made = tuple(
        Aggregate(f"{base}_{w}", kind, stream, value, keys, _span(w), **options, today=w == "today") for w in windows
    )
    return made[0] if isinstance(over, str) else made


def _span(window: str) -> int | None:
    if window == "today":
        return DAY
    return None if window == "lifetime" else duration(window)


@overload
def count(stream: Events, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def count(stream: Events, *, by: By, over: tuple[str, ...], where: Expr | None = None) -> tuple[Aggregate, ...]: ...
def count(stream: Events, *, by: By, over: Over, where: Expr | None = None) -> Any:
    """How many events; 0 where there are none. `over` is one window such as "7d", several, or "lifetime"."""
    return aggregates("count", stream, None, over, by=by, where=where)


@overload
def sum(value: Expr, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def sum(value: Expr, *, by: By, over: tuple[str, ...], where: Expr | None = None) -> tuple[Aggregate, ...]: ...
def sum(value: Expr, *, by: By, over: Over, where: Expr | None = None) -> Any:
    """The sum of the values, exact in fixed point (integers as they are, floats to 2**-20); 0 where there are none."""
    return aggregates("sum", stream_of(value), value, over, by=by, where=where)


@overload
def mean(value: Expr, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def mean(value: Expr, *, by: By, over: tuple[str, ...], where: Expr | None = None) -> tuple[Aggregate, ...]: ...
def mean(value: Expr, *, by: By, over: Over, where: Expr | None = None) -> Any:
    """The mean of the values, from the exact fixed-point sum; missing where there are none."""
    return aggregates("mean", stream_of(value), value, over, by=by, where=where)


@overload
def var(value: Expr, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def var(value: Expr, *, by: By, over: tuple[str, ...], where: Expr | None = None) -> tuple[Aggregate, ...]: ...
def var(value: Expr, *, by: By, over: Over, where: Expr | None = None) -> Any:
    """The variance of the values (divided by n), correctly rounded from exact sums; missing where there are none."""
    return aggregates("var", stream_of(value), value, over, by=by, where=where)


@overload
def std(value: Expr, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def std(value: Expr, *, by: By, over: tuple[str, ...], where: Expr | None = None) -> tuple[Aggregate, ...]: ...
def std(value: Expr, *, by: By, over: Over, where: Expr | None = None) -> Any:
    """The standard deviation of the values, the root of `var`; missing where there are none."""
    return aggregates("std", stream_of(value), value, over, by=by, where=where)


@overload
def min(value: Expr, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def min(value: Expr, *, by: By, over: tuple[str, ...], where: Expr | None = None) -> tuple[Aggregate, ...]: ...
def min(value: Expr, *, by: By, over: Over, where: Expr | None = None) -> Any:
    """The least value; missing where there are none."""
    return aggregates("min", stream_of(value), value, over, by=by, where=where)


@overload
def max(value: Expr, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def max(value: Expr, *, by: By, over: tuple[str, ...], where: Expr | None = None) -> tuple[Aggregate, ...]: ...
def max(value: Expr, *, by: By, over: Over, where: Expr | None = None) -> Any:
    """The greatest value; missing where there are none."""
    return aggregates("max", stream_of(value), value, over, by=by, where=where)


@overload
def rate(
    hit: Expr | Label, *, by: By, over: str, prior: Prior = (0.0, 0.0), where: Expr | None = None
) -> Aggregate: ...
@overload
def rate(
    hit: Expr | Label, *, by: By, over: tuple[str, ...], prior: Prior = (0.0, 0.0), where: Expr | None = None
) -> tuple[Aggregate, ...]: ...
def rate(hit: Expr | Label, *, by: By, over: Over, prior: Prior = (0.0, 0.0), where: Expr | None = None) -> Any:
    """The share of events for which `hit` holds: (hits + a) / (events + b) with `prior` = (a, b).

    A label stands for its expression: the rate is then over the outcome's stream.
    """
    expr = hit.expr if isinstance(hit, Label) else hit
    if not expr.is_bool:
        raise DefinitionError(["rate needs a boolean expression, such as rate(watch.share >= 0.7, ...)"])
    label = hit.name if isinstance(hit, Label) else None
    return aggregates("rate", stream_of(expr), expr, over, by=by, where=where, prior=prior, label=label)


@overload
def decayed_count(stream: Events, *, by: By, half_life: str, where: Expr | None = None) -> Aggregate: ...
@overload
def decayed_count(
    stream: Events, *, by: By, half_life: tuple[str, ...], where: Expr | None = None
) -> tuple[Aggregate, ...]: ...
def decayed_count(stream: Events, *, by: By, half_life: Over, where: Expr | None = None) -> Any:
    """How many events, each counting 2**-(its age / half_life); 0 where there are none (see `lanes.growth`)."""
    return aggregates("decayed_count", stream, None, half_life, by=by, where=where)


@overload
def decayed_sum(value: Expr, *, by: By, half_life: str, where: Expr | None = None) -> Aggregate: ...
@overload
def decayed_sum(
    value: Expr, *, by: By, half_life: tuple[str, ...], where: Expr | None = None
) -> tuple[Aggregate, ...]: ...
def decayed_sum(value: Expr, *, by: By, half_life: Over, where: Expr | None = None) -> Any:
    """The sum of the values, each weighing 2**-(its age / half_life); 0 where there are none."""
    return aggregates("decayed_sum", stream_of(value), value, half_life, by=by, where=where)


@overload
def decayed_mean(value: Expr, *, by: By, half_life: str, where: Expr | None = None) -> Aggregate: ...
@overload
def decayed_mean(
    value: Expr, *, by: By, half_life: tuple[str, ...], where: Expr | None = None
) -> tuple[Aggregate, ...]: ...
def decayed_mean(value: Expr, *, by: By, half_life: Over, where: Expr | None = None) -> Any:
    """The mean of the values, each weighing 2**-(its age / half_life); missing where there are none."""
    return aggregates("decayed_mean", stream_of(value), value, half_life, by=by, where=where)


@overload
def histogram(
    value: Expr, *, by: By, over: str, categories: tuple[Any, ...], where: Expr | None = None
) -> Aggregate: ...
@overload
def histogram(
    value: Expr, *, by: By, over: tuple[str, ...], categories: tuple[Any, ...], where: Expr | None = None
) -> tuple[Aggregate, ...]: ...
def histogram(value: Expr, *, by: By, over: Over, categories: tuple[Any, ...], where: Expr | None = None) -> Any:
    """How many events have each of the declared values, as an (n_rows, categories) column; 0 where there are none.

    Of a number, count its `buckets`: histogram(watch.share.buckets(0.2, 0.7), categories=(0, 1, 2), ...).
    """
    stream, distinct = stream_of(value), dict.fromkeys(categories)
    if not categories or len(distinct) < len(categories):
        raise DefinitionError([f"histogram over {value!r}: categories must be given, each once; found {categories!r}"])
    if wrong := [c for c in categories if isinstance(c, str) != bool(value.is_text)]:
        raise DefinitionError([f"histogram over {value!r}: {wrong} are not values of it"])
    options = tuple(categories)
    return aggregates("histogram", stream, value, over, by=by, where=where, options=options, text=True)
