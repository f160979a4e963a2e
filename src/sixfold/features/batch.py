"""Features as of many past moments at once: the batch evaluator, vectorised over all rows.

What a row (t, o) sees of its key is a prefix of the key's events in order of offset; of these a window takes the ones
whose tile is at least tile(t - W). Along the offsets of one key the greatest tile so far never falls. Call an event
late if its own tile lies below that; for all others the condition is then a range of positions, found by binary
search, and merged by prefix sums or a sparse table. The late ones, few as a rule, are merged by a tree. Exact for any
lateness.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.errors import FeatureError
from sixfold._core.hashing import canonical
from sixfold._core.table import Array, Table
from sixfold.data.events import Events, field_values
from sixfold.features.algebra import Lane, at_instant, finalize, prepare
from sixfold.features.columns import age_of, as_number, pick, pick_sequence, pick_single, request_column
from sixfold.features.definitions import Age, Key, Recent
from sixfold.features.featureset import FeatureSet
from sixfold.features.freshness import guarded
from sixfold.features.keys import Codebook, JointCode
from sixfold.features.occurrences import Listing, Occurrences, empty_column, from_counts, plain
from sixfold.features.ordered import Ordered
from sixfold.features.plan import Aggregated, Group, Plan, key_spec
from sixfold.features.tiled import Tiled
from sixfold.features.windows import Cut
from sixfold.frame import Entity

__all__ = ["as_of"]

_SPINE = ""
_SOME_ROWS = 65_536


def as_of(features: FeatureSet, history: Mapping[str, Table], spine: Table) -> Table:
    """The features of every spine row, from the events with a smaller offset; one column per feature, (n_rows, …).

    The spine has a column per entity that is needed, `at`, `offset`, and request columns; request columns that are
    not there are missing. A stream that is not in `history` has no events. Raises FeatureError if the spine lacks a
    column.
    """
    return guarded(features, lambda wanted: _as_of(wanted, history, spine))


def _as_of(features: FeatureSet, history: Mapping[str, Table], spine: Table) -> Table:
    plan = Plan(features)
    needed = ["at", "offset", *(entity.name for entity in features.entities)]
    if lacking := [name for name in needed if name not in spine]:
        raise FeatureError(f"the spine lacks the columns {lacking}", hint="give each needed entity, `at` and `offset`")
    columns: list[Any] = [None] * plan.n_slots
    for feature, slot in plan.requests:
        columns[slot] = request_column(feature, spine.get(feature.name), len(spine))
    moments = _Moments(plan, history, spine)
    for group in plan.groups:
        for slot, column in (_group_columns if group.item is None else _item_columns)(moments, group):
            columns[slot] = column
    for function, slot in plan.computed:
        columns[slot] = as_number(function(columns), len(spine))
    return Table({name: columns[slot] for name, slot in plan.outputs.items()}, n_rows=len(spine))


class _Moments:
    """The keys and offsets of the spine's rows and of the events, which are moments too: crosses are known at them."""

    def __init__(self, plan: Plan, history: Mapping[str, Table], spine: Table) -> None:
        self.spine = spine
        self._tables = {s.name: history.get(s.name, _empty(s)) for s in plan.features.streams}
        self._streams = plan.features.streams
        self._books: dict[str, Codebook] = {}
        self._parts: dict[tuple[str, bytes], tuple[Array, int]] = {}
        self._joint: dict[tuple[str, bytes], JointCode] = {}
        self._ranks: dict[tuple[str, str], Array] = {}
        self._stated: dict[str, Ordered] = {}

    def table(self, side: str) -> Table:
        """A stream's events, or the spine."""
        return self.spine if side == _SPINE else self._tables[side]

    def ranks(self, side: str, stream: Events) -> Array:
        """How many events of the stream each moment sees."""
        if (side, stream.name) not in self._ranks:
            offsets = self.table(stream.name)["offset"]
            self._ranks[side, stream.name] = np.searchsorted(offsets, self.table(side)["offset"])
        return self._ranks[side, stream.name]

    def joint(self, stream: Events, by: tuple[Key, ...]) -> JointCode:
        """The codes of the keys of a stream's events."""
        name = (stream.name, canonical(key_spec(by)))
        if name not in self._joint:
            self._joint[name] = JointCode(self.key_parts(stream.name, by))
        return self._joint[name]

    def codes(self, side: str, stream: Events, by: tuple[Key, ...]) -> Array:
        """The codes of the moments' keys, among those of the stream's events."""
        return self.joint(stream, by).encode([codes for codes, _ in self.key_parts(side, by)])

    def key_parts(self, side: str, by: tuple[Key, ...]) -> list[tuple[Array, int]]:
        """The codes of each part of a key and how many there are; no key at all is one part that is always the same."""
        return [self._part(side, part) for part in by] or [(np.zeros(len(self.table(side)), np.int64), 1)]

    def _part(self, side: str, part: Key) -> tuple[Array, int]:
        name = (side, canonical(key_spec((part,))))
        if name not in self._parts:
            self._parts[name] = self._entity(side, part) if isinstance(part, Entity) else self._attribute(side, part)
        return self._parts[name]

    def _entity(self, side: str, entity: Entity) -> tuple[Array, int]:
        if entity.name not in self._books:
            columns = [self._tables[s.name][entity.name] for s in self._streams if entity in s.keys]
            self._books[entity.name] = Codebook(columns)
        book = self._books[entity.name]
        return book.encode(self.table(side)[entity.name]), book.size

    def _attribute(self, side: str, part: Any) -> tuple[Array, int]:
        stream = part.events
        values = self._tables[stream.name][part.name]
        book = Codebook([values])
        stated = self.stated(stream)
        newest = stated.newest(*stated.locate(self.codes(side, stream, stream.keys), self.ranks(side, stream)))
        if len(stated) == 0:
            return np.full(len(newest), -1, np.int64), 1
        code = book.encode(values)[stated.order]
        return np.where(newest < 0, -1, code[newest]), max(book.size, 1)

    def stated(self, stream: Events) -> Ordered:
        """The stream's events by its own entities."""
        if stream.name not in self._stated:
            at = self._tables[stream.name]["at"]
            self._stated[stream.name] = Ordered(self.joint(stream, stream.keys).codes, at)
        return self._stated[stream.name]


