"""A folder of your own events: one Parquet file for each stream, called as the stream is."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from sixfold._core.errors import DataError
from sixfold._core.table import Array, Table, column
from sixfold.data.source import by_arrival

__all__ = ["EventFolder", "holds_events", "write_events"]

_ABOUT = "source.json"


@dataclass(frozen=True, slots=True)
class EventFolder:
    """Events as `STREAM.parquet`: the columns of the stream, and `at`, a timestamp or whole microseconds since 1970.

    `arrived` is `at` where a file lacks it, `id` the row's number. Local time is UTC unless `source.json` in the folder
    says otherwise: {"utc_offset_s": 3600}. Raises DataError if a file cannot be read.
    """

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def utc_offset_s(self) -> int:
        """As source.json says, else 0."""
        about = self.folder / _ABOUT
        if not about.is_file():
            return 0
        try:
            return int(json.loads(about.read_text()).get("utc_offset_s", 0))
        except (ValueError, AttributeError, TypeError) as error:
            raise DataError(f"{about} cannot be read: {error}", hint='write {"utc_offset_s": 3600}') from error

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival."""
        yield from by_arrival({path.stem: _read(path) for path in sorted(self.folder.glob("*.parquet"))})


def holds_events(folder: Path) -> bool:
    """Whether some Parquet file in a folder has times, as `EventFolder` wants them."""
    for path in folder.glob("*.parquet"):
        try:
            if "at" in pa.parquet.read_schema(path).names:
                return True
        except (pa.ArrowException, OSError):
            continue
    return False


def write_events(chunks: Iterable[Mapping[str, Table]], folder: Path, *, utc_offset_s: int = 0) -> dict[str, int]:
    """Write events as an `EventFolder` reads them, into a folder that exists; returns the number of each stream."""
    parts: dict[str, list[Table]] = {}
    for chunk in chunks:
        for name, table in chunk.items():
            parts.setdefault(name, []).append(table)
    for name, tables in parts.items():
        table = Table.concat(tables)
        pa.parquet.write_table(pa.table({key: _arrow(table[key]) for key in table}), folder / f"{name}.parquet")
    (folder / _ABOUT).write_text(json.dumps({"utc_offset_s": utc_offset_s}) + "\n")
    return {name: sum(map(len, tables)) for name, tables in parts.items()}


def _read(path: Path) -> Table:
    try:
        raw = pa.parquet.read_table(path)
        columns = {name: _column(raw[name]) for name in raw.column_names}
    except (pa.ArrowException, OSError, ValueError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} cannot be read: {why}", hint="write it again, as a Parquet file") from error
    if "at" not in columns:
        raise DataError(f"{path} has no column `at`", hint="add when each event happened, as a timestamp")
    n = raw.num_rows
    columns.setdefault("arrived", columns["at"])
    columns.setdefault("id", column([f"{path.stem}-{i}" for i in range(n)], str))
    return Table(columns, n_rows=n)


def _column(values: pa.ChunkedArray) -> Array:
    """Numbers as they are where none is missing, instants as microseconds, anything else as plain values."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("us", kind.tz)).cast(pa.int64())
    if pa.types.is_floating(kind) and values.null_count:
        return np.asarray(values.fill_null(float("nan")).to_numpy(), np.float64)
    if (pa.types.is_integer(values.type) or pa.types.is_floating(kind)) and not values.null_count:
        return np.asarray(values.to_numpy())
    if pa.types.is_boolean(kind) and not values.null_count:
        return np.asarray(values.to_pylist(), np.bool_)
    plain = np.empty(len(values), object)
    plain[:] = values.to_pylist()
    return plain


def _arrow(values: Array) -> pa.Array:
    """A column as Parquet keeps it, of one type: a value of another type than most was damaged, and is left out."""
    plain = values.tolist()
    kinds = Counter(type(value) for value in plain if value is not None)
    usual = max(kinds, key=lambda kind: kinds[kind], default=str)
    return pa.array([value if type(value) is usual else None for value in plain])
