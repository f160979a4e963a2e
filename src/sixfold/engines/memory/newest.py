"""The newest events of each row, as dense rings: one line of `n` places per row."""

from collections.abc import Mapping

import numpy as np

from sixfold._core.table import Array
from sixfold.features.store import NEUTRAL, Newest

__all__ = ["NewestRings"]


class NewestRings:
    """Places of a row hold its events in order of (at, folding), beginning at `head` modulo n, empty places first.

    Events that come in order overwrite the oldest place; a row with a late event is sorted anew.
    """

    def __init__(self, shape: Newest) -> None:
        self._n, self._width = shape.n, shape.width
        self._head = np.zeros(1, np.int64)
        self._places = np.full((1 + self._width, 1, self._n), NEUTRAL, np.int64)

    def fold(self, rows: Array, at: Array, lanes: Array) -> None:
        """Merge events, in order of folding, into their rows."""
        order = np.argsort(rows, kind="stable")
        rows, events = rows[order], np.concatenate([at[None, order], lanes[:, order]])
        self._widen(int(rows[-1]) + 1)
        is_first = np.ones(len(rows), np.bool_)
        is_first[1:] = rows[1:] != rows[:-1]
        first = np.flatnonzero(is_first)
        owner, sizes = rows[first], np.append(first[1:], len(rows)) - first
        before = np.empty(len(rows), np.int64)
        before[1:] = events[0, :-1]
        before[first] = self._places[0, owner, (self._head[owner] - 1) % self._n]
        late = events[0] < before
        if late.any():
            disordered = np.logical_or.reduceat(late, first)
            mine = np.repeat(disordered, sizes)
            self._sort(owner[disordered], rows[mine], events[:, mine])
            rows, events, owner, sizes = rows[~mine], events[:, ~mine], owner[~disordered], sizes[~disordered]
        rank = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        place = (self._head[rows] + rank) % self._n
        if len(sizes) and sizes.max() > self._n:
            lasts = np.repeat(sizes, sizes) - rank <= self._n
            rows, events, place = rows[lasts], events[:, lasts], place[lasts]
        self._places[:, rows, place] = events
        self._head[owner] += sizes

    def empty(self, rows: Array) -> None:
        """Take all events out of rows."""
        self._widen(int(rows.max()) + 1)
        self._places[:, rows] = NEUTRAL

    def _sort(self, owner: Array, rows: Array, events: Array) -> None:
        """Put the new events of `owner` (sorted, unique) among those there are and keep the newest n."""
        there = self.read(owner)
        held = there[0] != NEUTRAL
        rows = np.concatenate([np.repeat(owner, held.sum(axis=1)), rows])
        events = np.concatenate([there[:, held], events], axis=1)
        order = np.lexsort((np.arange(len(rows)), events[0], rows))
        rows, events = rows[order], events[:, order]
        stop = np.searchsorted(rows, owner, "right")
        place = stop[:, None] + np.arange(-self._n, 0)
        inside = place >= np.searchsorted(rows, owner)[:, None]
        self._places[:, owner] = np.where(inside, events[:, np.maximum(place, 0)], NEUTRAL)
        self._head[owner] = self._n  # in order from place 0: the next event replaces the oldest there

    def _widen(self, n_rows: int) -> None:
        if n_rows > len(self._head):
            size = max(n_rows, 2 * len(self._head), 64)
            head, places = np.zeros(size, np.int64), np.full((1 + self._width, size, self._n), NEUTRAL, np.int64)
            head[: len(self._head)] = self._head
            places[:, : len(self._head)] = self._places
            self._head, self._places = head, places

    def read(self, rows: Array) -> Array:
        """`at` and the lanes of each row's events, oldest first, (1 + width, n_rows, n)."""
        rows = np.where(rows < len(self._head), rows, 0)
        if self._n == 1:
            return self._places[:, rows]
        place = (self._head[rows][:, None] + np.arange(self._n)) % self._n
        return self._places[:, rows[:, None], place]

    @property
    def n_rows(self) -> int:
        """The number of rows that hold events."""
        return int(np.count_nonzero((self._places[0] != NEUTRAL).any(axis=1)))

    @property
    def n_bytes(self) -> int:
        """The size of the arrays."""
        return self._head.nbytes + self._places.nbytes

    def arrays(self) -> dict[str, Array]:
        """All state."""
        return {"head": self._head % self._n, "places": self._places}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Replace all state by what `arrays` gave."""
        self._head, self._places = arrays["head"].copy(), arrays["places"].copy()
