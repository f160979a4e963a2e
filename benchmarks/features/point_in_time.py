"""Features of many past moments at once: ours in numpy and on DuckDB, and Feast joining what we computed for it."""

import gc
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.features.measured import Figures, Times, peak_mib
from benchmarks.features.world import SIZES, WINDOWS, history, spine
from sixfold._core.table import Table
from sixfold.features import as_of

__all__ = ["duckdb", "growth", "in_numpy"]

_SAMPLE = 20_000


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
        out = times.take(lambda: as_of(WINDOWS, past, rows, threads=2))
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
        times.take(lambda: as_of(WINDOWS, past, rows, threads=2))
    wall, cpu = times.median
    return {"events": n_events, "seconds": wall, "cpu_s": cpu, "peak_mib": peak_mib()}


def duckdb(size: str, folder: Path) -> Figures:
    """The relational plan on DuckDB, held to 2 GB; its values are compared with numpy's."""
    from sixfold.engines.relational import DuckDbEngine

    asked = SIZES[size]
    past = history(asked.events, asked, with_share=False)
    rows = spine(past, asked.rows)
    engine, times = DuckDbEngine(memory="2GB", threads=2, folder=folder), Times()
    out = times.take(lambda: engine.as_of(WINDOWS, past, rows))
    wall, cpu = times.median
    differing = _differing(_sample(out), folder)
    speed = {"rows_per_s": asked.rows / wall, "rows_per_cpu_s": asked.rows / cpu}
    return speed | {"peak_mib": peak_mib(), "differing": differing}


def _sample(out: Table) -> dict[str, Any]:
    picked = np.random.default_rng(4).choice(len(out), min(len(out), _SAMPLE), replace=False)
    return {name: out[name][picked] for name in WINDOWS.names}


def _differing(values: dict[str, Any], folder: Path) -> int:
    with np.load(folder / "as_of.npz") as expected:
        return sum(int((~np.isclose(values[n], expected[n], rtol=0, atol=0, equal_nan=True)).sum()) for n in values)
