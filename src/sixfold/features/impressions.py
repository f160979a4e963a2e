"""Impressions out of a log a slice at a time, labelled: memory holds one slice, however many rows there are.

A label belongs to the latest impression of the same keys before the outcome, so a slice cannot be labelled from its own
events alone: whatever happened within the labels' windows of its rows is read again beside it, late arrivals included.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sixfold._core.hashing import canonical
from sixfold._core.table import Array, Table
from sixfold._core.times import duration
from sixfold.data.labels import Label, label_values
from sixfold.data.log import Log
from sixfold.data.retraction import RETRACTION

__all__ = ["Impressions", "Resolve", "same"]

Resolve = Callable[[Table], Table]
"""Gives impressions the `at` and `offset` that their features are computed as of: those of the decision behind them."""

_STEP = 200_000
"""Offsets read at a time."""


def same(impressions: Table) -> Table:
    """The impressions as they are: each stands for its own moment in the log."""
    return impressions


@dataclass(frozen=True, slots=True)
class _Step:
    """A range of offsets, and between which instants the events of each stream in it happened."""

    start: int
    stop: int
    spans: dict[str, tuple[int, int]]


class Impressions:
    """The impressions of `labels` in the log below `stop` that happened in `within`, mature at `now`.

    Raises nothing: a range without impressions has no slices.
    """

    def __init__(self, log: Log, labels: Sequence[Label], *, stop: int, within: tuple[int, int], now: int) -> None:
        self.stream = labels[0].of
        self.n_rows = 0
        self.last_at = 0
        self._log, self._labels, self._stop = log, labels, stop
        self._first_at = within[0]
        # An impression that ripens just now is taken: a row is left out while now < at + maturity.
        self._end_at = min(within[1], now - max(label.maturity for label in labels) + 1)
        self._reach = max(duration(label.within) for label in labels)
        self._streams = list(dict.fromkeys([self.stream.name, *(label.outcome.name for label in labels)]))
        self._steps: list[_Step] = []
        self._retracted = np.empty(0, np.int64)

    def survey(self, resolve: Resolve, progress: Callable[[float], None]) -> dict[str, str]:
        """Read everything once: count the rows, and give a digest of each stream's content."""
        digests = {name: _Digest() for name in (*self._streams, RETRACTION)}
        retracted = self._log.read(0, self._stop, [RETRACTION]).get(RETRACTION)
        if retracted is not None:
            self._retracted = np.unique(retracted["target"])
            digests[RETRACTION].add(retracted)
        for start in range(0, self._stop, _STEP):
            stop = min(start + _STEP, self._stop)
            tables = self._log.read(start, stop, self._streams)
            for name, table in tables.items():
                digests[name].add(resolve(table) if name == self.stream.name else table)
            spans = {name: (int(t["at"].min()), int(t["at"].max())) for name, t in tables.items()}
            self._steps.append(_Step(start, stop, spans))
            mine = tables.get(self.stream.name)
            if mine is not None and len(rows := self._wanted(mine)):
                self.n_rows += len(rows)
                self.last_at = max(self.last_at, int(mine["at"][rows].max()))
            progress(stop / self._stop)
        return {name: digest.text for name, digest in digests.items()}

    def _wanted(self, impressions: Table) -> Array:
        at = impressions["at"]
        return np.flatnonzero((at >= self._first_at) & (at < self._end_at) & ~self._gone(impressions))

    def _gone(self, events: Table) -> Array:
        """Which events are taken back in the prefix: they are neither impressions nor outcomes."""
        return np.isin(events["offset"], self._retracted)

    def slices(self, n_rows: int) -> Iterator[tuple[Table, Table, Table]]:
        """Impressions in order of offset, `n_rows` at a time, with the values and the weights of their labels."""
        waiting: list[Table] = []
        for step in self._steps:
            if self.stream.name not in step.spans:
                continue
            found = self._log.read(step.start, step.stop, [self.stream.name])[self.stream.name]
            waiting.append(found.take(self._wanted(found)))
            while sum(map(len, waiting)) >= n_rows:
                whole = Table.concat(waiting)
                yield self._labelled(whole.take(slice(n_rows)))
                waiting = [whole.take(slice(n_rows, None))]
        if any(waiting):
            yield self._labelled(Table.concat(waiting))

    def _labelled(self, rows: Table) -> tuple[Table, Table, Table]:
        starts, ends = _merged(rows["at"], self._reach)
        near = {name: self._near(name, starts, ends) for name in self._streams}
        rivals = near[self.stream.name]
        mine = rivals["offset"].searchsorted(rows["offset"])
        values, weights = label_values(self._labels, rivals, near)
        return rows, values.take(mine), weights.take(mine)

    def _near(self, stream: str, starts: Array, ends: Array) -> Table:
        """The events of a stream that happened within the spans, in order of offset."""
        parts = []
        for step in self._steps:
            if stream in step.spans and _touches(step.spans[stream], starts, ends):
                table = self._log.read(step.start, step.stop, [stream])[stream]
                span = np.searchsorted(starts, table["at"], side="right") - 1
                inside = (span >= 0) & (table["at"] < ends[np.maximum(span, 0)])
                parts.append(table.take(inside & ~self._gone(table)))
        return Table.concat(parts)


def _merged(at: Array, reach: int) -> tuple[Array, Array]:
    """The spans [at, at + reach) of all instants, where they overlap as one.

    >>> [part.tolist() for part in _merged(np.array([5, 1, 20]), 10)]
    [[1, 20], [15, 30]]
    """
    instants = np.unique(at)
    first = np.flatnonzero(np.diff(instants, prepend=instants[0] - reach - 1) > reach)
    last = np.append(first[1:] - 1, len(instants) - 1)
    return instants[first], instants[last] + reach


def _touches(span: tuple[int, int], starts: Array, ends: Array) -> bool:
    return bool(((starts <= span[1]) & (ends > span[0])).any())


class _Digest:
    """The content of a stream's tables, the same however they are cut."""

    def __init__(self) -> None:
        self._columns: dict[str, hashlib.blake2b] = {}

    def add(self, table: Table) -> None:
        for name in table:
            values = table[name]
            digest = self._columns.setdefault(name, hashlib.blake2b(canonical([name, str(values.dtype)])))
            if values.dtype == object:
                digest.update(canonical(values.tolist())[1:-1] + b",")
            else:
                digest.update(np.ascontiguousarray(values).tobytes())

    @property
    def text(self) -> str:
        whole = hashlib.blake2b(digest_size=16)
        for name in sorted(self._columns):
            whole.update(self._columns[name].digest())
        return whole.hexdigest()


def digest_of(table: Table) -> str:
    """The content of one table, as 32 hexadecimal digits."""
    digest = _Digest()
    digest.add(table)
    return digest.text
