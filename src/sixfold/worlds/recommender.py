"""The recommender that filled the log before us: what was popular lately, in general and by topic, and anything new."""

from dataclasses import dataclass

import numpy as np

from sixfold._core.table import Array, Table
from sixfold._core.times import DAY
from sixfold.worlds.audience import TOPICS, Audience

__all__ = ["OldRecommender"]

_SLATE = 10
_DRAWS = 20
"""Videos drawn for a slate, before the ones not yet published, drawn twice or seen before are dropped."""


@dataclass(slots=True)
class OldRecommender:
    """Draws every place of a slate from one of three sources, and learns once a day.

    Two fifths by long views of the last two days; two fifths the same within a topic, mostly one that the person
    long-viewed; one fifth anything, new videos three times as often. Nobody gets a video again on a later day.
    """

    truth: Audience
    recent: Array
    topics: Array
    seen: Array

    @classmethod
    def ignorant(cls, truth: Audience) -> "OldRecommender":
        """One that has seen nothing yet."""
        p = truth.population
        topics = np.full((p.users, len(TOPICS)), 0.2)
        return cls(truth, np.zeros((2, p.videos)), topics, np.zeros((p.users, p.videos), np.bool_))

    def slates(self, requests: Table, rng: np.random.Generator) -> Array:
        """Videos for each request of a day, by `user` and `at`: (n_requests, slate), -1 where there is none."""
        user, at = requests["user"], requests["at"][:, None]
        shape = (len(requests), _DRAWS)
        popular, anything = self._weights(int(at[0, 0]) if len(requests) else 0)
        # One axis for all topics: a video's stretch is its weight, so a draw between two ends is a draw in a topic.
        by_topic = np.argsort(self.truth.topic, kind="stable")
        reach = np.concatenate([[0.0], np.cumsum(popular[by_topic])])
        ends = reach[np.searchsorted(self.truth.topic[by_topic], np.arange(len(TOPICS) + 1))]
        topic = _drawn_by_row(self.topics[user], rng.random(shape))
        alike = by_topic[_drawn(reach[1:], ends[topic] + (ends[topic + 1] - ends[topic]) * rng.random(shape))]
        liked, any_video = (_drawn(np.cumsum(w), w.sum() * rng.random(shape)) for w in (popular, anything))
        source = rng.random(shape)
        drawn = np.where(source < 0.4, liked, np.where(source < 0.8, alike, any_video))
        return _first(drawn, (self.truth.published[drawn] <= at) & ~self.seen[user[:, None], drawn])

    def learn(self, user: Array, video: Array, long: Array) -> None:
        """Take in a day of impressions."""
        self.seen[user, video] = True
        self.recent = np.stack([self.recent[1], np.bincount(video, long, self.truth.population.videos)])
        self.topics *= 0.9
        np.add.at(self.topics, (user, self.truth.topic[video]), long.astype(np.float64))

    def _weights(self, now: int) -> tuple[Array, Array]:
        """Chances, up to a factor, of all videos to be drawn as popular and as anything; (n_videos,)."""
        published = self.truth.published
        popular = (self.recent.sum(axis=0) + 1.0) ** 0.8 * (published <= now)
        fresh = (published > now - DAY) & (published < now + DAY)
        return popular, (published < now + DAY) * np.where(fresh, 3.0, 1.0)


def _drawn(reach: Array, points: Array) -> Array:
    return np.minimum(np.searchsorted(reach, points, side="right"), len(reach) - 1)


def _drawn_by_row(weights: Array, points: Array) -> Array:
    """For each row of `weights` (n, k) and of `points` (n, m) in 0..1: m draws, (n, m)."""
    reach = np.cumsum(weights, axis=1)
    reach = reach / reach[:, -1:] + np.arange(len(weights))[:, None]
    flat: Array = np.searchsorted(reach.ravel(), (points + np.arange(len(weights))[:, None]).ravel(), side="right")
    return np.asarray(flat.reshape(points.shape) % weights.shape[1])


def _first(drawn: Array, good: Array) -> Array:
    """The first videos of each row that are good and not a repeat, (n, slate), then -1."""
    order = np.argsort(drawn, axis=1, kind="stable")
    in_order = np.take_along_axis(drawn, order, axis=1)
    repeat = np.zeros_like(good)
    np.put_along_axis(repeat, order[:, 1:], in_order[:, 1:] == in_order[:, :-1], axis=1)
    good = good & ~repeat
    chosen = np.argsort(~good, axis=1, kind="stable")[:, :_SLATE]
    return np.where(np.take_along_axis(good, chosen, axis=1), np.take_along_axis(drawn, chosen, axis=1), -1)
