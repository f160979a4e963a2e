"""What every engine of the log does alike: check the tables of an append, order and number their rows, and fit old rows
to the columns that their stream has now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sixfold._core.errors import LogError
from sixfold._core.table import Array, Table
from sixfold.data.log import Appended

__all__ = ["Batch", "Kinds", "checked", "conformed", "in_order", "numbered"]

Kinds = Mapping[str, str]
"""The columns of a stream besides `id`, `offset`, `at`, `arrived`, in order: "int", "float", "bool" or "str"."""

_DTYPES: Mapping[str, np.dtype] = {
    "int": np.dtype(np.int64),
    "float": np.dtype(np.float64),
    "bool": np.dtype(np.bool_),
    "str": np.dtype(object),
}
_KINDS = {"i": "int", "u": "int", "f": "float", "b": "bool", "O": "str", "U": "str"}
_TEXT = {str, type(None)}


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one stream in an append: `table` has `id`, `at` and the columns of `kinds`, each in its dtype."""

    stream: str
    kinds: Kinds
    table: Table
    arrived: Array | None

    def __len__(self) -> int:
        return self.table.n_rows


def checked(events: Mapping[str, Table]) -> list[Batch]:
    """The tables as batches, one for each stream that has rows; raises LogError on anything a log cannot hold."""
    return [_batch(stream, table) for stream, table in events.items() if table.n_rows]


def _batch(stream: str, table: Table) -> Batch:
    for needed in ("id", "at"):
        if needed not in table:
            raise LogError(f"stream {stream!r}: the table lacks the column {needed!r}; it has {', '.join(table.names)}")
    typed = {name: _typed(stream, name, table[name]) for name in table if name != "offset"}
    kinds = {name: kind for name, (kind, _) in typed.items() if name not in ("id", "at", "arrived")}
    for name, wanted in (("id", "str"), ("at", "int"), ("arrived", "int")):
        if name in typed and typed[name][0] != wanted:
            raise LogError(f"stream {stream!r}: column {name!r} must be {wanted}, found {typed[name][0]}")
    ids = typed["id"][1]
    if not all(ids.tolist()):
        row = next(i for i, value in enumerate(ids) if not value)
        raise LogError(f"stream {stream!r}: row {row} has no id", hint="give each event a text that is its own")
    arrived = typed.pop("arrived")[1] if "arrived" in typed else None
    names = ("id", "at", *kinds)
    return Batch(stream, kinds, Table({name: typed[name][1] for name in names}), arrived)


def _typed(stream: str, name: str, values: Array) -> tuple[str, Array]:
    kind = _KINDS.get(values.dtype.kind)
    if kind is None or values.ndim != 1:
        raise LogError(
            f"stream {stream!r}: column {name!r} has type {values.dtype} and {values.ndim} dimensions",
            hint="a log holds one-dimensional columns of int64, float64, bool or text",
        )
    if kind == "str":
        texts = values.tolist()
        if not set(map(type, texts)) <= _TEXT:
            row, found = next((i, v) for i, v in enumerate(texts) if type(v) not in _TEXT)
            raise LogError(f"stream {stream!r}: column {name!r} must hold text or None; row {row} holds {found!r}")
        if not _is_unicode("".join(filter(None, texts))):
            row = next(i for i, text in enumerate(texts) if text is not None and not _is_unicode(text))
            raise LogError(f"stream {stream!r}: column {name!r} holds a lone surrogate in row {row}: not valid Unicode")
    if values.dtype.kind == "u" and len(values) and int(values.max()) > np.iinfo(np.int64).max:
        raise LogError(f"stream {stream!r}: column {name!r} holds {values.max()}, beyond 64 signed bits")
    return kind, values.astype(_DTYPES[kind], copy=False)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def in_order(batches: Sequence[Batch], *, now: int, last: int) -> tuple[Array, Array]:
    """The order of the log for the rows of all batches laid one below the other, and their arrivals in that order.

    Both (n_rows,) int64. An arrival before `last` is moved up to it; at equal arrival the order stays as it was.
    """
    floor = max(now, last)
    if all(batch.arrived is None for batch in batches):
        n_rows = sum(len(batch) for batch in batches)
        return np.arange(n_rows), np.full(n_rows, floor, np.int64)
    arrived = np.concatenate(
        [np.full(len(b), floor, np.int64) if b.arrived is None else np.maximum(b.arrived, last) for b in batches]
    )
    order = np.argsort(arrived, kind="stable")
    return order, arrived[order]


def numbered(
    events: Mapping[str, Table], batches: Sequence[Batch], order: Array, arrived: Array, offsets: Array
) -> dict[str, Appended]:
    """The outcome of an append for each table, from offsets and arrivals in the order of the log."""
    by_row = np.empty((2, len(order)), np.int64)
    by_row[:, order] = offsets, arrived
    ends = np.cumsum([len(batch) for batch in batches])[:-1]
    parts = np.split(by_row, ends, axis=1) if batches else []
    found = {batch.stream: Appended(part[0], part[1]) for batch, part in zip(batches, parts, strict=True)}
    empty = np.empty(0, np.int64)
    return {stream: found.get(stream) or Appended(empty, empty) for stream in events}


def conformed(stream: str, table: Table, old: Kinds, new: Kinds) -> Table:
    """Rows written when the stream had the columns `old`, with the columns `new`: the added ones are missing values.

    Raises LogError where that cannot be: an added int or bool column has no missing value, and text is not a number.
    """
    if list(old.items()) == list(new.items()):
        return table
    columns = {name: table[name] for name in ("id", "offset", "at", "arrived")}
    for name, kind in new.items():
        if name in old and (old[name] == kind or (old[name], kind) == ("int", "float")):
            columns[name] = table[name].astype(_DTYPES[kind], copy=False)
        elif name not in old and kind in ("float", "str"):
            columns[name] = np.full(table.n_rows, np.nan if kind == "float" else None, _DTYPES[kind])
        else:
            was = f"was {old[name]}" if name in old else "did not exist"
            raise LogError(
                f"stream {stream!r}: column {name!r} is {kind} now and {was} at offset {table['offset'][0]}",
                hint="name a changed column anew; a column that is added must be float or str, which may be missing",
            )
    return Table(columns)
