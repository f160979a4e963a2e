"""The feature engine, measured: `python -m benchmarks.features [--size small|large]`.

Prints point-in-time rows per second and peak memory, reads and folds of the online state, snapshots and restores; each
beside a plain Python version of the same in the same run. Large is 5 million events and 1 million rows.
"""

import argparse
import resource
import tempfile
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.table import Array, Table
from sixfold._core.times import DAY, HOUR, MINUTE, SECOND
from sixfold.data.events import Events
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import FeatureSet, OnlineFeatures, age, as_of, attribute, computed, count, mean, rate, request
from sixfold.features import sequence as last_of
from sixfold.features import sum as total
from sixfold.frame import Entity
from sixfold.testing.histories import between

user, video = Entity("user"), Entity("video")
meta = Events("meta", keys=(video,), fields={"topic": str, "duration_s": float, "author": int})
watch = Events("watch", keys=(user, video), fields={"share": float, "ms": int, "liked": bool})

WINDOWS = FeatureSet(
    count(watch, by=user, over=("1h", "1d", "7d", "30d")),
    mean(watch.share, by=user, over=("1h", "1d", "7d", "30d")),
    rate(watch.share >= 0.7, by=video, over=("1h", "1d", "7d", "30d"), prior=(1, 20)),
    count(watch, by=video, over=("1h", "1d", "7d", "30d")),
    total(watch.ms, by=video, over=("1h", "1d", "7d", "30d")),
    mean(watch.share, by=(user, meta.topic), over=("1d", "7d", "30d", "lifetime")),
)
SERVED = FeatureSet(
    count(watch, by=user, over=("1h", "1d", "7d", "30d")),
    mean(watch.share, by=user, over=("1h", "1d", "7d", "30d")),
    rate(watch.liked, by=user, over=("1h", "1d", "7d")),
    rate(watch.share >= 0.7, by=video, over=("1h", "1d", "7d", "30d"), prior=(1, 20)),
    video_day := count(watch, by=video, over="1d"),
    video_week := count(watch, by=video, over="7d"),
    count(watch, by=video, over=("1h", "30d")),
    total(watch.ms, by=video, over=("1h", "1d", "7d", "30d")),
    rate(watch.liked, by=video, over=("1d", "7d", "30d"), prior=(1, 50)),
    mean(watch.share, by=(user, meta.topic), over=("1d", "7d", "30d", "lifetime")),
    mean(watch.share, by=(user, meta.author), over=("7d", "lifetime")),
    attribute(meta.topic),
    attribute(meta.duration_s),
    age(meta),
    last_of(watch, by=user, of=video, last=50),
    request("tab", str),
    computed("trend", video_day / video_week),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure with."""

    events: int
    rows: int
    users: int
    videos: int


SIZES = {"small": Size(500_000, 100_000, 10_000, 5_000), "large": Size(5_000_000, 1_000_000, 100_000, 50_000)}


def history(size: Size, rng: np.random.Generator) -> dict[str, Table]:
    """Thirty days of watching with a few late events; popularity falls off like 1 / rank."""
    n_meta, n_watch = size.videos, size.events - size.videos
    weights = 1 / np.arange(1, size.videos + 1)
    arrived = np.sort(rng.integers(0, 30 * DAY, n_watch)) + DAY
    late = np.where(rng.random(n_watch) < 0.01, rng.integers(0, 6 * HOUR, n_watch), 0)
    topics = np.array([f"topic{i}" for i in range(40)], object)
    return {
        "meta": Table(
            {
                "offset": np.arange(n_meta),
                "at": np.full(n_meta, DAY - MINUTE),
                "arrived": np.full(n_meta, DAY - MINUTE),
                "video": np.arange(n_meta),
                "topic": topics[rng.integers(0, 40, n_meta)],
                "duration_s": rng.random(n_meta) * 60,
                "author": rng.integers(0, 1000, n_meta),
            }
        ),
        "watch": Table(
            {
                "offset": np.arange(n_watch) + n_meta,
                "at": arrived - late,
                "arrived": arrived,
                "user": rng.integers(0, size.users, n_watch),
                "video": rng.choice(size.videos, n_watch, p=weights / weights.sum()),
                "share": rng.random(n_watch),
                "ms": rng.integers(0, 60_000, n_watch),
                "liked": rng.random(n_watch) < 0.05,
            }
        ),
    }


def questions(past: dict[str, Table], size: Size, rng: np.random.Generator) -> Table:
    """Impressions a second before some of the events."""
    rows = np.sort(rng.choice(len(past["watch"]), size.rows, replace=False))
    asked = past["watch"].take(rows)
    return Table({name: asked[name] for name in ("user", "video", "offset")} | {"at": asked["arrived"] - SECOND})


def seconds(work: Callable[[], Any]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_mib() -> float:
    """The most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def plain_as_of(past: dict[str, Table], spine: Table) -> list[tuple[int, float]]:
    """A peer: count and mean of `share` by user over a day, with a list and a bisection each; nothing may be late."""
    instants: dict[int, list[int]] = defaultdict(list)
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0])
    columns = (past["watch"][name].tolist() for name in ("user", "arrived", "share"))
    for who, arrived, share in zip(*columns, strict=True):
        instants[who].append(arrived)
        sums[who].append(sums[who][-1] + share)
    out = []
    for who, at in zip(spine["user"].tolist(), spine["at"].tolist(), strict=True):
        low, high = bisect_left(instants[who], at - DAY), bisect_left(instants[who], at)
        out.append((high - low, (sums[who][high] - sums[who][low]) / max(high - low, 1)))
    return out


