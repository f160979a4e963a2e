"""What a feature is: a small expression tree. Evaluating it is the business of `batch`, `online` and the oracle.

Missing values: an aggregation over no events is 0 for `count` and `sum`, the prior for `rate` (missing without one),
and missing for the others. An event whose aggregated value is missing (NaN, None) does not take part. A key that is
not known (a cross with an attribute nobody has stated yet) holds no events.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, Self, overload

from sixfold._core.errors import DefinitionError
from sixfold._core.times import duration, format_duration
from sixfold.data.events import Events, Field, stream_of
from sixfold.data.expr import Expr, leaves
from sixfold.data.labels import Label
from sixfold.frame import Entity

__all__ = [
    "Age",
    "Aggregate",
    "Computed",
    "Feature",
    "Key",
    "Recent",
    "Request",
    "age",
    "attribute",
    "computed",
    "count",
    "last",
    "max",
    "mean",
    "min",
    "rate",
    "request",
    "sequence",
    "sum",
]

Key = Entity | Field
"""A part of a key: an entity, or an attribute of an entity of the event, as known when the event arrived."""

Kind = Literal["count", "sum", "mean", "rate", "min", "max"]


@dataclass(frozen=True, slots=True, eq=False)
class Feature(Expr):
    """A named value that can be computed for a request; a leaf of expressions over features."""

    name: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def named(self, name: str) -> Self:
        """The same feature under another name."""
        return replace(self, name=name)


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate(Feature):
    """`kind` of `value` over the events of `stream` that satisfy `where`, per key, in a sawtooth window.

    `window` is in microseconds, None for all time; `value` is None for `count`; for `rate` it is a boolean expression
    and `prior` = (a, b) makes it (hits + a) / (events + b).
    """

    kind: Kind
    stream: Events
    value: Expr | None
    by: tuple[Key, ...]
    window: int | None
    where: Expr | None = None
    prior: tuple[float, float] = (0.0, 0.0)

    def spec(self) -> Any:
        """The definition as plain values."""
        window = None if self.window is None else format_duration(self.window)
        return [
            "aggregate",
            self.kind,
            self.stream.spec(),
            _spec(self.value),
            _by_spec(self.by),
            window,
            _spec(self.where),
            list(self.prior),
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Recent(Feature):
    """The values of the last `n` events per key, by (at, offset), newest last; n = 1 with `single` is one value.

    `value` is an entity of the stream (its key) or a field. A sequence is an (n_rows, n) column filled from the right;
    the free places on the left hold -1 (int), NaN (float) or None (str). A single number is float64, NaN when missing.
    """

    stream: Events
    value: Key
    by: tuple[Key, ...]
    n: int
    single: bool
    where: Expr | None = None

    def spec(self) -> Any:
        """The definition as plain values."""
        value = self.value.name if isinstance(self.value, Entity) else self.value.spec()
        return ["recent", self.stream.spec(), value, _by_spec(self.by), self.n, self.single, _spec(self.where)]


@dataclass(frozen=True, slots=True, eq=False)
class Age(Feature):
    """Seconds from the newest `at` of the stream's events per key to the time of the decision; missing if none."""

    stream: Events
    by: tuple[Key, ...]

    def spec(self) -> Any:
        """The definition as plain values."""
        return ["age", self.stream.spec(), _by_spec(self.by)]


@dataclass(frozen=True, slots=True, eq=False)
class Request(Feature):
    """A field of the request itself, or a column of the impressions when training; missing when not given."""

    kind: type = float

    def spec(self) -> Any:
        """The definition as plain values."""
        return ["request", self.name, self.kind.__name__]


@dataclass(frozen=True, slots=True, eq=False)
class Computed(Feature):
    """An expression over other features; always float64."""

    expr: Expr

    def spec(self) -> Any:
        """The definition as plain values."""
        return ["computed", self.expr.spec()]


def _spec(expr: Expr | None) -> Any:
    return None if expr is None else expr.spec()


def _by_spec(by: tuple[Key, ...]) -> Any:
    return [key.name if isinstance(key, Entity) else key.spec() for key in by]


