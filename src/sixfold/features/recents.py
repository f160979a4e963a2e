"""Features of single events and expressions: sequences, the first and the last value, ages, requests, recipes."""

from typing import Any, Literal, overload

from sixfold._core.errors import DefinitionError
from sixfold._core.times import duration
from sixfold.data.events import Events, Field
from sixfold.data.expr import Expr, leaves
from sixfold.features.aggregates import count, mean, named_by, std
from sixfold.features.definitions import Age, By, Computed, Feature, Key, Recent, Request, check_key, check_where
from sixfold.features.definitions import keys_of as _keys
from sixfold.frame import Entity

__all__ = [
    "age",
    "attribute",
    "burstiness",
    "computed",
    "first",
    "last",
    "request",
    "sequence",
    "time_since_last",
    "zscore",
]


@overload
def sequence(
    stream: Events, *, by: By, of: Key, last: int, where: Expr | None = None, times: Literal[False] = False
) -> Recent: ...
@overload
def sequence(
    stream: Events, *, by: By, of: Key, last: int, where: Expr | None = None, times: Literal[True]
) -> tuple[Recent, Age]: ...
def sequence(
    stream: Events, *, by: By, of: Key, last: int, where: Expr | None = None, times: bool = False
) -> Recent | tuple[Recent, Age]:
    """The last `last` values of `of` (an entity's keys, or a field), newest last, as an (n_rows, last) column.

    With `times` there is a second feature beside it: how long ago each of them was, in seconds.
    """
    keys = _keys(by)
    check_key(stream, keys)
    check_where(stream, where)
    if isinstance(of, Entity):
        check_key(stream, (of,))
    elif of.events != stream:
        raise DefinitionError([f"sequence over {stream.name!r}: {of!r} is not a field of it"])
    if last < 1:
        raise DefinitionError([f"sequence over {stream.name!r}: last must be at least 1, not {last}"])
    values = Recent(named_by("sequence", stream.name, of.name, keys=keys), stream, of, keys, last, False, where)
    return (values, Age(f"{values.name}_ages", stream, keys, where, last, False)) if times else values


def last(value: Field, *, by: By, where: Expr | None = None) -> Recent:
    """The value of the newest event per key, by (at, offset); missing where there is none."""
    return _single("last", value, by, where)


def first(value: Field, *, by: By, where: Expr | None = None) -> Recent:
    """The value of the oldest event per key, by (at, offset), among those that have arrived; missing if none has."""
    return _single("first", value, by, where)


def _single(kind: str, value: Field, by: By, where: Expr | None) -> Recent:
    keys, stream = _keys(by), value.events
    check_key(stream, keys)
    check_where(stream, where)
    name = named_by(kind, stream.name, value.name, keys=keys)
    return Recent(name, stream, value, keys, 1, True, where, kind == "first")


def attribute(value: Field) -> Recent:
    """What is known about an entity: the newest value of a field of its own stream, such as a video's topic."""
    return last(value, by=value.events.keys).named(value.name)


def age(stream: Events, *, by: By | None = None, where: Expr | None = None) -> Age:
    """Seconds since the newest event of the stream per key; without `by` per its own entity: a video's age."""
    keys = stream.keys if by is None else _keys(by)
    check_key(stream, keys)
    check_where(stream, where)
    return Age(f"age_{stream.name}" if by is None else named_by("age", stream.name, keys=keys), stream, keys, where)


def time_since_last(stream: Events, *, by: By, where: Expr | None = None) -> Age:
    """Seconds since the newest event per key that satisfies `where`; missing where there is none."""
    return age(stream, by=by, where=where).named(named_by("time_since_last", stream.name, where=where, keys=_keys(by)))


def request(name: str, kind: type = float) -> Request:
    """A field of the request (float, int, bool or str)."""
    return Request(name, kind)


def computed(name: str, expr: Expr) -> Computed:
    """An expression over features, such as computed("lift", rate_1h - rate_7d)."""
    if not all(isinstance(leaf, Feature) for leaf in leaves(expr)):
        raise DefinitionError([f"computed feature {name!r} must be an expression over features"])
    if wide := [leaf.name for leaf in leaves(expr) if isinstance(leaf, Feature) and leaf.width is not None]:
        raise DefinitionError([f"computed feature {name!r} cannot use the sequences {wide}: it is one number per row"])
    return Computed(name, expr)


def burstiness(stream: Events, *, by: By, short: str, long: str, where: Expr | None = None) -> Computed:
    """How often events come over the short window, as a multiple of how often over the long one; missing if none.

    1 means steady: (count(short) / short) / (count(long) / long).
    """
    brief, wide = count(stream, by=by, over=short, where=where), count(stream, by=by, over=long, where=where)
    name = named_by("burstiness", stream.name, where=where, keys=_keys(by))
    return computed(f"{name}_{short}_{long}", brief / wide * (duration(long) / duration(short)))


def zscore(value: Expr, *, by: By, against: By, over: str, where: Expr | None = None) -> Computed:
    """The mean per key, in standard deviations of single values from the mean of a larger group, such as its category.

    (mean by `by` - mean by `against`) / std by `against`; missing where either has no events or all are equal.
    """
    options: dict[str, Any] = {"over": over, "where": where}
    own, common = mean(value, by=by, **options), mean(value, by=against, **options)
    name = f"zscore_{own.name.removeprefix('mean_')}_against_{'_'.join(key.name for key in _keys(against)) or 'all'}"
    return computed(name, (own - common) / std(value, by=against, **options))
