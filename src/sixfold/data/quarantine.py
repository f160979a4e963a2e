"""Quarantine: where rows go that cannot enter the log, whole, with the reason, until someone repairs the cause."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sixfold._core.errors import InputError

__all__ = ["Quarantine", "Reject", "reject"]


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was refused at instant `at`: `reason` says what was expected, `found` what was there (may be empty).

    `row` is the row as it came, as JSON text. The same row of the same stream is one reject, however often it comes.
    """

    stream: str
    reason: str
    found: str
    row: str
    at: int

    @property
    def id(self) -> str:
        """Names the stream and the row."""
        text = f"{self.stream}\0{self.row}".encode()
        return hashlib.blake2b(text, digest_size=16).hexdigest()

    @property
    def value(self) -> Any:
        """The row as plain values."""
        return json.loads(self.row)

    @property
    def why(self) -> str:
        """The reason and what was found, as one sentence."""
        return f"{self.reason}, found {self.found}" if self.found else self.reason


def reject(stream: str, problem: tuple[str, str], row: Any, *, now: int) -> Reject:
    """A reject for a row of plain or numpy values; `problem` is (reason, found).

    >>> reject("watch", ("field 'share': expected a number", "'abc'"), {"share": "abc"}, now=5).why
    "field 'share': expected a number, found 'abc'"
    """
    try:
        text = json.dumps(row, sort_keys=True, default=_plain)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"a row of {stream!r} is not JSON: {error}", hint="send plain JSON values") from error
    return Reject(stream, *problem, text, now)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else repr(value)


class Quarantine(Protocol):
    """Rejects by id; an engine keeps them durably if its log is durable."""

    def put(self, rejects: Iterable[Reject]) -> None:
        """Keep the rejects, all or none; one that is there already gets the new reason and time."""
        ...

    def count(self) -> Mapping[tuple[str, str], int]:
        """How many rows wait, by stream and reason, the most frequent first."""
        ...

    def read(self, limit: int, *, after: str = "") -> list[Reject]:
        """Up to `limit` rejects in order of id, from the first whose id is greater than `after`."""
        ...

    def take(self, ids: Iterable[str]) -> int:
        """Remove the rejects of these ids, all or none; returns how many there were."""
        ...
