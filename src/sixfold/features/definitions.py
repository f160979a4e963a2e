"""What a feature is: a small expression tree. Evaluating it is the business of `batch`, `online` and the oracle.

An event whose aggregated value is missing (NaN, None) does not take part. A key that is not known (a cross with an
attribute nobody has stated yet) holds no events; no key at all, `by=()`, holds every event of the stream. What each
kind is over no events, and how exact it is, says the table `KINDS` of `kinds.py`.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from sixfold._core.errors import DefinitionError
from sixfold._core.times import format_duration
from sixfold.data.events import Events, Field, stream_of
from sixfold.data.expr import Expr
from sixfold.features.absence import AS_IS, Absence, Answer
from sixfold.features.windows import TODAY, Cut, decay_cuts, window_cuts
from sixfold.frame import Entity

__all__ = [
    "Age",
    "Aggregate",
    "By",
    "Computed",
    "Feature",
    "Key",
    "Kind",
    "Recent",
    "Request",
    "check_key",
    "check_where",
    "keys_of",
]

Key = Entity | Field
"""A part of a key: an entity, or an attribute of an entity of the event, as known when the event arrived."""

By = Key | tuple[Key, ...]

Kind = Literal[
    "count",
    "sum",
    "mean",
    "rate",
    "min",
    "max",
    "var",
    "std",
    "decayed_count",
    "decayed_sum",
    "decayed_mean",
    "histogram",
    "distinct",
    "top_k",
    "quantile",
]


@dataclass(frozen=True, slots=True, eq=False)
class Feature(Expr):
    """A named value that can be computed for a request; a leaf of expressions over features.

    `absence` says what it answers when it cannot be known. Expressions see the value without that.
    """

    name: str
    absence: Absence | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def named(self, name: str) -> Self:
        """The same feature under another name."""
        return replace(self, name=name)

    def absent(self, *, unknown: Answer = AS_IS, stale: tuple[str, Answer] | None = None, down: Answer = AS_IS) -> Self:
        """The same feature with answers for a key never seen, a stream with nothing newer than an age, a store down.

        An answer is a value, None for a missing one, or REFUSE.
        """
        return replace(self, absence=Absence(unknown, stale, down))

    def declared(self) -> list[Any]:
        """The definition, and what it answers when it cannot be known, as plain values."""
        return [self.spec(), *([self.absence.spec()] if self.absence else [])]

    @property
    def width(self) -> int | None:
        """How many values a row has side by side; None if it has one."""
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate(Feature):
    """`kind` of `value` over the events of `stream` that satisfy `where`, per key, in a sawtooth window.

    `window` is in microseconds, None for all time, and the half-life of a decayed kind; `value` is None for counts;
    for `rate` it is a boolean expression and `prior` = (a, b) makes it (hits + a) / (events + b). `options` are the
    categories of a histogram, the (k,) of a top_k, the (q,) of a quantile. `today` says that what counts
    is not the last `window` but the calendar day, in UTC, of the moment asked about.
    """

    kind: Kind
    stream: Events
    value: Expr | None
    by: tuple[Key, ...]
    window: int | None
    where: Expr | None = None
    prior: tuple[float, float] = (0.0, 0.0)
    options: tuple[Any, ...] = ()
    today: bool = False

    @property
    def width(self) -> int | None:
        """The number of categories, or k."""
        if self.kind == "top_k":
            return int(self.options[0])
        return len(self.options) if self.kind == "histogram" else None

    @property
    def item(self) -> Expr | None:
        """What is counted value by value, for the kinds that are made of such counts."""
        if self.kind == "quantile" and self.value is not None:
            return self.value.coarse()
        return self.value if self.kind in ("distinct", "top_k") else None

    @property
    def decays(self) -> bool:
        """Whether `window` is a half-life."""
        return self.kind.startswith("decayed")

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """The tiles that the value is made of: those of one cut, or of several of the same hop, longest first."""
        if self.today:
            return TODAY
        return decay_cuts(self.window) if self.decays and self.window else window_cuts(self.window)

    @property
    def over(self) -> str:
        """The window in words: "7d", "today" or "lifetime"."""
        if self.today:
            return "today"
        return "lifetime" if self.window is None else format_duration(self.window)

    def spec(self) -> Any:
        """The definition as plain values."""
        window = None if self.window is None else self.over
        return [
            "aggregate",
            self.kind,
            self.stream.spec(),
            _spec(self.value),
            _by_spec(self.by),
            window,
            _spec(self.where),
            list(self.prior),
            *([list(self.options)] if self.options else []),
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Recent(Feature):
    """The values of the last `n` events per key, by (at, offset), newest last; n = 1 with `single` is one value.

    `value` is an entity of the stream (its key) or a field. A sequence is an (n_rows, n) column filled from the right;
    the free places on the left hold -1 (int), NaN (float) or None (str). A single number is float64, NaN when missing.
    With `oldest` it is the value of the first event instead.
    """

    stream: Events
    value: Key
    by: tuple[Key, ...]
    n: int
    single: bool
    where: Expr | None = None
    oldest: bool = False

    @property
    def width(self) -> int | None:
        """The length of a sequence."""
        return None if self.single else self.n

    def spec(self) -> Any:
        """The definition as plain values."""
        value = self.value.name if isinstance(self.value, Entity) else self.value.spec()
        which = ["oldest"] if self.oldest else []
        return ["recent", self.stream.spec(), value, _by_spec(self.by), self.n, self.single, _spec(self.where), *which]


@dataclass(frozen=True, slots=True, eq=False)
class Age(Feature):
    """Seconds from the newest `at` of the stream's events per key to the time of the decision; missing if none.

    Unless `single`, the ages of the last `n` events, as an (n_rows, n) column filled from the right like a sequence.
    """

    stream: Events
    by: tuple[Key, ...]
    where: Expr | None = None
    n: int = 1
    single: bool = True

    @property
    def width(self) -> int | None:
        """The number of ages, if they are several."""
        return None if self.single else self.n

    def spec(self) -> Any:
        """The definition as plain values."""
        rest = [] if self.where is None and self.single else [_spec(self.where), self.n, self.single]
        return ["age", self.stream.spec(), _by_spec(self.by), *rest]


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


def keys_of(by: By) -> tuple[Key, ...]:
    """The parts of a key: none for `()`, the global key."""
    return by if isinstance(by, tuple) else (by,)


def check_key(stream: Events, by: tuple[Key, ...]) -> None:
    """Raise DefinitionError unless every part of the key can be read off an event of `stream`."""
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
