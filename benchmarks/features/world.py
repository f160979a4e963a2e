"""What is measured: the feature sets of the bars, and thirty days of watching to compute them from."""

from dataclasses import dataclass

import numpy as np

from sixfold._core.table import Array, Table
from sixfold._core.times import DAY, HOUR, MINUTE, SECOND
from sixfold.data.events import Events
from sixfold.features import FeatureSet, age, attribute, computed, count, mean, rate
from sixfold.features import max as highest
from sixfold.features import sum as total
from sixfold.frame import Entity

__all__ = ["SERVED", "SIZES", "WINDOWS", "Size", "history", "spine"]

user, video = Entity("user"), Entity("video")
meta = Events("meta", keys=(video,), fields={"topic": str, "duration_s": float, "author": int})
watch = Events("watch", keys=(user, video), fields={"share": float, "ms": int, "liked": bool})
SPANS = ("1h", "1d", "7d", "30d")

WINDOWS = FeatureSet(
    [count(watch, by=key, over=SPANS) for key in (user, video)],
    [total(watch.ms, by=key, over=SPANS) for key in (user, video)],
    [count(watch, by=key, over=SPANS, where=watch.liked) for key in (user, video)],
)
"""The 24 of the point-in-time bar: count, sum and filtered count over four windows by user and by item."""

SERVED = FeatureSet(
    count(watch, by=user, over=SPANS),
    mean(watch.share, by=user, over=SPANS),
    rate(watch.liked, by=user, over=("1h", "1d", "7d")),
    highest(watch.share, by=user, over="7d"),
    rate(watch.share >= 0.7, by=video, over=SPANS, prior=(1, 20)),
    video_day := count(watch, by=video, over="1d"),
    video_week := count(watch, by=video, over="7d"),
    count(watch, by=video, over=("1h", "30d")),
    total(watch.ms, by=video, over=SPANS),
    rate(watch.liked, by=video, over=("1d", "7d", "30d"), prior=(1, 50)),
    mean(watch.share, by=(user, meta.topic), over=("1d", "7d", "30d", "lifetime")),
    count(watch, by=(user, meta.topic), over=("1d", "7d", "30d")),
    mean(watch.share, by=(user, meta.author), over=("7d", "lifetime")),
    attribute(meta.topic),
    attribute(meta.duration_s),
    age(meta),
    computed("trend", video_day / video_week),
)
"""The 40 of the serving bar: windows by user, by item, by user x topic and user x author, attributes, a ratio."""
# By user 12 come first, then 15 by item, then 9 by a cross; the last 4 are the item's.
BY_USER, BY_VIDEO, BY_TOPIC, BY_AUTHOR = (
    SERVED.names[:12],
    SERVED.names[12:27] + SERVED.names[36:],
    SERVED.names[27:34],
    SERVED.names[34:36],
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure with."""

    events: int
    rows: int
    users: int
    videos: int
    keys: int
    reads: int
    growth: tuple[int, ...]


SIZES = {
    "small": Size(500_000, 100_000, 10_000, 5_000, 100_000, 400, (100_000, 500_000, 2_000_000)),
    "full": Size(5_000_000, 1_000_000, 100_000, 50_000, 1_000_000, 1_500, (1_000_000, 5_000_000, 20_000_000)),
}
FIRST = 1_750_000_000 * SECOND


def history(n_events: int, size: Size, *, with_share: bool = True, even: bool = False) -> dict[str, Table]:
    """`n_events` of watching, 1 % of them late; popularity falls off like 1 / rank, or is `even`. Meta comes first."""
    rng = np.random.default_rng(1)
    n_watch = n_events - size.videos
    weights = np.cumsum(1 / np.arange(1, size.videos + 1) ** (0 if even else 1))
    arrived = np.sort(rng.integers(0, 30 * DAY, n_watch)) + FIRST + DAY
    late = np.where(rng.random(n_watch) < 0.01, rng.integers(0, 6 * HOUR, n_watch), 0)
    watched = {
        "offset": np.arange(n_watch) + size.videos,
        "at": arrived - late,
        "arrived": arrived,
        "user": rng.integers(0, size.users, n_watch),
        "video": np.searchsorted(weights, rng.random(n_watch) * weights[-1]),
        "ms": rng.integers(0, 60_000, n_watch),
        "liked": rng.random(n_watch) < 0.05,
    }
    if with_share:
        watched["share"] = rng.random(n_watch)
    return {"meta": stated(size, rng), "watch": Table(watched)}


def stated(size: Size, rng: np.random.Generator) -> Table:
    """What is known of each video, before anything else happens."""
    n = size.videos
    topics = np.array([f"topic{i}" for i in range(40)], object)
    then = np.full(n, FIRST + DAY - MINUTE)
    return Table(
        {
            "offset": np.arange(n),
            "at": then,
            "arrived": then,
            "video": np.arange(n),
            "topic": topics[rng.integers(0, 40, n)],
            "duration_s": rng.random(n) * 60,
            "author": rng.integers(0, 1000, n),
        }
    )


def spine(past: dict[str, Table], n_rows: int) -> Table:
    """Impressions a second before some of the events, in order of arrival."""
    rng = np.random.default_rng(2)
    rows = np.sort(rng.choice(len(past["watch"]), n_rows, replace=False))
    asked = past["watch"].take(rows)
    return Table({name: asked[name] for name in ("user", "video", "offset")} | {"at": asked["arrived"] - SECOND})


def candidates(size: Size, n_reads: int, n_videos: int | None = None) -> Array:
    """500 different videos for each read, (n_reads, 500)."""
    rng = np.random.default_rng(3)
    return np.stack([rng.choice(n_videos or size.videos, 500, replace=False) for _ in range(n_reads)])
