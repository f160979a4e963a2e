"""Training sets on disk: labelled impressions with their features as of each, streamed to Parquet.

What is held in memory is the events that features read, and one slice of rows; more rows need no more memory. A set is
named by what it was made of: the content of the log's prefix, the definitions and the code. The same call gives the
same bytes, and a set that is there already is not made again.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import DataError, DefinitionError
from sixfold._core.hashing import file_digest, fingerprint
from sixfold._core.table import Array, Table
from sixfold.data.calendar import Calendar
from sixfold.data.labels import Label
from sixfold.data.log import Log
from sixfold.features.batch import as_of
from sixfold.features.calendar_rows import CalendarRows
from sixfold.features.featureset import FeatureSet
from sixfold.features.impressions import Impressions, Resolve, digest_of, same

__all__ = ["AsOf", "Recipe", "StoredDataset", "open_dataset", "write_dataset"]

AsOf = Callable[[FeatureSet, Mapping[str, Table], Table], Table]
"""A batch evaluator: features, history and spine to one column a feature; `sixfold.features.as_of` is one."""

_FORMAT = 1
_ROWS = 131_072
_ABOUT, _DATA = "dataset.json", "rows.parquet"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a training set is made of: the impressions of `labels` with `within[0]` <= at < `within[1]`.

    Of the log's prefix below `stop`; a row is left out while `now` < at + the slowest maturity of the labels.
    `resolve` moves impressions to the decisions that made them. Origins of a calendar are midnights of a clock that is
    `utc_offset_s` ahead of UTC.
    """

    features: FeatureSet
    labels: tuple[Label, ...]
    stop: int
    now: int
    within: tuple[int, int] = (-(2**63), 2**63 - 1)
    resolve: Resolve = same
    utc_offset_s: int = 0

    def __post_init__(self) -> None:
        problems = []
        if not self.labels:
            problems.append("a training set needs at least one label")
        if len({label.of.name for label in self.labels}) > 1:
            problems.append("the labels of one training set must be outcomes of one stream")
        taken = [f"{kind}_{label.name}" for label in self.labels for kind in ("label", "weight")]
        taken += [f"row_{entity.name}" for entity in self.features.entities] + ["row_at", "row_offset"]
        problems += [
            f"feature {name!r} has the name of another column: give it one of its own"
            for name in taken
            if name in self.features
        ]
        if problems:
            raise DefinitionError(problems)


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A training set whose bytes have been checked; `about` says what it was made of.

    Columns: each feature by its name, `label_NAME` and `weight_NAME` for each label, and `row_at`, `row_offset` and
    `row_ENTITY` of the impression.
    """

    folder: Path
    fingerprint: str
    rows: int
    about: Mapping[str, Any]
    reused: bool = False

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[Table]:
        """The rows in order, a slice of them at a time; only the given columns if they are named."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.folder / _DATA) as file:
            for i in range(file.num_row_groups):
                group = file.read_row_group(i, columns=None if columns is None else list(columns))
                yield Table({name: _column(group.column(name)) for name in group.column_names}, n_rows=group.num_rows)


