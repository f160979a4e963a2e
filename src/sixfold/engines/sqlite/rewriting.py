"""Forgetting: events are taken out of segments, live batches and the index of ids; offsets of all others stay.

Segment by segment, new files are written and synced first and one transaction then names them, as in sealing; whatever
was cut short is done again by the same call. At the end the database file is built anew, so that no free page and no
frame of the write-ahead log holds what was removed.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from sixfold._core.errors import LogError
from sixfold._core.hashing import file_digest
from sixfold._core.table import Array, Table
from sixfold.data.log import Rewritten
from sixfold.engines.sqlite.batches import decode, encode
from sixfold.engines.sqlite.database import reading, writing
from sixfold.engines.sqlite.ids import Run, load_run, save_run
from sixfold.engines.sqlite.rows import live_rows
from sixfold.engines.sqlite.segments import Segment, SegmentFolder, sync_folder
from sixfold.engines.sqlite.streams import Streams

__all__ = ["rewrite"]


def rewrite(
    connection: sqlite3.Connection, path: Path, folder: SegmentFolder, gone: Array, changed: Mapping[str, Table]
) -> list[Rewritten]:
    """Take the events at the offsets `gone`, in order, out of everything, and replace values of others."""
    with folder.sealing():
        streams = Streams()
        with reading(connection, path):
            streams.refresh(connection)
        out = _Rewriting(connection, path, folder, streams, gone, changed).all()
        with reading(connection, path):
            keep = {row[0] for row in connection.execute("SELECT folder FROM segments UNION SELECT file FROM runs")}
        folder.clean(keep)
    _compact(connection, path)
    return out


@dataclass(frozen=True, slots=True)
class _Rewriting:
    connection: sqlite3.Connection
    path: Path
    folder: SegmentFolder
    streams: Streams
    gone: Array
    changed: Mapping[str, Table]

    def all(self) -> list[Rewritten]:
        """Segments, then ids, then what is not sealed; returns the files that were written."""
        touched = np.unique(np.concatenate([self.gone, *(table["offset"] for table in self.changed.values())]))
        with reading(self.connection, self.path):
            query = "SELECT start, stop, folder, files FROM segments ORDER BY start"
            rows = self.connection.execute(query).fetchall()
        out: list[Rewritten] = []
        for start, stop, name, files in rows:
            if np.searchsorted(touched, start) < np.searchsorted(touched, stop):
                out += self._segment(Segment(start, stop, name, msgspec.json.decode(files)))
        out += self._runs()
        if len(touched):
            with writing(self.connection, self.path):
                self._live(int(touched[0]), int(touched[-1]) + 1)
        return out

    def _without(self, stream: str, table: Table) -> Table:
        """The rows that stay, with their new values; the same object where nothing changes."""
        drop = np.isin(table["offset"], self.gone)
        kept = table.take(~drop) if drop.any() else table
        new = self.changed.get(stream)
        if not new or not kept:
            return kept
        place = np.minimum(np.searchsorted(kept["offset"], new["offset"]), len(kept) - 1)
        mine = kept["offset"][place] == new["offset"]
        columns = {}
        for name in new:
            if name != "offset" and name in kept and (kept[name][place[mine]] != new[name][mine]).any():
                columns[name] = kept[name].copy()
                columns[name][place[mine]] = new[name][mine]
        return kept.with_columns(columns) if columns else kept

    def _segment(self, segment: Segment) -> Iterator[Rewritten]:
        tables = {}
        for code in map(int, segment.files):
            stream, kinds = self.streams.by_code[code]
            table = self.folder.read(segment, code, kinds, segment.start, segment.stop)
            if (new := self._without(stream, table)) is not table:
                tables[code] = new
        if not tables:
            return
        name = f"{segment.start:012d}-{segment.stop:012d}-{secrets.token_hex(4)}"
        files = self.folder.write(name, {code: table for code, table in tables.items() if table})
        for number, digest in segment.files.items():
            if int(number) not in tables:
                file = f"{number}.parquet"
                os.link(self.folder.path / segment.folder / file, self.folder.path / name / file)
                files[number] = digest
        sync_folder(self.folder.path / name)
        values = name, msgspec.json.encode(files).decode(), segment.start
        with writing(self.connection, self.path):
            self.connection.execute("UPDATE segments SET folder = ?, files = ? WHERE start = ?", values)
        for number in map(str, tables):
            named = f"{self.folder.path.name}/{name}/{number}.parquet"
            yield Rewritten(named, segment.files[number], files.get(number, ""))

    def _runs(self) -> Iterator[Rewritten]:
        """Forget the hashes of the ids of events that are gone."""
        with reading(self.connection, self.path):
            runs = self.connection.execute("SELECT start, stop, file, sha256 FROM runs ORDER BY start").fetchall()
        for start, stop, file, sha256 in runs:
            if np.searchsorted(self.gone, start) == np.searchsorted(self.gone, stop):
                continue
            columns = load_run(self.folder.path / file, sha256).columns
            keep = ~np.isin(columns[2], self.gone.astype(np.uint64))
            if keep.all():
                continue
            new = self.folder.path / f"ids-{start:012d}-{stop:012d}-{secrets.token_hex(4)}.npy"
            save_run(new, Run(np.ascontiguousarray(columns[:, keep])))
            sync_folder(self.folder.path)
            values = new.name, file_digest(new), start
            with writing(self.connection, self.path):
                self.connection.execute("UPDATE runs SET file = ?, sha256 = ? WHERE start = ?", values)
            yield Rewritten(f"{self.folder.path.name}/{new.name}", sha256, values[1])

    def _live(self, start: int, stop: int) -> None:
        for row in live_rows(self.connection, start, stop):
            stream, kinds = self.streams.by_code[row.stream]
            table = decode([(row.first, row.body)], kinds)
            new = self._without(stream, table)
            hashes = bytearray(row.hashes)
            if holds := row.first == row.base:
                for offset in self.gone[slice(*self.gone.searchsorted([row.base, row.stop]))].tolist():
                    hashes[(offset - row.base) * 16 : (offset - row.base + 1) * 16] = bytes(16)
            if not new and not holds:
                self.connection.execute("DELETE FROM batches WHERE first = ?", (row.first,))
            elif new is not table or hashes != row.hashes:
                values = bytes(hashes), encode(new, kinds, first=row.first), row.first
                self.connection.execute("UPDATE batches SET hashes = ?, body = ? WHERE first = ?", values)


def _compact(connection: sqlite3.Connection, path: Path) -> None:
    """Build the database file anew and empty its write-ahead log; LogError if another process has it open."""
    try:
        for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            found = connection.execute(statement).fetchone()
            if found is not None and found[0]:
                raise sqlite3.OperationalError("another process is reading it")
    except sqlite3.OperationalError as error:
        raise LogError(
            f"{path} cannot be built anew: {error}",
            hint="stop the service and whatever else uses this home, then run the same command again",
        ) from error
