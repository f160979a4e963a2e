"""Packed state in an SQLite file: a row of the table `state` for each row of each group, numbered by both."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sixfold._core.errors import FeatureError, ServiceError

__all__ = ["SqliteBodies"]

_FILE_KIND = 0x51F01D  # SQLite keeps this number in the file's head: what kind of file it is
_FORMAT = 1
_BUSY_S = 10
_GROUP = 1 << 40  # rows of a group are numbered below this
_MANY_PIECES = 256

_PUT = "INSERT INTO state VALUES (?, ?) ON CONFLICT (place) DO UPDATE SET body = excluded.body"  # REPLACE takes twice

_LAYOUT = """
CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), version TEXT NOT NULL, clock TEXT NOT NULL);
CREATE TABLE ledger (piece INTEGER PRIMARY KEY, more BLOB NOT NULL);
CREATE TABLE state (place INTEGER PRIMARY KEY, body BLOB NOT NULL);
"""


class SqliteBodies:
    """Implements `sixfold.engines.packed.Bodies`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = ""
        self._clock: str | None = None
        self._groups: dict[str, int] = {}
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
            try:
                self._prepare()
            except BaseException:
                self._file.close()
                raise

    def _prepare(self) -> None:
        kind, version = (
            self._file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        is_new = not self._file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not is_new and (kind != _FILE_KIND or version != _FORMAT):
            raise FeatureError(
                f"{self._path} is not a file of online state in layout {_FORMAT}: kind {kind}, layout {version}",
                hint="name another file, or delete it if it was one: the log holds everything",
            )
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=NORMAL")  # what a power cut takes is folded again from the log
        self._file.execute("PRAGMA wal_autocheckpoint=16384")  # a checkpoint stalls whoever commits
        self._file.execute("PRAGMA journal_size_limit=67108864")
        self._file.execute("PRAGMA cache_size=-65536")
        self._file.execute("PRAGMA mmap_size=1073741824")
        if is_new:
            with self._writing():
                for statement in _LAYOUT.strip().split(";\n"):
                    self._file.execute(statement.rstrip(";"))
                self._file.execute(f"PRAGMA application_id={_FILE_KIND}")
                self._file.execute(f"PRAGMA user_version={_FORMAT}")

    def close(self) -> None:
        """Release the file; closing twice is fine."""
        self._file.close()

    def resume(self, version: str, groups: Sequence[str]) -> tuple[str, bytes] | None:
        """The clock and the ledger, if the file holds any; raises FeatureError if they are of another version."""
        self._number(groups)
        self._version, self._clock = version, None
        with self._explained():
            head = self._file.execute("SELECT version, clock FROM head").fetchone()
            if head is None:
                return None
            if head[0] != version:
                raise FeatureError(
                    f"{self._path} holds state of other features: {head[0]}, expected {version}",
                    hint="the definitions have changed: name another file, or delete this one and fold the log",
                )
            pieces = [more for (more,) in self._file.execute("SELECT more FROM ledger ORDER BY piece")]
            ledger = b"".join(pieces)
            if len(pieces) > _MANY_PIECES:
                with self._writing():
                    self._file.execute("DELETE FROM ledger")
                    self._file.execute("INSERT INTO ledger (more) VALUES (?)", (ledger,))
        self._clock = head[1]
        return head[1], ledger

    def clear(self, groups: Sequence[str]) -> None:
        """Hold nothing."""
        self._number(groups)
        self._clock = None
        with self._explained(), self._writing():
            for table in ("head", "ledger", "state"):
                self._file.execute(f"DELETE FROM {table}")  # noqa: S608

    def _number(self, groups: Sequence[str]) -> None:
        self._groups = {name: i * _GROUP for i, name in enumerate(groups)}

    def get(self, wants: Mapping[str, Sequence[int]]) -> Mapping[str, Sequence[bytes | None]]:
        """The bytes of rows, None where there are none, with one statement."""
        places = {group: [self._groups[group] + row for row in rows] for group, rows in wants.items()}
        every = json.dumps([place for group in places.values() for place in group])
        with self._explained():
            query = "SELECT place, body FROM state WHERE place IN (SELECT value FROM json_each(?))"
            found = dict(self._file.execute(query, (every,)))
            head = self._file.execute("SELECT clock FROM head").fetchone()
        if head != (None if self._clock is None else (self._clock,)):
            raise self._disturbed()
        return {group: [found.get(place) for place in there] for group, there in places.items()}

    def commit(self, changes: Mapping[str, Mapping[int, bytes]], clock: str, more: bytes) -> None:
        """All changes or none, in one transaction."""
        bodies = [(self._groups[group] + row, body) for group, rows in changes.items() for row, body in rows.items()]
        bodies.sort()  # neighbours lie on one page
        with self._explained(), self._writing():
            self._move_clock(clock)
            self._file.executemany(_PUT, [pair for pair in bodies if pair[1]])
            self._file.executemany("DELETE FROM state WHERE place = ?", [pair[:1] for pair in bodies if not pair[1]])
            if more:
                self._file.execute("INSERT INTO ledger (more) VALUES (?)", (more,))
        self._clock = clock

    def _move_clock(self, clock: str) -> None:
        """Raises ServiceError unless the clock in the file is the one that this process left there."""
        if self._clock is None:
            query = "INSERT INTO head SELECT 1, ?, ? WHERE NOT EXISTS (SELECT 1 FROM head)"
            moved = self._file.execute(query, (self._version, clock)).rowcount
        else:
            moved = self._file.execute("UPDATE head SET clock = ? WHERE clock = ?", (clock, self._clock)).rowcount
        if moved != 1:
            raise self._disturbed()

    def _disturbed(self) -> ServiceError:
        what = f"another process has written into {self._path}"
        return ServiceError(what, hint="give every process a file of its own, then open it again")

    def rows(self, group: str) -> Iterator[tuple[int, bytes]]:
        """Everything of a group, in order of rows."""
        base = self._groups[group]
        query = "SELECT place - ?, body FROM state WHERE place >= ? AND place < ? ORDER BY place"
        with self._explained():
            yield from self._file.execute(query, (base, base, base + _GROUP))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._file.execute("COMMIT")
        except BaseException:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            hint = "is the disk full, the folder read-only, another process writing, or the store closed?"
            if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
                hint = "name another file"
            raise ServiceError(f"the online state in {self._path} cannot be used: {error}", hint=hint) from error
