"""What state costs: bytes for a key, a million keys, and how long a process needs to be ready after a restart."""

import gc
from pathlib import Path

import numpy as np

from benchmarks.features.measured import Figures, Times, peak_mib, resident_mib
from benchmarks.features.streaming import as_raw, impressions
from benchmarks.features.world import SERVED, SIZES, history
from sixfold._core.table import Table
from sixfold.engines.memory.store import MemoryStore
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.features import OnlineFeatures
from sixfold.systems.video import system
from sixfold.testing.histories import between

__all__ = ["many_keys", "recover", "write_log"]


def many_keys(n_keys: int, whole: bool) -> Figures:
    """Resident memory after folding what `n_keys` users watched, three events each, less what was held before.

    With `whole` the features of all stages (which keep the last 50 and 500 of each user), else the ranker's.
    """
    online = OnlineFeatures(system.online_features if whole else system.features, MemoryStore())
    for part in impressions(1_000, 1_000, 1_000):
        OnlineFeatures(system.features, MemoryStore()).fold(part, _stop(part))
    gc.collect()
    before = resident_mib()
    for part in impressions(n_keys, 10_000, 3 * n_keys):
        online.fold(part, _stop(part))
    gc.collect()
    grown = resident_mib() - before
    return {"mib": grown, "bytes_per_key": grown * 2**20 / n_keys, "peak_mib": peak_mib()}


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
