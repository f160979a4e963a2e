"""Features as of many past moments at once: the batch evaluator, vectorised over all rows.

What a row (t, o) sees of its key is a prefix of the key's events in order of offset; of these a window takes the ones
whose tile is at least tile(t - W). Along the offsets of one key the greatest tile so far never falls. Call an event
late if its own tile lies below that; for all others the condition is then a range of positions, found by binary
search, and merged by prefix sums or a sparse table. The late ones, few as a rule, are merged by a tree. Exact for any
lateness. Events that are retracted are seen for a while only, by what `lives` says.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np

from sixfold._core.errors import FeatureError
from sixfold._core.hashing import canonical
from sixfold._core.table import Array, Table
from sixfold.data.events import Events, field_values
from sixfold.data.retraction import ends
from sixfold.features.algebra import at_instant, finalize
from sixfold.features.columns import age_of, as_number, pick, pick_sequence, pick_single, request_column
from sixfold.features.counting import Counting, Moments
from sixfold.features.definitions import Age, Key, Recent
from sixfold.features.featureset import FeatureSet
from sixfold.features.freshness import guarded
from sixfold.features.keys import Codebook, JointCode
from sixfold.features.lives import Lives, Sight, Visible, last, newest, part
from sixfold.features.merging import Windows
from sixfold.features.occurrences import Listing, empty_column, from_counts, plain
from sixfold.features.plan import Aggregated, Group, Plan, key_spec
from sixfold.features.windows import Cut
from sixfold.frame import Entity

__all__ = ["as_of"]

_SPINE = ""
_SOME_ROWS = 65_536


def as_of(features: FeatureSet, history: Mapping[str, Table], spine: Table, *, threads: int = 1) -> Table:
    """The features of every spine row, from the events with a smaller offset; one column per feature, (n_rows, …).

    The spine has a column per entity that is needed, `at`, `offset`, and request columns; request columns that are
    not there are missing. A stream that is not in `history` has no events; with the stream `retraction` in it, an
    event counts only for rows whose offset its retraction does not precede. Rows that we did not log ourselves get
    their offsets from `offsets_as_known`. More `threads` take less time and more memory. Raises FeatureError if the
    spine lacks a column.
    """
    return guarded(features, lambda wanted: _as_of(wanted, history, spine, threads))


def _as_of(features: FeatureSet, history: Mapping[str, Table], spine: Table, threads: int) -> Table:
    plan = Plan(features)
    needed = ["at", "offset", *(entity.name for entity in features.entities)]
    if lacking := [name for name in needed if name not in spine]:
        raise FeatureError(
            f"the spine lacks the columns {lacking}",
            hint="give each needed entity, `at` and `offset` (offsets_as_known, for a backfill)",
        )
    columns: list[Any] = [None] * plan.n_slots
    for feature, slot in plan.requests:
        columns[slot] = request_column(feature, spine.get(feature.name), len(spine))
    moments = _Moments(plan, history, spine)
    for made in _by_group(moments, plan.groups, threads):
        for slot, column in made:
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
        self._stated: dict[str, Visible] = {}
        gone = {name: ends(history, table) for name, table in self._tables.items()}
        self._lives = {name: Lives(self._tables[name]["offset"], e) for name, e in gone.items() if e is not None}

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
        if stream.name not in self._stated:
            self._stated[stream.name] = self.visible(stream, self.joint(stream, stream.keys), None)
        codes, ranks = self.codes(side, stream, stream.keys), self.ranks(side, stream)
        sights = self._stated[stream.name].see(codes, self.table(side)["offset"], ranks)
        found = newest(sights, self._tables[stream.name]["at"])
        return pick(book.encode(values), found, -1), max(book.size, 1)

    def visible(self, stream: Events, keys: JointCode, keep: Array | None) -> Visible:
        """The stream's events by a key, or those of them to `keep`."""
        return Visible(keys, self._tables[stream.name]["at"], keep, self._lives.get(stream.name))


def _empty(stream: Events) -> Table:
    kinds = {**stream.columns, "at": int, "offset": int}
    dtypes = {int: np.int64, float: np.float64, bool: np.bool_, str: object}
    return Table({name: np.empty(0, dtypes[kind]) for name, kind in kinds.items()})


def _by_group(moments: _Moments, groups: Sequence[Group], threads: int) -> Iterable[list[tuple[int, Array]]]:
    """The columns of every group. Most of it is sorting and searching, which numpy does without the interpreter.

    What two threads both find missing of the moments they both make, to the same effect.
    """

    def columns(group: Group) -> list[tuple[int, Array]]:
        return list((_group_columns if group.item is None else _item_columns)(moments, group))

    if threads < 2:
        return map(columns, groups)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(columns, groups))


