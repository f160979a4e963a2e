"""The table `batches` (what is not sealed yet) and the bounds of the log. Call these inside a transaction.

A row is a batch: the events of one stream among the offsets base..stop of one piece of an append. `first` is the
batch's own first offset. The batch with first = base holds the id hashes of the whole piece, 16 bytes each by offset;
it stays, without rows, where all of its events were erased.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sixfold.data.arrival import Kinds
from sixfold.engines.sqlite.batches import decode, encode, within

__all__ = ["BatchRow", "Bounds", "bounds", "delete_before", "insert", "live_bodies", "live_hashes", "live_rows"]


class Bounds(NamedTuple):
    """Everything below `sealed` is in segments; `end` is the next free offset, `arrived` the last arrival."""

    sealed: int
    end: int
    arrived: int


class BatchRow(NamedTuple):
    """A row of the table, in the order of its columns."""

    first: int
    base: int
    stop: int
    arrived: int
    stream: int
    hashes: bytes
    body: bytes


def bounds(connection: sqlite3.Connection) -> Bounds:
    """How far the log reaches."""
    segment = connection.execute("SELECT stop, arrived FROM segments ORDER BY start DESC LIMIT 1").fetchone() or (0, 0)
    live = connection.execute("SELECT stop, arrived FROM batches ORDER BY first DESC LIMIT 1").fetchone()
    return Bounds(segment[0], *(live or segment))


def insert(connection: sqlite3.Connection, row: BatchRow) -> None:
    """Add a batch."""
    connection.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def live_bodies(
    connection: sqlite3.Connection, start: int, stop: int, codes: Iterable[int]
) -> dict[int, list[tuple[int, bytes]]]:
    """By stream code, (first, body) of the batches that may have offsets in start..stop, in order."""
    query = f"""SELECT stream, first, body FROM batches WHERE first < ? AND first >= coalesce(
        (SELECT base FROM batches WHERE first <= ? ORDER BY first DESC LIMIT 1), 0)
        AND stream IN ({",".join(str(int(code)) for code in codes)}) ORDER BY first"""  # noqa: S608 - ints only
    found: dict[int, list[tuple[int, bytes]]] = {}
    for code, first, body in connection.execute(query, (stop, start)):
        found.setdefault(code, []).append((first, body))
    return found


def live_hashes(connection: sqlite3.Connection, start: int) -> list[tuple[int, int, bytes]]:
    """(base, stop, hashes) of each piece from offset `start` on, which must be a piece's base."""
    query = "SELECT base, stop, hashes FROM batches WHERE first >= ? AND first = base ORDER BY first"
    return connection.execute(query, (start,)).fetchall()


def live_rows(connection: sqlite3.Connection, start: int, stop: int) -> list[BatchRow]:
    """All batches of the pieces that have offsets in start..stop, in order."""
    query = "SELECT * FROM batches WHERE base < ? AND stop > ? ORDER BY first"
    return [BatchRow(*row) for row in connection.execute(query, (stop, start))]


def delete_before(connection: sqlite3.Connection, stop: int, kinds: Sequence[Kinds]) -> None:
    """Remove the events below `stop`; a piece that reaches beyond it is written again without them.

    `kinds` are the columns of each stream code, from code 1 on.
    """
    rows = live_rows(connection, stop, stop)
    connection.execute("DELETE FROM batches WHERE base < ?", (stop,))
    held = rows[0].hashes[(stop - rows[0].base) * 16 :] if rows else b""
    for row in rows:
        columns = kinds[row.stream - 1]
        rest = within(decode([(row.first, row.body)], columns), stop, row.stop)
        if rest:
            first = int(rest["offset"][0])
            mine = held if first == stop else b""
            held = b"" if first == stop else held
            insert(connection, row._replace(first=first, base=stop, hashes=mine, body=encode(rest, columns)))
    if held:  # the event at the new base was erased
        nothing = decode([(rows[0].first, rows[0].body)], kinds[rows[0].stream - 1]).take(slice(0))
        body = encode(nothing, kinds[rows[0].stream - 1])
        insert(connection, rows[0]._replace(first=stop, base=stop, hashes=held, body=body))