def _empty(stream: Events) -> Table:
    kinds = {**stream.columns, "at": int, "offset": int}
    dtypes = {int: np.int64, float: np.float64, bool: np.bool_, str: object}
    return Table({name: np.empty(0, dtypes[kind]) for name, kind in kinds.items()})


def _group_columns(moments: _Moments, group: Group) -> Iterable[tuple[int, Array]]:
    """The columns of a group's features with their slots."""
    events, stream, spine = moments.table(group.stream.name), group.stream, moments.spine
    keep = None if group.where is None else field_values(group.where, events).astype(np.bool_)
    ordered = Ordered(moments.joint(stream, group.by).codes, events["at"], keep)
    codes, ranks = moments.codes(_SPINE, stream, group.by), moments.ranks(_SPINE, stream)
    # Rows in the order of the events they see: look-ups then walk through memory instead of jumping.
    by_key = np.argsort(codes, kind="stable")
    key, end = ordered.locate(codes[by_key], ranks[by_key])
    sight = _Sight(ordered, key, end, spine["at"][by_key])
    for slot, column in (*_newest_columns(group, events, sight), *_window_columns(group, events, sight)):
        out = np.empty_like(column)
        out[by_key] = column
        yield slot, out


@dataclass(frozen=True, slots=True)
class _Sight:
    """What rows see: positions [ordered.starts[key], end) of the ordered events, at an instant; key -1 sees none."""

    ordered: Ordered
    key: Array
    end: Array
    at: Array


def _newest_columns(group: Group, events: Table, sight: _Sight) -> Iterator[tuple[int, Array]]:
    ordered = sight.ordered
    for feature, slot in group.newest:
        if feature.width is not None:
            yield slot, _sequences(feature, events, sight, feature.width)
        elif isinstance(feature, Age):
            newest = ordered.newest(sight.key, sight.end)
            yield slot, age_of(sight.at, pick(ordered.at, newest, 0), newest >= 0)
        else:
            found = (ordered.oldest if feature.oldest else ordered.newest)(sight.key, sight.end)
            yield slot, pick_single(events[feature.value.name], ordered.rows(found))