def batch(size: Size, past: dict[str, Table], rng: np.random.Generator) -> Iterator[str]:
    """Point-in-time features of many rows."""
    spine = questions(past, size, rng)
    before = peak_mib()
    took = seconds(lambda: as_of(WINDOWS, past, spine))
    yield (
        f"as_of        {size.events:,} events, {size.rows:,} rows, {len(WINDOWS)} window features: {took:.1f} s, "
        f"{size.rows / took:,.0f} rows/s, peak {peak_mib():,.0f} MiB ({before:,.0f} MiB before)"
    )
    plain = seconds(lambda: plain_as_of(past, spine))
    ours = took / len(WINDOWS)
    yield f"  a feature  {ours:.2f} s; plain Python with a list a user {plain / 2:.2f} s: {plain / 2 / ours:.1f} times"


def percentiles(times: list[float]) -> str:
    """p50 and p99 in milliseconds."""
    p50, p99 = np.percentile(np.array(times) * 1e3, [50, 99])
    return f"p50 {p50:.3f} ms, p99 {p99:.3f} ms"


def reading(online: OnlineFeatures, size: Size, at: int, rng: np.random.Generator) -> Iterator[str]:
    """500 candidates by all served features, for other users and candidates each time."""
    asks = [(int(rng.integers(size.users)), rng.integers(0, size.videos, 500)) for _ in range(300)]
    names = SERVED.names

    def read(who: int, keys: Array, moment: int) -> Table:
        return online.now(names, {"user": who, "tab": "home"}, {"video": keys}, moment)

    cold = [seconds(lambda a=a: read(*a, at)) for a in asks[:100]]
    warm = [seconds(lambda a=a: read(*a, at)) for a in asks]
    yield f"now          500 candidates x {len(names)} features: {percentiles(warm)}; first reads {percentiles(cold)}"
    moved = [seconds(lambda a=a, i=i: read(*a, at + i * HOUR)) for i, a in enumerate(asks[:50], 1)]
    yield f"  after an hour has passed (all windows move): {percentiles(moved)}"
    table = read(*asks[0], at)
    flat = {(name, key): i for name in names for i, key in enumerate(range(size.videos))}
    plain = [
        seconds(lambda a=a: np.array([[flat[name, key] for name in names] for key in a[1].tolist()])) for a in asks[:50]
    ]
    ratio = np.median(plain) / np.median(warm)
    yield f"  a dict of ready values, {len(table)} x {len(names)} look-ups: {percentiles(plain)}: {ratio:.0f} times"


def folding(size: Size, past: dict[str, Table]) -> Iterator[str]:
    """Bulk, micro-batches, one event at a time."""
    end = int(past["watch"]["offset"][-1]) + 1
    online = OnlineFeatures(SERVED, MemoryStore())
    start = end * 4 // 5
    bulk = seconds(lambda: online.fold(between(past, 0, start), start))
    yield f"fold         {start:,} events at once: {start / bulk:,.0f} events/s"
    for n in (1000, 20, 1):
        times = []
        for _ in range(50 if n == 1000 else 200):
            stop = min(online.offset + n, end)
            part = between(past, online.offset, stop)
            times.append(seconds(lambda part=part, stop=stop: online.fold(part, stop)))
        yield f"  by {n:>5}   {percentiles(times)}, {n / float(np.median(times)):,.0f} events/s"
    counts: dict[tuple[int, int], int] = defaultdict(int)

    def plain() -> None:
        for who, what, at in zip(*(past["watch"][k][:100_000].tolist() for k in ("user", "video", "at")), strict=True):
            counts[who, at // HOUR] += 1
            counts[what, at // HOUR] += 1

    took = seconds(plain)
    yield f"  plain Python, two counts in a dict: {100_000 / took:,.0f} events/s (we keep {len(SERVED)} features)"


def recovery(online: OnlineFeatures) -> Iterator[str]:
    """A snapshot and its restoration."""
    with tempfile.TemporaryDirectory() as folder:
        wrote = seconds(lambda: online.snapshot(Path(folder)))
        megabytes = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / 1e6
        again = OnlineFeatures(SERVED, MemoryStore())
        read = seconds(lambda: again.restore(Path(folder)))
    yield f"snapshot     {megabytes:,.0f} MB written in {wrote:.2f} s, restored in {read:.2f} s"


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    size = SIZES[parser.parse_args().size]
    rng = np.random.default_rng(1)
    past = history(size, rng)
    for line in batch(size, past, rng):
        print(line, flush=True)
    for line in folding(size, past):
        print(line, flush=True)
    online = OnlineFeatures(SERVED, MemoryStore())
    end = int(past["watch"]["offset"][-1]) + 1
    online.fold(past, end)
    for part in (reading(online, size, int(past["watch"]["arrived"][-1]), rng), recovery(online)):
        for line in part:
            print(line, flush=True)


if __name__ == "__main__":
    main()
