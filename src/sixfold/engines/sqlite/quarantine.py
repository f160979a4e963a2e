"""The quarantine on disk: a table in the file of the log."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from sixfold.data.quarantine import Reject
from sixfold.engines.sqlite.database import open_database, reading, writing

__all__ = ["SqliteQuarantine"]


class SqliteQuarantine:
    """Rejects in the SQLite file `path`, which may be that of a `SqliteLog`; durable when `put` returns.

    Every method raises LogError on a damaged, locked or closed file. Threads may share it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_database(path)
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; closing twice is fine."""
        with self._lock:
            self._connection.close()

    def put(self, rejects: Iterable[Reject]) -> None:
        """Keep the rejects, all or none."""
        rows = [(r.id, r.stream, r.at, r.reason, r.found, r.row) for r in rejects]
        if rows:
            with self._lock, writing(self._connection, self.path):
                self._connection.executemany("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?, ?)", rows)

    def count(self) -> Mapping[tuple[str, str], int]:
        """How many rows wait, by stream and reason, the most frequent first."""
        query = "SELECT stream, reason, count(*) FROM quarantine GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
        with self._lock, reading(self._connection, self.path):
            return {(stream, reason): n for stream, reason, n in self._connection.execute(query)}

    def read(self, limit: int, *, after: str = "") -> list[Reject]:
        """Up to `limit` rejects in order of id, from the first whose id is greater than `after`."""
        query = "SELECT stream, reason, found, row, at FROM quarantine WHERE id > ? ORDER BY id LIMIT ?"
        with self._lock, reading(self._connection, self.path):
            return [Reject(*row) for row in self._connection.execute(query, (after, limit))]

    def take(self, ids: Iterable[str]) -> int:
        """Remove the rejects of these ids, all or none; returns how many there were."""
        with self._lock, writing(self._connection, self.path):
            found = self._connection.executemany("DELETE FROM quarantine WHERE id = ?", [(name,) for name in ids])
            return max(found.rowcount, 0)
