"""People, short videos, and the truth of how they get on: the part of the short-video world that no model may see."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtr

from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array
from sixfold._core.times import DAY, HOUR

__all__ = ["TABS", "TOPICS", "Audience", "Outlook", "Population"]

# fmt: off
TOPICS = (
    "comedy", "music", "dance", "cooking", "travel", "pets", "football", "basketball", "gaming", "beauty", "fashion",
    "fitness", "film", "news", "science", "history", "cars", "crafts", "gardening", "parenting", "money", "nature",
    "art", "magic",
)
# fmt: on
TABS = ("home", "discover", "friends")

_MAX_SHARE = 2.0
_ENOUGH_MS = 18_000.0
"""A view is long from here on, or from the end of a shorter video."""
_SPREAD = 0.85
"""Standard deviation of the logarithm of the watched time of a clicked video."""
_GLANCE_MS, _GLANCE_SPREAD, _MAX_GLANCE_MS = 1_200.0, 0.6, 4_000.0
"""A video that is not clicked is glanced at."""
_TAB_PATIENCE = np.array([0.0, -0.35, 0.25])
_CALENDAR_DAYS = 64


@dataclass(frozen=True, slots=True)
class Population:
    """How many people and videos there are, and from when to when they come."""

    users: int
    videos: int
    start: int
    end: int
    late_users: float = 0.15
    new_videos: float = 0.35
    newcomers: int = 200


@dataclass(frozen=True, slots=True)
class Outlook:
    """What can happen when a person meets a video, one entry per pair, (n,).

    The chance of a click; the mean logarithm of the milliseconds watched after a click; the longest and the enough
    milliseconds; how much the person likes the topic and the taste of the video.
    """

    click: Array
    log_ms: Array
    longest_ms: Array
    enough_ms: Array
    affinity: Array

    @property
    def long_view(self) -> Array:
        """The chance of a long view: a click, then a log-normal time of at least `enough_ms`."""
        return np.asarray(self.click * ndtr((self.log_ms - np.log(self.enough_ms)) / _SPREAD))

    @property
    def watched_ms(self) -> Array:
        """The expected milliseconds watched."""
        clicked = _capped_mean(self.log_ms, _SPREAD, self.longest_ms)
        glance = _capped_mean(np.log(_GLANCE_MS), _GLANCE_SPREAD, np.minimum(_MAX_GLANCE_MS, self.enough_ms / 2))
        return np.asarray(self.click * clicked + (1 - self.click) * glance)

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """One outcome for each pair: clicked, and whole milliseconds watched."""
        n = len(self.click)
        clicked = rng.random(n) < self.click
        noise = rng.standard_normal(n)
        watched = np.minimum(np.exp(self.log_ms + _SPREAD * noise), self.longest_ms)
        glance = np.minimum(_GLANCE_MS * np.exp(_GLANCE_SPREAD * noise), np.minimum(_MAX_GLANCE_MS, self.enough_ms / 2))
        return clicked, np.where(clicked, watched, glance)


def _capped_mean(log_mean: Array | float, spread: float, cap: Array) -> Array:
    """E[min(X, cap)] of a log-normal X: exp(m + s²/2) Φ((ln c - m - s²) / s) + c Φ((m - ln c) / s)."""
    z = (np.log(cap) - log_mean) / spread
    return np.asarray(np.exp(log_mean + spread**2 / 2) * ndtr(z - spread) + cap * ndtr(-z))


class Audience:
    """The latent truth: tastes, moods, qualities, trends. Users and videos are numbered from 0.

    Users from `population.users` on are newcomers, whom nobody has met before `population.end`. `joined` and
    `published` are instants in microseconds, (n,).
    """

    def __init__(self, population: Population, seed: int) -> None:
        self.population = population
        self.seed = seed
        self._people(np.random.default_rng(derive_seed(seed, "people")))
        self._videos(np.random.default_rng(derive_seed(seed, "videos")))
        self._calendar(np.random.default_rng(derive_seed(seed, "calendar")))

    def _people(self, rng: np.random.Generator) -> None:
        p = self.population
        n = p.users + p.newcomers
        fashion = rng.gamma(2.0, 0.5, len(TOPICS))
        self.interest = np.minimum(rng.gamma(0.2, 1.5, (n, len(TOPICS))) * (0.7 + 0.3 * fashion), 2.0)
        self.interest -= self.interest.mean(axis=1, keepdims=True)
        self.taste = rng.standard_normal((n, 8)) / np.sqrt(8)
        self.patience = 0.45 * rng.standard_normal(n)
        self.activity = np.exp(0.7 * rng.standard_normal(n))
        self.peak_hour = (rng.choice([8.0, 13.0, 20.5], n, p=[0.2, 0.2, 0.6]) + rng.standard_normal(n)) % 24
        late = rng.random(n) < p.late_users
        self.joined = np.where(late, rng.integers(p.start, p.end, n), p.start - DAY)
        self.joined[p.users :] = p.end

    def _videos(self, rng: np.random.Generator) -> None:
        p = self.population
        n, authors = p.videos, max(p.videos // 6, 1)
        self.author = rng.integers(0, authors, n)
        home = rng.integers(0, len(TOPICS), authors)
        self.topic = np.where(rng.random(n) < 0.75, home[self.author], rng.integers(0, len(TOPICS), n))
        craft = rng.standard_normal(authors)
        self.quality = 0.6 * craft[self.author] + 0.8 * rng.standard_normal(n)
        self.bait = rng.standard_normal(n)
        topic_taste = rng.standard_normal((len(TOPICS), 8))
        self.flavour = 0.6 * topic_taste[self.topic] + 0.8 * rng.standard_normal((n, 8))
        self.duration_ms = np.round(np.clip(np.exp(np.log(32_000) + 0.7 * rng.standard_normal(n)), 6_000, 120_000))
        new = rng.random(n) < p.new_videos
        old_from = p.start - 30 * DAY
        self.published = np.where(new, rng.integers(p.start, p.end, n), rng.integers(old_from, p.start, n))

    def _calendar(self, rng: np.random.Generator) -> None:
        """Trends of topics, and what each person is in the mood for, by day; the calendar repeats after 64 days."""
        steps = rng.standard_normal((_CALENDAR_DAYS, len(TOPICS)))
        self.trend = np.zeros_like(steps)
        for day in range(1, _CALENDAR_DAYS):
            self.trend[day] = 0.8 * self.trend[day - 1] + 0.3 * steps[day]
        chance = np.exp(2.0 * self.interest)
        upto = np.cumsum(chance, axis=1) / chance.sum(axis=1, keepdims=True)
        draws = rng.random((_CALENDAR_DAYS, len(self.interest), 1))
        self.mood = np.minimum((draws > upto).sum(axis=2), len(TOPICS) - 1)

    def outlook(self, users: Array, videos: Array, at: Array, *, position: Array, tab: Array) -> Outlook:
        """What can happen when `users` meet `videos` at `at`; arrays that broadcast to (n,); `tab` indexes TABS."""
        users, videos, at = np.broadcast_arrays(users, videos, at)
        day = (at - self.population.start) // DAY % _CALENDAR_DAYS
        topic = self.topic[videos]
        age_days = np.maximum(at - self.published[videos], 0) / DAY
        affinity = (
            1.9 * self.interest[users, topic]
            + 0.6 * np.einsum("ij,ij->i", self.taste[users], self.flavour[videos])
            + 0.4 * self.trend[day, topic]
            + 0.9 * (self.mood[day, users] == topic)
        )
        hour = at % DAY / HOUR
        calm = self.patience[users] + _TAB_PATIENCE[tab] + 0.15 * np.sin(2 * np.pi * (hour - 15) / 24)
        quality, bait = self.quality[videos], self.bait[videos]
        duration_ms = self.duration_ms[videos]
        fresh = 0.5 * np.exp(-age_days / 3)
        click = expit(-1.0 + affinity + 0.35 * quality + 0.5 * bait + 0.6 * calm + fresh - 0.07 * position)
        log_share = -0.75 + 0.5 * affinity + 0.4 * quality - 0.3 * bait + 0.5 * calm + 0.5 * fresh
        log_ms = np.log(duration_ms) + log_share - 0.35 * np.log(duration_ms / 30_000)
        enough = np.minimum(duration_ms, _ENOUGH_MS)
        return Outlook(np.asarray(click), np.asarray(log_ms), _MAX_SHARE * duration_ms, enough, np.asarray(affinity))
