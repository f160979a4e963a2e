"""A simulated short-video product: two weeks of logged traffic, then visitors who react to the live service."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, instant
from sixfold.data.source import Visit, by_arrival
from sixfold.worlds.audience import TABS, TOPICS, Audience, Outlook, Population
from sixfold.worlds.delivery import Delivery
from sixfold.worlds.traffic import TAB_CHANCES, impressions, outcomes, viewing

__all__ = ["SHORTS", "Shorts", "ShortsConfig", "Visitor", "open_world"]


@dataclass(frozen=True, slots=True)
class ShortsConfig:
    """The size of the world and how well its events are delivered; `end` is a local midnight in UTC."""

    name: str = "shorts"
    users: int = 3_000
    videos: int = 2_000
    days: int = 14
    requests: int = 29_000
    end: str = "2026-03-02T00:00:00Z"
    delivery: Delivery = field(default_factory=Delivery)

    def __post_init__(self) -> None:
        sizes = {"users": self.users, "videos": self.videos, "days": self.days, "requests": self.requests}
        if wrong := [f"{name} is {n}" for name, n in sizes.items() if n < 1]:
            raise InputError(f"a world needs at least one of everything; {', '.join(wrong)}")


SHORTS = {
    "shorts": ShortsConfig(),
    "shorts-tiny": ShortsConfig("shorts-tiny", users=400, videos=300, requests=3_600),
}
"""The sizes that come with Sixfold: the full one, and one that everything can be tried on in seconds."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who opens the app: who, on which tab, and whether we have never met them."""

    user: int
    tab: str
    new: bool


