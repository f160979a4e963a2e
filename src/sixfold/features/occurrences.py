"""How often each item occurs under a key: the pairs of both, listed by key, and what is made of their counts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.table import Array
from sixfold.features.definitions import Aggregate
from sixfold.features.interned import Joined
from sixfold.features.lanes import value_kind

__all__ = ["Listing", "Occurrences", "PairIndex", "empty_column", "from_counts", "plain", "walk"]

_PAIRS = 1 << 20
"""Pairs looked at together: what bounds the memory of the batch evaluator."""

_SPARE = 4096


def plain(values: Array) -> Array:
    """Items as they are counted: 0.0 and -0.0 are one."""
    return values + 0.0 if values.dtype == np.float64 else values


def empty_column(feature: Aggregate, n_rows: int) -> Array:
    """The column of a feature over no items, (n_rows,) or (n_rows, k)."""
    if feature.kind != "top_k" or feature.value is None:
        return np.full(n_rows, 0.0 if feature.kind == "distinct" else np.nan)
    nothing = {str: None, float: np.nan}.get(value_kind(feature.value), -1)
    dtype = {str: object, float: np.float64}.get(value_kind(feature.value), np.int64)
    return np.full((n_rows, feature.width or 1), nothing, dtype)


@dataclass(frozen=True, slots=True)
class Occurrences:
    """How often items occur under the keys of rows: item items[i] occurs counts[i] times in row owner[i].

    `owner` never falls; an item is a number that stands for a word.
    """

    n_rows: int
    owner: Array
    items: Array
    counts: Array


def from_counts(feature: Aggregate, occurs: Occurrences, words: Array) -> Array:
    """The value of each row from how often which word occurs; (n_rows,) or (n_rows, k)."""
    some, n_rows = occurs.counts > 0, occurs.n_rows
    owner, items, counts = occurs.owner[some], occurs.items[some], occurs.counts[some]
    sizes = np.bincount(owner, minlength=n_rows)
    out = empty_column(feature, n_rows)
    if feature.kind == "distinct":
        return sizes.astype(np.float64)
    if len(owner) == 0:
        return out
    used, place = np.unique(items, return_inverse=True)
    rank = np.empty(len(used), np.int64)
    rank[np.argsort(plain(words[used]), kind="stable")] = np.arange(len(used))
    by_frequency = (rank[place], -counts, owner) if feature.kind == "top_k" else (rank[place], owner)
    order = np.lexsort(by_frequency)
    first = np.cumsum(sizes) - sizes
    if feature.kind == "top_k":
        position = np.arange(len(order)) - first[owner]
        kept = position < out.shape[1]
        out[owner[kept], position[kept]] = plain(words[items[order[kept]]])
        return out
    total = np.append(0, np.cumsum(counts[order]))
    full = np.flatnonzero(sizes)
    n = total[first[full] + sizes[full]] - total[first[full]]
    wanted = np.maximum(np.ceil(feature.options[0] * n.astype(np.float64)), 1).astype(np.int64)
    found = np.searchsorted(total, total[first[full]] + wanted) - 1
    out[full] = plain(words[items[order[found]]])
    return out


class PairIndex:
    """Which pairs there are of each key: the numbers of pairs by that of their left part.

    >>> pairs = Joined()
    >>> pairs.add_pairs(np.array([1, 2, 1]), np.array([5, 5, 6])).tolist()
    [1, 2, 3]
    >>> [part.tolist() for part in PairIndex(pairs).of(np.array([2, 1, 7]))]
    [[2, 1, 3], [0, 1, 1]]
    """

    def __init__(self, pairs: Joined) -> None:
        self._pairs = pairs
        self._left = np.zeros(0, np.int64)
        self._order = np.zeros(0, np.int64)

    def of(self, keys: Array) -> tuple[Array, Array]:
        """The pairs of distinct keys, and the place of each pair's key among `keys`, never falling."""
        values = self._pairs.values
        if len(values) - 1 - len(self._order) > max(_SPARE, len(self._order) // 8) or len(values) <= len(self._order):
            left = values[1:] >> 32
            order = np.argsort(left, kind="stable")
            self._left, self._order = left[order], order + 1
        start, stop = np.searchsorted(self._left, keys), np.searchsorted(self._left, keys, "right")
        owner = np.repeat(np.arange(len(keys)), stop - start)
        found = self._order[_places(start, stop)]
        newer = values[1 + len(self._order) :] >> 32
        by_key = np.argsort(keys)
        place = np.minimum(np.searchsorted(keys, newer, sorter=by_key), len(keys) - 1)
        mine = np.flatnonzero(keys[by_key[place]] == newer) if len(keys) else np.zeros(0, np.int64)
        if len(mine) == 0:
            return found, owner
        found = np.append(found, mine + 1 + len(self._order))
        owner = np.append(owner, by_key[place[mine]])
        order = np.argsort(owner, kind="stable")
        return found[order], owner[order]


class Listing:
    """The different pairs of key and item among events, by key: `codes` of pairs, and the `items` in them.

    `keys`, `pairs` and `items` are the codes of each event, -1 where there is none.
    """

    def __init__(self, keys: Array, pairs: Array, items: Array, keep: Array | None) -> None:
        rows = np.flatnonzero(pairs >= 0 if keep is None else (pairs >= 0) & keep)
        _, first = np.unique(pairs[rows], return_index=True)
        rows = rows[first]
        rows = rows[np.argsort(keys[rows], kind="stable")]
        self._keys, self.codes, self.items = keys[rows], pairs[rows], items[rows]

    def sizes(self, keys: Array) -> Array:
        """How many pairs each key has."""
        return np.asarray(np.searchsorted(self._keys, keys, "right") - np.searchsorted(self._keys, keys))

    def portions(self, keys: Array) -> Iterator[tuple[slice, Array, Array]]:
        """For rows with these keys: some of the rows, their pairs, and the place of each pair's row among them."""
        return _portions(np.searchsorted(self._keys, keys), np.searchsorted(self._keys, keys, "right"))


def walk(items: Array, inside: Callable[[Array, Array], Array], first: Array, end: Array) -> Iterator[Any]:
    """Some of the rows, and how often items occur at the positions [first, end) of each that are `inside`.

    `items` are those of the positions; `inside` tells for positions and their rows.
    """
    size = int(items.max(initial=0)) + 1
    for rows, places, owner in _portions(first, end):
        kept = (items[places] >= 0) & inside(places, owner + rows.start)
        both, counts = np.unique(owner[kept] * size + items[places[kept]], return_counts=True)
        yield rows, Occurrences(rows.stop - rows.start, both // size, both % size, counts)


def _portions(start: Array, stop: Array) -> Iterator[tuple[slice, Array, Array]]:
    """Some of the rows, the places [start, stop) of all of them, and the row of each place, numbered from 0."""
    total = np.cumsum(stop - start)
    cut = 0
    while cut < len(start):
        before = int(total[cut - 1]) if cut else 0
        end = max(int(np.searchsorted(total, before + _PAIRS, "right")), cut + 1)
        some = slice(cut, end)
        yield some, _places(start[some], stop[some]), np.repeat(np.arange(end - cut), (stop - start)[some])
        cut = end


def _places(start: Array, stop: Array) -> Array:
    """The places [start, stop) of every block, one after the other."""
    sizes = stop - start
    ends = np.cumsum(sizes)
    return np.asarray(np.arange(int(sizes.sum())) + np.repeat(start - ends + sizes, sizes))
