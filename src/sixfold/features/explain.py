"""Where a feature's value comes from: the window, the tiles and the events behind it, out of the log.

The value is the batch evaluator's; the events are found by a plain scan of the streams, so that the two can be checked
against each other by eye.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array, Table, column
from sixfold._core.times import MINUTE
from sixfold.data.events import Events, Field, field_values
from sixfold.data.expr import Expr
from sixfold.data.retraction import ends
from sixfold.features.batch import as_of
from sixfold.features.definitions import Aggregate, Feature, Request
from sixfold.features.featureset import FeatureSet
from sixfold.features.freshness import Guard
from sixfold.features.lineage import kind_of, parts_of
from sixfold.features.recents import age, sequence
from sixfold.features.windows import tile_of
from sixfold.frame import Entity

__all__ = ["Contribution", "Explained", "TileShare", "explain"]

History = Mapping[str, Table]

_PLAIN_HOP = 5 * MINUTE
"""What counts as late for features without a window: an event that arrives in a later tile of this length."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """One event behind a value: `value` is what it adds, 1 where events are counted; `late_s` is arrived - at."""

    offset: int
    at: int
    arrived: int
    value: Any
    late: bool
    late_s: float


@dataclass(frozen=True, slots=True)
class TileShare:
    """How many of the events lie in the tile that begins at `start` (microseconds)."""

    start: int
    events: int


@dataclass(frozen=True, slots=True)
class Explained:
    """A value and all that it came from.

    `window` is from the beginning of its lowest tile to the moment asked about, None where there is none or for all
    time; `hop` is the length of a tile, in microseconds. `events` counts those that take part, `late` the ones among
    them that arrived in a later tile than they happened in; `newest` are the last few by (at, offset). `parts` are the
    features that it is an expression of. `answered` is "unknown" or "stale" where the value is the one that the feature
    declares for that.
    """

    name: str
    kind: str
    value: Any
    key: Mapping[str, Any]
    answered: str = ""
    stream: str | None = None
    window: tuple[int, int] | None = None
    hop: int | None = None
    tiles: tuple[TileShare, ...] = ()
    events: int = 0
    late: int = 0
    newest: tuple[Contribution, ...] = ()
    parts: tuple["Explained", ...] = ()


def explain(
    features: FeatureSet, history: History, row: Mapping[str, Any], *, newest: int = 5
) -> tuple[Explained, ...]:
    """Every feature of one moment: `row` gives the entities' keys, `at`, `offset`, and request fields.

    The values equal those of `as_of` for that row. `newest` is how many events to show of each. Raises FeatureError if
    the row lacks an entity.
    """
    wanted = list(_all_of(features))
    # Under numbers, because parts of expressions need not have names of their own; a request field goes by its name.
    names = [feature.name if isinstance(feature, Request) else f"#{i}" for i, feature in enumerate(wanted)]
    numbered = FeatureSet(
        list({name: feature.named(name) for name, feature in zip(names, wanted, strict=True)}.values())
    )
    guard = Guard(numbered)
    bare = FeatureSet(*(replace(feature, absence=None) for feature in guard.features))
    found = as_of(bare, history, _spine(bare, row))
    table = guard.past(names, found)
    values = {
        id(feature): (_plain(table[name][0]), guard.reason(name, found))
        for name, feature in zip(names, wanted, strict=True)
    }
    scan = _Scan(history, row, values, newest)
    return tuple(scan.explained(feature) for feature in features)


def _all_of(features: Iterable[Feature]) -> Iterator[Feature]:
    for feature in features:
        yield feature
        yield from _all_of(parts_of(feature))


def _spine(features: FeatureSet, row: Mapping[str, Any]) -> Table:
    """The moment as a table of one row: keys and request fields."""
    if lost := [entity.name for entity in features.entities if entity.name not in row]:
        raise FeatureError(f"the moment names no {', '.join(map(repr, lost))}", hint=f"give {lost[0]}=KEY")
    columns = {entity.name: column([row[entity.name]], entity.key) for entity in features.entities}
    for part in features.primitives:
        if isinstance(part, Request):
            columns[part.name] = column([row.get(part.name)], str if part.kind is str else float)
    return Table({**columns, "at": np.array([int(row["at"])]), "offset": np.array([int(row["offset"])])})


class _Scan:
    """One moment over a history."""

    def __init__(
        self, history: History, row: Mapping[str, Any], values: Mapping[int, tuple[Any, str]], newest: int
    ) -> None:
        self._history, self._row, self._values, self._newest = history, row, values, newest
        self._at, self._offset = int(row["at"]), int(row["offset"])

    def explained(self, feature: Feature) -> Explained:
        value, answered = self._values[id(feature)]
        parts = tuple(self.explained(part) for part in parts_of(feature))
        stream = getattr(feature, "stream", None)
        if not isinstance(stream, Events):
            return Explained(feature.name, kind_of(feature), value, {}, answered, parts=parts)
        key = self._key(feature)
        events = self._events(feature, stream, key)
        if isinstance(feature, Aggregate):
            hop = feature.cuts[0].hop
            tiles, counts = np.unique(tile_of(events["at"], hop), return_counts=True)
            shares = tuple(TileShare(t * (hop or 0), n) for t, n in zip(tiles.tolist(), counts.tolist(), strict=True))
            start = None if hop is None else feature.cuts[0].lowest(self._at) * hop
        else:
            hop, shares, start = None, (), None
        late = _late(events, hop or _PLAIN_HOP)
        return Explained(
            feature.name,
            kind_of(feature),
            value,
            key,
            answered,
            stream.name,
            None if start is None else (start, self._at),
            hop,
            shares,
            len(events),
            int(late.sum()),
            self._shown(events, late),
            parts,
        )

    def _key(self, feature: Feature) -> dict[str, Any]:
        """The parts of the key, as known at the moment; None where one is not known."""
        key: dict[str, Any] = {}
        for part in getattr(feature, "by", ()):
            if isinstance(part, Entity):
                key[part.name] = self._row[part.name]
            else:
                spine = _spine(FeatureSet(age(part.events)), self._row)
                key[repr(part)] = _known(part, self._history, spine)[0]
        return key

    def _events(self, feature: Any, stream: Events, key: Mapping[str, Any]) -> Table:
        """The events that take part, in order of offset, with what each adds in the column `adds`."""
        events = self._history.get(stream.name)
        if not events or None in key.values():
            return Table({name: np.empty(0, np.int64) for name in ("offset", "at", "arrived", "adds")})
        events = events.take(self._counted(feature, events))
        for part in feature.by:
            if isinstance(part, Entity):
                events = events.take(events[part.name] == key[part.name])
        for part in feature.by:
            if isinstance(part, Field):
                values = _known(part, self._history, events)
                events = events.take(np.array([value == key[repr(part)] for value in values], np.bool_))
        adds = _adds(feature, events)
        events = events.with_columns({"adds": adds})
        if hasattr(feature, "window"):
            return events.take(~_missing(adds))
        order = np.lexsort((events["offset"], events["at"]))
        return events.take(np.sort(order[:1] if getattr(feature, "oldest", False) else order[-feature.n :]))

    def _counted(self, feature: Any, events: Table) -> Array:
        """Which events are below the offset and not taken back, inside the window, and satisfy `where`."""
        keep = events["offset"] < self._offset
        if (stops := ends(self._history, events)) is not None:
            keep &= stops >= self._offset
        if hasattr(feature, "window"):
            keep &= tile_of(events["at"], feature.cuts[0].hop) >= feature.cuts[0].lowest(self._at)
        where = getattr(feature, "where", None)
        if isinstance(where, Expr):
            keep &= field_values(where, events).astype(np.bool_)
        return np.asarray(keep)

    def _shown(self, events: Table, late: Array) -> tuple[Contribution, ...]:
        order = np.lexsort((events["offset"], events["at"]))[::-1][: self._newest]
        waited = (events["arrived"] - events["at"]) / 1e6
        return tuple(
            Contribution(
                int(events["offset"][i]),
                int(events["at"][i]),
                int(events["arrived"][i]),
                _plain(events["adds"][i]),
                bool(late[i]),
                float(waited[i]),
            )
            for i in order.tolist()
        )


def _known(field: Field, history: History, moments: Table) -> list[Any]:
    """The attribute at each moment, in its own type; None where nobody has stated it."""
    keys = field.events.keys
    stated = FeatureSet(
        sequence(field.events, by=keys, of=field, last=1).named("value"), age(field.events).named("age")
    )
    table = as_of(stated, history, moments)
    values, known = table["value"][:, 0], ~np.isnan(table["age"])
    return [_plain(value) if is_known else None for value, is_known in zip(values, known, strict=True)]


def _adds(feature: Any, events: Table) -> Array:
    """What each event puts in: its value, or 1 where events are counted."""
    value = getattr(feature, "value", None)
    if isinstance(value, Entity):
        return events[value.name]
    return field_values(value, events) if isinstance(value, Expr) else np.ones(len(events), np.int64)


def _late(events: Table, hop: int) -> Array:
    return np.asarray(tile_of(events["arrived"], hop) > tile_of(events["at"], hop))


def _missing(values: Array) -> Array:
    if values.dtype == object:
        return np.array([value is None for value in values.tolist()], np.bool_)
    return np.isnan(values) if values.dtype == np.float64 else np.zeros(len(values), np.bool_)


def _plain(value: Any) -> Any:
    """A plain value, None where it is missing."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value
