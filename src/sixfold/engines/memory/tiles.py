"""Tiles in one arena: each row owns a block of (tile, lanes) entries that grows at its end."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sixfold._core.table import Array
from sixfold.features.store import NEUTRAL, Tiles

__all__ = ["TileArena", "merge_tiles", "over_windows", "runs", "spread"]


class TileArena:
    """Entries of a row are in no order and may repeat a tile: reading merges whatever is at or above the lowest tile.

    An event goes into the last entry if that has its tile, else into a new one. A full block is compacted (sorted,
    equal tiles merged, forgotten ones dropped) and moved if it still does not fit.
    """

    def __init__(self, shape: Tiles) -> None:
        self._adds, self._width = shape.adds, shape.width
        self._start = np.zeros(1, np.int64)
        self._count = np.zeros(1, np.int64)
        self._room = np.zeros(1, np.int64)
        self._tiles = np.zeros(64, np.int64)
        self._lanes = np.zeros((self._width, 64), np.int64)
        self._used = 0

    def fold(self, rows: Array, tiles: Array, lanes: Array, keep_from: int) -> None:
        """Merge events into their rows."""
        rows, tiles, lanes = merge_tiles(rows, tiles, lanes, self._adds)
        self._widen(int(rows[-1]) + 1)
        last = self._start[rows] + self._count[rows] - 1
        same = (self._tiles[last] == tiles) & (self._count[rows] > 0)
        hit = last[same]
        if len(hit):
            self._lanes[: self._adds, hit] += lanes[: self._adds, same]
            top = lanes[self._adds :, same]
            self._lanes[self._adds :, hit] = np.maximum(self._lanes[self._adds :, hit], top)
        if len(hit) < len(rows):
            fresh = ~same
            self._append(rows[fresh], tiles[fresh], lanes[:, fresh], keep_from)

    def empty(self, rows: Array, tiles: Array) -> None:
        """Set the lanes of each (row, tile) to what they are without events."""
        self._widen(int(rows.max()) + 1)
        owner, mine = np.unique(rows, return_inverse=True)
        kinds, kind = np.unique(tiles, return_inverse=True)
        held = spread(self._start[owner], self._count[owner])
        found = np.minimum(np.searchsorted(kinds, self._tiles[held]), len(kinds) - 1)
        pairs = np.repeat(np.arange(len(owner)), self._count[owner]) * len(kinds) + found
        named = held[(kinds[found] == self._tiles[held]) & np.isin(pairs, mine * len(kinds) + kind)]
        self._lanes[: self._adds, named] = 0
        self._lanes[self._adds :, named] = NEUTRAL

    def _append(self, rows: Array, tiles: Array, lanes: Array, keep_from: int) -> None:
        first, sizes = runs(rows)
        owner = rows[first]
        fits = self._count[owner] + sizes <= self._room[owner]
        if not fits.all():
            cramped = np.repeat(~fits, sizes)
            self._rebuild(owner[~fits], rows[cramped], tiles[cramped], lanes[:, cramped], keep_from)
            if not fits.any():
                return
            rows, tiles, lanes = rows[~cramped], tiles[~cramped], lanes[:, ~cramped]
            owner, sizes = owner[fits], sizes[fits]
        place = spread(self._start[owner] + self._count[owner], sizes)
        self._tiles[place] = tiles
        self._lanes[:, place] = lanes
        self._count[owner] += sizes

    def _rebuild(self, owner: Array, rows: Array, tiles: Array, lanes: Array, keep_from: int) -> None:
        """Compact the blocks of `owner` (sorted, unique) together with new entries, in more room where needed."""
        old = spread(self._start[owner], self._count[owner])
        rows = np.concatenate([np.repeat(owner, self._count[owner]), rows])
        tiles = np.concatenate([self._tiles[old], tiles])
        lanes = np.concatenate([self._lanes[:, old], lanes], axis=1)
        kept = tiles >= keep_from
        rows, tiles, lanes = merge_tiles(rows[kept], tiles[kept], lanes[:, kept], self._adds)
        count = np.searchsorted(rows, owner, "right") - np.searchsorted(rows, owner)
        need = _room(count)
        moves = owner[need > self._room[owner]]
        room = need[need > self._room[owner]]
        total = int(room.sum())
        self._count[moves] = 0
        self._reserve(total)
        self._start[moves] = self._used + np.cumsum(room) - room
        self._room[moves] = room
        self._used += total
        self._count[owner] = count
        place = spread(self._start[owner], count)
        self._tiles[place] = tiles
        self._lanes[:, place] = lanes

    def _reserve(self, extra: int) -> None:
        """Have `extra` free places at the end: close the gaps that moved blocks left, and grow if need be."""
        if self._used + extra <= len(self._tiles):
            return
        live = int(self._room.sum())
        size = max(len(self._tiles), 1 << (2 * (live + extra) - 1).bit_length())
        tiles, lanes = np.zeros(size, np.int64), np.zeros((self._width, size), np.int64)
        start = np.cumsum(self._room) - self._room
        old, new = spread(self._start, self._count), spread(start, self._count)
        tiles[new] = self._tiles[old]
        lanes[:, new] = self._lanes[:, old]
        self._tiles, self._lanes, self._start, self._used = tiles, lanes, start, live

    def _widen(self, n_rows: int) -> None:
        if n_rows > len(self._count):
            extra = max(n_rows, 2 * len(self._count), 64) - len(self._count)
            self._start, self._count, self._room = (
                np.concatenate([part, np.zeros(extra, np.int64)]) for part in (self._start, self._count, self._room)
            )

    def read(self, rows: Array, lowest: Sequence[int]) -> Array:
        """The lanes merged over the tiles >= each of `lowest`, (len(lowest), width, n_rows)."""
        if len(rows) == 1:
            return self._read_one(int(rows[0]), lowest)
        if len(rows) and int(rows.max()) >= len(self._count):
            rows = np.where(rows < len(self._count), rows, 0)
        count = self._count.take(rows)
        entries = spread(self._start.take(rows), count)
        return over_windows(self._tiles.take(entries), self._lanes.take(entries, axis=1), count, lowest, self._adds)

    def _read_one(self, row: int, lowest: Sequence[int]) -> Array:
        """What `over_windows` gives, by slices: requests ask for the rows of one user again and again."""
        out = np.zeros((len(lowest), self._width, 1), np.int64)
        out[:, self._adds :] = NEUTRAL
        if row < len(self._count) and (count := int(self._count[row])):
            start = int(self._start[row])
            tiles, lanes = self._tiles[start : start + count], self._lanes[:, start : start + count]
            inside = tiles >= np.array(lowest)[:, None]
            for merged, mask in zip(out, inside, strict=True):
                if self._adds:
                    (lanes[: self._adds] * mask).sum(axis=1, out=merged[: self._adds, 0])
                if self._adds < self._width:
                    top = np.where(mask, lanes[self._adds :], NEUTRAL)
                    top.max(axis=1, out=merged[self._adds :, 0])
        return out

    @property
    def n_rows(self) -> int:
        """The number of rows that hold tiles."""
        return int(np.count_nonzero(self._count))

    @property
    def n_bytes(self) -> int:
        """The size of the arrays."""
        return sum(part.nbytes for part in (self._start, self._count, self._room, self._tiles, self._lanes))

    def arrays(self) -> dict[str, Array]:
        """All state, compact."""
        entries = spread(self._start, self._count)
        return {"count": self._count, "tiles": self._tiles[entries], "lanes": self._lanes[:, entries]}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Replace all state by what `arrays` gave, which is not to be used any more."""
        self._count = arrays["count"]
        self._room = self._count.copy()
        self._start = np.cumsum(self._count) - self._count
        self._used = len(arrays["tiles"])
        size = 2 * self._used + 64  # what is folded next finds room at the end; memory is taken when it is written
        self._tiles, self._lanes = np.zeros(size, np.int64), np.zeros((self._width, size), np.int64)
        self._tiles[: self._used] = arrays["tiles"]
        self._lanes[:, : self._used] = arrays["lanes"]


