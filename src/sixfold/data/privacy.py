"""Personal data: values that people are not shown, the keyed hashes that stand for them, and the subjects erased."""

import hmac
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.table import Array, Table, column
from sixfold.data.checks import Problem
from sixfold.data.events import Events
from sixfold.data.log import Log

__all__ = [
    "ERASURE",
    "KEY",
    "MASK",
    "Erasure",
    "Pseudonyms",
    "Subjects",
    "discreet",
    "erased",
    "erasures",
    "personal",
    "pseudonymised",
    "rewritten",
]

KEY = "SIXFOLD_PRIVACY_KEY"
"""The environment variable that holds the key of pseudonyms; it is read from nowhere else, and written nowhere."""

MASK = "***"
"""What people are shown in place of a personal value."""

ERASURE = "erasure"
"""The stream that says in the log that somebody was erased, without naming them.

A row has `entity`, `subject` (the pseudonym), `since` (the least offset that was erased), `first` (when that event had
arrived) and `events` (how many were erased).
"""

_SHORTEST_KEY = 16
_CACHED = 1 << 20


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Keyed hashes of values: equal for equal values under one key, and of no use to whoever lacks the key.

    HMAC-SHA256 (RFC 2104), of which 128 bits are kept, over a domain and the value. The domain is the name of the
    entity or field: that is what can be joined.

    >>> names = Pseudonyms(b"sixteen bytes or more")
    >>> names.of("user", 7) == names.of("user", "7"), names.of("user", 7) == names.of("video", 7)
    (True, False)
    """

    key: bytes = field(repr=False)

    @classmethod
    def from_environment(cls, what_for: str) -> "Pseudonyms":
        """Under the key in the environment; InputError, saying what it is needed for, if there is none."""
        key = os.environ.get(KEY, "")
        if len(key) < _SHORTEST_KEY:
            found = f"has {len(key)} characters, expected at least {_SHORTEST_KEY}" if key else "is not set"
            hint = f"export {KEY} with a secret of your own, the same for every command over this home"
            raise InputError(f"{what_for} needs a key, and {KEY} {found}", hint=hint)
        return cls(key.encode())

    def of(self, domain: str, value: Any) -> str:
        """32 hexadecimal digits that stand for a value; a whole number and its text are one value."""
        message = f"{domain}\0{_text(value)}".encode(errors="surrogatepass")
        return hmac.digest(self.key, message, "sha256")[:16].hex()

    def column(self, domain: str, values: Array) -> Array:
        """The pseudonyms of a column, (n_rows,) text; None where a value is missing."""
        out = np.empty(len(values), object)
        missing = np.isnan(values) if values.dtype == np.float64 else values == np.array(None, object)
        seen: dict[Any, str] = {}
        for row in np.flatnonzero(~missing).tolist():
            value = values[row]
            if value not in seen:
                seen[value] = self.of(domain, value.item() if isinstance(value, np.generic) else value)
            out[row] = seen[value]
        return out


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else str(value)


class Subjects:
    """Some subjects by entity, known by their pseudonyms only: says of any value whether it is one of them."""

    def __init__(self, names: Mapping[str, Collection[str]], pseudonyms: Pseudonyms) -> None:
        self.names = {entity: frozenset(known) for entity, known in names.items()}
        self._pseudonyms = pseudonyms
        self._seen: dict[tuple[str, str], bool] = {}

    def has(self, entity: str, value: Any) -> bool:
        """Whether a value is the key of one of them."""
        if entity not in self.names or not isinstance(value, str | int | float | np.generic):
            return False
        asked = entity, _text(value.item() if isinstance(value, np.generic) else value)
        if asked not in self._seen:
            if len(self._seen) > _CACHED:
                self._seen.clear()
            self._seen[asked] = self._pseudonyms.of(*asked) in self.names[entity]
        return self._seen[asked]

    def rows(self, table: Mapping[str, Array], n_rows: int) -> Array:
        """Which rows of a stream name one of them in a column called like the entity, (n_rows,) bool."""
        out = np.zeros(n_rows, np.bool_)
        for entity in self.names:
            if entity in table:
                out |= self.among(entity, table[entity])
        return out

    def among(self, entity: str, values: Array) -> Array:
        """Which values are keys of one of them, the shape of `values`."""
        if values.dtype == object:
            return np.array([self.has(entity, value) for value in values.tolist()], np.bool_).reshape(values.shape)
        distinct, places = np.unique(values, return_inverse=True)
        return np.array([self.has(entity, value) for value in distinct.tolist()], np.bool_)[places].reshape(
            values.shape
        )

    def named(self, value: Any) -> bool:
        """Whether plain JSON names one of them: in a field called like the entity, however deep, alone or in a list."""
        if isinstance(value, dict):
            return any(self._held(name, item) or self.named(item) for name, item in value.items())
        return isinstance(value, list) and any(map(self.named, value))

    def _held(self, name: str, item: Any) -> bool:
        return any(self.has(name, one) for one in item) if isinstance(item, list) else self.has(name, item)

    def scrubbed(self, value: Any) -> Any:
        """Plain JSON without the fields that name one of them."""
        if isinstance(value, dict):
            return {name: self.scrubbed(item) for name, item in value.items() if not self._held(name, item)}
        return [self.scrubbed(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure as the log states it: events from the offset `since` on, which arrived at `first`, were removed.

    `check` is equal for equal subjects under one key, and says whether a key is that one.
    """

    offset: int
    at: int
    entity: str
    subject: str
    since: int
    first: int
    events: int
    check: str = ""

    def row(self, number: str, pseudonyms: Pseudonyms) -> Table:
        """As one event of the stream `erasure`, the only one of that number; `offset` is for the log to give."""
        event_id = f"{_check(self.subject, pseudonyms)}-{number}"
        texts = {"id": event_id, "entity": self.entity, "subject": self.subject}
        numbers = {"at": self.at, "since": self.since, "first": self.first, "events": self.events}
        columns = {name: column([text], str) for name, text in texts.items()}
        return Table({**columns, **{name: np.array([number]) for name, number in numbers.items()}})


