"""The sections of the table: which parts run for each bar, and how their figures become lines."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.features import precomputed, serving
from benchmarks.features.measured import Figures, Row
from benchmarks.features.parts import PartError, run
from benchmarks.features.peers import Peer, PeerError, redis_server
from benchmarks.features.world import SIZES

__all__ = ["SECTIONS", "Context"]

_FEAST_JOINS = (
    ("duckdb", "events-even", 200_000),
    ("file", "events-even", 20_000),
    ("duckdb", "moments-even", 300_000),
    ("duckdb", "moments-skewed", 30_000),
)
"""Store, what is precomputed, rows. Feast pairs all rows of a key before it picks one: with the popularity of the other
figures it can be given few rows only (100,000 took 18 GB and 100 s), so the bar is held against even popularity."""


@dataclass(frozen=True, slots=True)
class Context:
    """What all sections share."""

    size: str
    folder: Path
    cache: Path

    def home(self, name: str) -> Path:
        """A folder of its own."""
        made = self.folder / name
        made.mkdir(exist_ok=True)
        return made


def point_in_time_rows(context: Context) -> list[Row]:
    """numpy, DuckDB, Feast's offline stores: the same rows and 24 features."""
    size = SIZES[context.size]
    folder = context.home("as_of")
    ours = run("as_of_numpy", context.size, str(folder))
    how = f"{size.events:,} events, {size.rows:,} rows, 24 features, two threads, median of 3"
    rows = [
        Row("point-in-time, numpy", "rows/s", ours["rows_per_s"], 200_000, cpu=ours["rows_per_cpu_s"], note=how),
        Row("point-in-time, numpy, peak memory", "MiB", ours["peak_mib"], 2048, at_least=False, note="data included"),
    ]
    rows += _or_missing(lambda: _duckdb(context, folder), "point-in-time, DuckDB with 2 GB", "rows/s", 80_000)
    rows += _or_missing(lambda: _feast_offline(context, ours), "point-in-time, times Feast", "times", 15)
    return rows


def _duckdb(context: Context, folder: Path) -> list[Row]:
    found = run("as_of_duckdb", context.size, str(folder))
    note = f"{found['differing']:.0f} of a sample's values differ from numpy's; peak {found['peak_mib']:,.0f} MiB"
    cpu = found["rows_per_cpu_s"]
    return [Row("point-in-time, DuckDB with 2 GB", "rows/s", found["rows_per_s"], 80_000, cpu=cpu, note=note)]


