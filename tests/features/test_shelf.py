"""What is kept finalised is what would be computed anew, whichever moments and features are asked for in turn."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array, Table
from sixfold._core.times import DAY, HOUR, MINUTE
from sixfold.data.events import Events
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import FeatureSet, OnlineFeatures, as_of, attribute, count, decayed_mean, histogram, mean, rate
from sixfold.features import max as highest
from sixfold.features import min as lowest
from sixfold.features import sum as total
from sixfold.features.store import Joint, Shape, Store
from sixfold.frame import Entity
from sixfold.testing.compare import differences
from sixfold.testing.histories import between

user, video = Entity("user"), Entity("video")
meta = Events("meta", keys=(video,), fields={"topic": str})
watch = Events("watch", keys=(user, video), fields={"share": float, "ms": int, "liked": bool, "tab": str})
SPANS = ("1h", "1d", "30d", "lifetime")
FEATURES = FeatureSet(
    count(watch, by=user, over=SPANS),
    mean(watch.share, by=user, over=SPANS),
    mean(watch.ms, by=user, over=("1h", "7d")),
    rate(watch.liked, by=user, over=SPANS, prior=(1, 3)),
    rate(watch.share >= 0.5, by=user, over=("1h", "7d"), prior=(0, 7)),
    highest(watch.share, by=user, over=("1h", "7d")),
    total(watch.ms, by=video, over=("1h", "1d")),  # alone in its group: 0 may be the sum of values
    lowest(watch.share, by=video, over=("1h", "7d"), where=watch.liked),
    mean(watch.share, by=video, over=("1h", "1d"), where=watch.share < 0.7),
    histogram(watch.tab, by=video, over=("1h", "7d"), categories=("a", "b")),
    decayed_mean(watch.share, by=video, half_life=("1h", "1d")),
    count(watch, by=(user, meta.topic), over=("1h", "7d")),
    mean(watch.share, by=(user, video), over=("1h", "lifetime")),
    attribute(meta.topic),
)
START = 1_750_000_000_000_000


class Plain:
    """The five methods of the protocol, and no more."""

    def __init__(self) -> None:
        self._store = MemoryStore()

    def open(self, shapes: Mapping[str, Shape]) -> None:
        self._store.open(shapes)

    def fold(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int, replace: bool = False
    ) -> None:
        self._store.fold(group, rows, order=order, lanes=lanes, keep_from=keep_from, replace=replace)

    def read(self, group: str, rows: Array, lowest: Sequence[int]) -> Array:
        return self._store.read(group, rows, lowest)

    def save(self, folder: Path) -> None:
        self._store.save(folder)

    def load(self, folder: Path) -> None:
        self._store.load(folder)


def events(rng: np.random.Generator, n: int) -> dict[str, Table]:
    """`n` events with long pauses, some late, some with missing or opposite values; the topics come first."""
    pauses = rng.choice([MINUTE, 20 * MINUTE, 5 * HOUR, 2 * DAY], n, p=[0.6, 0.25, 0.12, 0.03])
    arrived = START + np.cumsum(pauses)
    share = np.where(rng.random(n) < 0.2, np.nan, rng.random(n))
    topics = np.array(["x", "y", None, "x", "z", "y"], object)
    stated = {"at": np.full(6, START - DAY), "arrived": np.full(6, START - DAY), "video": np.arange(6), "topic": topics}
    watched = {
        "at": arrived - np.where(rng.random(n) < 0.2, rng.integers(0, 2 * HOUR, n), 0),
        "arrived": arrived,
        "user": rng.integers(0, 5, n),
        "video": rng.integers(0, 6, n),
        "share": share,
        "ms": rng.integers(-1, 2, n),
        "liked": rng.random(n) < 0.4,
        "tab": np.array(["a", "b", "c"], object)[rng.integers(0, 3, n)],
    }
    return {"meta": Table({"offset": np.arange(6), **stated}), "watch": Table({"offset": np.arange(n) + 6, **watched})}


@pytest.mark.parametrize("store", [MemoryStore, Plain])
@pytest.mark.parametrize("seed", range(3))
def test_reads_in_any_order_of_moments_and_features_equal_the_batch(store: type[Store], seed: int) -> None:
    rng = np.random.default_rng(seed)
    history = events(rng, 260)
    online = OnlineFeatures(FEATURES, store())
    while online.offset < 266:
        stop = min(online.offset + int(rng.choice([1, 2, 40])), 266)
        online.fold(between(history, online.offset, stop), stop)
        last = int(history["watch"]["arrived"][max(stop - 7, 0)])
        for _ in range(4):
            at = last + int(rng.choice([0, 7 * MINUTE, -40 * MINUTE, HOUR, 3 * HOUR, 2 * DAY, 8 * DAY]))
            names = [name for name in FEATURES.names if rng.random() < rng.choice([0.1, 1.0])] or [FEATURES.names[0]]
            who, videos = int(rng.integers(0, 6)), rng.integers(0, 7, int(rng.choice([1, 3, 90])))
            found = online.now(names, {"user": who}, {"video": videos}, at)
            n = len(videos)
            spine = {"user": np.full(n, who), "video": videos, "at": np.full(n, at), "offset": np.full(n, stop)}
            assert differences(as_of(FEATURES, history, Table(spine)).select(names), found) == []


def test_one_store_reads_families_together_and_a_plain_one_does_not() -> None:
    assert isinstance(MemoryStore(), Joint)
    assert not isinstance(Plain(), Joint)


def test_a_moment_that_is_too_long_ago_is_refused_only_where_it_matters() -> None:
    history = events(np.random.default_rng(0), 100)
    online = OnlineFeatures(FEATURES, MemoryStore())
    online.fold(history, 106)
    last = int(history["watch"]["arrived"][-1])
    asked = {"user": 1}, {"video": np.arange(3)}, last - DAY
    with pytest.raises(FeatureError, match="forgotten"):
        online.now(["count_watch_by_user_1h"], *asked)
    assert online.now(["count_watch_by_user_lifetime"], *asked)["count_watch_by_user_lifetime"][0] > 0


def test_shared_columns_are_views_of_one_value_that_cannot_be_written() -> None:
    history = events(np.random.default_rng(0), 50)
    online = OnlineFeatures(FEATURES, MemoryStore())
    online.fold(history, 56)
    found = online.now(FEATURES.names, {"user": 1}, {"video": np.arange(5)}, int(history["watch"]["arrived"][-1]))
    column = found["count_watch_by_user_1d"]
    assert column.strides == (0,) and not column.flags.writeable and column.base is not None
    before = found["count_watch_by_user_1d"].copy()
    online.now(FEATURES.names, {"user": 2}, {"video": np.arange(5)}, int(history["watch"]["arrived"][-1]) + 9 * DAY)
    assert np.array_equal(found["count_watch_by_user_1d"], before)
