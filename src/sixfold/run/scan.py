"""The search for a subject in every file of a home, knowing nothing of them but keyed hashes.

Each file is read as what it is: columns of Parquet, arrays, JSON, the live rows of the log, the quarantine. Beside that
the bytes of every file, free pages and write-ahead logs included, are searched for the words that gave the subject
away: their key where it is text, the ids of their events, their personal texts.
"""

import mmap
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from sixfold._core.table import Array
from sixfold.data.privacy import Pseudonyms, Subjects
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.engines.sqlite.quarantine import SqliteQuarantine

__all__ = ["DECIDED", "Found", "Scanned", "Sought", "scan"]

DECIDED = ("request", "response", "record")
"""The texts that a decision is logged with."""

_SHORTEST, _LONGEST = 6, 256
_WORD = re.compile(rb"[0-9A-Za-z_@.:+-]{%d,%d}" % (_SHORTEST, _LONGEST))
_STEP = 50_000
_ITEMS = ("items", "keys", "ids")


@dataclass(frozen=True, slots=True)
class Found:
    """A file that still holds something of the subject: where in it, and how often."""

    file: str
    where: str
    times: int


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was searched, and what was found: nothing, if the subject is gone."""

    files: int
    bytes: int
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Sought:
    """What to look for: keys of `entity` that `subjects` has, and texts whose hash is among `traces`.

    `lengths` are those of the texts, so that most words need not be hashed. `is_item` says that models list keys of it.
    """

    entity: str
    subjects: Subjects
    pseudonyms: Pseudonyms = field(repr=False)
    traces: frozenset[str] = frozenset()
    lengths: frozenset[int] = frozenset()
    is_item: bool = False
    _seen: dict[str, bool] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, entity: str, subject: str, pseudonyms: Pseudonyms, texts: Iterable[str], *, is_item: bool) -> "Sought":
        """The subject that goes by a pseudonym, and the texts that give them away; too short ones give nothing away."""
        texts = [text for text in texts if _SHORTEST <= len(text) <= _LONGEST]
        traces = frozenset(trace_of(text, pseudonyms) for text in texts)
        subjects = Subjects({entity: [subject]}, pseudonyms)
        return cls(entity, subjects, pseudonyms, traces, frozenset(map(len, texts)), is_item)

    def told(self, text: str) -> bool:
        """Whether a text, as a whole, is one of those that give the subject away."""
        if len(text) not in self.lengths:
            return False
        if text not in self._seen:
            self._seen[text] = trace_of(text, self.pseudonyms) in self.traces
        return self._seen[text]

    def words(self, data: Any) -> int:
        """How many distinct words in bytes give the subject away."""
        if not self.lengths:
            return 0
        words = {found[0] for found in _WORD.finditer(data) if self._may(len(found[0]))}
        texts = {word.decode() for word in words}
        # A text of 32 to 255 bytes may follow a length that looks like one more character of it.
        texts |= {text[1:] for text in texts if len(text) > 32}
        return sum(map(self.told, texts))

    def _may(self, length: int) -> bool:
        return length in self.lengths or (length > 32 and length - 1 in self.lengths)

    def json(self, value: Any) -> int:
        """1 if plain JSON names the subject, as a key or by a text."""
        return int(self.subjects.named(value) or self._texts(value))

    def _texts(self, value: Any) -> bool:
        if isinstance(value, str):
            return self.told(value)
        if isinstance(value, dict):
            return any(self.told(name) or self._texts(item) for name, item in value.items())
        return isinstance(value, list) and any(map(self._texts, value))

    def shown(self, response: Any, record: Any) -> bool:
        """Whether a decision's answer or record has the subject as an item, or cites it."""
        if not self.is_item:
            return False
        parts = [(response.get("items"), "id"), (response.get("citations"), "item")]
        keys = [one.get(name) for part, name in parts for one in part or ()] + list(record.get("ids") or ())
        return any(self.subjects.has(self.entity, key) for key in keys)


