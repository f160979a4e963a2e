"""Aggregates read from tiles, kept finalised until an event changes a row or a window's tail moves."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array
from sixfold._core.times import iso
from sixfold.features.algebra import at_instant, finalize
from sixfold.features.grouping import Items, TileGroup
from sixfold.features.occurrences import Occurrences, PairIndex, empty_column, from_counts
from sixfold.features.rows import RowsSeen
from sixfold.features.store import NEUTRAL, Store

__all__ = ["ItemReader", "TileReader"]

_CHUNK = 8192
_SPARE_TILES = 12
"""Tiles kept beyond the longest window, so that a clock somewhat behind the last arrival still reads exact values."""


class TileReader:
    """The aggregates of one group of tiles."""

    def __init__(self, group: TileGroup, store: Store) -> None:
        self.group, self._store = group, store
        self.rows = RowsSeen()
        self._places, self._values = _laid_out([feature.width for feature, _, _, _ in group.members])
        self._decays = any(feature.decays for feature, _, _, _ in group.members)
        self._stamp = np.zeros(0, np.int64)  # the epoch that a row was last read in, -1 once it has changed since
        self._epoch = 0
        self._lowest: list[int] | None = None
        self._keep_from = NEUTRAL
        self._last_arrival = 0

    @property
    def slots(self) -> list[int]:
        """Where the columns of `columns` go."""
        return [slot for _, slot, _, _ in self.group.members]

    @property
    def kept_from(self) -> int:
        """The lowest tile that will still be read."""
        return self._keep_from

    def keep_from(self, last_arrival: int) -> int:
        """The lowest tile that will still be read after events up to `last_arrival` are folded."""
        if self.group.hop is not None:
            self._last_arrival = last_arrival
            self._keep_from = min(cut.lowest(last_arrival) for cut in self.group.cuts) - _SPARE_TILES
        return self._keep_from

    def touch(self, rows: Array) -> None:
        """Take note of events of these rows, in order of offset."""
        self.rows.touch(rows)
        if len(self._stamp):
            self._stamp[rows[rows < len(self._stamp)]] = -1

    def sift(self, rows: Array, order: Array, lanes: Array) -> tuple[Array, Array, Array]:
        """The events to be folded: all."""
        return rows, order, lanes

    def columns(self, rows: Array, at: int) -> list[Array]:
        """The group's aggregates at the instant `at`, a float64 column for each."""
        values = self._read(rows, at)
        if not self._decays:
            return [values[:, place] for place in self._places]
        return [
            at_instant(feature, values[:, place], at) if feature.decays else values[:, place]
            for (feature, _, _, _), place in zip(self.group.members, self._places, strict=True)
        ]

    def token(self, at: int) -> Any:
        """Changes whenever any value may have changed."""
        self._advance(at)
        return self.rows.version, self._epoch, at if self._decays else 0

    def standing(self, at: int) -> Any:
        """Changes whenever the order of the rows' values may have changed."""
        return self.token(at)

    def _advance(self, at: int) -> None:
        lowest = [cut.lowest(at) for cut in self.group.cuts]
        if lowest != self._lowest:
            self._lowest, self._epoch = lowest, self._epoch + 1
        if self.group.hop is not None and min(lowest) < self._keep_from:
            raise FeatureError(
                f"features cannot be read as of {iso(at)}: the last event arrived at {iso(self._last_arrival)}, and "
                "tiles that only an earlier moment could see are forgotten",
                hint="ask for a later moment, or compute the past from the log with as_of",
            )

    def stale(self, rows: Array, at: int) -> Array:
        """Those of the rows that have to be read from the store."""
        self._advance(at)
        size = len(self.group.path.rows)
        if size > len(self._stamp):
            extra = max(size, 2 * len(self._stamp)) - len(self._stamp)
            self._stamp = np.append(self._stamp, np.full(extra, -1))
            self._widen(extra)
        return np.asarray(rows[self._stamp.take(rows) != self._epoch])

    def _widen(self, extra: int) -> None:
        self._values = np.append(self._values, np.zeros((extra, self._values.shape[1])), axis=0)

    def _read(self, rows: Array, at: int) -> Array:
        self._renew(rows, at)
        return self._values.take(rows, axis=0)

    def _renew(self, rows: Array, at: int) -> None:
        stale = TileReader.stale(self, rows, at)
        if len(stale):
            self._refresh(self._distinct(stale) if len(stale) > 1 else stale)

    def _distinct(self, stale: Array) -> Array:
        """Each stale row once: their stamps, which say nothing now, tell where a row is named last."""
        names = np.arange(-2, -2 - len(stale), -1)
        self._stamp[stale] = names
        return np.asarray(stale[self._stamp.take(stale) == names])

    def _refresh(self, rows: Array) -> None:
        assert self._lowest is not None
        for i in range(0, len(rows), _CHUNK):
            part = rows[i : i + _CHUNK]
            lanes = self._store.read(self.group.name, part, self._lowest)
            values = np.empty((len(part), self._values.shape[1]))
            for (feature, _, cuts, wanted), place in zip(self.group.members, self._places, strict=True):
                values[:, place] = finalize(feature, [lanes[cut, lane] for cut in cuts for lane in wanted])
            self._values[part], self._stamp[part] = values, self._epoch


class ItemReader(TileReader):
    """The aggregates over how often each item occurs under a key: rows of the store are pairs of a key and an item."""

    def __init__(self, group: TileGroup, items: Items, store: Store) -> None:
        super().__init__(group, store)
        self._items, self._index = items, PairIndex(items.pairs)
        self._columns = [empty_column(feature, 0) for feature, _, _, _ in group.members]

    def touch(self, rows: Array) -> None:
        """Take note of events of these pairs, in order of offset."""
        super().touch(self._items.pairs.values[rows] >> 32)

    def stale(self, rows: Array, at: int) -> Array:
        """The pairs that have to be read from the store."""
        stale = super().stale(rows, at)
        return self._index.of(np.unique(stale))[0] if len(stale) else stale

    def columns(self, rows: Array, at: int) -> list[Array]:
        """The group's aggregates at the instant `at`."""
        self._renew(rows, at)
        return [column.take(rows, axis=0) for column in self._columns]

    def _widen(self, extra: int) -> None:
        members = zip(self.group.members, self._columns, strict=True)
        self._columns = [np.append(column, empty_column(m[0], extra), axis=0) for m, column in members]

    def _refresh(self, rows: Array) -> None:
        assert self._lowest is not None
        for i in range(0, len(rows), _CHUNK):
            part = rows[i : i + _CHUNK]
            pairs, owner = self._index.of(part)
            items = self._items.pairs.values[pairs] & _RIGHT
            counts = self._store.read(self.group.name, pairs, self._lowest)[:, 0]
            for (feature, _, cuts, _), column in zip(self.group.members, self._columns, strict=True):
                occurs = Occurrences(len(part), owner, items, counts[cuts[0]])
                column[part] = from_counts(feature, occurs, self._items.numbers.values)
            self._stamp[part] = self._epoch


_RIGHT = (1 << 32) - 1


def _laid_out(widths: Sequence[int | None]) -> tuple[list[Any], Array]:
    """Where the values of each width go in a row, and a table of no rows for them."""
    stops = np.cumsum([width or 1 for width in widths]).tolist()
    places = [
        stop - 1 if width is None else slice(stop - width, stop) for width, stop in zip(widths, stops, strict=True)
    ]
    return places, np.zeros((0, stops[-1]))