def _feast_offline(context: Context, ours: Figures) -> list[Row]:
    peer, size = Peer("feast", context.cache), SIZES[context.size]
    rows: list[Row] = []
    peer.install()
    speeds: dict[str, float] = {}
    for kind, variant, n_rows in _FEAST_JOINS:
        n = min(n_rows, size.rows // 2)
        folder = context.home(f"feast_{kind}_{variant}")
        given = run("as_of_for_feast", context.size, str(n), variant, str(folder))
        found = peer.run("feast_offline.py", str(folder), kind)
        speed = n / found["seconds"]
        speeds[variant] = max(speeds.get(variant, 0.0), speed)
        differing = precomputed.agrees(folder / f"joined_{kind}.parquet", folder)
        note = (
            f"join {n:,} rows to {given['rows']:,.0f}; {differing} sampled values differ; {found['peak_mib']:,.0f} MiB"
        )
        rows.append(Row(f"  Feast, {kind} store, {variant}", "rows/s", speed, cpu=n / found["cpu_s"], note=note))
    for variant, bar in (("events-even", 15), ("moments-even", None), ("moments-skewed", None)):
        note = "our computing against its joining of what we computed for it"
        ratio = ours["rows_per_s"] / speeds[variant]
        rows.append(Row(f"point-in-time, times Feast's fastest, {variant}", "times", ratio, bar, note=note))
    return rows


def growth_rows(context: Context) -> list[Row]:
    """Seconds per n log n."""
    rows, per = [], []
    for n in SIZES[context.size].growth:
        found = run("as_of_growth", context.size, str(n))
        per.append(found["cpu_s"] / (n * math.log2(n)) * 1e9)
        note = f"{per[-1]:.2f} ns of CPU per n log2 n; rows = events / 5; peak {found['peak_mib']:,.0f} MiB"
        rows.append(Row(f"point-in-time, {n:,} events", "s", found["seconds"], cpu=found["cpu_s"], note=note))
    note = "CPU time per n log2 n of the most events over that of the fewest; beyond 1: less lies in the caches"
    return [*rows, Row("growth over that of n log n", "times", per[-1] / per[0], note=note)]


def serving_rows(context: Context) -> list[Row]:
    """Reads of 500 x 40 from memory and from Redis, beside Feast's online stores."""
    ours = run("read_memory", context.size)
    note = f"an event folded before each read; {ours['differing']:.0f} sampled values differ from batch"
    rows = [
        Row("read 500 x 40, memory, p50", "ms", ours["p50_ms"], 0.4, at_least=False, cpu=ours["p50_cpu_ms"], note=note),
        Row("read 500 x 40, memory, p99", "ms", ours["p99_ms"], 1.0, at_least=False, cpu=ours["p99_cpu_ms"]),
    ]
    name = "read 500 x 40, Redis, p50"
    try:
        with redis_server(context.home("redis")) as port:
            rows += _or_missing(lambda: _redis(context, port), name, "ms", 2.5, at_least=False)
        for kind in ("redis", "sqlite"):
            what = f"read 500 x 40, times Feast {kind}"
            rows += _or_missing(lambda kind=kind: _feast_online(context, ours, kind), what, "times", 50)
    except PeerError as error:
        rows.append(Row(name, "ms", None, 2.5, at_least=False, note=str(error)))
    return rows


def _redis(context: Context, port: int) -> list[Row]:
    found = run("read_redis", context.size, str(port))
    note = f"p99 {found['p99_ms']:.2f} ms; {found['differing']:.0f} sampled values differ from batch"
    p50, cpu = found["p50_ms"], found["p50_cpu_ms"]
    return [Row("read 500 x 40, Redis, p50", "ms", p50, 2.5, at_least=False, cpu=cpu, note=note)]


def _feast_online(context: Context, ours: Figures, kind: str) -> list[Row]:
    peer = Peer("feast", context.cache)
    peer.install()
    folder = context.home(f"feast_online_{kind}")
    run("read_for_feast", context.size, str(folder))
    if kind == "redis":
        with redis_server(folder) as port:
            found = peer.run("feast_online.py", str(folder), f"redis:{port}")
    else:
        found = peer.run("feast_online.py", str(folder), kind)
    theirs = float(np.median(found["times"])) * 1e3
    differing = serving.agrees_with_feast(found["first"], folder)
    note = f"same values written to it; {differing} of 20,000 differ"
    return [
        Row(f"  Feast {kind} store, p50", "ms", theirs, note=note),
        Row(f"read 500 x 40, times Feast {kind}", "times", theirs / ours["p50_ms"], 50, note="ours from memory"),
    ]


def streaming_rows(context: Context) -> list[Row]:
    """The `video` system's whole feature set, and state for many keys."""
    found, seen, n_keys = run("batches", context.size), run("visible", context.size), SIZES[context.size].keys
    note = f"{found['per_event']:.1f} groups of tiles an event; median batch of 512"
    updates, events = (found["updates_per_s"], found["updates_per_cpu_s"]), found["mean_events_per_s"]
    rows = [
        Row("feature-tile updates", "1/s", updates[0], 300_000, cpu=updates[1], note=note),
        Row("events, video's whole feature set", "1/s", found["events_per_s"], 30_000, cpu=found["events_per_cpu_s"],
            note=f"batches of 512; {events:,.0f} over all batches"),
        Row("append to visible, one event, p50", "ms", seen["p50_ms"], 1.0, at_least=False, cpu=seen["p50_cpu_ms"],
            note=f"memory log, fold, read; p99 {seen['p99_ms']:.2f} ms"),
    ]  # fmt: skip
    windows = run("keys", str(n_keys), "windows")
    limit = 1536 * n_keys / 1_000_000
    note = f"{windows['bytes_per_key']:,.0f} bytes a key; the 24 windows, 3 events a user"
    rows.append(Row(f"state of {n_keys:,} keys", "MiB", windows["mib"], limit, at_least=False, note=note))
    for which, what in (
        ("ranker", "the ranker's features"),
        ("whole", "all stages', last 50 and 500 of each user too"),
    ):
        found = run("keys", str(n_keys // 10), which)
        note = f"video: {what}; {found['keys']:,.0f} keys of {n_keys // 10:,} users in {found['mib']:,.0f} MiB"
        rows.append(Row(f"  state of a key, {which}", "bytes", found["bytes_per_key"], note=note))
    return rows


def recovery_rows(context: Context) -> list[Row]:
    """Restart with a snapshot at nine tenths of the log."""
    folder = context.home("recovery")
    wrote = run("write_log", context.size, str(folder))
    found = run("recover", context.size, str(folder))
    note = (
        f"restore {wrote['snapshot_mib']:,.0f} MiB {found['restore_s']:.1f} s, rest of the log {found['fold_s']:.1f} s"
    )
    name = f"recovery, {SIZES[context.size].events:,} events"
    return [Row(name, "s", found["seconds"], 10, at_least=False, cpu=found["cpu_s"], note=note)]


def _or_missing(
    make: Callable[[], Sequence[Row]], name: str, unit: str, bar: float, *, at_least: bool = True
) -> Sequence[Row]:
    """The lines, or one that says why there are none."""
    try:
        return make()
    except (PartError, PeerError) as error:
        return [Row(name, unit, None, bar, at_least, note=str(error)[:150])]


SECTIONS: dict[str, Callable[[Context], list[Row]]] = {
    "as_of": point_in_time_rows,
    "growth": growth_rows,
    "read": serving_rows,
    "stream": streaming_rows,
    "recovery": recovery_rows,
}
