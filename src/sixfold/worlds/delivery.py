"""How events reach us: most at once, some late, some twice, a few damaged."""

from dataclasses import dataclass

import numpy as np

from sixfold._core.table import Array, Table
from sixfold._core.times import DAY, HOUR, SECOND

__all__ = ["DAMAGES", "Delivery"]

DAMAGES = (
    "watched_ms is text",
    "watched_ms is negative",
    "share is a percentage",
    "video is -1",
    "a clock a day ahead",
)
"""What is done to damaged watch events, in turn."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The shares of events that come late, come twice or come damaged.

    Events that are not late arrive after half a second on average. The delay of late ones is log-normal, ten minutes
    at the median, at most eight hours. A repeat is the same event, arriving up to an hour after the original.
    """

    late: float = 0.05
    repeated: float = 0.002
    damaged: float = 0.001

    def deliver(self, watch: Table, rng: np.random.Generator) -> Table:
        """The watch events as they arrive, in no particular order: with `arrived`, with damages and repeats."""
        n = len(watch)
        delay = rng.exponential(0.5 * SECOND, n)
        late = rng.random(n) < self.late
        delay[late] = np.minimum(600 * SECOND * np.exp(1.3 * rng.standard_normal(int(late.sum()))), 8 * HOUR)
        watch = self._damage(watch.with_columns({"arrived": watch["at"] + delay.astype(np.int64)}), rng)
        again = watch.take(rng.random(n) < self.repeated)
        again = again.with_columns({"arrived": again["arrived"] + rng.integers(1, HOUR, len(again))})
        return Table.concat([watch, again])

    def _damage(self, watch: Table, rng: np.random.Generator) -> Table:
        chosen = np.flatnonzero(rng.random(len(watch)) < self.damaged)
        text, negative, percentage, nobody, ahead = (chosen[i :: len(DAMAGES)] for i in range(len(DAMAGES)))
        watched: Array = watch["watched_ms"].copy()
        share, video, at = watch["share"].copy(), watch["video"].copy(), watch["at"].copy()
        watched[negative] *= -1
        share[percentage] = 3 + 100 * share[percentage]
        video[nobody] = -1
        at[ahead] += DAY
        if len(text):
            watched = watched.astype(object)
            watched[text] = "n/a"
        return watch.with_columns({"watched_ms": watched, "share": share, "video": video, "at": at})