def write_dataset(
    folder: Path,
    recipe: Recipe,
    log: Log,
    *,
    evaluate: AsOf = as_of,
    n_rows: int = _ROWS,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> StoredDataset:
    """Write the training set into a new `folder`, `n_rows` rows at a time, or find it there.

    Raises DataError if nothing is mature in the range, or if the folder holds something else or is damaged; what was
    in the folder is then as it was.
    """
    impressions = _rows_of(recipe, log)
    digests = impressions.survey(recipe.resolve, lambda share: progress("reading the log", 0.2 * share))
    if not impressions.n_rows:
        raise DataError(
            f"no mature {impressions.stream.name!r} events in the range",
            hint="ingest more history, or take a longer range or labels that mature sooner",
        )
    history = {name: _slim(t) for name, t in log.read(0, recipe.stop, recipe.features.follows).items()}
    about = _about(recipe, impressions, {**digests, **{f"read {n}": digest_of(t) for n, t in history.items()}}, n_rows)
    if folder.exists() and any(folder.iterdir()):
        return _found(folder, about["fingerprint"])
    draft = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        with _Writer(draft / _DATA) as writer:
            for rows, values, weights in impressions.slices(n_rows):
                spine = recipe.resolve(rows)
                table = evaluate(recipe.features, _before(history, int(spine["offset"].max())), spine)
                writer.add(_joined(recipe, spine, table, (values, weights)))
                progress("computing features as of each row", 0.2 + 0.8 * writer.rows / impressions.n_rows)
        about |= {"rows": writer.rows, "sha256": file_digest(draft / _DATA)}
        (draft / _ABOUT).write_text(json.dumps(about, indent=1) + "\n")
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return StoredDataset(folder, about["fingerprint"], about["rows"], about)


def _rows_of(recipe: Recipe, log: Log) -> Impressions | CalendarRows:
    """The rows that the labels are of: impressions in the log, or what a calendar makes of it."""
    labels, within, stop, now = recipe.labels, recipe.within, recipe.stop, recipe.now
    if isinstance(labels[0].of, Calendar):
        return CalendarRows(log, labels, stop=stop, within=within, now=now, utc_offset_s=recipe.utc_offset_s)
    return Impressions(log, labels, stop=stop, within=within, now=now)


def open_dataset(folder: Path) -> StoredDataset:
    """The training set in a folder, its bytes checked; DataError if there is none, or it is damaged."""
    damaged = "delete the folder and write it again with `sixfold features SYSTEM --write FOLDER`"
    try:
        about = json.loads((folder / _ABOUT).read_text())
        known = about["format"], about["fingerprint"], about["rows"], about["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is no training set, or a damaged one: {error}", hint=damaged) from error
    if known[0] != _FORMAT:
        raise DataError(f"{folder} is a training set of format {known[0]}, not {_FORMAT}", hint=damaged)
    data = folder / _DATA
    if not data.is_file() or file_digest(data) != known[3]:
        found = "does not match its checksum" if data.is_file() else "is gone"
        raise DataError(f"the training set {folder} is damaged: {_DATA} {found}", hint=damaged)
    return StoredDataset(folder, known[1], known[2], about)


def _found(folder: Path, wanted: str) -> StoredDataset:
    stored = open_dataset(folder)
    if stored.fingerprint != wanted:
        raise DataError(
            f"{folder} holds another training set, {stored.fingerprint}, not {wanted}: the log, the definitions or the "
            "code have changed since",
            hint="write to another folder, or delete that one",
        )
    return StoredDataset(folder, stored.fingerprint, stored.rows, stored.about, reused=True)


def _about(
    recipe: Recipe, impressions: Impressions | CalendarRows, prefix: Mapping[str, str], n_rows: int
) -> dict[str, Any]:
    # Not `now` and `stop` themselves: a log that grew by what nothing here reads still gives the same rows.
    last = min(recipe.within[1], impressions.last_at + 1)
    parts = {
        "prefix": dict(sorted(prefix.items())),
        "definitions": fingerprint([recipe.features.spec(), [label.spec() for label in recipe.labels]]),
        "code": code_version(),
        "impressions": {"from": recipe.within[0], "to": last, "rows": impressions.n_rows, "at_a_time": n_rows},
    }
    return {"format": _FORMAT, "fingerprint": fingerprint(parts), **parts}


def code_version() -> str:
    """Names the code that values depend on: the sources below `_core`, `data` and `features`, and two libraries."""
    root = Path(__file__).parents[1]
    files = sorted(path for part in ("_core", "data", "features") for path in (root / part).glob("*.py"))
    sources = {path.relative_to(root).as_posix(): file_digest(path) for path in files}
    return fingerprint([sources, version("numpy"), version("pyarrow")])


def _slim(table: Table) -> Table:
    """Without the ids, which are a hundred bytes each and no feature reads."""
    return table.select(name for name in table if name != "id")


def _before(history: Mapping[str, Table], offset: int) -> dict[str, Table]:
    return {name: table.take(slice(int(table["offset"].searchsorted(offset)))) for name, table in history.items()}


def _joined(recipe: Recipe, spine: Table, table: Table, labelled: tuple[Table, Table]) -> Table:
    names = [*(key.name for key in recipe.labels[0].of.keys), "at", "offset"]
    names += [entity.name for entity in recipe.features.entities if entity.name not in names]
    columns = {f"row_{name}": spine[name] for name in names}
    for kind, part in zip(("label", "weight"), labelled, strict=True):
        columns |= {f"{kind}_{name}": part[name] for name in part}
    return Table({**columns, **table})


class _Writer:
    """Row groups of one Parquet file; the columns are those of the first slice."""

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._path = path
        self._file: Any = None

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, table: Table) -> None:
        """Write a slice as one row group."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        made = pa.table({name: _arrow(table[name]) for name in table})
        if self._file is None:
            self._file = pq.ParquetWriter(self._path, made.schema, compression="zstd")
        self._file.write_table(made, row_group_size=len(table))
        self.rows += len(table)


def _arrow(values: Array) -> Any:
    import pyarrow as pa

    if values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(_arrow(np.ascontiguousarray(values).reshape(-1)), values.shape[1])
    return pa.array(values, pa.string() if values.dtype == object else None)


def _column(values: Any) -> Array:
    import pyarrow as pa

    if pa.types.is_fixed_size_list(values.type):
        width = values.type.list_size
        return _column(values.combine_chunks().flatten()).reshape(-1, width)
    if pa.types.is_string(values.type):
        out = np.empty(len(values), object)
        out[:] = values.to_pylist()
        return out
    return np.asarray(values.to_numpy())
