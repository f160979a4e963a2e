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


class NewestReader:
    """The newest events of one group: single values kept decoded, sequences read each time."""

    def __init__(self, group: NewestGroup, store: Store, schema: Schema) -> None:
        self.group, self._store = group, store
        self.rows = RowsSeen()
        self._words = [schema.numbers(value) if numbered else None for value, numbered in group.lanes]
        kinds = [str if self._is_text(i) else value_type(value) for i, (value, _) in enumerate(group.lanes)]
        self._texts = [lane for lane, kind in enumerate(kinds) if kind is str]
        self._floats = [lane for lane, kind in enumerate(kinds) if kind is float]
        self._wholes = [lane for lane, kind in enumerate(kinds) if kind not in (str, float)]
        # Where a lane's decoded values are: among the texts, or among the numbers.
        self._place = {lane: i for lanes in (self._texts, self._floats + self._wholes) for i, lane in enumerate(lanes)}
        self._is_fresh = np.zeros(0, np.bool_)
        self._raw = np.zeros((1 + len(kinds), 0), np.int64)
        self._decoded = np.zeros((len(self._floats + self._wholes), 0)), np.zeros((len(self._texts), 0), object)

    @property
    def slots(self) -> list[int]:
        """Where the columns of `columns` go."""
        return [slot for _, slot, _ in self.group.members]

    def touch(self, rows: Array) -> None:
        """Take note of events of these rows, in order of offset."""
        self.rows.touch(rows)
        if len(self._is_fresh):
            self._is_fresh[rows[rows < len(self._is_fresh)]] = False

    def sift(self, rows: Array, order: Array, lanes: Array) -> tuple[Array, Array, Array]:
        """The events to be folded, in order: of the oldest event's group, at most one for each row, if it is older."""
        if not self.group.oldest:
            return rows, order, lanes
        older = np.flatnonzero(order > self.raw(rows)[0])
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
        if not self.group.single:
            raw = self._store.read(self.group.name, rows, ())
            return [
                age_of(at, raw[0], raw[0] != NEUTRAL) if lane < 0 else self._sequence(raw[0], raw[1 + lane], lane)
                for _, _, lane in self.group.members
            ]
        self._freshen(rows)
        newest = self._raw[0, rows]
        numbers, texts = (values[:, rows] for values in self._decoded)
        return [
            age_of(at, newest, newest != NEUTRAL)
            if lane < 0
            else (texts if lane in self._texts else numbers)[self._place[lane]]
            for _, _, lane in self.group.members
        ]

    def raw(self, rows: Array) -> Array:
        """`at` and the lanes of each row's newest event, (1 + width, n_rows): NEUTRAL and 0 where there is none."""
        self._freshen(rows)
        return self._raw[:, rows]

    def stale(self, rows: Array, at: int) -> Array:
        """Those of the rows that have to be read from the store."""
        return self._not_fresh(rows) if self.group.single else rows

    def _not_fresh(self, rows: Array) -> Array:
        size = len(self.group.path.rows)
        if size > len(self._is_fresh):
            extra = max(size, 2 * len(self._is_fresh)) - len(self._is_fresh)
            self._is_fresh = np.append(self._is_fresh, np.zeros(extra, np.bool_))
            self._raw = _longer(self._raw, extra)
            self._decoded = _longer(self._decoded[0], extra), _longer(self._decoded[1], extra)
        return rows[~self._is_fresh[rows]]

    def _freshen(self, rows: Array) -> None:
        stale = self._not_fresh(rows)
        if len(stale) == 0:
            return
        raw = self._store.read(self.group.name, stale, ())[:, :, 0]
        known = raw[0] != NEUTRAL
        lanes = np.where(known, raw[1:], 0)
        self._raw[0, stale], self._raw[1:, stale] = raw[0], lanes
        numbers, texts = self._decoded
        floats, wholes = np.ascontiguousarray(lanes[self._floats]).view(np.float64), lanes[self._wholes]
        numbers[:, stale] = np.where(known, np.concatenate([floats, wholes.astype(np.float64)]), np.nan)
        for text, lane in zip(texts, self._texts, strict=True):
            words = self._words[lane]
            assert words is not None
            text[stale] = words.values[lanes[lane]]
        self._is_fresh[stale] = True

    def _is_text(self, lane: int) -> bool:
        return value_type(self.group.lanes[lane][0]) is str

    def _sequence(self, at: Array, raw: Array, lane: int) -> Array:
        known = at != NEUTRAL
        words = self._words[lane]
        if words is not None:
            return words.values[np.where(known, raw, 0)]
        if value_type(self.group.lanes[lane][0]) is float:
            return np.where(known, np.ascontiguousarray(raw).view(np.float64), np.nan)
        return np.where(known, raw, -1)


def _longer(values: Array, extra: int) -> Array:
    return np.append(values, np.zeros((len(values), extra), values.dtype), axis=1)