def _keys(by: Key | tuple[Key, ...]) -> tuple[Key, ...]:
    return by if isinstance(by, tuple) else (by,)


def _aggregates(kind: Kind, stream: Events, value: Expr | None, what: str, options: dict[str, Any]) -> Any:
    by, over = _keys(options.pop("by")), options.pop("over")
    check_key(stream, by)
    where = options.get("where")
    check_where(stream, where)
    if isinstance(value, Field) and value.kind is str:
        raise DefinitionError([f"{kind} over {value!r}: the field is text; aggregate a number or a boolean"])
    where_part = f"if_{_what(where)}" if where is not None else ""
    base = "_".join(part for part in (kind, stream.name, what, where_part, "by", *(key.name for key in by)) if part)
    windows = (over,) if isinstance(over, str) else tuple(over)
    made = tuple(
        Aggregate(f"{base}_{w}", kind, stream, value, by, None if w == "lifetime" else duration(w), **options)
        for w in windows
    )
    return made[0] if isinstance(over, str) else made


def check_key(stream: Events, by: tuple[Key, ...]) -> None:
    """Raise DefinitionError unless every part of the key can be read off an event of `stream`."""
    if not by:
        raise DefinitionError([f"a feature over {stream.name!r} needs a key: by=user, or by=(user, meta.topic)"])
    for key in by:
        entities = (key,) if isinstance(key, Entity) else key.events.keys
        if lost := [entity.name for entity in entities if entity not in stream.keys]:
            raise DefinitionError([f"key {key!r}: events of {stream.name!r} do not name the entity {lost}"])


def check_where(stream: Events, where: Expr | None) -> None:
    """Raise DefinitionError unless `where` is a boolean expression over fields of `stream`."""
    if where is None:
        return
    if stream_of(where) != stream:
        raise DefinitionError([f"`where` of a feature over {stream.name!r} uses fields of {stream_of(where).name!r}"])
    if not where.is_bool:
        raise DefinitionError([f"`where` of a feature over {stream.name!r} must be boolean, such as x >= 0.5"])


By = Key | tuple[Key, ...]


