"""The online stores side by side: `python -m benchmarks.stores [--events 300000] [--only memory sqlite redis]`.

Folds by the bulk, in micro-batches and one event at a time; reads of 500 candidates by 40 features, windows current to
the last event, and again when every window has moved, so that all of it comes from the store; how long it takes to come
back where state outlives the process; bytes of each group. The first figure is by the wall, the one in brackets by this
process's processor: a Redis server spends its own besides.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.features.measured import Times
from benchmarks.features.world import SERVED, SIZES, candidates, history
from sixfold._core.table import Array, Table
from sixfold._core.times import HOUR
from sixfold.engines.memory.store import MemoryStore
from sixfold.engines.redis.store import RedisStore
from sixfold.engines.sqlite.store import SqliteStore
from sixfold.features import OnlineFeatures
from sixfold.features.store import Durable, Store
from sixfold.testing.histories import between
from sixfold.testing.servers import has_redis, redis_server

_READS = 300
_BATCH, _BATCHES = 512, 60
_AFTER_AN_HOUR = 40


def ms(times: Times) -> str:
    """p50 and p99."""
    (p50, p50_cpu), (p99, p99_cpu) = times.ms(0.5), times.ms(0.99)
    return f"p50 {p50:.2f} ms ({p50_cpu:.2f}), p99 {p99:.2f} ms ({p99_cpu:.2f})"


def folds(online: OnlineFeatures, past: dict[str, Table], stop: int) -> Iterator[str]:
    """Fold up to `stop`: most of it at once, then 512 by 512."""
    tail = stop - _BATCH * _BATCHES
    bulk, micro = Times(), Times()
    bulk.take(lambda: online.fold(between(past, 0, tail), tail))
    yield f"fold at once      {tail / bulk.wall[0]:,.0f} events/s ({tail / bulk.cpu[0]:,.0f})"
    while online.offset < stop:
        end = min(online.offset + _BATCH, stop)
        part = between(past, online.offset, end)
        micro.take(lambda part=part, end=end: online.fold(part, end))
    wall, cpu = micro.median
    yield f"fold by {_BATCH}       {_BATCH / wall:,.0f} events/s ({_BATCH / cpu:,.0f})"


def reads(online: OnlineFeatures, past: dict[str, Table], videos: Array) -> Iterator[str]:
    """Fold an event, read as of it; then read an hour later each time."""
    tail = past["watch"].take(np.arange(-_READS, 0))
    one, current, moved = Times(), Times(), Times()

    def read(i: int, at: int) -> Table:
        return online.now(SERVED.names, {"user": int(tail["user"][i])}, {"video": videos[i]}, at)

    for i in range(_READS):
        event = {"watch": tail.take(slice(i, i + 1))}
        stop = int(event["watch"]["offset"][0]) + 1
        one.take(lambda event=event, stop=stop: online.fold(event, stop))
        current.take(lambda i=i: read(i, int(tail["arrived"][i])))
    warm = Times(current.wall[_READS // 5 :], current.cpu[_READS // 5 :])
    yield f"fold one event    {ms(one)}"
    yield f"read, current     {ms(warm)}; the first {current.wall[0] * 1e3:.1f} ms"
    for i in range(_AFTER_AN_HOUR):
        moved.take(lambda i=i: read(i, int(tail["arrived"][-1]) + (i + 1) * HOUR))
    yield f"read, all moved   {ms(moved)}"


def sizes(store: Store) -> Iterator[str]:
    """How long it takes to come back to state that outlives the process; bytes of each group."""
    usage = store.usage()  # type: ignore[attr-defined]
    rows, n_bytes = sum(u.rows for u in usage.values()), sum(u.n_bytes for u in usage.values())
    groups = ", ".join(f"{name} {u.bytes_per_row:,.0f}" for name, u in usage.items())
    if isinstance(store, Durable):
        again = Times()
        online = again.take(lambda: OnlineFeatures(SERVED, store))
        yield f"opened again      in {again.wall[0]:.2f} s ({again.cpu[0]:.2f}) at offset {online.offset:,}"
    yield f"bytes             {n_bytes / 1e6:,.1f} MB in {rows:,} rows, {n_bytes / rows:,.0f} each: {groups}"


def main() -> None:
    """Measure each store on the same history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--only", nargs="*", default=["memory", "sqlite", "redis"])
    asked = parser.parse_args()
    past = history(asked.events, SIZES["small"])
    videos = candidates(SIZES["small"], _READS)
    stop = int(past["watch"]["offset"][-_READS])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stores: dict[str, Store] = {}
        if "memory" in asked.only:
            stores["memory"] = MemoryStore()
        if "sqlite" in asked.only:
            stores["sqlite"] = stack.enter_context(SqliteStore(folder / "state.db"))
        if "redis" in asked.only and has_redis():
            stores["redis"] = stack.enter_context(RedisStore(stack.enter_context(redis_server(folder))))
        for name, store in stores.items():
            online = OnlineFeatures(SERVED, store)
            print(f"{name}, {asked.events:,} events", flush=True)
            for lines in (folds(online, past, stop), reads(online, past, videos), sizes(store)):
                for line in lines:
                    print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
