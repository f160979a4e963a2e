"""The log in memory: the same promises as on disk except that it ends with the process. For tests and small worlds."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.data.arrival import Batch, Kinds, checked, conformed, in_order, numbered
from sixfold.data.log import Appended, Rewritten

__all__ = ["MemoryLog"]


class MemoryLog:
    """A log that lives in this process.

    >>> log = MemoryLog()
    >>> table = Table({"id": np.array(["a"], object), "at": np.array([5]), "user": np.array([7])})
    >>> log.append({"login": table}, now=6)["login"].offsets, log.append({"login": table}, now=9)["login"].offsets
    (array([0]), array([-1]))
    >>> log.read(0, 1)["login"].row(0)
    {'id': 'a', 'offset': 0, 'at': 5, 'arrived': 6, 'user': 7}
    """

    def __init__(self) -> None:
        self._parts: dict[str, list[tuple[Kinds, Table]]] = {}
        self._kinds: dict[str, Kinds] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._end = 0
        self._last = 0
        self._sealed = 0

    def append(self, events: Mapping[str, Table], *, now: int) -> Mapping[str, Appended]:
        """Add events of one or more streams; see the protocol."""
        batches = checked(events)
        order, arrived = in_order(batches, now=now, last=self._last)
        ids = [(batch.stream, event_id) for batch in batches for event_id in batch.table["id"].tolist()]
        offsets = np.full(len(order), -1, np.int64)
        for place, row in enumerate(order.tolist()):
            if ids[row] not in self._ids:
                offsets[place] = self._ids[ids[row]] = self._end
                self._end += 1
        appended = numbered(events, batches, order, arrived, offsets)
        for batch in batches:
            self._keep(batch, appended[batch.stream])
        if (offsets >= 0).any():
            self._last = int(arrived[offsets >= 0][-1])
        return appended

    def _keep(self, batch: Batch, appended: Appended) -> None:
        rows = np.argsort(appended.offsets, kind="stable")[appended.duplicates :]
        if not len(rows):
            return
        table = batch.table.take(rows)
        places = {"offset": appended.offsets[rows], "at": table["at"], "arrived": appended.arrived[rows]}
        whole = Table({"id": table["id"], **places, **{name: table[name] for name in batch.kinds}})
        self._kinds[batch.stream] = batch.kinds
        self._parts.setdefault(batch.stream, []).append((batch.kinds, whole))

    def read(self, start: int, stop: int, streams: Iterable[str] | None = None) -> Mapping[str, Table]:
        """The events with start <= offset < stop, by stream; empty streams are left out."""
        wanted = self._parts if streams is None else set(streams)
        tables = {stream: self._slice(stream, start, stop) for stream in self._parts if stream in wanted}
        return {stream: table for stream, table in tables.items() if table}

    def _slice(self, stream: str, start: int, stop: int) -> Table:
        parts = self._parts[stream]
        low = bisect_left(parts, start, key=lambda part: int(part[1]["offset"][-1]))
        high = bisect_left(parts, stop, key=lambda part: int(part[1]["offset"][0]))
        found = [conformed(stream, table, old, self._kinds[stream]) for old, table in parts[low:high]]
        if not found:
            return Table({})
        whole = Table.concat(found)
        first, last = np.searchsorted(whole["offset"], [start, stop])
        rows = np.arange(first, last)
        return whole.take(rows)

    def find(self, stream: str, event_id: str) -> Table | None:
        """The event of that id as a table of one row, or None."""
        offset = self._ids.get((stream, event_id))
        return None if offset is None else self.read(offset, offset + 1, [stream]).get(stream)

    def end(self) -> tuple[int, int]:
        """The next free offset and the last arrival."""
        return self._end, self._last

    def seal(self, upto: int) -> int:
        """Join what is before `upto` into one part per stream; returns how many events were not sealed before."""
        before, self._sealed = self._sealed, max(self._sealed, min(upto, self._end))
        for parts in self._parts.values():
            whole = bisect_right(parts, self._sealed - 1, key=lambda part: int(part[1]["offset"][-1]))
            if whole > 1 and all(kinds == parts[0][0] for kinds, _ in parts[:whole]):
                parts[:whole] = [(parts[0][0], Table.concat([table for _, table in parts[:whole]]))]
        return self._sealed - before

    def rewrite(self, gone: Array, changed: Mapping[str, Table]) -> list[Rewritten]:
        """Remove events and their ids, and replace values of others; there are no files to name."""
        removed = set(gone.tolist())
        self._ids = {name: offset for name, offset in self._ids.items() if offset not in removed}
        for stream, parts in self._parts.items():
            kept = [(kinds, _without(table, gone, changed.get(stream))) for kinds, table in parts]
            parts[:] = [part for part in kept if part[1]]
        return []


def _without(table: Table, gone: Array, changed: Table | None) -> Table:
    rows = table.take(~np.isin(table["offset"], gone)).rows()
    new = {} if changed is None else {row.pop("offset"): row for row in changed.rows()}
    kinds = {name: values.dtype for name, values in table.items()}
    rows = [{**row, **new.get(row["offset"], {})} for row in rows]
    columns = {name: np.array([*(row[name] for row in rows), None], object)[:-1] for name in table}
    return Table({name: values.astype(kinds[name]) for name, values in columns.items()})
