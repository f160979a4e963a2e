"""Features of many past moments at once: ours in numpy and on DuckDB, and Feast joining what we computed for it."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.features.measured import Figures, Times, peak_mib
from benchmarks.features.world import SIZES, WINDOWS, history, spine
from sixfold._core.table import Table
from sixfold.features import as_of

__all__ = ["duckdb", "feast_agrees", "growth", "in_numpy", "prepare_for_feast"]

_SAMPLE = 20_000
_MEMORY = "2GB"


def in_numpy(size: str, folder: Path) -> Figures:
    """Rows per second and peak memory of the numpy engine; leaves its values for the others to be compared with."""
    asked = SIZES[size]
    past = history(asked.events, asked, with_share=False)
    rows = spine(past, asked.rows)
    before = peak_mib()
    times, out = Times(), Table({})
    for _ in range(3):
        out = Table({})  # else two results are held at once
        gc.collect()
        out = times.take(lambda: as_of(WINDOWS, past, rows))
    peak = peak_mib()
    np.savez(folder / "as_of.npz", allow_pickle=False, **_sample(out))
    wall, cpu = times.median
    return {
        "rows_per_s": asked.rows / wall,
        "rows_per_cpu_s": asked.rows / cpu,
        "peak_mib": peak,
        "before_mib": before,
        "seconds": wall,
    }


def growth(size: str, n_events: int) -> Figures:
    """Seconds for `n_events` and a fifth as many rows."""
    asked = SIZES[size]
    past = history(n_events, asked, with_share=False)
    rows = spine(past, n_events // 5)
    times = Times()
    for _ in range(3 if n_events <= 5_000_000 else 1):
        times.take(lambda: as_of(WINDOWS, past, rows))
    wall, cpu = times.median
    return {"events": n_events, "seconds": wall, "cpu_s": cpu, "peak_mib": peak_mib()}


def duckdb(size: str, folder: Path) -> Figures:
    """The relational plan on DuckDB, held to 2 GB; its values are compared with numpy's."""
    evaluate = _relational()
    asked = SIZES[size]
    past = history(asked.events, asked, with_share=False)
    rows = spine(past, asked.rows)
    times = Times()
    out = times.take(lambda: evaluate(past, rows))
    wall, cpu = times.median
    differing = _differing(_sample(out), folder)
    return {
        "rows_per_s": asked.rows / wall,
        "rows_per_cpu_s": asked.rows / cpu,
        "peak_mib": peak_mib(),
        "differing": differing,
    }


def _relational() -> Callable[[dict[str, Table], Table], Table]:
    """The DuckDB engine; raises ImportError while there is none."""
    from sixfold.engines.relational.duckdb import DuckDB  # type: ignore[import-not-found,unused-ignore]

    return lambda past, rows: DuckDB(memory=_MEMORY).as_of(WINDOWS, past, rows)  # type: ignore[no-any-return]


def prepare_for_feast(size: str, n_rows: int, folder: Path) -> Figures:
    """Parquet that holds each key's features at just the moments asked for: the least that Feast could be given."""
    asked = SIZES[size]
    past = history(asked.events, asked, with_share=False)
    rows = spine(past, n_rows)
    out = as_of(WINDOWS, past, rows)
    at = pa.array(rows["at"], pa.timestamp("us", tz="UTC"))
    for key in ("user", "video"):
        mine = {name: out[name] for name in WINDOWS.names if _keyed_by(name) == key}
        pq.write_table(pa.table({key: rows[key], "event_timestamp": at, **mine}), folder / f"{key}.parquet")
    pq.write_table(
        pa.table({"user": rows["user"], "video": rows["video"], "event_timestamp": at}), folder / "spine.parquet"
    )
    return {}


def feast_agrees(joined: Path, folder: Path) -> int:
    """How many of Feast's values differ from those that were computed for it."""
    ours: dict[tuple[int, ...], list[float]] = {}
    spine_rows = pq.read_table(folder / "spine.parquet")
    parts = {key: pq.read_table(folder / f"{key}.parquet") for key in ("user", "video")}
    ours_by_name = {
        name: table[name].to_numpy() for table in parts.values() for name in table.column_names if name in WINDOWS.names
    }
    names = sorted(ours_by_name)
    keys = np.stack([spine_rows[c].cast(pa.int64()).to_numpy() for c in ("event_timestamp", "user", "video")], axis=1)
    picked = np.random.default_rng(4).choice(len(keys), min(len(keys), 2_000), replace=False)
    for row in picked.tolist():
        ours[tuple(keys[row].tolist())] = [float(ours_by_name[name][row]) for name in names]
    theirs = pq.read_table(joined)
    stamps = theirs["event_timestamp"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    rows_of = {
        key: i
        for i, key in enumerate(zip(stamps.tolist(), *(theirs[c].to_pylist() for c in ("user", "video")), strict=True))
    }
    values = [theirs[name].to_numpy() for name in names]
    differing = 0
    for key, expected in ours.items():
        row = rows_of.get(key)
        found = [float(column[row]) for column in values] if row is not None else [np.nan] * len(names)
        differing += sum(a != b and not (np.isnan(a) and np.isnan(b)) for a, b in zip(found, expected, strict=True))
    return differing


def _keyed_by(name: str) -> str:
    return "user" if "user" in name else "video"


def _sample(out: Table) -> dict[str, Any]:
    picked = np.random.default_rng(4).choice(len(out), min(len(out), _SAMPLE), replace=False)
    return {name: out[name][picked] for name in WINDOWS.names}


def _differing(values: dict[str, Any], folder: Path) -> int:
    with np.load(folder / "as_of.npz") as expected:
        return sum(int((~np.isclose(values[n], expected[n], rtol=0, atol=0, equal_nan=True)).sum()) for n in values)
