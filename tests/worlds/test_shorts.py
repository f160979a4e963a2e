"""The short-video world: as declared, deterministic, and worth learning from."""

import math

import msgspec
import numpy as np
import pytest

from sixfold._core.errors import InputError
from sixfold._core.hashing import fingerprint
from sixfold._core.table import Array, Table
from sixfold._core.times import DAY, HOUR, MINUTE
from sixfold.worlds.audience import TABS, TOPICS
from sixfold.worlds.delivery import Delivery
from sixfold.worlds.shorts import Shorts, ShortsConfig, Visitor

STREAMS = ("user_meta", "video_meta", "shown", "watch")
SMALL = ShortsConfig(users=300, videos=240, days=6, requests=3_000)
CLEAN = ShortsConfig(users=300, videos=240, days=6, requests=3_000, delivery=Delivery(0.0, 0.0, 0.0))


def read(world: Shorts) -> dict[str, Table]:
    chunks = list(world.chunks())
    last = 0
    for chunk in chunks:
        assert list(chunk) == [name for name in STREAMS if name in chunk]
        assert min(int(table["arrived"][0]) for table in chunk.values()) >= last
        assert all((np.diff(table["arrived"]) >= 0).all() for table in chunk.values())
        last = max(int(table["arrived"][-1]) for table in chunk.values())
    return {name: Table.concat([chunk[name] for chunk in chunks if name in chunk]) for name in STREAMS}


@pytest.fixture(scope="module")
def world() -> Shorts:
    return Shorts(CLEAN, seed=3)


@pytest.fixture(scope="module")
def streams(world: Shorts) -> dict[str, Table]:
    return read(world)


def area_under_curve(hit: Array, score: Array) -> float:
    """The chance that a hit scores above a miss, ties counted half: by counting pairs through ranks."""
    values, index = np.unique(score, return_inverse=True)
    below = np.concatenate([[0], np.cumsum(np.bincount(index[~hit], minlength=len(values)))])
    wins = below[index[hit]] + (below[index[hit] + 1] - below[index[hit]]) / 2
    return float(wins.mean() / (~hit).sum())


def truth_of(world: Shorts, shown: Table) -> Array:
    tab = np.array([TABS.index(name) for name in shown["tab"]])
    return world.truth.outlook(
        shown["user"], shown["video"], shown["at"], position=shown["position"], tab=tab
    ).long_view


def content(streams: dict[str, Table]) -> str:
    return fingerprint(*(table for table in streams.values()))


def with_outcomes(streams: dict[str, Table]) -> tuple[Table, Table]:
    """Impressions whose outcome is in the log, and those outcomes, row by row."""
    shown, watch = streams["shown"], streams["watch"]
    row = {text: i for i, text in enumerate(shown["id"].tolist())}
    return shown.take([row[text] for text in watch["id"].tolist()]), watch


def test_the_same_seed_gives_the_same_world(world: Shorts, streams: dict[str, Table]) -> None:
    again, other = read(Shorts(CLEAN, seed=3)), read(Shorts(CLEAN, seed=4))
    assert content(again) == content(streams)
    assert content(other) != content(streams)


def test_streams_are_whole(world: Shorts, streams: dict[str, Table]) -> None:
    shown, watch = with_outcomes(streams)
    for name in ("user", "video", "tab"):
        assert (shown[name] == watch[name]).all()
    assert set(watch["tab"].tolist()) == set(TABS)
    assert len(set(streams["shown"]["id"])) == len(streams["shown"])
    delay = watch["at"] - shown["at"]
    assert delay.min() > 0
    assert delay.max() < 30 * MINUTE
    assert (watch["arrived"] >= watch["at"]).all()
    assert watch["arrived"].max() < world.end
    assert len(streams["shown"]) - len(watch) < 0.02 * len(watch)
    assert (shown["at"] >= world.start).all()
    assert {name: table.dtype.kind for name, table in ((n, watch[n]) for n in ("watched_ms", "share", "long"))} == {
        "watched_ms": "f",
        "share": "f",
        "long": "b",
    }


def test_nobody_meets_what_is_not_there_yet(world: Shorts, streams: dict[str, Table]) -> None:
    shown = streams["shown"]
    assert (world.truth.published[shown["video"]] <= shown["at"]).all()
    assert (world.truth.joined[shown["user"]] <= shown["at"]).all()
    assert (shown["decision"] == None).all()  # noqa: E711
    cold_videos = world.truth.published > world.end - DAY
    assert cold_videos[shown["video"]].any()
    assert (world.truth.joined[: SMALL.users] > world.end - DAY).any()


def test_outcomes_have_the_declared_chances(world: Shorts, streams: dict[str, Table]) -> None:
    """Sums of independent outcomes lie within four standard deviations of the truth, overall and by decile of it."""
    shown, watch = with_outcomes(streams)
    chance = truth_of(world, shown)
    assert 0.1 < watch["long"].mean() < 0.4
    for part in np.array_split(np.argsort(chance), 10):
        spread = math.sqrt((chance[part] * (1 - chance[part])).sum())
        assert abs(watch["long"][part].sum() - chance[part].sum()) < 4 * spread


def test_expected_watch_is_the_mean_of_draws(world: Shorts) -> None:
    videos = np.arange(60)
    at = world.end - DAY
    outlook = world.truth.outlook(
        np.full(60, 7), videos, np.full(60, at), position=np.zeros(60, np.int64), tab=np.zeros(60, np.int64)
    )
    rng = np.random.default_rng(0)
    draws = np.stack([outlook.draw(rng)[1] for _ in range(4_000)])
    error = np.abs(draws.mean(axis=0) - world.expected_watch(7, videos, at))
    assert (error < 5 * draws.std(axis=0) / math.sqrt(len(draws))).all()


