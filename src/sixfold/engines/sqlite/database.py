"""The SQLite file behind a log and its quarantine: how it is opened, laid out, locked, and what its errors mean."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sixfold._core.errors import LogError

__all__ = ["open_database", "reading", "writing"]

VERSION = 1
_BUSY_MS = 120_000  # SQLite does not queue writers: on a slow disk one of three can wait long for its turn

_LAYOUT = """
CREATE TABLE streams (code INTEGER PRIMARY KEY, name TEXT NOT NULL, columns TEXT NOT NULL);
CREATE TABLE batches (first INTEGER PRIMARY KEY, base INTEGER NOT NULL, stop INTEGER NOT NULL,
    arrived INTEGER NOT NULL, stream INTEGER NOT NULL, hashes BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE segments (start INTEGER PRIMARY KEY, stop INTEGER NOT NULL, arrived INTEGER NOT NULL,
    folder TEXT NOT NULL, files TEXT NOT NULL);
CREATE TABLE runs (start INTEGER PRIMARY KEY, stop INTEGER NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE quarantine (id TEXT PRIMARY KEY, stream TEXT NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL,
    found TEXT NOT NULL, row TEXT NOT NULL);
"""


def open_database(path: Path) -> sqlite3.Connection:
    """A connection with durable commits (WAL, synchronous=FULL); makes the file if there is none. Raises LogError."""
    if path.is_dir():
        raise LogError(f"{path} is a folder, expected the file of a log", hint=f"try {path / 'log.db'}")
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise LogError(
            f"{path} was written by a newer Sixfold: layout {version}, this one knows {VERSION}",
            hint="upgrade Sixfold, or use another --home",
        )
    _use_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA journal_size_limit=67108864")
    # A checkpoint stalls whoever commits: one in some thousand decisions, not in three hundred as by default.
    connection.execute("PRAGMA wal_autocheckpoint=16384")
    if version == VERSION:
        return
    with writing(connection, path):
        if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            return
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise LogError(f"{path} is an SQLite file but not a log of Sixfold", hint="name another file")
        for statement in _LAYOUT.strip().split(";\n"):
            connection.execute(statement.rstrip(";"))
        connection.execute(f"PRAGMA user_version={VERSION}")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switches the file to a write-ahead log; of several processes that make one file, each waits for the others.

    The switch itself is refused at once while another process holds the file: SQLite's own waiting is not for it.
    """
    deadline = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


@contextmanager
def writing(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """One transaction that holds the write lock from its first moment; rolled back if anything fails inside."""
    with _transaction(connection, path, "BEGIN IMMEDIATE"):
        yield


@contextmanager
def reading(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """One transaction that sees a single state of the file."""
    with _transaction(connection, path, "BEGIN"):
        yield


@contextmanager
def _transaction(connection: sqlite3.Connection, path: Path, begin: str) -> Iterator[None]:
    with _explained(path):
        connection.execute(begin)
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise LogError(f"{path}: {error}", hint="a closed log cannot be used: open it again") from error
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise LogError(
                f"{path} is locked: another process has been writing for over {_BUSY_MS // 1000} seconds",
                hint="look for a stuck sixfold process",
            ) from error
        raise LogError(f"{path} cannot be used: {error}", hint="is the disk full, or the folder read-only?") from error
    except sqlite3.DatabaseError as error:
        raise LogError(f"{path} is not a log, or is damaged: {error}", hint="restore it from a copy") from error
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise LogError(
            f"{path} cannot be used: {error.strerror} ({error.filename})", hint="name another file"
        ) from error
