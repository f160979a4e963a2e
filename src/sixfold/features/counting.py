"""How often items occur under the keys of many moments: by their pairs, or event by event, whichever are fewer."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from sixfold._core.table import Array
from sixfold.features.lives import Sight, Visible
from sixfold.features.merging import Windows
from sixfold.features.occurrences import Listing, Occurrences, walk
from sixfold.features.tiled import Tiled
from sixfold.features.windows import Cut, tile_of

__all__ = ["Counting", "Moments"]


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments at which is counted: the codes of their keys, offsets, how many events come before them, instants."""

    codes: Array
    offsets: Array
    ranks: Array
    at: Array

    def __getitem__(self, rows: Array) -> "Moments":
        return Moments(self.codes[rows], self.offsets[rows], self.ranks[rows], self.at[rows])


@dataclass(frozen=True, slots=True)
class Counting:
    """Events as moments see them by key, and by `pairs` of key and item; `items` are the codes of each event's item."""

    keys: Visible
    pairs: Visible
    listing: Listing
    items: Array
    windows: Windows

    def occurrences(self, moments: Moments, cut: Cut) -> Iterator[tuple[Array, Occurrences]]:
        """Some of the moments, and how often items occur in what they see from a cut on, until all have been had."""
        sight, *more = self.keys.see(moments.codes, moments.offsets, moments.ranks)
        if more or len(sight.ordered) == 0:
            return self._by_pair(moments, np.arange(len(moments.at)), cut)
        first = Tiled(sight.ordered, cut.hop, {}).begin(sight.key, sight.end, moments.at, cut)
        is_short = sight.end - first < self.listing.sizes(moments.codes)
        short, long = np.flatnonzero(is_short), np.flatnonzero(~is_short)
        return chain(self._by_event(sight, first, moments, short, cut), self._by_pair(moments[long], long, cut))

    def _by_event(
        self, sight: Sight, first: Array, moments: Moments, rows: Array, cut: Cut
    ) -> Iterator[tuple[Array, Occurrences]]:
        """From the first event on that is not late and in the cut: what is in it and late has come after that one."""
        tiles, lowest = tile_of(sight.ordered.at, cut.hop), cut.lowest(moments.at[rows])
        items = self.items[sight.ordered.order]
        for some, occurs in walk(items, lambda p, row: tiles[p] >= lowest[row], first[rows], sight.end[rows]):
            yield rows[some], occurs

    def _by_pair(self, moments: Moments, rows: Array, cut: Cut) -> Iterator[tuple[Array, Occurrences]]:
        for some, pairs, owner in self.listing.portions(moments.codes):
            offsets, ranks, at = (part[some][owner] for part in (moments.offsets, moments.ranks, moments.at))
            sights = self.pairs.see(self.listing.codes[pairs], offsets, ranks)
            counts = self.windows.merge(sights, at, cut, {0})[0]
            yield rows[some], Occurrences(len(rows[some]), owner, self.listing.items[pairs], counts)
