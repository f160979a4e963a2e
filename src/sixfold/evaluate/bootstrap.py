"""Confidence intervals by resampling users: the rows of one user are not independent, so users are drawn, not rows.

Every metric takes `weights`, (n_rows,) or (b, n_rows), and is evaluated on many resampled worlds at once: drawing a
user twice is giving its rows weight 2.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.table import Array

__all__ = ["Estimate", "Metric", "bootstrap", "compare", "mean"]

Metric = Callable[[Array], Array]
"""Maps row weights (b, n_rows) to values (b,); for example `lambda w: auc(clicked, score, w)`."""

_CELLS = 6_000_000  # weights held at once: 48 MB, and about as much again in each temporary of a metric


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value with its confidence interval; NaN where it is not defined.

    >>> print(Estimate(0.75861, 0.75204, 0.76472, 6206))
    0.7586 [0.7520, 0.7647]
    """

    value: float
    low: float
    high: float
    n_users: int

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"

    def __float__(self) -> float:
        return self.value

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval is above zero; of a difference: whether the first is surely the larger."""
        return self.low > 0


def bootstrap(metric: Metric, *, users: Array, seed: int, replicates: int = 400, level: float = 0.95) -> Estimate:
    """The metric on all rows, with an interval that holds the true value in `level` of repetitions of the study.

    `users` (n_rows,) names the user of each row. Each replicate draws as many users as there are, with replacement
    (Efron and Tibshirani 1993, chapter 8; cluster bootstrap). The interval holds the percentiles of the replicates,
    shifted so that their mean is the measured value, because noise moves some metrics to one side (calibration error
    grows) and resampling doubles the noise. A quantity that was never negative in a replicate gets no negative bound.
    Replicates in which the metric is not defined are left out. No rows: NaN throughout.

    >>> users = np.repeat(np.arange(100), 2)
    >>> clicks = (users % 4 == 0).astype(float)
    >>> estimate = bootstrap(lambda w: mean(clicks, w), users=users, seed=1)
    >>> estimate.value, estimate.n_users, 0.15 < estimate.low < 0.2 < 0.3 < estimate.high < 0.35
    (0.25, 100, True)
    """
    if replicates < 2 or not 0 < level < 1:
        raise InputError(f"a bootstrap needs replicates >= 2 and 0 < level < 1, not {replicates} and {level}")
    unique, code = np.unique(users, return_inverse=True)
    n_users, n_rows = len(unique), len(users)
    if n_rows == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    value = float(metric(np.ones((1, n_rows)))[0])
    rng = np.random.default_rng(seed)
    batch = max(1, min(replicates, _CELLS // n_rows))
    drawn = []
    for start in range(0, replicates, batch):
        size = min(batch, replicates - start)
        draws = [np.bincount(rng.integers(n_users, size=n_users), minlength=n_users) for _ in range(size)]
        drawn.append(metric(np.take(np.array(draws, np.float64), code, axis=1)))
    low, high = _interval(value, np.concatenate(drawn), level)
    return Estimate(value, low, high, n_users)


def _interval(value: float, drawn: Array, level: float) -> tuple[float, float]:
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) == 0 or not np.isfinite(value):
        return np.nan, np.nan
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]) + (value - drawn.mean())
    if drawn.min() >= 0 <= value:
        low = max(low, 0.0)
    return float(min(low, value)), float(max(high, value))


def compare(a: Metric, b: Metric, *, users: Array, seed: int, replicates: int = 400, level: float = 0.95) -> Estimate:
    """How much larger metric `a` is than metric `b` on the same rows, with the interval of the paired difference.

    Both see the same resampled users, so what they have in common cancels: two models can differ surely although
    their own intervals overlap.

    >>> users, a = np.arange(50), np.arange(50.0)
    >>> difference = compare(lambda w: mean(a + 0.5, w), lambda w: mean(a, w), users=users, seed=1)
    >>> round(difference.low, 9), round(difference.high, 9), difference.above_zero
    (0.5, 0.5, True)
    """
    return bootstrap(lambda w: a(w) - b(w), users=users, seed=seed, replicates=replicates, level=level)


def mean(values: Array, weights: Array | None = None) -> Array:
    """The weighted mean over rows with a value, (b,) for weights (b, n_rows); NaN rows do not take part.

    NaN where no row has a value and a weight. `values` may be one figure per user, such as recall: then the rows are
    users.

    >>> float(mean(np.array([1.0, 0.0, np.nan])))
    0.5
    """
    w = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    known = ~np.isnan(values)
    total = w @ known.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((w @ np.where(known, values, 0.0)) / np.where(total > 0, total, np.nan))