def erasures(log: Log) -> list[Erasure]:
    """All erasures, oldest first."""
    table = log.read(0, log.end()[0], [ERASURE]).get(ERASURE)
    names = ("offset", "at", "entity", "subject", "since", "first", "events")
    rows = table.rows() if table is not None else []
    return [Erasure(**{n: row[n] for n in names}, check=row["id"].partition("-")[0]) for row in rows]


def rewritten(facts: Iterable[Erasure], as_of: Array | int) -> Array:
    """Which moments saw events that were erased since: what was made of those prefixes cannot be made again."""
    moments = np.asarray(as_of)
    hit = [(moments > one.since) & (moments <= one.offset) for one in facts if one.events]
    return np.asarray(np.logical_or.reduce([np.zeros(moments.shape, np.bool_), *hit]), np.bool_)


def _check(subject: str, pseudonyms: Pseudonyms) -> str:
    return pseudonyms.of(ERASURE, subject)[:16]


def erased(log: Log) -> Subjects | None:
    """Everybody who was erased from a log; None where nobody was. InputError if the key for that is not there."""
    found = erasures(log)
    if not found:
        return None
    pseudonyms = Pseudonyms.from_environment("somebody was erased from this log: to keep them out")
    names: dict[str, set[str]] = {}
    for one in found:
        if one.check != _check(one.subject, pseudonyms):
            raise InputError(f"{KEY} is not the key that somebody was erased with", hint="set it to the key of then")
        names.setdefault(one.entity, set()).add(one.subject)
    return Subjects(names, pseudonyms)


def personal(streams: Iterable[Events]) -> dict[str, frozenset[str]]:
    """The personal columns of each stream by its name; a key that one stream marks is personal in all of them.

    >>> from sixfold.frame import Entity
    >>> user = Entity("user")
    >>> person = Events("person", keys=(user,), fields={"email": str}, personal=("user", "email"))
    >>> {name: sorted(columns) for name, columns in personal([person, Events("login", keys=(user,))]).items()}
    {'person': ['email', 'user'], 'login': ['user']}
    """
    streams = tuple(streams)
    keys = {key.name for stream in streams for key in stream.keys if key.name in stream.personal}
    return {s.name: frozenset(s.personal) | (keys & {key.name for key in s.keys}) for s in streams}


def discreet(problem: Problem, columns: Collection[str]) -> Problem:
    """What is wrong with a row, without what was found there unless that is known not to be personal.

    >>> discreet(("field 'email': expected a text", "7"), {"email"})
    ("field 'email': expected a text", '***')
    >>> discreet(("field 'n': expected a number", "'x'"), {"email"})
    ("field 'n': expected a number", "'x'")
    """
    reason, found = problem
    if not columns or not found or reason.startswith("contract: "):  # contracts mask the columns they show
        return problem
    named = reason.split("'")[1] if reason.startswith("field '") else None
    return problem if named is not None and named not in columns else (reason, MASK)


def pseudonymised(table: Table, columns: Collection[str], pseudonyms: Pseudonyms) -> Table:
    """A stream's rows with the pseudonyms of their personal columns, which join wherever the names are the same."""
    return table.with_columns({name: pseudonyms.column(name, table[name]) for name in table if name in columns})