def merge_tiles(rows: Array, tiles: Array, lanes: Array, adds: int) -> tuple[Array, Array, Array]:
    """Entries sorted by (row, tile), one for each; the first `adds` lanes are summed, the others keep a maximum."""
    if len(rows) < 2:
        return rows, tiles, lanes
    order = _sorted(rows, tiles)
    rows, tiles = rows[order], tiles[order]
    is_first = np.ones(len(rows), np.bool_)
    is_first[1:] = (rows[1:] != rows[:-1]) | (tiles[1:] != tiles[:-1])
    lanes = lanes[:, order]
    if is_first.all():
        return rows, tiles, lanes
    first = np.flatnonzero(is_first)
    merged = np.empty((len(lanes), len(first)), np.int64)
    for i, (lane, out) in enumerate(zip(lanes, merged, strict=True)):
        (np.add if i < adds else np.maximum).reduceat(lane, first, out=out)
    return rows[first], tiles[first], merged


def over_windows(tiles: Array, lanes: Array, count: Array, lowest: Sequence[int], adds: int) -> Array:
    """The lanes of each row's entries over the tiles >= each of `lowest`, (len(lowest), len(lanes), n_rows).

    `count` says how many entries each row has; they follow one another.
    """
    out = np.zeros((len(lowest), len(lanes), len(count)), np.int64)
    out[:, adds:] = NEUTRAL
    first = np.cumsum(count) - count
    full = np.flatnonzero(count)
    if len(full) == 0:
        return out
    places: Any = slice(None) if len(full) == len(count) else full
    first = first[places]
    for merged, low in zip(out, lowest, strict=True):
        inside = tiles >= low
        if adds:
            merged[:adds, places] = np.add.reduceat(lanes[:adds] * inside, first, axis=1)
        if adds < len(lanes):
            merged[adds:, places] = np.maximum.reduceat(np.where(inside, lanes[adds:], NEUTRAL), first, axis=1)
    return out


def runs(rows: Array) -> tuple[Array, Array]:
    """Where each run of equal rows begins, and its length."""
    is_first = np.ones(len(rows), np.bool_)
    is_first[1:] = rows[1:] != rows[:-1]
    first = np.flatnonzero(is_first)
    return first, np.append(first[1:], len(rows)) - first


def spread(start: Array, count: Array) -> Array:
    """The places start .. start + count - 1 of every block, one after the other."""
    stop = np.cumsum(count)
    total = int(stop[-1]) if len(stop) else 0
    return np.asarray(np.arange(total) + np.repeat(start - stop + count, count))


def _room(count: Array) -> Array:
    """Powers of two with a quarter to spare, so that blocks in steady use are seldom compacted; one entry needs one."""
    return np.asarray(1 << np.frexp((count + count // 4 - 1).clip(0).astype(np.float64))[1].astype(np.int64))


def _sorted(rows: Array, tiles: Array) -> Array:
    """An order by (row, tile)."""
    low, high = int(tiles.min()), int(tiles.max())
    bits = (high - low).bit_length()
    if bits + int(rows.max()).bit_length() < 63:
        return np.asarray(np.argsort((rows << bits) | (tiles - low)))
    return np.asarray(np.lexsort((tiles, rows)))
