"""Events of one group by key and then by offset: what a spine row sees of its key is then a prefix of a run."""

from functools import cached_property
from itertools import pairwise

import numpy as np

from sixfold._core.table import Array

__all__ = ["Ordered"]

_CHUNK = 1 << 21


class Ordered:
    """The events with a key (code >= 0), sorted by (key, offset).

    `order` are their rows in the stream, `key` their dense key 0.., `starts` where each key's run begins (and the
    end of the last); the events of a stream come in order of offset, so a row number stands for the offset. Where the
    events are only some of a stream, `events` are their rows in it.
    """

    def __init__(self, codes: Array, at: Array, keep: Array | None = None, events: Array | None = None) -> None:
        rows = np.flatnonzero(codes >= 0 if keep is None else (codes >= 0) & keep)
        self._bits = len(codes).bit_length()
        self._packed = (codes[rows] << self._bits) | rows
        self._packed.sort()
        self.order = self._packed & ((1 << self._bits) - 1)
        code = self._packed >> self._bits
        is_new = np.ones(len(rows), np.bool_)
        is_new[1:] = code[1:] != code[:-1]
        first = np.flatnonzero(is_new)
        self.key = np.cumsum(is_new) - 1
        self.starts = np.append(first, len(rows))
        self.at = at[self.order]
        if events is not None:
            self.order = events[self.order]
        self._codes = code[first]
        self._is_first = is_new

    def __len__(self) -> int:
        return len(self.order)

    def locate(self, codes: Array, ranks: Array) -> tuple[Array, Array]:
        """For keys that may see the first `ranks` rows of the stream: the dense key or -1, and the end of what is seen.

        The end is a position in the order; a key sees [starts[key], end). Both (n_rows,) int64.
        """
        if len(self) == 0:
            return np.full(len(codes), -1, np.int64), np.zeros(len(codes), np.int64)
        key = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        key = np.where(self._codes[key] == codes, key, -1)
        end = np.searchsorted(self._packed, (np.maximum(codes, 0) << self._bits) | ranks)
        return key, np.where(key < 0, 0, end)

    @cached_property
    def _ascent(self) -> Array | None:
        """Rank of (key, at), which grows along each run unless an event is late; None if none is."""
        if not np.any((self.at[1:] < self.at[:-1]) & ~self._is_first[1:]):
            return None
        instants, rank = np.unique(self.at, return_inverse=True)
        return np.asarray(self.key * len(instants) + rank)

    @cached_property
    def leader(self) -> Array:
        """For each position, that of the newest event by (at, offset) among its key's events up to there."""
        position = np.arange(len(self))
        if self._ascent is None:
            return position
        leads = self._ascent == np.maximum.accumulate(self._ascent)
        return np.asarray(np.maximum.accumulate(np.where(leads, position, 0)))

    def newest(self, key: Array, end: Array) -> Array:
        """The position of the newest event seen, -1 if there is none; (n_rows,) int64."""
        if len(self) == 0:
            return np.full(len(key), -1, np.int64)
        seen = (key >= 0) & (end > self.starts[key])
        return np.where(seen, self.leader[np.maximum(end, 1) - 1], -1)

    @cached_property
    def _eldest(self) -> Array | None:
        """For each position, that of the oldest event by (at, offset) so far; None if it is always the first."""
        if self._ascent is None:
            return None
        instants, rank = np.unique(-self.at, return_inverse=True)
        descent = np.maximum.accumulate(self.key * len(instants) + rank)
        is_new = np.ones(len(self), np.bool_)
        is_new[1:] = descent[1:] > descent[:-1]
        return np.asarray(np.maximum.accumulate(np.where(is_new, np.arange(len(self)), 0)))

    def oldest(self, key: Array, end: Array) -> Array:
        """The position of the oldest event seen, -1 if there is none; (n_rows,) int64."""
        if len(self) == 0:
            return np.full(len(key), -1, np.int64)
        start = self.starts[key]
        found = start if self._eldest is None else self._eldest[np.maximum(end, 1) - 1]
        return np.where((key >= 0) & (end > start), found, -1)

    def last(self, key: Array, end: Array, n: int) -> Array:
        """Positions of the last `n` events seen by (at, offset), newest last, -1 on the left; (n_rows, n) int64."""
        if len(self) == 0:
            return np.full((len(key), n), -1, np.int64)
        start = np.where(key < 0, 0, self.starts[key])
        found = end[:, None] + np.arange(-n, 0)
        found[found < start[:, None]] = -1
        if self._ascent is None:
            return found
        # The last n leaders outrank everything before the first of them: candidates lie between it and the end.
        leaders = np.flatnonzero(self.leader == np.arange(len(self)))
        before = np.searchsorted(leaders, np.stack([start, end]))
        oldest = np.maximum(before[1] - n, before[0])
        begin = np.where(end > start, leaders[np.minimum(oldest, len(leaders) - 1)], end)
        late = np.flatnonzero(end - begin > before[1] - oldest)
        width = (end - begin)[late]
        for part in _cuts(width):
            found[late[part]] = self._sorted_tail(begin[late[part]], width[part], n)
        return found

    def rows(self, position: Array) -> Array:
        """The stream's rows at positions of the order, -1 where the position is -1."""
        return np.where(position < 0, -1, self.order[position]) if len(self) else position

    def _sorted_tail(self, begin: Array, width: Array, n: int) -> Array:
        """The `n` newest of the positions [begin, begin + width) of each row."""
        assert self._ascent is not None
        row = np.repeat(np.arange(len(width)), width)
        stop = np.cumsum(width)
        position = np.arange(len(row)) + np.repeat(begin - (stop - width), width)
        position = position[np.lexsort((position, self._ascent[position], row))]
        place = stop[:, None] + np.arange(-n, 0)
        inside = place >= (stop - width)[:, None]
        return np.where(inside, position[np.maximum(place, 0)], -1)


def _cuts(width: Array) -> list[slice]:
    """Slices of rows whose widths add up to a bounded amount of work."""
    total = np.cumsum(width)
    cuts = np.searchsorted(total, np.arange(_CHUNK, int(total[-1]) + _CHUNK if len(total) else 0, _CHUNK)).tolist()
    edges = sorted({0, *cuts, len(width)})
    return [slice(a, b) for a, b in pairwise(edges)]
