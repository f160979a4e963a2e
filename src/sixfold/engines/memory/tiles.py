"""Tiles in one arena: each row owns a block of (tile, lanes) entries that grows at its end."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sixfold._core.table import Array
from sixfold.features.store import NEUTRAL, Tiles

__all__ = ["TileArena", "as_cells", "merge_cells", "over_windows", "runs", "spread"]


class TileArena:
    """Entries of a row are in no order and may repeat a tile: reading merges whatever is at or above the lowest tile.

    An entry is a row of cells, (tile, lanes), so that it is fetched from one place. An event goes into the last entry
    if that has its tile, else into a new one. A full block is compacted (sorted, equal tiles merged, forgotten ones
    dropped) and moved if it still does not fit.
    """

    def __init__(self, shape: Tiles) -> None:
        self._adds, self._width = shape.adds, shape.width
        self._blocks = np.zeros((1, 3), np.int64)
        self._cells = np.zeros((64, 1 + self._width), np.int64)
        self._used = 0

    @property
    def _start(self) -> Array:
        return self._blocks[:, 0]

    @property
    def _count(self) -> Array:
        return self._blocks[:, 1]

    @property
    def _room(self) -> Array:
        return self._blocks[:, 2]

    def fold(self, rows: Array, tiles: Array, lanes: Array, keep_from: int) -> None:
        """Merge events into their rows."""
        rows, cells = merge_cells(rows, as_cells(tiles, lanes), self._adds)
        self._widen(int(rows[-1]) + 1)
        start, count, _ = self._blocks.take(rows, axis=0).T
        last = start + count - 1
        held = self._cells.take(last, axis=0)  # any, for a row without entries
        same = (held[:, 0] == cells[:, 0]) & (count > 0)
        stop = 1 + self._adds
        if same.any():
            held, new = held[same], cells[same]
            held[:, 1:stop] += new[:, 1:stop]
            np.maximum(held[:, stop:], new[:, stop:], out=held[:, stop:])
            self._cells[last[same]] = held
        if not same.all():
            self._append(rows[~same], cells[~same], keep_from)

    def empty(self, rows: Array, tiles: Array) -> None:
        """Set the lanes of each (row, tile) to what they are without events."""
        self._widen(int(rows.max()) + 1)
        owner, mine = np.unique(rows, return_inverse=True)
        kinds, kind = np.unique(tiles, return_inverse=True)
        held = spread(self._start[owner], self._count[owner])
        there = self._cells[held, 0]
        found = np.minimum(np.searchsorted(kinds, there), len(kinds) - 1)
        pairs = np.repeat(np.arange(len(owner)), self._count[owner]) * len(kinds) + found
        named = held[(kinds[found] == there) & np.isin(pairs, mine * len(kinds) + kind)]
        self._cells[named, 1 : 1 + self._adds] = 0
        self._cells[named, 1 + self._adds :] = NEUTRAL

    def _append(self, rows: Array, cells: Array, keep_from: int) -> None:
        first, sizes = runs(rows)
        owner = rows[first]
        start, count, room = self._blocks.take(owner, axis=0).T
        fits = count + sizes <= room
        if not fits.all():
            cramped = np.repeat(~fits, sizes)
            self._rebuild(owner[~fits], rows[cramped], cells[cramped], keep_from)
            if not fits.any():
                return
            rows, cells, owner, sizes = rows[~cramped], cells[~cramped], owner[fits], sizes[fits]
            start, count, room = self._blocks.take(owner, axis=0).T
        self._cells[spread(start + count, sizes)] = cells
        self._blocks[owner, 1] += sizes

    def _rebuild(self, owner: Array, rows: Array, cells: Array, keep_from: int) -> None:
        """Compact the blocks of `owner` (sorted, unique) together with new entries, in more room where needed."""
        held = self._count[owner]
        old = spread(self._start[owner], held)
        rows = np.concatenate([np.repeat(owner, held), rows])
        cells = np.concatenate([self._cells.take(old, axis=0), cells])
        kept = cells[:, 0] >= keep_from
        if not kept.all():
            rows, cells = rows[kept], cells[kept]
        rows, cells = merge_cells(rows, cells, self._adds)
        count = np.searchsorted(rows, owner, "right") - np.searchsorted(rows, owner)
        need = _room(count)
        moves = owner[need > self._room[owner]]
        room = need[need > self._room[owner]]
        total = int(room.sum())
        self._blocks[moves, 1] = 0
        self._reserve(total)
        self._blocks[moves, 0] = self._used + np.cumsum(room) - room
        self._blocks[moves, 2] = room
        self._used += total
        self._blocks[owner, 1] = count
        self._cells[spread(self._start[owner], count)] = cells

    def _reserve(self, extra: int) -> None:
        """Have `extra` free places at the end: close the gaps that moved blocks left, and grow if need be."""
        if self._used + extra <= len(self._cells):
            return
        live = int(self._room.sum())
        size = max(len(self._cells), 1 << (2 * (live + extra) - 1).bit_length())
        cells = np.zeros((size, 1 + self._width), np.int64)
        start = np.cumsum(self._room) - self._room
        cells[spread(start, self._count)] = self._cells.take(spread(self._start, self._count), axis=0)
        self._blocks[:, 0] = start
        self._cells, self._used = cells, live

    def _widen(self, n_rows: int) -> None:
        if n_rows > len(self._blocks):
            blocks = np.zeros((max(n_rows, 2 * len(self._blocks), 64), 3), np.int64)
            blocks[: len(self._blocks)] = self._blocks
            self._blocks = blocks

    def read(self, rows: Array, lowest: Sequence[int]) -> Array:
        """The lanes merged over the tiles >= each of `lowest`, (len(lowest), width, n_rows)."""
        if len(rows) == 1:
            return self._read_one(int(rows[0]), lowest)
        if len(rows) and int(rows.max()) >= len(self._blocks):
            rows = np.where(rows < len(self._blocks), rows, 0)
        start, count, _ = self._blocks.take(rows, axis=0).T
        return over_windows(self._cells.take(spread(start, count), axis=0), count, lowest, self._adds)

    def _read_one(self, row: int, lowest: Sequence[int]) -> Array:
        """What `over_windows` gives, by slices: requests ask for the rows of one user again and again."""
        out = np.empty((len(lowest), self._width, 1), np.int64)
        start, count, _ = self._blocks[row].tolist() if row < len(self._blocks) else (0, 0, 0)
        cells, stop = self._cells[start : start + count], 1 + self._adds
        inside = cells[:, 0] >= np.array(lowest)[:, None]
        if self._adds:
            np.matmul(inside.astype(np.int64), cells[:, 1:stop], out=out[:, : self._adds, 0])
        if self._adds < self._width:
            top = np.where(inside[:, :, None], cells[:, stop:], NEUTRAL)
            top.max(axis=1, out=out[:, self._adds :, 0], initial=NEUTRAL)
        return out

    @property
    def n_rows(self) -> int:
        """The number of rows that hold tiles."""
        return int(np.count_nonzero(self._count))

    @property
    def n_bytes(self) -> int:
        """The size of the arrays."""
        return self._blocks.nbytes + self._cells.nbytes

    def arrays(self) -> dict[str, Array]:
        """All state, compact."""
        cells = self._cells.take(spread(self._start, self._count), axis=0)
        return {"count": self._count, "tiles": cells[:, 0], "lanes": cells[:, 1:].T}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Replace all state by what `arrays` gave, which is not to be used any more."""
        count = arrays["count"]
        self._blocks = np.stack([np.cumsum(count) - count, count, count], axis=1)
        self._used = len(arrays["tiles"])
        # What is folded next finds room at the end; memory is taken when it is written.
        self._cells = np.zeros((2 * self._used + 64, 1 + self._width), np.int64)
        self._cells[: self._used, 0] = arrays["tiles"]
        self._cells[: self._used, 1:] = arrays["lanes"].T


