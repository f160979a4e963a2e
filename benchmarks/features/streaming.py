"""Events coming in: micro-batches of the `video` system's whole feature set, one event until it is seen, state."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from benchmarks.features.measured import Figures, Times
from benchmarks.features.world import FIRST, SIZES
from sixfold._core.table import Array, Table
from sixfold._core.times import DAY, SECOND
from sixfold.engines.memory.log import MemoryLog
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import OnlineFeatures
from sixfold.features.store import Tiles
from sixfold.systems.video import system

__all__ = ["as_raw", "impressions", "micro_batches", "until_visible"]

_BATCH = 512


def impressions(n_users: int, n_videos: int, n: int, start: int = 0) -> Iterator[dict[str, Table]]:
    """First what is known of users and videos, then chunks of impressions, each followed by its watch event.

    The columns are those that a log gives back: with offsets, which begin at 0.
    """
    rng = np.random.default_rng(5)
    yield {
        "user_meta": _known("user_meta", "user", n_users, rng, 0),
        "video_meta": _known("video_meta", "video", n_videos, rng, n_users),
    }
    weights = np.cumsum(1 / np.arange(1, n_videos + 1))
    tabs = np.array(["home", "follow", "search"], object)
    done, chunk, step = 0, 100_000, 14 * DAY // max(n, 1)
    while done < n:
        m = min(chunk, n - done)
        at = FIRST + 2 * DAY + (done + np.arange(m)) * step
        offset = n_users + n_videos + 2 * (done + np.arange(m))
        keys = {"user": rng.integers(0, n_users, m), "video": np.searchsorted(weights, rng.random(m) * weights[-1])}
        share = rng.random(m) * 2
        clicked = rng.random(m) < 0.4
        tab = tabs[rng.integers(0, 3, m)]
        yield {
            "shown": Table(
                {"offset": offset, "at": at, "arrived": at, **keys}
                | {
                    "tab": tab,
                    "position": np.arange(m) % 20,
                    "decision": np.full(m, None, object),
                }
            ),
            "watch": Table(
                {"offset": offset + 1, "at": at, "arrived": at, **keys}
                | {"tab": tab, "watched_ms": share * 20_000, "share": share, "clicked": clicked, "long": share > 1.5}
                | {"liked": clicked & (share > 1.8), "hated": np.zeros(m, np.bool_)}
            ),
        }
        done += m


def _known(stream: str, key: str, n: int, rng: np.random.Generator, first: int) -> Table:
    events = next(events for events in system.streams if events.name == stream)
    words = np.array([f"w{i}" for i in range(40)], object)
    then = np.full(n, FIRST + DAY)
    columns: dict[str, Array] = {"offset": first + np.arange(n), "at": then, "arrived": then, key: np.arange(n)}
    for name, kind in events.fields.items():
        if kind is str:
            columns[name] = words[rng.integers(0, 40, n)]
        else:
            columns[name] = rng.integers(0, 20, n).astype(np.int64 if kind is int else np.float64)
    return Table(columns)


class _Counting(MemoryStore):
    """A store that counts what is folded into it."""

    def __init__(self) -> None:
        super().__init__()
        self.tiles: Counter[bool] = Counter()

    def open(self, shapes) -> None:  # type: ignore[no-untyped-def]
        super().open(shapes)
        self._is_tiles = {name: isinstance(shape, Tiles) for name, shape in shapes.items()}

    def fold(self, group: str, rows: Array, **rest) -> None:  # type: ignore[no-untyped-def]
        self.tiles[self._is_tiles[group]] += len(rows)
        super().fold(group, rows, **rest)


def micro_batches(size: str) -> Figures:
    """Events, and updates of a tile of a group by an event, per second in micro-batches."""
    asked = SIZES[size]
    n = asked.events // 10
    updates = _fold_all(OnlineFeatures(system.online_features, counted := _Counting()), asked, n // 5)
    online = OnlineFeatures(system.online_features, MemoryStore())
    times = updates and _fold_all(online, asked, n)
    wall, cpu = times.median
    per_event = counted.tiles[True] / (2 * (n // 5))
    figures = {"events_per_s": _BATCH / wall, "events_per_cpu_s": _BATCH / cpu}
    figures |= {"updates_per_s": per_event * _BATCH / wall, "updates_per_cpu_s": per_event * _BATCH / cpu}
    whole = sum(times.wall)
    return figures | {"per_event": per_event, "mean_events_per_s": _BATCH * len(times.wall) / whole}


def _fold_all(online: OnlineFeatures, asked, n: int) -> Times:  # type: ignore[no-untyped-def]
    """Fold `n` impressions and their outcomes by 512 events; the times of whole batches."""
    times = Times()
    parts = impressions(asked.users, asked.videos, n)
    meta = next(parts)
    stop = asked.users + asked.videos
    online.fold(meta, stop)
    half = _BATCH // 2
    for part in parts:
        for i in range(0, len(part["watch"]) - half + 1, half):
            batch = {name: table.take(slice(i, i + half)) for name, table in part.items()}
            stop = int(batch["watch"]["offset"][-1]) + 1
            times.take(lambda batch=batch, stop=stop: online.fold(batch, stop))
    return times


def until_visible(size: str) -> Figures:
    """One event appended to the log, folded and read back: how long until its effect is seen."""
    asked = SIZES[size]
    online, log = OnlineFeatures(system.online_features, MemoryStore()), MemoryLog()
    for part in impressions(asked.users, asked.videos, 20_000):
        events = {name: as_raw(name, table) for name, table in part.items()}
        log.append(events, now=int(max(t["arrived"][-1] for t in part.values())))
        end, last = log.end()
        online.fold(log.read(online.offset, end), end)
    name = next(f.name for f in system.features if f.name.startswith("count_watch_by_user") or "count" in f.name)
    times = Times()
    *_, part = impressions(asked.users, asked.videos, 2_000)
    for i in range(1_000):
        at = last + (i + 1) * SECOND
        given = part["watch"].take(slice(i, i + 1))
        fields = {c: given[c] for c in given.names if c not in ("offset", "arrived", "at")}
        event = Table({"id": np.array([f"one{i}"], object), "at": np.array([at]), **fields})
        times.take(lambda event=event: _see(log, online, event, name))
    (p50, cpu), (p99, _) = times.ms(0.5), times.ms(0.99)
    return {"p50_ms": p50, "p50_cpu_ms": cpu, "p99_ms": p99}


def _see(log: MemoryLog, online: OnlineFeatures, event: Table, name: str) -> None:
    at = int(event["at"][0])
    log.append({"watch": event}, now=at)
    end, _ = log.end()
    online.fold(log.read(online.offset, end), end)
    online.now((name,), {"user": int(event["user"][0])}, {"video": event["video"]}, at)


def as_raw(stream: str, table: Table) -> Table:
    ids = np.array([f"{stream}{i}" for i in table["offset"].tolist()], object)
    return Table({"id": ids} | {name: table[name] for name in table.names if name != "offset"})
