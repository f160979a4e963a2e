"""The log: one append-only order of every fact. Engines implement this protocol; everything else is a view of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sixfold._core.table import Array, Table

__all__ = ["Appended", "Log", "Rewritable", "Rewritten"]


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of one stream's rows of an append: their offsets, -1 where the event id was in the log already."""

    offsets: Array
    arrived: Array

    @property
    def duplicates(self) -> int:
        """How many rows were in the log already."""
        return int((self.offsets < 0).sum())


class Log(Protocol):
    """Ordered events. Offsets start at 0, and a gap is where events were erased; `arrived` never falls as they rise.

    Tables passed in have `id` (text), `at` and the columns of their stream; tables read back also have `offset` and
    `arrived`. An append is atomic, durable when it returns, and idempotent by (stream, id).
    """

    def append(self, events: Mapping[str, Table], *, now: int) -> Mapping[str, Appended]:
        """Add events of one or more streams.

        A table with a column `arrived` (a backfill) is taken at its word; other rows arrive at `now`. Either way an
        arrival before the log's last is moved up to it. Rows are ordered by arrival; at equal arrival by the order of
        the streams in the mapping, then by row. Raises LogError before any effect if a table lacks a column.
        """
        ...

    def read(self, start: int, stop: int, streams: Iterable[str] | None = None) -> Mapping[str, Table]:
        """The events with start <= offset < stop, by stream, in order of offset; empty streams are left out."""
        ...

    def find(self, stream: str, event_id: str) -> Table | None:
        """The event of that id as a table of one row, or None."""
        ...

    def end(self) -> tuple[int, int]:
        """The next free offset and the last arrival (0 for an empty log)."""
        ...

    def seal(self, upto: int) -> int:
        """Move events with offset < `upto` into immutable columnar segments; returns how many were moved."""
        ...


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file of a log that was written anew: its name, and its SHA-256 before and after, empty if it went."""

    file: str
    before: str
    after: str


@runtime_checkable
class Rewritable(Protocol):
    """A log that can forget. Nothing else may have it open meanwhile."""

    def rewrite(self, gone: Array, changed: Mapping[str, Table]) -> Sequence[Rewritten]:
        """Remove the events at the offsets `gone` and their ids, and replace values of some that stay.

        A table of `changed` has `offset` and the columns to replace, by stream. Offsets and arrivals of all others
        stay, and so does the end of the log: where an event was is a gap. What was removed is left in no byte of the
        log's files. Whenever it is cut short, the same call completes it. Raises LogError if another process is in
        the way.
        """
        ...