@overload
def count(stream: Events, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def count(stream: Events, *, by: By, over: tuple[str, ...], where: Expr | None = None) -> tuple[Aggregate, ...]: ...
def count(stream: Events, *, by: By, over: str | tuple[str, ...], where: Expr | None = None) -> Any:
    """How many events; 0 where there are none. `over` is one window such as "7d", several, or "lifetime"."""
    return _aggregates("count", stream, None, "", {"by": by, "over": over, "where": where})


@overload
def sum(value: Expr, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def sum(value: Expr, *, by: By, over: tuple[str, ...], where: Expr | None = None) -> tuple[Aggregate, ...]: ...
def sum(value: Expr, *, by: By, over: str | tuple[str, ...], where: Expr | None = None) -> Any:
    """The sum of the values, exact in fixed point (integers as they are, floats to 2**-20); 0 where there are none."""
    return _aggregates("sum", stream_of(value), value, _what(value), {"by": by, "over": over, "where": where})


@overload
def mean(value: Expr, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def mean(value: Expr, *, by: By, over: tuple[str, ...], where: Expr | None = None) -> tuple[Aggregate, ...]: ...
def mean(value: Expr, *, by: By, over: str | tuple[str, ...], where: Expr | None = None) -> Any:
    """The mean of the values, from the exact fixed-point sum; missing where there are none."""
    return _aggregates("mean", stream_of(value), value, _what(value), {"by": by, "over": over, "where": where})


@overload
def min(value: Expr, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def min(value: Expr, *, by: By, over: tuple[str, ...], where: Expr | None = None) -> tuple[Aggregate, ...]: ...
def min(value: Expr, *, by: By, over: str | tuple[str, ...], where: Expr | None = None) -> Any:
    """The least value; missing where there are none."""
    return _aggregates("min", stream_of(value), value, _what(value), {"by": by, "over": over, "where": where})


@overload
def max(value: Expr, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def max(value: Expr, *, by: By, over: tuple[str, ...], where: Expr | None = None) -> tuple[Aggregate, ...]: ...
def max(value: Expr, *, by: By, over: str | tuple[str, ...], where: Expr | None = None) -> Any:
    """The greatest value; missing where there are none."""
    return _aggregates("max", stream_of(value), value, _what(value), {"by": by, "over": over, "where": where})


Prior = tuple[float, float]


@overload
def rate(hit: Expr | Label, *, by: By, over: str, prior: Prior = (0.0, 0.0)) -> Aggregate: ...
@overload
def rate(hit: Expr | Label, *, by: By, over: tuple[str, ...], prior: Prior = (0.0, 0.0)) -> tuple[Aggregate, ...]: ...
def rate(hit: Expr | Label, *, by: By, over: str | tuple[str, ...], prior: Prior = (0.0, 0.0)) -> Any:
    """The share of events for which `hit` holds: (hits + a) / (events + b) with `prior` = (a, b).

    A label stands for its expression: the rate is then over the outcome's stream.
    """
    expr = hit.expr if isinstance(hit, Label) else hit
    if not expr.is_bool:
        raise DefinitionError(["rate needs a boolean expression, such as rate(watch.share >= 0.7, ...)"])
    what = hit.name if isinstance(hit, Label) else _what(expr)
    return _aggregates("rate", stream_of(expr), expr, what, {"by": by, "over": over, "prior": prior})


def _what(expr: Expr) -> str:
    return (
        expr.name
        if isinstance(expr, Field)
        else "_".join(leaf.name for leaf in leaves(expr) if isinstance(leaf, Field))
    )


def sequence(stream: Events, *, by: By, of: Key, last: int, where: Expr | None = None) -> Recent:
    """The last `last` values of `of` (an entity's keys, or a field), newest last, as an (n_rows, last) column."""
    keys = _keys(by)
    check_key(stream, keys)
    check_where(stream, where)
    if isinstance(of, Entity):
        check_key(stream, (of,))
    elif of.events != stream:
        raise DefinitionError([f"sequence over {stream.name!r}: {of!r} is not a field of it"])
    if last < 1:
        raise DefinitionError([f"sequence over {stream.name!r}: last must be at least 1, not {last}"])
    name = "_".join(("sequence", stream.name, of.name, "by", *(key.name for key in keys)))
    return Recent(name, stream, of, keys, last, False, where)


def last(value: Field, *, by: By, where: Expr | None = None) -> Recent:
    """The value of the newest event per key; missing where there is none."""
    keys = _keys(by)
    check_key(value.events, keys)
    check_where(value.events, where)
    name = "_".join(("last", value.events.name, value.name, "by", *(key.name for key in keys)))
    return Recent(name, value.events, value, keys, 1, True, where)


def attribute(value: Field) -> Recent:
    """What is known about an entity: the newest value of a field of its own stream, such as a video's topic."""
    return last(value, by=value.events.keys).named(value.name)


def age(stream: Events, *, by: By | None = None) -> Age:
    """Seconds since the newest event of the stream per key; without `by` per its own entity: a video's age."""
    keys = stream.keys if by is None else _keys(by)
    check_key(stream, keys)
    name = f"age_{stream.name}" if by is None else "_".join(("age", stream.name, "by", *(key.name for key in keys)))
    return Age(name, stream, keys)


def request(name: str, kind: type = float) -> Request:
    """A field of the request (float, int, bool or str)."""
    return Request(name, kind)


def computed(name: str, expr: Expr) -> Computed:
    """An expression over features, such as computed("lift", rate_1h - rate_7d)."""
    if not all(isinstance(leaf, Feature) for leaf in leaves(expr)):
        raise DefinitionError([f"computed feature {name!r} must be an expression over features"])
    if wide := [leaf.name for leaf in leaves(expr) if isinstance(leaf, Recent) and not leaf.single]:
        raise DefinitionError([f"computed feature {name!r} cannot use the sequences {wide}: it is one number per row"])
    return Computed(name, expr)
