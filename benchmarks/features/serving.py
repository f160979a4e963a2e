"""Reading 500 candidates by 40 features, current to the last event: ours from memory and Redis, Feast's stores."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.features.measured import Figures, Times
from benchmarks.features.world import BY_AUTHOR, BY_TOPIC, BY_USER, BY_VIDEO, SERVED, SIZES, candidates, history, spine
from sixfold._core.table import Array, Table
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import OnlineFeatures, as_of
from sixfold.features.store import Store
from sixfold.testing.histories import between

__all__ = ["agrees_with_feast", "from_memory", "from_redis", "prepare_for_feast"]

_FEAST_VIDEOS, _FEAST_READS = 2_000, 40


def from_memory(size: str) -> Figures:
    """Reads from the state of this process."""
    return _reads(size, SIZES[size].events, MemoryStore())


def from_redis(size: str, port: int) -> Figures:
    """Reads from a Redis server; its state is written by a fold of a tenth of the events."""
    from sixfold.engines.redis.store import RedisStore  # type: ignore[import-not-found,unused-ignore]

    return _reads(size, SIZES[size].events // 10, RedisStore(f"redis://localhost:{port}"))


def _reads(size: str, n_events: int, store: Store) -> Figures:
    """Fold all but the last events; then fold one and read as of it, again and again."""
    asked = SIZES[size]
    past = history(n_events, asked)
    online = OnlineFeatures(SERVED, store)
    end = int(past["watch"]["offset"][-1]) + 1
    start = end - asked.reads
    online.fold(between(past, 0, start), start)
    videos, tail = candidates(asked, asked.reads), past["watch"].take(np.arange(-asked.reads, 0))
    reading, folding = Times(), Times()
    sample = []
    for i in range(asked.reads):
        event = {"watch": tail.take(slice(i, i + 1))}
        folding.take(lambda event=event, i=i: online.fold(event, start + i + 1))
        who, at = int(tail["user"][i]), int(tail["arrived"][i])
        read = reading.take(lambda who=who, at=at, i=i: _read(online, who, videos[i], at))
        if i % (asked.reads // 8) == 0:
            sample.append((who, at, start + i + 1, videos[i], read))
    cold = reading.wall[0] * 1e3
    warm = Times(reading.wall[asked.reads // 5 :], reading.cpu[asked.reads // 5 :])
    (p50, p50_cpu), (p99, p99_cpu) = warm.ms(0.5), warm.ms(0.99)
    figures = {"p50_ms": p50, "p50_cpu_ms": p50_cpu, "p99_ms": p99, "p99_cpu_ms": p99_cpu, "first_ms": cold}
    return figures | {"fold_ms": folding.ms(0.5)[0], "differing": _differing(past, sample)}


def _read(online: OnlineFeatures, who: int, videos: Array, at: int) -> Table:
    return online.now(SERVED.names, {"user": who}, {"video": videos}, at)


def _differing(past: dict[str, Table], sample: list[tuple[int, int, int, Array, Table]]) -> int:
    """How many of the values read are not what the batch evaluator says of the same moments."""
    wrong = 0
    for who, at, offset, videos, read in sample:
        n = len(videos)
        asked = {"user": np.full(n, who), "video": videos, "offset": np.full(n, offset), "at": np.full(n, at)}
        wrong += sum(_unequal(read[name], column) for name, column in as_of(SERVED, past, Table(asked)).items())
    return wrong


def _unequal(a: Array, b: Array) -> int:
    same = np.asarray(a == b)
    return int((~(same | ((a != a) & (b != b)))).sum())  # noqa: PLR0124


def prepare_for_feast(size: str, folder: Path) -> Figures:
    """A Parquet file for each key with the values of our online state, and the reads to make."""
    asked = SIZES[size]
    past = history(asked.events // 10, asked)
    online = OnlineFeatures(SERVED, MemoryStore())
    end = int(past["watch"]["offset"][-1]) + 1
    online.fold(past, end)
    at = int(past["watch"]["arrived"][-1])
    users = spine(past, _FEAST_READS)["user"].tolist()
    videos = np.arange(_FEAST_VIDEOS)
    read = {who: _read(online, who, videos, at) for who in users}
    author, topic = past["meta"]["author"][videos], past["meta"]["topic"][videos]
    one = read[users[0]]
    _write(folder, "by_video", {"video": videos}, {name: one[name] for name in BY_VIDEO}, at)
    ids = np.array(list(read))
    _write(folder, "by_user", {"user": ids}, {n: np.array([t[n][0] for t in read.values()]) for n in BY_USER}, at)
    for view, key, other, names in (
        ("by_topic", "of_topic", topic, BY_TOPIC),
        ("by_author", "of_author", author, BY_AUTHOR),
    ):
        first = np.sort(np.unique(other.astype(str) if other.dtype == object else other, return_index=True)[1])
        keys = {"user": np.repeat(ids, len(first)), key: np.tile(other[first], len(ids))}
        _write(folder, view, keys, {n: np.concatenate([t[n][first] for t in read.values()]) for n in names}, at)
    picks = candidates(asked, len(users), _FEAST_VIDEOS)
    reads = [
        {
            "user": [who] * 500,
            "video": pick.tolist(),
            "of_topic": topic[pick].tolist(),
            "of_author": author[pick].tolist(),
        }
        for who, pick in zip(users, picks, strict=True)
    ]
    views = {
        "by_user": ["user"],
        "by_video": ["video"],
        "by_topic": ["user", "of_topic"],
        "by_author": ["user", "of_author"],
    }
    (folder / "asks.json").write_text(json.dumps({"views": views, "reads": reads}))
    first_read = read[users[0]].take(picks[0])
    expected = {name: _plain(first_read[name]) for name in SERVED.names}
    (folder / "expected.json").write_text(json.dumps(expected))
    return {}


def agrees_with_feast(first: dict[str, list[Any]], folder: Path) -> int:
    """How many of the values of Feast's first read differ from ours."""
    expected = json.loads((folder / "expected.json").read_text())
    return sum(
        a != b and not (a is None and b is None)
        for name, ours in expected.items()
        for a, b in zip(ours, [None if v != v else v for v in first[_name(name)]], strict=True)  # noqa: PLR0124
    )


def _write(folder: Path, view: str, keys: dict[str, Array], values: dict[str, Array], at: int) -> None:
    n = len(next(iter(keys.values())))
    stamps = pa.array(np.full(n, at), pa.timestamp("us", tz="UTC"))
    columns = {_name(name): column for name, column in values.items()}
    pq.write_table(pa.table({**keys, "event_timestamp": stamps, **columns}), folder / f"{view}.parquet")


def _name(name: str) -> str:
    """A name that Feast takes."""
    return "".join(c if c.isalnum() else "_" for c in name)


def _plain(column: Array) -> list[Any]:
    return [None if value != value else value for value in column.tolist()]  # noqa: PLR0124
