"""What moments see of a key's events when some of these are retracted.

Most events count from their offset on for ever: what a moment sees of them is a prefix. One that is retracted counts
for the moments of an interval. Number the places where any such interval begins or ends, and cut each interval into
the fewest pieces of the form [node << level, (node + 1) << level): O(log n) of them. A moment lies in one node of each
level and sees all events there, so each level is again a matter of prefixes, of the key (key, node). Exact for any
aggregation that merges, invertible or not; without retractions there are no levels, and nothing to pay.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.data.events import Events
from sixfold.data.retraction import NEVER, ends
from sixfold.features.keys import Codebook, JointCode
from sixfold.features.ordered import Ordered
from sixfold.features.store import NEUTRAL

__all__ = ["Lives", "Sight", "Visible", "last", "newest", "part", "stated"]


@dataclass(frozen=True, slots=True)
class Sight:
    """What `rows` of the moments see: positions [ordered.starts[key], end) of the ordered events; key -1 sees none."""

    ordered: Ordered
    key: Array
    end: Array
    rows: Array | slice


class Lives:
    """When the events of a stream count: `offsets` are theirs, `until` those of their retractions (see `ends`)."""

    def __init__(self, offsets: Array, until: Array) -> None:
        self.lasting = until == NEVER
        self.mortal = np.flatnonzero(~self.lasting)
        begin, end = offsets[self.mortal], until[self.mortal]
        self._edges = np.unique(np.concatenate([begin, end]))
        self._first, self._stop = np.searchsorted(self._edges, np.stack([begin, end])) + 1

    def places(self, offsets: Array) -> Array:
        """Where moments lie among the places at which a life begins or ends, (n_moments,) int64."""
        return np.searchsorted(self._edges, offsets)

    def n_nodes(self, level: int) -> int:
        """How many nodes a level has."""
        return (len(self._edges) >> level) + 1

    def pieces(self) -> Iterator[tuple[int, Array, Array]]:
        """(level, events, nodes): the pieces that make up all lives; an event is at most once in each yield."""
        first, stop, level = self._first.copy(), self._stop.copy(), 0
        while len(left := np.flatnonzero(first < stop)):
            odd = left[first[left] & 1 == 1]
            if len(odd):
                yield level, self.mortal[odd], first[odd]
            first[odd] += 1
            left = left[first[left] < stop[left]]
            odd = left[stop[left] & 1 == 1]
            stop[odd] -= 1
            if len(odd):
                yield level, self.mortal[odd], stop[odd]
            first, stop, level = first >> 1, stop >> 1, level + 1


class Visible:
    """Events in the order of their keys, as moments see them; the keys are the codes of `joint`."""

    def __init__(self, joint: JointCode, at: Array, keep: Array | None, lives: Lives | None) -> None:
        self._lives = lives
        self._n_events = len(at)
        self._layers: list[tuple[int, JointCode, Ordered, int]] = []
        if lives is None:
            self._lasting = Ordered(joint.codes, at, keep)
            return
        self._lasting = Ordered(joint.codes, at, lives.lasting if keep is None else lives.lasting & keep)
        self._mortal = _some(joint.codes[lives.mortal], at, keep, lives.mortal)
        for level, events, nodes in lives.pieces():
            both = JointCode([(joint.codes[events], joint.size), (nodes, lives.n_nodes(level))])
            ordered = _some(both.codes, at, keep, events)
            if len(ordered):
                self._layers.append((level, both, ordered, len(events)))

    def see(self, codes: Array, offsets: Array, ranks: Array) -> list[Sight]:
        """What moments see, of all rows first: `codes` are their keys, `ranks` how many events come before them."""
        sights = [Sight(self._lasting, *self._lasting.locate(codes, ranks), slice(None))]
        if self._lives is None or not self._layers:
            return sights
        rows = np.flatnonzero(self._mortal.locate(codes, np.zeros(len(codes), np.int64))[0] >= 0)
        codes, places = codes[rows], self._lives.places(offsets[rows])
        for level, joint, ordered, n_events in self._layers:
            wanted = joint.encode([codes, places >> level])
            key, end = ordered.locate(wanted, np.full(len(wanted), n_events))
            found = key >= 0
            if found.any():
                sights.append(Sight(ordered, key[found], end[found], rows[found]))
        return sights


def _some(codes: Array, at: Array, keep: Array | None, events: Array) -> Ordered:
    """The order of the events of these rows, which have these codes."""
    return Ordered(codes, at[events], None if keep is None else keep[events], events)


def part(sights: list[Sight], start: int, stop: int) -> list[Sight]:
    """What the moments [start, stop) see, numbered from 0."""
    out = []
    for sight in sights:
        if isinstance(sight.rows, slice):
            out.append(Sight(sight.ordered, sight.key[start:stop], sight.end[start:stop], sight.rows))
        else:
            a, b = np.searchsorted(sight.rows, [start, stop])
            out.append(Sight(sight.ordered, sight.key[a:b], sight.end[a:b], sight.rows[a:b] - start))
    return out


def newest(sights: list[Sight], at: Array, *, oldest: bool = False) -> Array:
    """The row of the newest (or oldest) event by (at, offset) that each moment sees, -1 if there is none.

    `at` is that of all events of the stream.
    """
    found = [s.ordered.rows((s.ordered.oldest if oldest else s.ordered.newest)(s.key, s.end)) for s in sights]
    best = found[0]
    for sight, mine in zip(sights[1:], found[1:], strict=True):
        old = best[sight.rows]
        low, high = (mine, old) if oldest else (old, mine)
        further = (at[high] > at[low]) | ((at[high] == at[low]) & (high > low))
        best[sight.rows] = np.where((mine >= 0) & ((old < 0) | further), mine, old)
    return best


def last(sights: list[Sight], at: Array, n: int) -> Array:
    """The rows of the last `n` events by (at, offset) that each moment sees, newest last, -1 on the left."""
    found = [sight.ordered.rows(sight.ordered.last(sight.key, sight.end, n)) for sight in sights]
    best = found[0]
    for sight, mine in zip(sights[1:], found[1:], strict=True):
        both = np.concatenate([best[sight.rows], mine], axis=1)
        order = np.lexsort((both, np.where(both < 0, NEUTRAL, at[both])), axis=1)
        best[sight.rows] = np.take_along_axis(both, order, axis=1)[:, -n:]
    return best


def stated(stream: Events, history: Mapping[str, Table], moments: Table) -> Array:
    """The row of the newest event of the stream that each moment sees of its key, -1 if there is none.

    The key is that of the stream's own entities, of which `moments` has columns, beside `offset`.
    """
    events = history.get(stream.name)
    if not events:
        return np.full(len(moments), -1, np.int64)
    books = {key.name: Codebook([events[key.name]]) for key in stream.keys}
    joint = JointCode([(book.encode(events[name]), book.size) for name, book in books.items()])
    over = ends(history, events)
    lives = None if over is None else Lives(events["offset"], over)
    codes = joint.encode([book.encode(moments[name]) for name, book in books.items()])
    ranks = np.searchsorted(events["offset"], moments["offset"])
    sights = Visible(joint, events["at"], None, lives).see(codes, moments["offset"], ranks)
    return newest(sights, events["at"])