class Shorts:
    """A source of events whose truth can be asked: deterministic in (config, seed).

    An old recommender filled the log: what was popular, in general and by topic, with some random and new videos.
    People see a slate from the top until they leave or six minutes are over, so `shown` holds what was really on
    screen; all of a slate is shown at the time of the request, and each `watch` happens when that video was done.
    """

    def __init__(self, config: ShortsConfig | None = None, seed: int = 0) -> None:
        self.config = config or ShortsConfig()
        self.seed = seed
        self.end = instant(self.config.end)
        self.start = self.end - self.config.days * DAY
        self.truth = Audience(Population(self.config.users, self.config.videos, self.start, self.end), seed)

    @property
    def name(self) -> str:
        """The name of the config."""
        return self.config.name

    @property
    def utc_offset_s(self) -> int:
        """The world lives in UTC."""
        return 0

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The log as of the end of the two weeks, in order of arrival; events still under way are not in it."""
        yield from by_arrival(self._history)

    def long_view_probability(
        self, user: int, videos: Sequence[int] | Array, at: int, *, position: int = 0, tab: str = TABS[0]
    ) -> Array:
        """The true chance that `user` long-views each of the videos if it is shown at `at`, (n,)."""
        return self._outlook(user, np.asarray(videos, np.int64), at, position=position, tab=tab).long_view

    def expected_watch(
        self, user: int, videos: Sequence[int] | Array, at: int, *, position: int = 0, tab: str = TABS[0]
    ) -> Array:
        """The true expectation of the milliseconds that `user` watches of each of the videos, (n,)."""
        return self._outlook(user, np.asarray(videos, np.int64), at, position=position, tab=tab).watched_ms

    def _outlook(self, user: int, videos: Array, at: int, *, position: Array | int, tab: str) -> Outlook:
        users, items = len(self.truth.joined), len(self.truth.topic)
        if tab not in TABS or not 0 <= user < users or not ((videos >= 0) & (videos < items)).all():
            raise InputError(
                f"user {user}, tab {tab!r} or one of the videos {videos[:5]} does not exist in this world",
                hint=f"users are 0..{users - 1}, videos 0..{items - 1}, tabs {', '.join(TABS)}",
            )
        who, when, where = np.full(len(videos), user), np.full(len(videos), at), np.asarray(TABS.index(tab))
        return self.truth.outlook(who, videos, when, position=np.asarray(position), tab=where)

    def visitors(self, n: int, seed: int) -> list[Visitor]:
        """The next `n` people after the end of the log: the active ones come more often, one in twenty is new."""
        rng = np.random.default_rng(derive_seed(self.seed, "visitors", seed))
        known, everybody = self.config.users, len(self.truth.activity)
        chance = self.truth.activity / self.truth.activity[:known].sum()
        users = rng.choice(known, n, p=chance[:known])
        new = rng.random(n) < 0.05
        users[new] = rng.integers(known, everybody, int(new.sum()))
        tabs = rng.choice(len(TABS), n, p=TAB_CHANCES)
        return [Visitor(u, TABS[t], u >= known) for u, t in zip(users.tolist(), tabs.tolist(), strict=True)]

    def visits(self, n: int, *, seed: int, prefix: str) -> list[Visit]:
        """The next `n` visitors as they ask the service, and watch what it shows."""
        return [_Visit(self, visitor, f"{prefix}-{i}") for i, visitor in enumerate(self.visitors(n, seed))]

    def react(
        self, visitor: Visitor, videos: Sequence[int], at: int, *, decision: str, speed: float = 1.0
    ) -> dict[str, list[dict[str, Any]]]:
        """What the visitor does with the videos shown at `at`: rows of `shown` and `watch`, ready to be JSON.

        Deterministic in (seed of the world, decision). Videos that the visitor did not get to are not in the rows.
        With `speed` > 1 the clock of the events runs that much faster (math.inf: all at once), while the time watched
        stays as it is.
        """
        if not speed > 0:
            raise InputError(f"speed is {speed}; it must be above 0")
        if not videos:
            return {"shown": [], "watch": []}
        rng = np.random.default_rng(derive_seed(self.seed, "react", decision))
        video, place = np.asarray(videos, np.int64), np.arange(len(videos))
        outlook = self._outlook(visitor.user, video, at, position=place, tab=visitor.tab)
        outcome = outcomes(outlook, self.truth.bait[video], rng)
        view = viewing(outcome["watched_ms"][None, :], rng)
        n = int(view.reached.sum())
        keys = {
            "id": column([f"{decision}-{i}" for i in range(n)], str),
            "user": np.full(n, visitor.user),
            "video": video[:n],
        }
        context = {
            "tab": column([visitor.tab] * n, str),
            "position": place[:n],
            "decision": column([decision] * n, str),
        }
        shown = Table({**keys, "at": np.full(n, at), **context})
        after = (view.done[0, :n] / speed).astype(np.int64)
        outcome = {"tab": context["tab"], **{name: values[:n] for name, values in outcome.items()}}
        watch = Table({**keys, "at": at + after, **outcome})
        return {"shown": shown.rows(), "watch": watch.rows()}

    @cached_property
    def _history(self) -> dict[str, Table]:
        shown, outcome, done = impressions(self.truth, self.config.requests)
        keys = shown.select(("id", "user", "video"))
        watch = keys.with_columns({"at": shown["at"] + done, **outcome})
        watch = self.config.delivery.deliver(watch, np.random.default_rng(derive_seed(self.seed, "delivery")))
        streams = {"user_meta": self._user_meta(), "video_meta": self._video_meta(), "shown": shown, "watch": watch}
        return {name: table.take(table["arrived"] < self.end) for name, table in streams.items()}

    def _user_meta(self) -> Table:
        """What the product knows of people: coarse, partly wrong, and nothing of newcomers."""
        rng = np.random.default_rng(derive_seed(self.seed, "user_meta"))
        n, truth = self.config.users, self.truth
        favourites = np.argsort(-truth.interest[:n], axis=1)
        guess = np.where(rng.random(n) < 0.75, favourites[:, 0], rng.integers(0, len(TOPICS), n))
        second = np.where(rng.random(n) < 0.5, favourites[:, 1], rng.integers(0, len(TOPICS), n))
        patience = np.digitize(truth.patience[:n] + 0.3 * rng.standard_normal(n), [-0.5, -0.15, 0.15, 0.5])
        segments = {"segment_0": guess, "segment_1": second, "segment_2": patience, "segment_3": rng.integers(0, 10, n)}
        columns = {
            "activity": _cut(truth.activity[:n], (0.5, 1.5), ("low", "middle", "high")),
            "follows": _cut(truth.activity[:n] * rng.lognormal(3, 1, n), (5, 50), ("0-5", "6-50", "51+")),
            "fans": _cut(rng.lognormal(1, 2, n), (1, 100), ("0", "1-100", "101+")),
            "friends": _cut(rng.lognormal(1, 1, n), (1, 5), ("0", "1-5", "6+")),
            "tenure": _cut(self.end - truth.joined[:n], (14 * DAY, 15 * DAY), ("new", "two weeks", "longer")),
            **{f"segment_{i}": segments.get(f"segment_{i}", np.full(n, np.nan)).astype(np.float64) for i in range(18)},
        }
        return _meta("user", truth.joined[:n], columns)

    def _video_meta(self) -> Table:
        rng = np.random.default_rng(derive_seed(self.seed, "video_meta"))
        n, truth = self.config.videos, self.truth
        wide = rng.random(n) < 0.2
        columns = {
            "topic": column(np.array(TOPICS, object)[truth.topic], str),
            "author": truth.author,
            "kind": _cut(rng.random(n), (0.02,), ("advert", "normal")),
            "upload": _cut(rng.random(n), (0.5, 0.8), ("camera", "import", "edit")),
            "music": rng.integers(0, 300, n),
            "music_type": rng.integers(0, 4, n).astype(np.float64),
            "duration_ms": truth.duration_ms,
            "width": np.where(wide, 1280.0, 720.0),
            "height": np.where(wide, 720.0, 1280.0),
        }
        return _meta("video", truth.published, columns)


@dataclass(frozen=True, slots=True)
class _Visit:
    """A person who asks for a slate and watches it, all at once: time does not pass while we wait."""

    world: Shorts
    visitor: Visitor
    id: str

    def ask(self) -> dict[str, Any]:
        return {"user": self.visitor.user, "context": {"tab": self.visitor.tab}, "id": self.id}

    def react(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        slate = [item["id"] for item in answer["items"]]
        rows = self.world.react(self.visitor, slate, answer["at"], decision=answer["decision"], speed=math.inf)
        return [{"stream": stream, **row} for stream, events in rows.items() for row in events]


def open_world(name: str, seed: int) -> Shorts:
    """The world of that size."""
    return Shorts(SHORTS[name], seed)


def _meta(entity: str, at: Array, columns: Mapping[str, Array]) -> Table:
    ids = column([f"{entity}-{key}" for key in range(len(at))], str)
    return Table({"id": ids, "at": at, "arrived": at, entity: np.arange(len(at)), **columns})


def _cut(values: Array, edges: tuple[float, ...], names: tuple[str, ...]) -> Array:
    return column(np.array(names, object)[np.digitize(values, edges)], str)
