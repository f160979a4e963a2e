"""Step 3, features: what they are, and the training set that they make."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sixfold._core.errors import DataError
from sixfold._core.table import Table
from sixfold.data.log import Log
from sixfold.features.dataset import Recipe, StoredDataset, write_dataset
from sixfold.models.contract import Progress, silent
from sixfold.models.training_set import served_points
from sixfold.run.home import Home
from sixfold.system import System

__all__ = ["Written", "write_training_set"]

_STEP = 50_000


@dataclass(frozen=True, slots=True)
class Written:
    """A training set on disk, and how long it took; `reused` if it was there."""

    folder: str
    fingerprint: str
    rows: int
    columns: int
    reused: bool
    seconds: float


def write_training_set(
    home: Home, system: System, folder: Path, *, within: tuple[int, int], progress: Progress = silent
) -> Written:
    """Write the mature impressions with within[0] <= at < within[1], labelled, features as of each, into a folder."""
    began = time.perf_counter()
    with home.log() as log:
        end, now = log.end()
        if not end:
            raise DataError("the log is empty", hint="run `sixfold ingest` first")
        resolve = partial(served_points, decisions=_decisions(log, end))
        recipe = Recipe(system.features, system.labels, end, now, within, resolve)
        stored = write_dataset(folder, recipe, log, progress=progress)
    return _written(stored, time.perf_counter() - began)


def _written(stored: StoredDataset, seconds: float) -> Written:
    import pyarrow.parquet as pq

    columns = len(pq.read_schema(stored.folder / "rows.parquet").names)
    return Written(str(stored.folder), stored.fingerprint, stored.rows, columns, stored.reused, seconds)


def _decisions(log: Log, end: int) -> Table | None:
    """When each decision was made and what it saw; of what is logged with one, a few bytes in ten thousand."""
    parts: list[Table] = []
    for start in range(0, end, _STEP):
        found: Mapping[str, Table] = log.read(start, min(start + _STEP, end), ["decision"])
        parts += [table.select(("id", "at", "as_of")) for table in found.values()]
    return Table.concat(parts) if parts else None
