"""The log on disk: SQLite in WAL mode for what is new, Parquet segments for what is sealed.

One append becomes a few columnar rows of the table `batches`, so its cost is that of the write and the sync.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

import msgspec
import numpy as np

from sixfold._core.table import Array, Table
from sixfold.data.arrival import Batch, checked, conformed, in_order, numbered
from sixfold.data.log import Appended, Rewritten
from sixfold.engines.sqlite.batches import decode, encode, within
from sixfold.engines.sqlite.database import open_database, reading, writing
from sixfold.engines.sqlite.ids import IdIndex, digests, load_run
from sixfold.engines.sqlite.rewriting import rewrite
from sixfold.engines.sqlite.rows import BatchRow, bounds, insert, live_bodies, live_hashes
from sixfold.engines.sqlite.sealing import seal
from sixfold.engines.sqlite.segments import Segment, SegmentFolder
from sixfold.engines.sqlite.streams import Streams

__all__ = ["SqliteLog"]


class SqliteLog:
    """A durable log in the file `path`, with its segments in a folder beside it.

    Several processes may hold it open. Threads may share one `SqliteLog`: appends take turns, reads run beside them.
    Every method raises LogError on a damaged, locked or closed log. A read of a short range decodes up to `piece_rows`
    events; sealing holds up to `segment_rows` in memory at once.
    """

    def __init__(self, path: Path, *, piece_rows: int = 65_536, segment_rows: int = 500_000) -> None:
        self.path = path
        self._piece_rows, self._segment_rows = piece_rows, segment_rows
        self._writer = open_database(path)
        self._reader = open_database(path)
        self._write_lock, self._read_lock = Lock(), Lock()
        self._streams, self._read_streams = Streams(), Streams()
        self._ids = IdIndex()
        self._segments = SegmentFolder(path.with_suffix(".segments"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; closing twice is fine."""
        with self._write_lock, self._read_lock:
            self._writer.close()
            self._reader.close()

    def append(self, events: Mapping[str, Table], *, now: int) -> Mapping[str, Appended]:
        """Add events of one or more streams, durably; see the protocol."""
        batches = checked(events)
        by_row = [digest for batch in batches for digest in digests(batch.stream, batch.table["id"].tolist())]
        with self._write_lock:
            try:
                order, arrived, offsets = self._commit(batches, by_row, now)
            except BaseException:
                self._streams = Streams()
                raise
        return numbered(events, batches, order, arrived, offsets)

    def _commit(self, batches: Sequence[Batch], by_row: Sequence[bytes], now: int) -> tuple[Array, Array, Array]:
        """The order of the rows, their arrivals in it, and their offsets in it, once they are durable."""
        with writing(self._writer, self.path):
            _, end, last = bounds(self._writer)
            self._refresh_ids(end)
            self._streams.refresh(self._writer)
            order, arrived = in_order(batches, now=now, last=last)
            hashes = [by_row[row] for row in order.tolist()]
            fresh = _first_seen(hashes, self._ids.find(hashes))
            offsets = np.where(fresh, end - 1 + np.cumsum(fresh), -1)
            places = np.flatnonzero(fresh)
            new = [hashes[place] for place in places.tolist()]
            for low in range(0, len(places), self._piece_rows):
                piece, joined = places[low : low + self._piece_rows], b"".join(new[low : low + self._piece_rows])
                self._insert(batches, order[piece], offsets[piece], arrived[piece], joined)
        self._ids.add(new, offsets[places], end=end + len(places))
        return order, arrived, offsets

    def _insert(self, batches: Sequence[Batch], order: Array, offsets: Array, arrived: Array, hashes: bytes) -> None:
        base, stop, last = int(offsets[0]), int(offsets[-1]) + 1, int(arrived[-1])
        begin = 0
        for batch in batches:
            mine = np.flatnonzero((order >= begin) & (order < begin + len(batch)))
            if len(mine):
                first = int(offsets[mine[0]])
                code = self._streams.code(self._writer, batch.stream, batch.kinds)
                rows = batch.table.take(order[mine] - begin)
                body = encode(rows.with_columns({"offset": offsets[mine], "arrived": arrived[mine]}), batch.kinds)
                held = hashes if first == base else b""
                insert(self._writer, BatchRow(first, base, stop, last, code, held, body))
            begin += len(batch)

    def _refresh_ids(self, end: int) -> None:
        """Bring the index of ids up to the log's end; only while writing, so that no run's file vanishes meanwhile."""
        runs = self._writer.execute("SELECT stop, file, sha256 FROM runs ORDER BY start").fetchall()
        files = tuple(file for _, file, _ in runs)
        if files != self._ids.files:
            loaded = [load_run(self._segments.path / file, sha256) for _, file, sha256 in runs]
            self._ids.restart(files, loaded, runs[-1][0])
        if self._ids.end < end:
            for base, stop, joined in live_hashes(self._writer, self._ids.end):
                hashes = [joined[i : i + 16] for i in range(0, len(joined), 16)]
                self._ids.add(hashes, np.arange(base, stop), end=stop)

    def read(self, start: int, stop: int, streams: Iterable[str] | None = None) -> Mapping[str, Table]:
        """The events with start <= offset < stop, by stream; empty streams are left out."""
        wanted = None if streams is None else set(streams)
        with self._read_lock, reading(self._reader, self.path):
            self._read_streams.refresh(self._reader)
            known = {code: self._read_streams.by_code[code] for code in self._read_streams.codes(wanted)}
            current = {name: self._read_streams.kinds(name) for name, _ in known.values()}
            query = "SELECT start, stop, folder, files FROM segments WHERE start < ? AND stop > ? ORDER BY start"
            rows = self._reader.execute(query, (stop, start)).fetchall()
            live = live_bodies(self._reader, start, stop, known)
        segments = [Segment(low, high, folder, msgspec.json.decode(files)) for low, high, folder, files in rows]
        parts: dict[str, list[Table]] = {name: [] for name in current}
        for code, (name, kinds) in known.items():
            found = [self._segments.read(s, code, kinds, start, stop) for s in segments if str(code) in s.files]
            if code in live:
                found.append(within(decode(live[code], kinds), start, stop))
            parts[name] += [conformed(name, table, kinds, current[name]) for table in found if table]
        return {name: p[0] if len(p) == 1 else Table.concat(p) for name, p in parts.items() if p}

    def find(self, stream: str, event_id: str) -> Table | None:
        """The event of that id as a table of one row, or None."""
        with self._write_lock, writing(self._writer, self.path):
            self._refresh_ids(bounds(self._writer).end)
            offset = int(self._ids.find(digests(stream, [event_id]))[0])
        return None if offset < 0 else self.read(offset, offset + 1, [stream])[stream]

    def end(self) -> tuple[int, int]:
        """The next free offset and the last arrival."""
        with self._read_lock, reading(self._reader, self.path):
            return bounds(self._reader)[1:]

    def seal(self, upto: int) -> int:
        """Move events with offset < `upto` into Parquet; whenever it is cut short, the log is as before or as after."""
        connection = open_database(self.path)  # its own, so that reads and appends go on meanwhile
        try:
            return seal(connection, self.path, self._segments, upto, rows=self._segment_rows)
        finally:
            connection.close()

    def rewrite(self, gone: Array, changed: Mapping[str, Table]) -> list[Rewritten]:
        """Remove events and their ids, and replace values of others; see `sixfold.data.log.Rewritable`."""
        connection = open_database(self.path)
        try:
            with self._write_lock, self._read_lock:
                self._ids = IdIndex()
                return rewrite(connection, self.path, self._segments, np.unique(gone), changed)
        finally:
            connection.close()

    def sealed(self) -> int:
        """Everything below this offset is in segments."""
        with self._read_lock, reading(self._reader, self.path):
            return bounds(self._reader).sealed

    def strays(self) -> int:
        """How many ids are known of events that are not there: none, unless a removal was not completed."""
        end = self.end()[0]
        there = np.zeros(end, np.bool_)
        for start in range(0, end, self._segment_rows):
            for table in self.read(start, start + self._segment_rows).values():
                there[table["offset"]] = True
        with self._write_lock, writing(self._writer, self.path):
            self._ids = IdIndex()
            self._refresh_ids(end)
            known = self._ids.offsets()
        return int((~there[known]).sum())


def _first_seen(hashes: Sequence[bytes], known: Array) -> Array:
    """Which rows have an id that neither the log nor an earlier row has, (n_rows,) bool."""
    fresh = known < 0
    if len(set(hashes)) < len(hashes):
        seen: set[bytes] = set()
        for row, digest in enumerate(hashes):
            fresh[row] &= digest not in seen
            seen.add(digest)
    return fresh
