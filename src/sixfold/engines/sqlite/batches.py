"""A batch: the rows that one append gave to one stream, as one columnar value of the database."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from sixfold._core.table import Array, Table
from sixfold.data.arrival import Kinds

__all__ = ["decode", "encode", "within"]

_CODED_ROWS = 64  # below this, text repeated within a batch costs less than a dictionary of it
_RAW = {"int": np.dtype("<i8"), "float": np.dtype("<f8"), "bool": np.dtype(np.bool_)}


# offsets from the first, None where they have no gaps; at; arrived, an int where it is one for all; ids; columns
_Body = tuple[bytes | None, bytes, bytes | int, list[str], list[Any]]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Body)


def encode(table: Table, kinds: Kinds, *, first: int | None = None) -> bytes:
    """The rows as bytes; `table` has `id`, `offset`, `at`, `arrived` and the columns of `kinds`.

    `first` is the offset that the batch goes by, that of its first row where it is not given.
    """
    offset, arrived = table["offset"], table["arrived"]
    first = int(offset[:1].sum()) if first is None else first
    gapless = not len(offset) or int(offset[-1]) - first + 1 == len(offset)
    once = not len(offset) or int(arrived[0]) == int(arrived[-1])
    body = (
        None if gapless else (offset - first).astype("<i8").tobytes(),
        table["at"].astype("<i8", copy=False).tobytes(),
        int(arrived[:1].sum()) if once else arrived.astype("<i8", copy=False).tobytes(),
        table["id"].tolist(),
        [_pack(table[name], kind) for name, kind in kinds.items()],
    )
    return _encoder.encode(body)


def _pack(values: Array, kind: str) -> Any:
    if kind != "str":
        return values.astype(_RAW[kind], copy=False).tobytes()
    texts = values.tolist()
    if len(texts) < _CODED_ROWS:
        return texts
    codes = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    if len(codes) * 4 > len(texts):
        return texts
    return [list(codes), np.fromiter(map(codes.__getitem__, texts), "<i4", len(texts)).tobytes()]


def decode(bodies: Sequence[tuple[int, bytes]], kinds: Kinds) -> Table:
    """The rows of batches of one stream with the same columns, joined; each is (offset of its first row, bytes)."""
    parts = [(first, *_decoder.decode(body)) for first, body in bodies]
    sizes = [len(part[4]) for part in parts]
    ends = np.cumsum(sizes).tolist()
    spans = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    n_rows = ends[-1]
    offset, arrived = np.empty((2, n_rows), np.int64)
    ids = np.empty(n_rows, object)
    for span, size, (first, gaps, _, arrival, texts, _) in zip(spans, sizes, parts, strict=True):
        offset[span] = np.arange(first, first + size) if gaps is None else first + np.frombuffer(gaps, "<i8")
        arrived[span] = arrival if isinstance(arrival, int) else np.frombuffer(arrival, "<i8")
        ids[span] = texts
    columns = {"id": ids, "offset": offset, "at": _joined([part[2] for part in parts], "int"), "arrived": arrived}
    for i, (name, kind) in enumerate(kinds.items()):
        packed = [part[5][i] for part in parts]
        columns[name] = _texts(packed, spans, n_rows) if kind == "str" else _joined(packed, kind)
    return Table(columns)


def _joined(parts: list[bytes], kind: str) -> Array:
    return np.frombuffer(bytearray().join(parts), _RAW[kind])  # a bytearray, so that the column can be written to


def _texts(parts: list[Any], spans: list[slice], n_rows: int) -> Array:
    out = np.empty(n_rows, object)
    for span, part in zip(spans, parts, strict=True):
        if len(part) == 2 and isinstance(part[1], bytes):
            distinct = np.empty(len(part[0]), object)
            distinct[:] = part[0]
            out[span] = distinct[np.frombuffer(part[1], "<i4")]
        else:
            out[span] = part
    return out


def within(table: Table, start: int, stop: int) -> Table:
    """The rows with start <= offset < stop of a table in order of offset."""
    first, last = np.searchsorted(table["offset"], [start, stop]).tolist()
    return table if last - first == table.n_rows else table.take(np.arange(first, last))
