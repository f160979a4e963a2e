"""The newest events of each row, as rings in one arena: a row's ring grows with its events, up to `n` places."""

from collections.abc import Mapping

import numpy as np

from sixfold._core.table import Array
from sixfold.engines.memory.tiles import spread
from sixfold.features.store import NEUTRAL, Newest

__all__ = ["NewestRings"]

_LEAST_ROOM = 4


class NewestRings:
    """Most rows have far fewer than `n` events, so that rings of `n` places for all would be nearly empty.

    The ring of a row is the `room` places from `start`; `head` counts what was put there, the newest before place
    `head` modulo room. Events that come in order overwrite the oldest; a row with a late event is sorted anew. Place 0
    of the arena is nobody's: it stands for no event.
    """

    def __init__(self, shape: Newest) -> None:
        self._n, self._width = shape.n, shape.width
        self._head, self._start, self._room = (np.zeros(1, np.int64) for _ in range(3))
        self._places = np.full((1 + self._width, 1), NEUTRAL, np.int64)
        self._used = 1

    def fold(self, rows: Array, at: Array, lanes: Array) -> None:
        """Merge events, in order of folding, into their rows."""
        order = np.argsort(rows, kind="stable")
        rows, events = rows[order], np.concatenate([at[None, order], lanes[:, order]])
        is_first = np.ones(len(rows), np.bool_)
        is_first[1:] = rows[1:] != rows[:-1]
        first = np.flatnonzero(is_first)
        owner, sizes = rows[first], np.append(first[1:], len(rows)) - first
        self._make_room(owner, sizes)
        before = np.empty(len(rows), np.int64)
        before[1:] = events[0, :-1]
        before[first] = self._places[0, self._newest(owner)]
        late = events[0] < before
        if late.any():
            disordered = np.logical_or.reduceat(late, first)
            mine = np.repeat(disordered, sizes)
            self._sort(owner[disordered], rows[mine], events[:, mine])
            rows, events, owner, sizes = rows[~mine], events[:, ~mine], owner[~disordered], sizes[~disordered]
        rank = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        if len(sizes) and sizes.max() > self._n:
            lasts = np.repeat(sizes, sizes) - rank <= self._n
            rows, events, rank = rows[lasts], events[:, lasts], rank[lasts]
        self._places[:, self._start[rows] + (self._head[rows] + rank) % self._room[rows]] = events
        self._head[owner] += sizes

    def empty(self, rows: Array) -> None:
        """Take all events out of rows."""
        self._widen(int(rows.max()) + 1)
        self._head[rows] = 0

    def _sort(self, owner: Array, rows: Array, events: Array) -> None:
        """Put the new events of `owner` (sorted, unique) among those there are and keep the newest n."""
        there = self.read(owner)
        held = there[0] != NEUTRAL
        rows = np.concatenate([np.repeat(owner, held.sum(axis=1)), rows])
        events = np.concatenate([there[:, held], events], axis=1)
        order = np.lexsort((np.arange(len(rows)), events[0], rows))
        first = np.searchsorted(rows[order], owner)
        sizes = np.append(first[1:], len(rows)) - first
        kept = np.minimum(sizes, self._n)
        self._places[:, spread(self._start[owner], kept)] = events[:, order[spread(first + sizes - kept, kept)]]
        self._head[owner] = kept

    def _make_room(self, owner: Array, sizes: Array) -> None:
        """Give the rows of `owner` (sorted, unique) places for `sizes` more events, but at most n."""
        self._widen(int(owner[-1]) + 1)
        held = np.minimum(self._head[owner], self._room[owner])
        cramped = held + sizes > self._room[owner]
        cramped &= self._room[owner] < self._n
        if not cramped.any():
            return
        owner, held = owner[cramped], held[cramped]
        need = 1 << np.frexp((held + sizes[cramped] - 1).astype(np.float64))[1].astype(np.int64)
        room = np.minimum(np.maximum(need, _LEAST_ROOM), self._n)
        self._reserve(int(room.sum()))
        start = self._used + np.cumsum(room) - room
        # A ring smaller than n never went round: its events lie in order from its first place.
        self._places[:, spread(start, held)] = self._places[:, spread(self._start[owner], held)]
        self._start[owner], self._room[owner], self._head[owner] = start, room, held
        self._used += int(room.sum())

    def _reserve(self, extra: int) -> None:
        """Have `extra` free places at the end: close the gaps that moved rings left, and grow if need be."""
        if self._used + extra <= self._places.shape[1]:
            return
        live = 1 + int(self._room.sum())
        size = max(self._places.shape[1], (live + extra) * 3 // 2)
        places, start = np.zeros((1 + self._width, size), np.int64), 1 + np.cumsum(self._room) - self._room
        places[:, 0] = NEUTRAL
        for lane, kept in zip(self._places, places, strict=True):
            kept[1:live] = lane[spread(self._start, self._room)]
        self._places, self._start, self._used = places, start, live

    def _widen(self, n_rows: int) -> None:
        if n_rows > len(self._head):
            extra = max(n_rows, 2 * len(self._head), 64) - len(self._head)
            self._head, self._start, self._room = (
                np.concatenate([part, np.zeros(extra, np.int64)]) for part in (self._head, self._start, self._room)
            )

    def _newest(self, rows: Array) -> Array:
        """The place of each row's newest event, 0 where there is none."""
        head = self._head[rows]
        return np.where(head > 0, self._start[rows] + (head - 1) % np.maximum(self._room[rows], 1), 0)

    def read(self, rows: Array) -> Array:
        """`at` and the lanes of each row's events, oldest first, (1 + width, n_rows, n)."""
        rows = np.where(rows < len(self._head), rows, 0)
        if self._n == 1:
            return self._places[:, self._newest(rows), None]
        if len(rows) == 1:
            return self._read_one(int(rows[0]))
        back = np.arange(self._n, 0, -1)
        head, room = self._head[rows][:, None], self._room[rows][:, None]
        place = self._start[rows][:, None] + (head - back) % np.maximum(room, 1)
        return self._places[:, np.where(back <= np.minimum(head, room), place, 0)]

    def _read_one(self, row: int) -> Array:
        """A row alone, as requests ask for it: two copies of runs instead of a look-up of each place."""
        head, start, room = int(self._head[row]), int(self._start[row]), int(self._room[row])
        out = np.full((1 + self._width, 1, self._n), NEUTRAL, np.int64)
        n_newer = head % room if head > room else min(head, room)
        if n_newer:
            out[:, 0, -n_newer:] = self._places[:, start : start + n_newer]
        if head > room > n_newer:
            out[:, 0, self._n - room : self._n - n_newer] = self._places[:, start + n_newer : start + room]
        return out

    @property
    def n_rows(self) -> int:
        """The number of rows that hold events."""
        return int(np.count_nonzero(self._head))

    @property
    def n_bytes(self) -> int:
        """The size of the arrays."""
        return sum(part.nbytes for part in (self._head, self._start, self._room, self._places))

    def arrays(self) -> dict[str, Array]:
        """All state."""
        places = self._places[:, : self._used]
        return {"head": self._head, "start": self._start, "room": self._room, "places": places}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Replace all state by what `arrays` gave, which is not to be used any more."""
        self._head, self._start, self._room, self._places = (arrays[n] for n in ("head", "start", "room", "places"))
        self._used = self._places.shape[1]
