"""Segments: sealed ranges of the log as Parquet files, one per stream, written once and checked when read."""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sixfold._core.errors import LogError
from sixfold._core.hashing import file_digest
from sixfold._core.table import Array, Table
from sixfold.data.arrival import Kinds
from sixfold.engines.sqlite.batches import within

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Segment", "SegmentFolder", "sync_folder"]

_GROUP_ROWS = 16_384  # what a read of a short range must decode at most
_LOCK = "lock.db"
_SEALING_S = 120
_RESTORE = "restore the folder of segments from a copy that fits the log"


@dataclass(frozen=True, slots=True)
class Segment:
    """The events with start <= offset < stop; `files` gives the SHA-256 of the file of each stream code in `folder`."""

    start: int
    stop: int
    folder: str
    files: Mapping[str, str]


@dataclass(slots=True)
class SegmentFolder:
    """The folder of a log's segments. A file is hashed when it is first read, and again only if it was touched."""

    path: Path
    _intact: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def write(self, name: str, tables: Mapping[int, Table]) -> dict[str, str]:
        """Write the tables, by stream code, into the new folder `name`, durably; returns their SHA-256 by code."""
        folder = self.path / name
        folder.mkdir(parents=True)
        files = {str(code): _write(folder / f"{code}.parquet", table) for code, table in tables.items()}
        for touched in (folder, self.path, self.path.parent):
            sync_folder(touched)
        return files

    def read(self, segment: Segment, code: int, kinds: Kinds, start: int, stop: int) -> Table:
        """The rows of a stream code with start <= offset < stop, decoding only the row groups that hold some."""
        path = self.path / segment.folder / f"{code}.parquet"
        self._verify(path, segment.files[str(code)])
        return _read(path, kinds, start, stop)

    def _verify(self, path: Path, sha256: str) -> None:
        try:
            stat = path.stat()
            seen = (stat.st_size, stat.st_mtime_ns)
            if self._intact.get(path) == seen:
                return
            digest = file_digest(path)
        except OSError as error:
            raise LogError(f"the segment file {path} cannot be read: {error.strerror}", hint=_RESTORE) from error
        if digest != sha256:
            raise LogError(f"the segment file {path} is damaged: its checksum differs", hint=_RESTORE)
        self._intact[path] = seen

    @contextmanager
    def sealing(self) -> Iterator[None]:
        """Wait until no other process or thread seals, and keep the others out; a crash lets go of the lock."""
        self.path.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(self.path / _LOCK, isolation_level=None, timeout=_SEALING_S)
        try:
            lock.execute("BEGIN EXCLUSIVE")
            yield
        except sqlite3.OperationalError as error:
            raise LogError(
                f"{self.path} is being sealed by another process: {error}", hint="try again later"
            ) from error
        finally:
            lock.close()

    def clean(self, keep: set[str]) -> None:
        """Remove what crashed seals left behind: all that is not in `keep`. Only while sealing."""
        for entry in self.path.iterdir():
            if entry.name not in keep and not entry.name.startswith(_LOCK):
                if entry.is_dir():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder survive a power cut."""
    if os.name == "nt":  # Windows cannot open folders, and keeps their entries itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path: Path, table: Table) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [name for name, values in table.items() if values.dtype == object and name != "id"]
    arrays = {
        name: pa.array(values.tolist(), pa.string()) if values.dtype == object else pa.array(values)
        for name, values in table.items()
    }
    with path.open("xb") as file:
        pq.write_table(pa.table(arrays), file, row_group_size=_GROUP_ROWS, compression="zstd", use_dictionary=texts)
        file.flush()
        os.fsync(file.fileno())
    return file_digest(path)


def _read(path: Path, kinds: Kinds, start: int, stop: int) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [name for name, kind in kinds.items() if kind == "str"]
    try:
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            groups = [i for i in range(file.num_row_groups) if _overlaps(file.metadata.row_group(i), start, stop)]
            found = file.read_row_groups(groups, use_threads=False)
            columns = {name: _values(found.column(name)) for name in ("id", "offset", "at", "arrived", *kinds)}
    except (OSError, KeyError, pa.ArrowException) as error:
        raise LogError(f"the segment file {path} cannot be read: {error}", hint=_RESTORE) from error
    return within(Table(columns), start, stop)


def _overlaps(group: Any, start: int, stop: int) -> bool:
    bounds = group.column(1).statistics  # column 1 is `offset`
    return bool(bounds.min < stop and bounds.max >= start)


def _values(column: "pa.ChunkedArray") -> Array:
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        values: Array = column.to_numpy()
        return values if values.flags.writeable else values.copy()
    parts = [np.empty(0, object)]
    for chunk in column.chunks:
        distinct = np.array([*chunk.dictionary.to_pylist(), None], object)
        parts.append(distinct[chunk.indices.fill_null(len(distinct) - 1).to_numpy(zero_copy_only=False)])
    return np.concatenate(parts)