def as_cells(tiles: Array, lanes: Array) -> Array:
    """Entries as rows, (n_entries, 1 + n_lanes), from tiles and lanes (n_lanes, n_entries)."""
    cells = np.empty((len(tiles), 1 + len(lanes)), np.int64)
    cells[:, 0] = tiles
    cells[:, 1:] = lanes.T
    return cells


def merge_cells(rows: Array, cells: Array, adds: int) -> tuple[Array, Array]:
    """Entries sorted by (row, tile), one for each; the first `adds` lanes are summed, the others keep a maximum."""
    if len(rows) < 2:
        return rows, cells
    order = _sorted(rows, cells[:, 0])
    rows, cells = rows[order], cells.take(order, axis=0)
    tiles = cells[:, 0]
    is_first = np.ones(len(rows), np.bool_)
    is_first[1:] = (rows[1:] != rows[:-1]) | (tiles[1:] != tiles[:-1])
    if is_first.all():
        return rows, cells
    first = is_first.nonzero()[0]
    merged = cells.take(first, axis=0)
    np.add.reduceat(cells[:, 1 : 1 + adds], first, axis=0, out=merged[:, 1 : 1 + adds])
    np.maximum.reduceat(cells[:, 1 + adds :], first, axis=0, out=merged[:, 1 + adds :])
    return rows[first], merged


def over_windows(cells: Array, count: Array, lowest: Sequence[int], adds: int) -> Array:
    """The lanes of each row's entries over the tiles >= each of `lowest`, (len(lowest), n_lanes, n_rows).

    `count` says how many entries each row has; they follow one another, (n_entries, 1 + n_lanes).
    """
    n_rows, n_lanes, n_lowest = len(count), cells.shape[1] - 1, len(lowest)
    out = np.zeros((n_rows, n_lowest, n_lanes), np.int64)
    if adds < n_lanes:
        out[:, :, adds:] = NEUTRAL
    full = count.nonzero()[0]
    if len(full):
        places: Any = slice(None) if len(full) == n_rows else full
        first = (count.cumsum() - count)[places]
        inside = (cells[:, :1] >= np.array(lowest))[:, :, None]
        lanes = cells[:, None, 1:]
        if adds:
            out[places, :, :adds] = np.add.reduceat(lanes[:, :, :adds] * inside, first, axis=0)
        if adds < n_lanes:
            out[places, :, adds:] = np.maximum.reduceat(np.where(inside, lanes[:, :, adds:], NEUTRAL), first, axis=0)
    return out.transpose(1, 2, 0)


def runs(rows: Array) -> tuple[Array, Array]:
    """Where each run of equal rows begins, and its length."""
    is_first = np.ones(len(rows), np.bool_)
    is_first[1:] = rows[1:] != rows[:-1]
    first = is_first.nonzero()[0]
    return first, np.append(first[1:], len(rows)) - first


def spread(start: Array, count: Array) -> Array:
    """The places start .. start + count - 1 of every block, one after the other."""
    stop = count.cumsum()
    places = (start - stop + count).repeat(count)
    places += np.arange(len(places))
    return np.asarray(places)


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
