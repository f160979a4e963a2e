"""Files of public data sets: where they lie, whether they are whole, and what to say when they are not."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from sixfold._core.errors import DataError
from sixfold._core.hashing import file_digest
from sixfold._core.table import Array, column

__all__ = ["DataFile", "Publication", "differences", "find_folder", "numbers", "read_file", "texts"]


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a data set: the columns that are read, and the rows and SHA-256 of a copy known to be good.

    Columns hold numbers except those named in `text`, timestamps in `times`, and lists in `lists`: of numbers, or
    of text where `text` names them too.
    """

    name: str
    columns: tuple[str, ...]
    rows: int | None = None
    sha256: str | None = None
    text: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    times: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Publication:
    """A public data set: who published it, on what terms, and where it can be had."""

    name: str
    publisher: str
    licence: str
    doi: str
    download: str


def find_folder(
    name: str, *, folder: Path | None = None, home: Path | None = None, environ: Mapping[str, str] = os.environ
) -> Path:
    """The folder of the data set `name`; raises DataError that lists where it was looked for.

    A `folder` is taken as it is. Otherwise it is `name` under `home`, else under the folder that the environment
    variable SIXFOLD_DATA names, else under `data` or `shared/data` of the current folder or the nearest one above.
    """
    if folder is not None:
        places = [folder]
    elif home is not None:
        places = [home / name]
    elif environ.get("SIXFOLD_DATA"):
        places = [Path(environ["SIXFOLD_DATA"]).expanduser() / name]
    else:
        here = Path.cwd()
        places = [up / data / name for up in (here, *here.parents) for data in ("data", "shared/data")]
    for place in places:
        if place.is_dir():
            return place
    looked = ", ".join(map(str, places[:4])) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
    raise DataError(
        f"the data set {name!r} was not found; looked for a folder at {looked}",
        hint="name its folder, or set --data-home or SIXFOLD_DATA to the folder that holds it",
    )


def read_file(folder: Path, file: DataFile, publication: Publication, *, whole: bool = True) -> pa.Table:
    """The declared columns of a file; raises DataError if it is missing, damaged or, when `whole`, not complete."""
    path = folder / file.name
    if not path.is_file():
        raise _error(path, file, publication, "is missing")
    try:
        table = _READERS[path.suffix](path, file)
    except (pa.ArrowException, OSError, UnicodeError, ValueError) as error:
        raise _error(path, file, publication, f"cannot be read ({str(error).splitlines()[0]})") from error
    if lacking := [name for name in file.columns if name not in table.column_names]:
        raise _error(path, file, publication, f"lacks the columns {', '.join(lacking)}")
    if wrong := [f"{name} of type {table[name].type}" for name in file.columns if not _fits(name, table, file)]:
        raise _error(path, file, publication, f"has columns of another type: {', '.join(wrong)}")
    if whole and file.rows is not None and table.num_rows != file.rows:
        raise _error(path, file, publication, f"has {table.num_rows:,} rows")
    return table.select(list(file.columns))


def differences(folder: Path, files: Sequence[DataFile]) -> tuple[str, ...]:
    """A sentence for each file whose bytes are not those of the copy known to be good; figures may then differ."""
    return tuple(
        f"{file.name} is not the copy that our figures come from: SHA-256 {digest[:12]}…, known {file.sha256[:12]}…"
        for file in files
        if file.sha256 is not None and (digest := file_digest(folder / file.name)) != file.sha256
    )


def numbers(table: pa.Table, name: str, kind: type) -> Array:
    """A column as int64 or float64, missing numbers as NaN; raises DataError if an int column has missing values."""
    values = table[name]
    if kind is int and values.null_count:
        raise DataError(f"column {name!r} has {values.null_count:,} missing values; whole numbers are expected")
    try:
        return column(values.cast(pa.float64() if kind is float else pa.int64()).to_numpy(), kind)
    except pa.ArrowException as error:
        raise DataError(f"column {name!r} holds {values.type}; numbers are expected ({error})") from error


def texts(table: pa.Table, name: str) -> Array:
    """A column as text, missing values as None."""
    return column(table[name].cast(pa.string()).to_pylist(), str)


def _fits(name: str, table: pa.Table, file: DataFile) -> bool:
    kind, types = table[name].type, pa.types
    if name in file.lists:
        if not (types.is_list(kind) or types.is_large_list(kind)):
            return False
        inner = kind.value_type
        text = types.is_string(inner) or types.is_large_string(inner)
        return bool(text if name in file.text else types.is_integer(inner))
    if name in file.text:
        return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind))
    if name in file.times:
        return bool(types.is_timestamp(kind))
    return bool(types.is_integer(kind) or types.is_floating(kind))


def _read_parquet(path: Path, file: DataFile) -> pa.Table:
    return pa.parquet.read_table(path)


def _read_csv(path: Path, file: DataFile) -> pa.Table:
    options = pa.csv.ConvertOptions(
        column_types={name: pa.string() for name in file.text},
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    return pa.csv.read_csv(path, convert_options=options)


def _read_dat(path: Path, file: DataFile) -> pa.Table:
    """The format of MovieLens: no header, Latin-1, fields set apart by two colons."""
    rows = [line.split("::") for line in path.read_text("latin-1").splitlines()]
    for i, row in enumerate(rows, 1):
        if len(row) != len(file.columns):
            raise ValueError(f"line {i} has {len(row)} fields instead of {len(file.columns)}")
    columns: dict[str, Any] = {}
    for i, name in enumerate(file.columns):
        values = [row[i] for row in rows]
        columns[name] = values if name in file.text else np.array(values, np.int64)
    return pa.table(columns)


_READERS = {".parquet": _read_parquet, ".csv": _read_csv, ".dat": _read_dat}


def _error(path: Path, file: DataFile, publication: Publication, found: str) -> DataError:
    size = "" if file.rows is None else f"{file.rows:,} rows, "
    known = "" if file.sha256 is None else f", SHA-256 {file.sha256}"
    return DataError(
        f"{path} {found}; expected {size}columns {', '.join(file.columns)}{known}",
        hint=f"get {publication.name} from {publication.download} ({publication.licence})",
    )
