"""How well scores find rare events with the few looks that people have time for: precision over recall, and by day.

As in `ranking`: `labels` and `scores` are (n_rows,), `weights` None, (n_rows,) or (b, n_rows); the result has shape ()
or (b,), NaN where it is not defined.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from sixfold._core.errors import DefinitionError, InputError
from sixfold._core.table import Array
from sixfold._core.times import DAY
from sixfold.data.labels import Label
from sixfold.evaluate.bootstrap import Estimate, Metric, bootstrap, compare
from sixfold.evaluate.measures import OURS, Trial
from sixfold.evaluate.ranking import auc, checked
from sixfold.evaluate.report import Comparison, Entry
from sixfold.frame import Entity

__all__ = ["Detection", "average_precision", "card_precision"]

PERFECT = "a perfect score"


def average_precision(labels: Array, scores: Array, weights: Array | None = None) -> Array:
    """The mean precision over the positive rows, each at the threshold of its own score: area under precision-recall.

    The sum over thresholds of (gain in recall) x precision, rows of equal score taken together; NaN without positives.

    >>> float(average_precision(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])))  # (1/1 + 2/3) / 2
    0.8333333333333333
    """
    y, s, w, shape = checked(labels, scores, weights, binary=True)
    order = np.argsort(-s, kind="stable")
    last = np.flatnonzero(np.diff(s[order], append=np.nan) != 0)  # the last row of each threshold
    w = np.take(w, order, axis=1)
    seen = np.cumsum(w, axis=1)[:, last]
    found = np.cumsum(w * y[order], axis=1)[:, last]
    precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
    total = found[:, -1:] if len(last) else np.zeros((len(w), 1))
    area = (np.diff(found, axis=1, prepend=0.0) * precision).sum(axis=1)
    return np.asarray(np.divide(area, total[:, 0], out=np.full(len(w), np.nan), where=total[:, 0] > 0)).reshape(shape)


def card_precision(
    labels: Array, scores: Array, cards: Array, days: Array, *, k: int, weights: Array | None = None
) -> Array:
    """Card precision@k (Fraud Detection Handbook, section 4.5): the mean over days of (true cards among the top k) / k.

    Day by day the k cards (n_rows,) of the greatest score on that day are looked at; a card is true if any of its rows
    of the day is, and is not looked at again once it was found. Cards of equal score share what is left of the k, and
    a card of weight 2 counts as two; all rows of a card must have one weight.

    >>> labels, scores = np.array([1, 0, 0, 1]), np.array([0.9, 0.5, 0.1, 0.2])
    >>> cards, days = np.array([7, 8, 7, 9]), np.array([1, 1, 2, 2])  # day 2 looks at card 9: card 7 is found already
    >>> float(card_precision(labels, scores, cards, days, k=1))
    1.0
    """
    y, s, w, shape = checked(labels, scores, weights, binary=True)
    if k < 1 or len(cards) != len(y) or len(days) != len(y):
        raise InputError(f"give k >= 1, and a card and a day for each of the {len(y)} rows")
    if not len(y):
        return np.full(shape, np.nan)
    _, first, card = np.unique(cards, return_index=True, return_inverse=True)
    weight = np.take(w, first, axis=1)
    unfound, found = np.ones_like(weight), []
    for mine, score, true in _daily(y, s, card, days):
        mass = np.take(weight * unfound, mine, axis=1)
        starts = np.flatnonzero(np.diff(score, prepend=np.nan) != 0)
        tied = np.add.reduceat(mass, starts, axis=1)
        left = k - (np.cumsum(tied, axis=1) - tied)
        share = np.clip(np.divide(left, tied, out=np.zeros_like(tied), where=tied > 0), 0.0, 1.0)
        looked = np.repeat(share, np.diff(starts, append=len(mine)), axis=1) * true
        found.append((mass * looked).sum(axis=1) / k)
        unfound[:, mine] *= 1 - looked
    return np.asarray(np.mean(found, axis=0)).reshape(shape)


def _daily(y: Array, s: Array, card: Array, days: Array) -> Iterator[tuple[Array, Array, Array]]:
    """For each day its cards with the greatest score and whether any row is true, the greatest score first."""
    for day in np.unique(days):
        rows = np.flatnonzero(days == day)
        rows = rows[np.lexsort((s[rows], card[rows]))]
        last = np.flatnonzero(np.diff(card[rows], append=-1) != 0)
        true = np.maximum.reduceat(y[rows], np.append(0, last[:-1] + 1))
        best = rows[last]
        order = np.argsort(-s[best], kind="stable")
        yield card[best][order], s[best][order], true[order]


@dataclass(frozen=True, slots=True)
class Detection:
    """How well `label` is found: average precision, and card precision@`k` where `per` is the card.

    Days are those of local time, `utc_offset_s` ahead of UTC. Every model of the trial is in the table, and what a
    score could reach that knows the truth.
    """

    label: Label
    per: Entity
    k: int = 100
    utc_offset_s: int = 0

    def __post_init__(self) -> None:
        if not self.label.binary or self.k < 1:
            raise DefinitionError([f"detection is of a binary label and of k >= 1; found {self.label!r}, k={self.k}"])

    @property
    def metrics(self) -> tuple[str, ...]:
        """`average_precision`, and `card_precision@k` with the number in the place of k."""
        return ("average_precision", f"card_precision@{self.k}")

    def measure(self, trial: Trial) -> tuple[Comparison, Mapping[str, Estimate | float]]:
        """All models by area under the curves and by what a day's looks find, with intervals over `per`."""
        truth, users = trial.labels[self.label.name], trial.spine[self.per.name]
        days = (trial.spine["at"] + self.utc_offset_s * 1_000_000) // DAY
        scores = {name: heads[self.label.name] for name, heads in trial.predictions.items() if self.label.name in heads}
        entries, ours = [], scores[OURS]
        interval = partial(bootstrap, users=users, seed=trial.seed, replicates=200)
        for name, score in {**scores, PERFECT: truth}.items():
            metrics = {key: interval(metric) for key, metric in self._metrics(truth, score, users, days).items()}
            note = "" if name in (OURS, PERFECT) else _lead(truth, ours, score, users, trial.seed)
            entries.append(Entry(name, metrics, name == OURS, note))
        note = (
            f"{len(truth):,} rows of {len(np.unique(users)):,} {self.per.name}s over {len(np.unique(days))} days, "
            f"{int(truth.sum()):,} true. Card precision@{self.k}: each day the {self.k} {self.per.name}s of the "
            f"greatest score are looked at, those found before left out. Intervals by bootstrap over {self.per.name}s."
        )
        pictured = ("average precision", f"card precision@{self.k}")
        table = Comparison(f"Finding {self.label.name}", note, tuple(entries), pictured)
        best = next(entry for entry in entries if entry.ours)
        return table, dict(zip(self.metrics, (best.metrics[name] for name in pictured), strict=True))

    def _metrics(self, truth: Array, score: Array, users: Array, days: Array) -> dict[str, Metric]:
        return {
            "average precision": partial(average_precision, truth, score),
            f"card precision@{self.k}": lambda w: card_precision(truth, score, users, days, k=self.k, weights=w),
            "AUC": partial(auc, truth, score),
        }


def _lead(truth: Array, ours: Array, other: Array, users: Array, seed: int) -> str:
    """By how much ours is ahead, with the interval of the paired difference."""
    first, second = (partial(average_precision, truth, score) for score in (ours, other))
    gain = compare(first, second, users=users, seed=seed, replicates=200)
    return f"ours is {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] ahead in average precision"