def _sequences(feature: Recent | Age, events: Table, sight: _Sight, n: int) -> Array:
    """Made for some rows at a time: the places of all sequences at once would take as much memory as the result."""
    parts = []
    for i in range(0, max(len(sight.key), 1), _SOME_ROWS):
        some = slice(i, i + _SOME_ROWS)
        places = sight.ordered.last(sight.key[some], sight.end[some], n)
        if isinstance(feature, Age):
            parts.append(age_of(sight.at[some], pick(sight.ordered.at, places, 0), places >= 0))
        else:
            parts.append(pick_sequence(events[feature.value.name], sight.ordered.rows(places)))
    return np.concatenate(parts)


def _window_columns(group: Group, events: Table, sight: _Sight) -> Iterator[tuple[int, Array]]:
    by_hop: dict[int | None, list[Aggregated]] = {}
    for aggregated in group.aggregates:
        by_hop.setdefault(aggregated.feature.cuts[0].hop, []).append(aggregated)
    values = _lane_values(group.lanes, events, sight.ordered)
    for hop, members in by_hop.items():
        lanes = {i: (group.lanes[i], values[i]) for member in members for i in member.lanes}
        tiled = Tiled(sight.ordered, hop, lanes) if len(sight.ordered) else None
        by_cuts: dict[tuple[Cut, ...], list[Aggregated]] = {}
        for member in members:
            by_cuts.setdefault(member.feature.cuts, []).append(member)
        for cuts, same in by_cuts.items():
            wanted = {i for member in same for i in member.lanes}
            if tiled is None:
                nothing = {i: np.full(len(sight.key), group.lanes[i].neutral, np.int64) for i in wanted}
                merged = [nothing for _ in cuts]
            else:
                merged = [tiled.merge(sight.key, sight.end, sight.at, cut, wanted) for cut in cuts]
            for member in same:
                column = finalize(member.feature, [part[i] for part in merged for i in member.lanes])
                yield member.slot, at_instant(member.feature, column, sight.at)


def _item_columns(moments: _Moments, group: Group) -> Iterable[tuple[int, Array]]:
    """The columns of aggregates over how often each item occurs: the pairs of key and item are counted like any key."""
    events, stream, spine = moments.table(group.stream.name), group.stream, moments.spine
    columns = {member.slot: empty_column(member.feature, len(spine)) for member in group.aggregates}
    keep = None if group.where is None else field_values(group.where, events).astype(np.bool_)
    values = plain(field_values(group.item, events)) if group.item is not None else np.empty(0)
    book = Codebook([values])
    items = book.encode(values)
    words = np.empty(max(book.size, 1), values.dtype)
    words[items[items >= 0]] = values[items >= 0]
    joint = JointCode([*moments.key_parts(stream.name, group.by), (items, max(book.size, 1))])
    listing = Listing(moments.joint(stream, group.by).codes, joint.codes, items, keep)
    ordered = Ordered(joint.codes, events["at"], keep)
    ones = {0: (group.lanes[0], np.ones(len(ordered), np.int64))}
    hops = {member.feature.cuts[0].hop for member in group.aggregates}
    tiled = {hop: Tiled(ordered, hop, ones) for hop in hops} if len(ordered) else {}
    codes, ranks, at = moments.codes(_SPINE, stream, group.by), moments.ranks(_SPINE, stream), spine["at"]
    for rows, pairs, owner in listing.portions(codes) if tiled else ():
        key, end = ordered.locate(listing.codes[pairs], ranks[rows][owner])
        seen: dict[Cut, Array] = {}
        for member in group.aggregates:
            [cut] = member.feature.cuts
            if cut not in seen:
                seen[cut] = tiled[cut.hop].merge(key, end, at[rows][owner], cut, {0})[0]
            occurs = Occurrences(len(at[rows]), owner, listing.items[pairs], seen[cut])
            columns[member.slot][rows] = from_counts(member.feature, occurs, words)
    return columns.items()


def _lane_values(lanes: tuple[Lane, ...], events: Table, ordered: Ordered) -> list[Array]:
    """What each event of the order contributes to each lane."""
    out = []
    for lane in lanes:
        values = None if lane.value is None else field_values(lane.value, events)[ordered.order]
        out.append(prepare(lane, values, len(ordered), ordered.at))
    return out