def trace_of(text: str, pseudonyms: Pseudonyms) -> str:
    """The hash of a text that gives somebody away."""
    return pseudonyms.of("trace", text)[:16]


def scan(folder: Path, sought: Sought, more: Iterable[Path] = ()) -> Scanned:
    """Search every file below `folder`, and the files `more`."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files += [path for path in more if path.is_file()]
    found: list[Found] = []
    size = 0
    for path in files:
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
        size += path.stat().st_size
        found += [Found(name, where, times) for where, times in _inside(path, sought) if times]
    return Scanned(len(files), size, tuple(found))


def _inside(path: Path, sought: Sought) -> Iterator[tuple[str, int]]:
    if path.stat().st_size:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield "bytes", sought.words(data)
    readers: Mapping[str, Callable[[Path, Sought], Iterator[tuple[str, int]]]] = {
        ".parquet": _parquet,
        ".npz": _arrays,
        ".json": _json,
    }
    try:
        if path.name == "log.db":
            yield from _log(path, sought)
        elif path.suffix in readers:
            yield from readers[path.suffix](path, sought)
    except (OSError, ValueError, zipfile.BadZipFile, msgspec.DecodeError) as error:
        yield f"cannot be searched ({error}): repair or remove it", 1


def _parquet(path: Path, sought: Sought) -> Iterator[tuple[str, int]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            part = file.read_row_group(group, use_threads=False)
            for name in part.column_names:
                values = part.column(name).to_numpy(zero_copy_only=False)
                entity = name.removeprefix("row_")
                if values.dtype.kind in "iufO" and not (len(values) and isinstance(values[0], np.ndarray)):
                    yield f"column {name}", _column(entity, values, sought)


def _column(name: str, values: Array, sought: Sought) -> int:
    """How many values of a column are the subject's key or give it away; the texts of decisions are read as JSON."""
    n = int(sought.subjects.among(name, values).sum()) if name in sought.subjects.names else 0
    if values.dtype != object:
        return n
    texts = {value for value in values.tolist() if isinstance(value, str)}
    n += sum(map(sought.told, texts))
    if name in DECIDED:
        n += sum(_decided(name, text, sought) for text in texts)
    return n


def _decided(name: str, text: str, sought: Sought) -> int:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return 0
    parts = ({} if name == "record" else value, value if name == "record" else {})
    return sought.json(value) or int(isinstance(value, dict) and sought.shown(*parts))


def _arrays(path: Path, sought: Sought) -> Iterator[tuple[str, int]]:
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            values = arrays[name]
            kind = name.partition(":")[2] or name
            if kind == sought.entity or (sought.is_item and name in _ITEMS):
                yield f"array {name}", int(sought.subjects.among(sought.entity, values).sum())
            if values.dtype.kind == "U":
                yield f"texts of {name}", sum(map(sought.told, np.unique(values).tolist()))


def _json(path: Path, sought: Sought) -> Iterator[tuple[str, int]]:
    yield "JSON", sought.json(msgspec.json.decode(path.read_bytes()))


def _log(path: Path, sought: Sought) -> Iterator[tuple[str, int]]:
    """What of the log is not in Parquet: live rows, the quarantine, and the ids of events that are gone."""
    with SqliteLog(path) as log, SqliteQuarantine(path) as quarantine:
        start, end = log.sealed(), log.end()[0]
        for low in range(start, end, _STEP):
            for stream, table in log.read(low, min(low + _STEP, end)).items():
                yield f"stream {stream}", sum(_column(name, table[name], sought) for name in table)
        yield "quarantine", sum(map(sought.json, map(_waiting, _rejects(quarantine))))
        yield "ids of events that are gone", log.strays()


def _rejects(quarantine: SqliteQuarantine) -> Iterator[Any]:
    after = ""
    while some := quarantine.read(_STEP, after=after):
        after = some[-1].id
        yield from some


def _waiting(reject: Any) -> Any:
    return [reject.value, reject.reason, reject.found]