def test_taste_can_be_learned_and_beats_popularity(world: Shorts, streams: dict[str, Table]) -> None:
    """Counts from the past alone separate long views of the last day, and counts by person and topic do best."""
    shown, watch = with_outcomes(streams)
    long, past = watch["long"], shown["at"] < world.end - DAY
    topic = world.truth.topic[shown["video"]]
    keys = {"video": shown["video"], "topic": shown["user"] * len(TOPICS) + topic}
    score = {}
    for name, key in keys.items():
        hits, n = (np.bincount(key[past], weights, int(key.max()) + 1) for weights in (long[past] * 1.0, None))
        score[name] = ((hits + 1.0) / (n + 5.0))[key]
    score["truth"] = truth_of(world, shown)
    auc = {name: area_under_curve(long[~past], values[~past]) for name, values in score.items()}
    assert auc["truth"] > auc["topic"] > auc["video"] > 0.53, auc
    assert auc["topic"] > auc["video"] + 0.05, auc


def test_delivery_is_late_repeated_and_damaged_as_declared() -> None:
    config = ShortsConfig(users=300, videos=240, days=6, requests=3_000, delivery=Delivery(0.1, 0.05, 0.02))
    watch = read(Shorts(config, seed=3))["watch"]
    n = len(watch)
    text = np.array([isinstance(value, str) for value in watch["watched_ms"]])
    number = np.where(text, 0.0, watch["watched_ms"]).astype(np.float64)
    ahead = watch["at"] > watch["arrived"]
    damages = [text, number < 0, watch["share"] > 2, watch["video"] == -1, ahead]
    for rows in damages:
        assert rows.any()
    assert abs(sum(rows.sum() for rows in damages) - 0.02 * n) < 5 * math.sqrt(0.02 * n)
    repeats = n - len(set(watch["id"]))
    assert abs(repeats - 0.05 * n / 1.05) < 5 * math.sqrt(0.05 * n)
    _, first = np.unique(watch["id"].astype(str), return_index=True)
    late = ((watch["arrived"] - watch["at"])[first] > MINUTE).mean()
    assert 0.08 < late < 0.11
    assert (watch["arrived"] - watch["at"])[~ahead].max() <= 9 * HOUR


def test_visitors_react_the_same_way_to_the_same_decision(world: Shorts) -> None:
    visitor = world.visitors(50, seed=1)[0]
    assert world.visitors(50, seed=1) != world.visitors(50, seed=2)
    rows = world.react(visitor, [5, 9, 1, 7], world.end, decision="d1")
    assert rows == world.react(visitor, [5, 9, 1, 7], world.end, decision="d1")
    assert rows != world.react(visitor, [5, 9, 1, 7], world.end, decision="d2")
    assert msgspec.json.decode(msgspec.json.encode(rows)) == rows
    shown, watch = rows["shown"], rows["watch"]
    assert [row["video"] for row in shown] == [5, 9, 1, 7][: len(shown)]
    assert [row["id"] for row in shown] == [row["id"] for row in watch] == [f"d1-{i}" for i in range(len(shown))]
    assert all(row["decision"] == "d1" and row["at"] == world.end for row in shown)
    assert all(later["at"] > world.end for later in watch)


def test_reactions_have_the_columns_of_the_log(world: Shorts, streams: dict[str, Table]) -> None:
    rows = world.react(Visitor(3, "home", False), [5], world.end, decision="d")
    for name in ("shown", "watch"):
        assert {*rows[name][0], "arrived"} == set(streams[name].names)


def test_a_fast_clock_moves_the_events_and_not_the_outcomes(world: Shorts) -> None:
    visitor = Visitor(3, "home", False)
    slow, fast, at_once = (
        world.react(visitor, list(range(20)), world.end, decision="d", speed=speed)["watch"]
        for speed in (1.0, 1_000.0, math.inf)
    )
    assert [row["watched_ms"] for row in slow] == [row["watched_ms"] for row in fast]
    assert fast[-1]["at"] - world.end == pytest.approx((slow[-1]["at"] - world.end) / 1_000, abs=1)
    assert {row["at"] for row in at_once} == {world.end}


def test_people_leave_a_long_slate(world: Shorts) -> None:
    lengths = [
        len(world.react(Visitor(user, "home", False), list(range(100)), world.end, decision=str(user))["shown"])
        for user in range(40)
    ]
    assert min(lengths) >= 1
    assert max(lengths) < 100


def test_some_visitors_are_new(world: Shorts) -> None:
    visitors = world.visitors(4_000, seed=0)
    new = [visitor for visitor in visitors if visitor.new]
    assert abs(len(new) - 200) < 5 * math.sqrt(200)
    assert all(visitor.user >= SMALL.users for visitor in new)
    assert {visitor.tab for visitor in visitors} == set(TABS)


def test_a_world_of_nothing_and_strangers_are_refused(world: Shorts) -> None:
    with pytest.raises(InputError, match="users is 0"):
        ShortsConfig(users=0)
    with pytest.raises(InputError, match="does not exist in this world"):
        world.long_view_probability(10**6, [1], world.end)
    with pytest.raises(InputError, match="does not exist in this world"):
        world.react(Visitor(1, "home", False), [10**6], world.end, decision="d")
    with pytest.raises(InputError, match="speed"):
        world.react(Visitor(1, "home", False), [1], world.end, decision="d", speed=0)
    assert world.react(Visitor(1, "home", False), [], world.end, decision="d") == {"shown": [], "watch": []}
