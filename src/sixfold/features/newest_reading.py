"""Single events read from a store, kept decoded until an event changes the row."""

from typing import Any

import numpy as np

from sixfold._core.table import Array
from sixfold.features.columns import age_of
from sixfold.features.definitions import Age
from sixfold.features.grouping import NewestGroup, Schema, value_type
from sixfold.features.rows import RowsSeen
from sixfold.features.store import NEUTRAL, Store

__all__ = ["NewestReader"]

_FRESH, _AT, _FIRST = 0, 1, 2


class NewestReader:
    """The newest events of one group: single values kept decoded, sequences read each time.

    A cell is int64. A row of cells says whether it is fresh, `at`, and for each lane the number of a word (0 where
    there is none), or the bits of a float64 (NaN where there is none).
    """

    def __init__(self, group: NewestGroup, store: Store, schema: Schema) -> None:
        self.group, self._store = group, store
        self.rows = RowsSeen()
        self._words = [schema.numbers(value) if numbered else None for value, numbered in group.lanes]
        kinds = [None if numbered else value_type(value) for value, numbered in group.lanes]
        self._wholes = [lane for lane, kind in enumerate(kinds) if kind in (int, bool)]
        self._nothing = np.array([0.0 if kind in (None, str) else np.nan for kind in kinds]).view(np.int64)
        self._cells = np.zeros((0, _FIRST + len(kinds)), np.int64)

    @property
    def slots(self) -> list[int]:
        """Where the columns of `columns` go."""
        return [slot for _, slot, _ in self.group.members]

    def touch(self, rows: Array) -> None:
        """Take note of events of these rows, in order of offset."""
        self.rows.touch(rows)
        if len(self._cells):
            self._cells[rows[rows < len(self._cells)], _FRESH] = 0

    def sift(self, rows: Array, order: Array, lanes: Array) -> tuple[Array, Array, Array]:
        """The events to be folded, in order: of the oldest event's group, at most one for each row, if it is older."""
        if not self.group.oldest:
            return rows, order, lanes
        older = np.flatnonzero(order > self.instant(self.cells(rows)))
        ranked = older[np.lexsort((older, -order[older], rows[older]))]
        is_first = np.ones(len(ranked), np.bool_)
        is_first[1:] = rows[ranked[1:]] != rows[ranked[:-1]]
        kept = np.sort(ranked[is_first])
        return rows[kept], order[kept], lanes[:, kept]

    def token(self, at: int) -> Any:
        """Changes whenever any value may have changed."""
        has_age = any(isinstance(feature, Age) for feature, _, _ in self.group.members)
        return self.rows.version, at if has_age else 0

    def standing(self, at: int) -> Any:
        """Changes whenever the order of the rows' values may have changed."""
        return self.rows.version

    def columns(self, rows: Array, at: int) -> list[Array]:
        """The group's features at the instant `at`."""
        if self.group.single:
            return self.singles(self.cells(rows), at)
        raw = self._store.read(self.group.name, rows, ())
        return [
            age_of(at, raw[0], raw[0] != NEUTRAL) if lane < 0 else self._sequence(raw[0], raw[1 + lane], lane)
            for _, _, lane in self.group.members
        ]

    def singles(self, cells: Array, at: int) -> list[Array]:
        """The group's features at the instant `at`, where one event is kept, from what `cells` gave."""
        return [self._aged(cells, at) if lane < 0 else self._value(cells, lane) for _, _, lane in self.group.members]

    def cells(self, rows: Array) -> Array:
        """What is kept of each row's newest event, for `instant` and `lane`; (n_rows, some) int64."""
        self._widen()
        cells = self._cells.take(rows, axis=0)
        is_fresh = cells[:, _FRESH]
        if not is_fresh.all():
            where = np.flatnonzero(is_fresh == 0)
            self._freshen(rows[where])
            cells[where] = self._cells.take(rows[where], axis=0)
        return cells

    @staticmethod
    def instant(cells: Array) -> Array:
        """`at` of each row's newest event, NEUTRAL where there is none."""
        return cells[:, _AT]

    @staticmethod
    def lane(cells: Array, lane: int) -> Array:
        """A lane that keeps numbers: that of each row's newest event, 0 where there is none."""
        return cells[:, _FIRST + lane]

    def stale(self, rows: Array, at: int) -> Array:
        """Those of the rows that have to be read from the store."""
        if not self.group.single:
            return rows
        self._widen()
        return np.asarray(rows[self._cells[rows, _FRESH] == 0])

    def _widen(self) -> None:
        size, n_kept = len(self.group.path.rows), len(self._cells)
        if size > n_kept:
            cells = np.zeros((2 * size, self._cells.shape[1]), np.int64)  # takes memory as it is written
            cells[:n_kept] = self._cells
            self._cells = cells

    def _freshen(self, rows: Array) -> None:
        raw = self._store.read(self.group.name, rows, ())[:, :, 0]
        cells = np.ones((len(rows), self._cells.shape[1]), np.int64)
        cells[:, _AT:] = raw.T
        for lane in self._wholes:
            cells[:, _FIRST + lane] = raw[1 + lane].astype(np.float64).view(np.int64)
        unknown = raw[0] == NEUTRAL
        if unknown.any():
            cells[unknown, _FIRST:] = self._nothing
        self._cells[rows] = cells

    def _aged(self, cells: Array, at: int) -> Array:
        newest = self.instant(cells)
        return age_of(at, newest, newest != NEUTRAL)

    def _value(self, cells: Array, lane: int) -> Array:
        words, column = self._words[lane], cells[:, _FIRST + lane]
        return column.view(np.float64) if words is None else words.values.take(column)

    def _sequence(self, at: Array, raw: Array, lane: int) -> Array:
        known = at != NEUTRAL
        words = self._words[lane]
        if words is not None:
            return words.values[np.where(known, raw, 0)]
        if value_type(self.group.lanes[lane][0]) is float:
            return np.where(known, np.ascontiguousarray(raw).view(np.float64), np.nan)
        return np.where(known, raw, -1)
