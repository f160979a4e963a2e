"""Tiles in one arena: each row owns a block of (tile, lanes) entries that grows at its end."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sixfold._core.table import Array
from sixfold.features.store import NEUTRAL, Tiles, Usage

__all__ = ["TileArena", "as_cells", "merge_cells", "over_windows", "runs", "spread"]

_FEW = 4
_LAST = int(np.iinfo(np.int64).max)


class TileArena:
    """Entries of a row are in no order and may repeat a tile: reading merges whatever is at or above the lowest tile.

    An entry is a row of cells, (tile, lanes), so that it is fetched from one place. An event goes into the last entry
    if that has its tile, else into a new one. A full block is compacted (sorted, equal tiles merged, forgotten ones
    dropped) and moved if it still does not fit.

    Groups of one family share an arena: row r of group g is row r * n_groups + g, and a group leaves the lanes that
    others have more of as they are without events.
    """

    def __init__(self, shapes: Sequence[Tiles]) -> None:
        self._n, self._adds = len(shapes), max(shape.adds for shape in shapes)
        self._width = self._adds + max(shape.maxima for shape in shapes)
        self._lanes = [[*range(shape.adds), *range(self._adds, self._adds + shape.maxima)] for shape in shapes]
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

    def fold(self, group: int, rows: Array, *, tiles: Array, lanes: Array, keep_from: int) -> None:
        """Merge events into their rows."""
        rows, cells = rows * self._n + group, self._as_cells(group, tiles, lanes)
        if len(rows) <= _FEW:
            self._widen(int(rows.max()) + 1)
            for row, entry in zip(rows.tolist(), cells, strict=True):
                self._fold_one(row, entry, keep_from)
            return
        rows, cells = merge_cells(rows, cells, self._adds)
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

    def _fold_one(self, row: int, entry: Array, keep_from: int) -> None:
        """One event as it comes: the same without what is for many."""
        start, count, room = self._blocks[row].tolist()
        last = self._cells[start + count - 1]
        if count and last[0] == entry[0]:
            stop = 1 + self._adds
            last[1:stop] += entry[1:stop]
            if stop < len(last):
                np.maximum(last[stop:], entry[stop:], out=last[stop:])
        elif count < room:
            self._cells[start + count] = entry
            self._blocks[row, 1] = count + 1
        elif room:
            self._rebuild(np.array([row]), np.array([row]), entry[None], keep_from)
        else:
            self._reserve(1)
            self._cells[self._used] = entry
            self._blocks[row] = self._used, 1, 1
            self._used += 1

    def _as_cells(self, group: int, tiles: Array, lanes: Array) -> Array:
        if len(lanes) == self._width:
            return as_cells(tiles, lanes)
        every = np.zeros((self._width, len(tiles)), np.int64)
        every[self._adds :] = NEUTRAL
        every[self._lanes[group]] = lanes
        return as_cells(tiles, every)

    def empty(self, group: int, rows: Array, tiles: Array) -> None:
        """Set the lanes of each (row, tile) to what they are without events."""
        rows = rows * self._n + group
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

    def read(self, group: int, rows: Array, lowest: Sequence[int]) -> Array:
        """The lanes merged over the tiles >= each of `lowest`, (len(lowest), width, n_rows)."""
        if len(rows) == 1:
            merged = self._read_one(int(rows[0]) * self._n + group, lowest)
        else:
            start, count, _ = self._found(rows * self._n + group).T
            merged = over_windows(self._cells.take(spread(start, count), axis=0), count, lowest, self._adds)
        return merged if len(self._lanes[group]) == self._width else merged[:, self._lanes[group]]

    def read_together(self, groups: Sequence[int], rows: Array, lowest: Sequence[Sequence[int]]) -> list[Array]:
        """What `read` gives for each of the groups and its lowest tiles."""
        if len(rows) == 1:
            return [self.read(group, rows, mine) for group, mine in zip(groups, lowest, strict=True)]
        n, most = len(groups), max(map(len, lowest))
        bounds = np.array([[*mine, *[_LAST] * (most - len(mine))] for mine in lowest])
        start, count, _ = self._found((rows[:, None] * self._n + np.array(groups)).ravel()).T
        which = np.arange(len(count))
        which %= n
        cells = self._cells.take(spread(start, count), axis=0)
        merged = over_windows(cells, count, bounds.take(which.repeat(count), axis=0), self._adds)
        return [
            merged[: len(mine), :, i::n]
            if len(self._lanes[g]) == self._width
            else merged[: len(mine), self._lanes[g], i::n]
            for i, (g, mine) in enumerate(zip(groups, lowest, strict=True))
        ]

    def _found(self, rows: Array) -> Array:
        """The blocks of rows, also of such as were never folded."""
        if len(rows) and int(rows.max()) >= len(self._blocks):
            rows = np.where(rows < len(self._blocks), rows, 0)
        return self._blocks.take(rows, axis=0)

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

    def usage(self, group: int) -> Usage:
        """What a group takes: its rows that hold tiles, and its part of the arrays by its blocks' share of them."""
        mine = self._blocks[group :: self._n]
        share = float(mine[:, 2].sum() / max(int(self._blocks[:, 2].sum()), 1))
        n_bytes = self._blocks.nbytes // self._n + round(self._cells.nbytes * share)
        return Usage(int(np.count_nonzero(mine[:, 1])), n_bytes)

    def arrays(self, group: int) -> dict[str, Array]:
        """All state of a group, compact."""
        start, count, _ = self._blocks[group :: self._n].T
        cells = self._cells.take(spread(start, count), axis=0)
        return {"count": count, "tiles": cells[:, 0], "lanes": cells[:, 1:].T[self._lanes[group]]}

    def restore(self, groups: Sequence[Mapping[str, Array]]) -> None:
        """Replace all state by what `arrays` gave for each group."""
        n_rows, self._used = max(len(arrays["count"]) for arrays in groups), 0
        self._blocks = np.zeros((n_rows * self._n, 3), np.int64)
        # What is folded next finds room at the end; memory is taken when it is written.
        size = 2 * sum(len(arrays["tiles"]) for arrays in groups) + 64
        self._cells = np.zeros((size, 1 + self._width), np.int64)
        for group, arrays in enumerate(groups):
            count, stop = arrays["count"], self._used + len(arrays["tiles"])
            blocks = np.stack([self._used + np.cumsum(count) - count, count, count], axis=1)
            self._blocks[group :: self._n][: len(count)] = blocks
            self._cells[self._used : stop] = self._as_cells(group, arrays["tiles"], arrays["lanes"])
            self._used = stop


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


def over_windows(cells: Array, count: Array, lowest: Sequence[int] | Array, adds: int) -> Array:
    """The lanes of each row's entries over the tiles >= each of `lowest`, (len(lowest), n_lanes, n_rows).

    `count` says how many entries each row has; they follow one another, (n_entries, 1 + n_lanes). `lowest` may be
    given for each entry, (n_entries, n_lowest).
    """
    lowest = np.asarray(lowest)
    n_rows, n_lanes, n_lowest = len(count), cells.shape[1] - 1, lowest.shape[-1]
    full = count.nonzero()[0]
    first = count.cumsum()
    first -= count
    inside, lanes = (cells[:, :1] >= lowest)[:, :, None], cells[:, None, 1:]
    if len(full) == n_rows > 0 and adds == n_lanes:
        return np.asarray(np.add.reduceat(lanes * inside, first, axis=0)).transpose(1, 2, 0)
    out = np.zeros((n_rows, n_lowest, n_lanes), np.int64)
    out[:, :, adds:] = NEUTRAL
    if len(full):
        places: Any = slice(None) if len(full) == n_rows else full
        first = first[places]
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
