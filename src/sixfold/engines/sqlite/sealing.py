"""Sealing: moving old events out of SQLite into segments.

The files are written and synced first; one transaction then names them and deletes the rows. That transaction is the
only moment that counts: files that no transaction named are never read, and the next seal removes them.
"""

import secrets
import sqlite3
from pathlib import Path

import msgspec
import numpy as np

from sixfold._core.hashing import file_digest
from sixfold.engines.sqlite.batches import decode, within
from sixfold.engines.sqlite.database import reading, writing
from sixfold.engines.sqlite.ids import Run, load_run, save_run
from sixfold.engines.sqlite.rows import bounds, delete_before, live_bodies, live_hashes
from sixfold.engines.sqlite.segments import SegmentFolder, sync_folder
from sixfold.engines.sqlite.streams import Streams

__all__ = ["seal"]


def seal(connection: sqlite3.Connection, path: Path, folder: SegmentFolder, upto: int, *, rows: int) -> int:
    """Seal everything below `upto`, `rows` events at a time; returns how many events this call moved."""
    moved = 0
    while (step := _seal_next(connection, path, folder, upto, rows)) > 0:
        moved += step
    return moved


def _seal_next(connection: sqlite3.Connection, path: Path, folder: SegmentFolder, upto: int, rows: int) -> int:
    with reading(connection, path):
        start, end, _ = bounds(connection)
    if min(upto, end) <= start:
        return 0
    with folder.sealing():
        streams = Streams()
        with reading(connection, path):
            start = bounds(connection).sealed
            stop = min(upto, end, start + rows)
            if stop <= start:
                return 0
            streams.refresh(connection)
            bodies = live_bodies(connection, start, stop, streams.by_code)
            hashes = b"".join(joined for _, _, joined in live_hashes(connection, start))[: (stop - start) * 16]
            runs = connection.execute("SELECT start, file, sha256 FROM runs ORDER BY start").fetchall()
            (whole,) = connection.execute(
                "SELECT coalesce(max(arrived), 0) FROM batches WHERE stop <= ?", (stop,)
            ).fetchone()
        columns = [kinds for _, kinds in streams.by_code.values()]
        found = {code: within(decode(parts, columns[code - 1]), start, stop) for code, parts in bodies.items()}
        tables = {code: table for code, table in found.items() if table}
        name = f"{start:012d}-{stop:012d}-{secrets.token_hex(4)}"
        files = msgspec.json.encode(folder.write(name, tables)).decode()
        run_start, file, digest = _write_run(folder.path, runs, Run.of(hashes, np.arange(start, stop)), start, name)
        arrived = max((int(table["arrived"][-1]) for table in tables.values()), default=0)
        arrived = max(arrived, whole)  # that of the last event, which may have been erased
        with writing(connection, path):
            connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?)", (start, stop, arrived, name, files))
            connection.execute("DELETE FROM runs WHERE start >= ?", (run_start,))
            connection.execute("INSERT INTO runs VALUES (?, ?, ?, ?)", (run_start, stop, file, digest))
            delete_before(connection, stop, columns)
            keep = {row[0] for row in connection.execute("SELECT folder FROM segments UNION SELECT file FROM runs")}
        folder.clean(keep)
    return stop - start


def _write_run(folder: Path, runs: list[tuple[int, str, str]], run: Run, start: int, name: str) -> tuple[int, str, str]:
    """Save the id hashes, merged with runs before it of at most twice the size; returns start, file, SHA-256."""
    for before, file, sha256 in reversed(runs):
        older = load_run(folder / file, sha256)
        if len(older) > 2 * len(run):
            break
        run, start = Run.merge([older, run]), before
    path = folder / f"ids-{start:012d}-{name}.npy"
    save_run(path, run)
    sync_folder(folder)
    return start, path.name, file_digest(path)
