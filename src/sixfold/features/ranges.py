"""Merging lanes over many ranges of events at once: contiguous ones, and the late events that fall outside them."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from sixfold._core.table import Array
from sixfold.features.store import NEUTRAL

__all__ = ["range_max", "range_sum", "suffix_merge"]


def range_sum(values: Array) -> Array:
    """Prefix sums p, (n + 1,) int64, wrapping: the sum of [a, b) is p[b] - p[a]."""
    out = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=out[1:])
    return out


def range_max(values: Array, first: Array, end: Array) -> Array:
    """The maximum of values[first:end] for each row, NEUTRAL where that is empty; (n_rows,) int64.

    A sparse table (Bender & Farach-Colton 2000, section 3), of which only one level is held at a time.

    >>> range_max(np.array([3, 1, 2, 9]), np.array([0, 1, 2]), np.array([4, 3, 3])).tolist()
    [9, 2, 2]
    """
    out = np.full(len(first), NEUTRAL, np.int64)
    level = np.frexp((end - first).astype(np.float64))[1] - 1
    level[end <= first] = -1
    order = np.argsort(level, kind="stable")
    cuts = np.searchsorted(level[order], np.arange(int(level.max(initial=-1)) + 2))
    table = values
    for j, (a, b) in enumerate(pairwise(cuts)):
        rows = order[a:b]
        out[rows] = np.maximum(table[first[rows]], table[end[rows] - (1 << j)])
        table = np.maximum(table[: -(1 << j)], table[1 << j :])
    return out


def suffix_merge(
    tiles: Array, lanes: Sequence[Array], adds: Sequence[bool], *, first: Array, end: Array, lowest: Array
) -> list[Array]:
    """Each lane over the events of [first, end) whose tile is >= lowest, for each row; (n_rows,) int64 per lane.

    A segment tree whose nodes are sorted by tile and hold suffix merges (a merge sort tree): O((n + rows) log n) for
    any operation, invertible or not.

    >>> tiles, ones = np.array([5, 1, 4]), np.ones(3, np.int64)
    >>> first, end, lowest = np.array([[0, 3, 4], [0, 2, 2]]).T
    >>> suffix_merge(tiles, [ones], [True], first=first, end=end, lowest=lowest)[0].tolist()
    [2, 1]
    """
    size = 1 << max(len(tiles) - 1, 0).bit_length()
    base = int(tiles.min())
    level_tiles = np.full(size, -1, np.int64)  # the padding lies below every tile that is asked for
    level_tiles[: len(tiles)] = tiles - base
    neutral = [0 if add else NEUTRAL for add in adds]
    level_lanes = []
    for lane, nothing in zip(lanes, neutral, strict=True):
        padded = np.full(size, nothing, np.int64)
        padded[: len(tiles)] = lane
        level_lanes.append(padded)
    span = int(tiles.max()) - base + 2
    low = np.clip(lowest - base, 0, span - 1)
    out = [np.full(len(first), nothing, np.int64) for nothing in neutral]
    first, end = first.copy(), end.copy()
    width = 1
    while np.any(first < end):
        order = np.argsort(level_tiles.reshape(-1, width), axis=1) + np.arange(0, size, width)[:, None]
        ordered = level_tiles[order]
        sorted_keys = (ordered + np.arange(size // width)[:, None] * (span + 1)).ravel()
        suffixes = [_suffix(lane[order], add) for lane, add in zip(level_lanes, adds, strict=True)]
        for is_left in (True, False):
            rows = np.flatnonzero((first < end) & ((first if is_left else end) & 1 == 1))
            block = first[rows] if is_left else end[rows] - 1
            place = np.searchsorted(sorted_keys, block * (span + 1) + low[rows])
            inside = place < (block + 1) * width
            rows, place = rows[inside], place[inside]
            for total, suffix, add in zip(out, suffixes, adds, strict=True):
                total[rows] = total[rows] + suffix[place] if add else np.maximum(total[rows], suffix[place])
        first, end, width = (first + 1) >> 1, end >> 1, width * 2
    return out


def _suffix(lane: Array, add: bool) -> Array:
    """Merge from each place to the end of its line."""
    merge = np.add if add else np.maximum
    return np.asarray(merge.accumulate(lane[:, ::-1], axis=1)[:, ::-1]).ravel()
