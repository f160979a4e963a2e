"""Aggregates read from tiles: what is known of each group, and what is made of how often items occur."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from sixfold._core.table import Array
from sixfold.features.algebra import at_instant
from sixfold.features.grouping import Items, TileGroup
from sixfold.features.occurrences import Occurrences, PairIndex, empty_column, from_counts
from sixfold.features.rows import RowsSeen
from sixfold.features.shelf import Shelf
from sixfold.features.store import Store
from sixfold.features.tails import Tail

__all__ = ["ItemReader", "Share", "ShelfReader", "TileReader"]

_CHUNK = 8192


class TileReader:
    """What is common to the readers of groups of tiles: the rows seen and the windows' tail."""

    def __init__(self, group: TileGroup, tail: Tail) -> None:
        self.group, self.tail = group, tail
        self.rows = RowsSeen()
        self._decays = any(feature.decays for feature, _, _, _ in group.members)

    @property
    def slots(self) -> list[int]:
        """Where the columns of `columns` go."""
        return [slot for _, slot, _, _ in self.group.members]

    def touch(self, rows: Array) -> None:
        """Take note of events of these rows, in order of offset."""
        self.rows.touch(rows)

    def sift(self, rows: Array, order: Array, lanes: Array) -> tuple[Array, Array, Array]:
        """The events to be folded: all."""
        return rows, order, lanes

    def token(self, at: int) -> Any:
        """Changes whenever any value may have changed."""
        self.move(at)
        return self.rows.version, self.tail.epoch, at if self._decays else 0

    def standing(self, at: int) -> Any:
        """Changes whenever the order of the rows' values may have changed."""
        return self.token(at)

    def move(self, at: int) -> None:
        """Let the windows end as of the instant `at`; raises FeatureError if that is too long ago."""
        self.tail.move(at)
        self.tail.check(at)

    def stale(self, rows: Array, at: int) -> Array:
        """Those of the rows that have to be read from the store."""
        raise NotImplementedError

    def columns(self, rows: Array, at: int) -> list[Array]:
        """The group's aggregates at the instant `at`, a column for each."""
        raise NotImplementedError


class Share:
    """What some features need of one shelf: the groups of `readers`, and of their members those of `slots`."""

    def __init__(self, readers: Sequence["ShelfReader"], slots: Collection[int]) -> None:
        self.shelf, self.path = readers[0].shelf, readers[0].group.path
        places = [reader.place for reader in readers]
        self._names = [(reader.place, reader.group.name) for reader in readers]
        self._tails = [reader.tail for reader in readers]
        n_groups = len(self.shelf.groups)
        self._wanted = None if len(places) == n_groups else np.isin(np.arange(n_groups), places)
        members = [m for reader in readers for m in reader.group.members if m[1] in slots]
        self.slots = [slot for _, slot, _, _ in members]
        self._places = [self.shelf.places[slot] for slot in self.slots]
        self._is_plain = all(isinstance(place, int) for place in self._places)
        self._decaying = [(i, feature) for i, (feature, _, _, _) in enumerate(members) if feature.decays]

    def move(self, at: int) -> None:
        """Let the windows end as of the instant `at`; raises FeatureError if that is too long ago."""
        self.shelf.move(at)
        for tail in self._tails:
            tail.check(at)

    def stale(self, rows: Array, at: int) -> dict[str, Array]:
        """Of each group those of the rows that have to be read from the store."""
        self.move(at)
        stale = self.shelf.stale(rows, self._wanted)
        return {name: stale[place] for place, name in self._names}

    def columns(self, rows: Array, at: int, place: Array | None = None) -> list[Array]:
        """What goes into `slots`, of rows, or of those that `place` names again and again."""
        self.move(at)
        values = self.shelf.read(rows, self._wanted)
        if place is not None:
            values = values.take(place, axis=0)
        if self._is_plain:
            views = list(values.T)
            columns = [views[where] for where in self._places]
        else:
            columns = [values[:, where] for where in self._places]
        for i, feature in self._decaying:
            columns[i] = at_instant(feature, columns[i], at)
        return columns


class ShelfReader(TileReader):
    """The aggregates of one group, on the shelf that it shares with the other groups of its key."""

    def __init__(self, shelf: Shelf, place: int) -> None:
        super().__init__(shelf.groups[place], shelf.tails[place])
        self.shelf, self.place = shelf, place
        self._all = Share([self], self.slots)

    def touch(self, rows: Array) -> None:
        """Take note of events of these rows, in order of offset."""
        super().touch(rows)
        self.shelf.touch(self.place, rows)

    def move(self, at: int) -> None:
        """Let the windows of all of the shelf end as of the instant `at`."""
        self._all.move(at)

    def stale(self, rows: Array, at: int) -> Array:
        """Those of the rows that have to be read from the store."""
        return self._all.stale(rows, at)[self.group.name]

    def columns(self, rows: Array, at: int) -> list[Array]:
        """The group's aggregates at the instant `at`, float64."""
        return self._all.columns(rows, at)


class ItemReader(TileReader):
    """The aggregates over how often each item occurs under a key: rows of the store are pairs of a key and an item."""

    def __init__(self, group: TileGroup, items: Items, store: Store) -> None:
        super().__init__(group, Tail(group))
        self._items, self._index, self._store = items, PairIndex(items.pairs), store
        self._stamp = np.zeros(0, np.int64)  # the epoch that a row was last read in, -1 once it has changed since
        self._columns = [empty_column(feature, 0) for feature, _, _, _ in group.members]

    def touch(self, rows: Array) -> None:
        """Take note of events of these pairs, in order of offset."""
        rows = self._items.pairs.values[rows] >> 32
        super().touch(rows)
        if len(self._stamp):
            self._stamp[rows[rows < len(self._stamp)]] = -1

    def stale(self, rows: Array, at: int) -> Array:
        """The pairs that have to be read from the store."""
        stale = self._stale(rows, at)
        return self._index.of(stale)[0] if len(stale) else stale

    def _stale(self, rows: Array, at: int) -> Array:
        self.move(at)
        size = len(self.group.path.rows)
        if size > len(self._stamp):
            extra = max(size, 2 * len(self._stamp)) - len(self._stamp)
            self._stamp = np.append(self._stamp, np.full(extra, -1))
            members = zip(self.group.members, self._columns, strict=True)
            self._columns = [np.append(column, empty_column(m[0], extra), axis=0) for m, column in members]
        return np.unique(rows[self._stamp.take(rows) != self.tail.epoch])

    def columns(self, rows: Array, at: int) -> list[Array]:
        """The group's aggregates at the instant `at`."""
        stale = self._stale(rows, at)
        for i in range(0, len(stale), _CHUNK):
            self._refresh(stale[i : i + _CHUNK])
        return [column.take(rows, axis=0) for column in self._columns]

    def _refresh(self, rows: Array) -> None:
        pairs, owner = self._index.of(rows)
        items = self._items.pairs.values[pairs] & _RIGHT
        counts = self._store.read(self.group.name, pairs, self.tail.lowest)[:, 0]
        for (feature, _, cuts, _), column in zip(self.group.members, self._columns, strict=True):
            occurs = Occurrences(len(rows), owner, items, counts[cuts[0]])
            column[rows] = from_counts(feature, occurs, self._items.numbers.values)
        self._stamp[rows] = self.tail.epoch


_RIGHT = (1 << 32) - 1
