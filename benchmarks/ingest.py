"""How fast events come in and can be read back, beside a raw SQLite insert and a synced file write of the same bytes.

`python -m benchmarks.ingest [--events 400000]` needs half a minute; every ratio is taken within the one run.
"""

import argparse
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np

from sixfold._core.table import Table, column
from sixfold.data.contract import Contract
from sixfold.data.events import Events
from sixfold.data.ingest import Ingest
from sixfold.engines.memory.log import MemoryLog
from sixfold.engines.memory.quarantine import MemoryQuarantine
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.frame import Entity

USER, VIDEO = Entity("user"), Entity("video")
FIELDS = {"tab": str, "watched_ms": float, "share": float, "clicked": bool, "long": bool, "position": int}
WATCH = Events("watch", keys=(USER, VIDEO), fields=FIELDS)
CONTRACT = Contract(WATCH, {"watch time is not negative": ~(WATCH.watched_ms < 0), "share": ~(WATCH.share > 2)})
NOW = 10**15


def events(first: int, n: int) -> Table:
    """`n` watch events with ids from `first` on."""
    rng = np.random.default_rng(first)
    return Table(
        {
            "id": column([f"watch-{first + i}" for i in range(n)], str),
            "at": np.arange(first, first + n),
            "user": rng.integers(0, 30_000, n),
            "video": rng.integers(0, 10_000, n),
            "tab": column([f"tab{i % 5}" for i in range(n)], str),
            "watched_ms": np.round(rng.exponential(20_000, n)),
            "share": rng.random(n),
            "clicked": rng.random(n) < 0.3,
            "long": rng.random(n) < 0.3,
            "position": rng.integers(0, 20, n),
        }
    )


def seconds(run: Callable[[], object]) -> float:
    """How long `run` takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def append_all(log: SqliteLog, tables: Iterable[Table]) -> None:
    """One durable append per table."""
    for table in tables:
        log.append({"watch": table}, now=NOW)


def raw_sqlite(path: Path, batches: list[list[tuple[int, bytes]]]) -> float:
    """A row per event, a transaction per batch, with the same durability: no ids checked, nothing ordered."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE events (number INTEGER PRIMARY KEY, body BLOB)")

    def insert() -> None:
        for batch in batches:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO events VALUES (?, ?)", batch)
            connection.execute("COMMIT")

    spent = seconds(insert)
    connection.close()
    return spent


def raw_file(path: Path, batches: list[list[tuple[int, bytes]]]) -> float:
    """The bytes of each batch at the end of a file, synced."""

    def write() -> None:
        with path.open("wb") as file:
            for batch in batches:
                file.write(b"".join(body for _, body in batch))
                file.flush()
                os.fdatasync(file.fileno())

    return seconds(write)


def checking() -> dict[str, float]:
    """Milliseconds to check and columnarise JSON rows, and checked events a second in chunks."""
    gate = Ingest(MemoryLog(), MemoryQuarantine(), (WATCH,), contracts=(CONTRACT,))
    found = {}
    for n, repeats in ((1, 500), (20, 500), (1_000, 50)):
        rows = events(0, n).rows()
        found[f"check {n} rows ms"] = (
            min(seconds(lambda r=rows: gate.prepare("watch", r, now=NOW)) for _ in range(repeats)) * 1e3
        )
    return found


def storing(folder: Path, total: int) -> dict[str, float]:
    """Events a second through each way of writing and reading."""
    found: dict[str, float] = {}
    thousands = [events(first, 1_000) for first in range(0, total // 2, 1_000)]
    pack = msgspec.msgpack.Encoder().encode
    batches = [[(int(row["at"]), pack(list(row.values()))) for row in table.rows()] for table in thousands]
    half = len(thousands) * 1_000
    with SqliteLog(folder / "log.db") as log:
        found["append, batches of 1,000"] = half / seconds(lambda: append_all(log, thousands))
        found["raw SQLite rows, batches of 1,000"] = half / raw_sqlite(folder / "raw.db", batches)
        found["raw synced file, batches of 1,000"] = half / raw_file(folder / "raw.bin", batches)
        chunks = [events(first, 50_000) for first in range(half, max(total, half + 50_000), 50_000)]
        rest = len(chunks) * 50_000
        gate = Ingest(log, MemoryQuarantine(), (WATCH,), contracts=(CONTRACT,))
        found["checked and appended, chunks of 50,000"] = rest / seconds(
            lambda: [gate.chunk({"watch": table}, now=NOW) for table in chunks]
        )
        found["append again (all duplicates)"] = rest / seconds(lambda: append_all(log, chunks))
        end, _ = log.end()
        found["read, not sealed"] = end / seconds(lambda: log.read(0, end))
        found["seal"] = end / seconds(lambda: log.seal(end))
        found["read, sealed (first, checksums included)"] = end / seconds(lambda: log.read(0, end))
        found["read, sealed"] = end / seconds(lambda: log.read(0, end))
        more = [events(first, 1_000) for first in range(end, end + 50_000, 1_000)]
        found["append after sealing, batches of 1,000"] = 50_000 / seconds(lambda: append_all(log, more))
        ones = [events(first, 1) for first in range(end + 50_000, end + 50_500)]
        found["append, one at a time"] = 500 / seconds(lambda: append_all(log, ones))
    return found


def main() -> None:
    """Print the figures; with --json also write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stored = storing(Path(folder), options.events)
    checked = checking()
    for name, rate in stored.items():
        print(f"{name:<45}{rate:>14,.0f} events/s")
    mine = stored["append, batches of 1,000"]
    for other in ("raw SQLite rows, batches of 1,000", "raw synced file, batches of 1,000"):
        print(f"{'append against ' + other:<55}{mine / stored[other]:>6.2f} x")
    for name, spent in checked.items():
        print(f"{name:<45}{spent:>14.3f}")
    if options.json:
        options.json.write_text(json.dumps({**stored, **checked}, indent=2))


if __name__ == "__main__":
    main()