def _group_columns(moments: _Moments, group: Group) -> Iterable[tuple[int, Array]]:
    """The columns of a group's features with their slots."""
    events, stream, spine = moments.table(group.stream.name), group.stream, moments.spine
    keep = None if group.where is None else field_values(group.where, events).astype(np.bool_)
    visible = moments.visible(stream, moments.joint(stream, group.by), keep)
    codes, ranks = moments.codes(_SPINE, stream, group.by), moments.ranks(_SPINE, stream)
    # Rows in the order of the events they see: look-ups then walk through memory instead of jumping.
    by_key = np.argsort(codes, kind="stable")
    sights, at = visible.see(codes[by_key], spine["offset"][by_key], ranks[by_key]), spine["at"][by_key]
    for slot, column in chain(_newest_columns(group, events, sights, at), _window_columns(group, events, sights, at)):
        out = np.empty_like(column)
        out[by_key] = column
        yield slot, out


def _newest_columns(group: Group, events: Table, sights: list[Sight], at: Array) -> Iterator[tuple[int, Array]]:
    happened = events["at"]
    for feature, slot in group.newest:
        if feature.width is not None:
            yield slot, _sequences(feature, events, sights, at)
        elif isinstance(feature, Age):
            found = newest(sights, happened)
            yield slot, age_of(at, pick(happened, found, 0), found >= 0)
        else:
            found = newest(sights, happened, oldest=feature.oldest)
            yield slot, pick_single(events[feature.value.name], found)


def _sequences(feature: Recent | Age, events: Table, sights: list[Sight], at: Array) -> Array:
    """Made for some rows at a time: the places of all sequences at once would take as much memory as the result."""
    parts, happened = [], events["at"]
    for i in range(0, max(len(at), 1), _SOME_ROWS):
        found = last(part(sights, i, i + _SOME_ROWS), happened, feature.width or 1)
        if isinstance(feature, Age):
            parts.append(age_of(at[i : i + _SOME_ROWS], pick(happened, found, 0), found >= 0))
        else:
            parts.append(pick_sequence(events[feature.value.name], found))
    return np.concatenate(parts)


def _window_columns(group: Group, events: Table, sights: list[Sight], at: Array) -> Iterator[tuple[int, Array]]:
    windows = Windows(group, events)
    by_cuts: dict[tuple[Cut, ...], list[Aggregated]] = {}
    for member in group.aggregates:
        by_cuts.setdefault(member.feature.cuts, []).append(member)
    for cuts, same in sorted(by_cuts.items(), key=lambda item: item[0][0].hop or 0):
        used = {i for member in same for i in member.lanes}
        merged = [windows.merge(sights, at, cut, used) for cut in cuts]
        for member in same:
            column = finalize(member.feature, [lanes[i] for lanes in merged for i in member.lanes])
            yield member.slot, at_instant(member.feature, column, at)


def _item_columns(moments: _Moments, group: Group) -> Iterable[tuple[int, Array]]:
    """The columns of aggregates over how often each item occurs."""
    events, stream, spine = moments.table(group.stream.name), group.stream, moments.spine
    columns = {member.slot: empty_column(member.feature, len(spine)) for member in group.aggregates}
    keep = None if group.where is None else field_values(group.where, events).astype(np.bool_)
    values = plain(field_values(group.item, events)) if group.item is not None else np.empty(0)
    book = Codebook([values])
    items = book.encode(values)
    words = np.empty(max(book.size, 1), values.dtype)
    words[items[items >= 0]] = values[items >= 0]
    keys = moments.joint(stream, group.by)
    pairs = JointCode([*moments.key_parts(stream.name, group.by), (items, max(book.size, 1))])
    listing = Listing(keys.codes, pairs.codes, items, keep)
    by_key, by_pair = (moments.visible(stream, joint, keep) for joint in (keys, pairs))
    counting = Counting(by_key, by_pair, listing, items, Windows(group, events))
    codes, ranks = moments.codes(_SPINE, stream, group.by), moments.ranks(_SPINE, stream)
    asked = Moments(codes, spine["offset"], ranks, spine["at"])
    by_cut: dict[Cut, list[Aggregated]] = {}
    for member in group.aggregates:
        by_cut.setdefault(member.feature.cuts[0], []).append(member)
    for cut, same in sorted(by_cut.items(), key=lambda item: item[0].hop or 0):
        for rows, occurs in counting.occurrences(asked, cut):
            for member in same:
                columns[member.slot][rows] = from_counts(member.feature, occurs, words)
    return columns.items()
