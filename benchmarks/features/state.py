"""What state costs: bytes for a key, a million keys, and how long a process needs to be ready after a restart."""

import gc
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.features.measured import Figures, Times, peak_mib, resident_mib
from benchmarks.features.streaming import as_raw, impressions
from benchmarks.features.world import SERVED, SIZES, WINDOWS, Size, history
from sixfold._core.table import Table
from sixfold.engines.memory.store import MemoryStore
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.features import OnlineFeatures
from sixfold.systems.video import system
from sixfold.testing.histories import between

__all__ = ["many_keys", "recover", "write_log"]


def many_keys(n_users: int, which: str) -> Figures:
    """Resident memory after folding what `n_users` watched, three events each, and reading some of them once.

    `which` features: "windows" (the 24), "ranker" (those of `video`'s ranker) or "whole" (those of all its stages,
    which keep the last 50 and 500 events of each user). A key is a key that has state: a user, a video, or a pair.
    """
    features = {"windows": WINDOWS, "ranker": system.features, "whole": system.online_features}[which]
    size = Size(3 * n_users + 10_000, 0, n_users, 10_000, 0, 0, ())
    parts: Iterable[dict[str, Table]] = impressions(n_users, 10_000, 3 * n_users)
    if which == "windows":
        past = history(size.events, size, with_share=False)
        parts = (between(past, start, start + 100_000) for start in range(0, size.events, 100_000))
    online = OnlineFeatures(features, MemoryStore())
    gc.collect()
    before, last = resident_mib(), 0
    for part in parts:
        online.fold(part, _stop(part))
        last = max(int(table["arrived"][-1]) for table in part.values())
    for start in range(0, 5_000, 500):
        online.now(features.names, {"user": start}, {"video": np.arange(start, start + 500)}, last)
    gc.collect()
    grown = resident_mib() - before
    met: dict[int, int] = {}
    for reader in online._readers:
        space = id(reader.group.path.rows)
        met[space] = max(met.get(space, 0), len(reader.rows.seen))
    n_keys = sum(met.values())
    return {"mib": grown, "keys": n_keys, "bytes_per_key": grown * 2**20 / n_keys, "peak_mib": peak_mib()}


def _stop(part: dict[str, Table]) -> int:
    return 1 + max(int(table["offset"][-1]) for table in part.values())


def write_log(size: str, folder: Path) -> Figures:
    """A log of all events in SQLite and sealed segments, and a snapshot at nine tenths of it."""
    asked = SIZES[size]
    past = history(asked.events, asked)
    end = int(past["watch"]["offset"][-1]) + 1
    with SqliteLog(folder / "log") as log:
        for start in range(0, end, 100_000):
            part = between(past, start, min(start + 100_000, end))
            log.append({name: as_raw(name, table) for name, table in part.items()}, now=0)
        log.seal(end * 8 // 10)
    online, snapshot_at = OnlineFeatures(SERVED, MemoryStore()), end * 9 // 10
    online.fold(between(past, 0, snapshot_at), snapshot_at)
    times = Times()
    times.take(lambda: online.snapshot(folder / "snapshot"))
    mib = sum(file.stat().st_size for file in (folder / "snapshot").rglob("*") if file.is_file()) / 2**20
    return {"snapshot_s": times.wall[0], "snapshot_mib": mib}


def recover(size: str, folder: Path) -> Figures:
    """A new process: open the log, restore the snapshot, fold the rest, answer a read."""
    asked, times = SIZES[size], Times()
    online = OnlineFeatures(SERVED, MemoryStore())

    def restore() -> None:
        online.restore(folder / "snapshot")

    def rest() -> None:
        with SqliteLog(folder / "log") as log:
            end, last = log.end()
            for start in range(online.offset, end, 100_000):
                stop = min(start + 100_000, end)
                online.fold(log.read(start, stop), stop)
            online.now(SERVED.names, {"user": 1}, {"video": np.arange(min(500, asked.videos))}, last)

    times.take(restore)
    times.take(rest)
    return {
        "seconds": sum(times.wall),
        "cpu_s": sum(times.cpu),
        "restore_s": times.wall[0],
        "fold_s": times.wall[1],
        "peak_mib": peak_mib(),
        "events_folded": float(online.offset),
    }
