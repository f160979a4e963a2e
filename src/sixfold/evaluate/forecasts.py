"""How far forecasts are off, and whether their intervals hold what they promise.

Every function takes columns of (n_rows,) and `weights`, which is None, (n_rows,) or (b, n_rows), not negative; the
result is a float64 array of shape () or (b,). A value that is not defined is NaN. Each is a ratio of two sums over
rows, of which the functions called `…_parts` give the terms: sums by series can then be resampled instead of rows.
InputError if shapes differ or a value is missing.
"""

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.table import Array
from sixfold.evaluate.ranking import checked

__all__ = ["coverage", "mape", "mase", "mean_width", "parts", "pinball", "ratio", "wmape"]

Parts = tuple[Array, Array]
"""Of each row the term of the numerator and that of the denominator, (n_rows,) each."""


def ratio(terms: Parts, weights: Array | None = None) -> Array:
    """The weighted sum of the numerators over that of the denominators; NaN where that is 0."""
    above, below, w, shape = checked(*terms, weights)
    total = w @ below
    return np.asarray(np.divide(w @ above, total, out=np.full(len(w), np.nan), where=total != 0)).reshape(shape)


def mape(truth: Array, forecast: Array, weights: Array | None = None) -> Array:
    """The mean of the absolute error over the truth, over the rows where something was sold at all.

    It blames forecasts that are too high much more than those too low, and says nothing of days without a sale.

    >>> float(mape(np.array([4.0, 0.0, 10.0]), np.array([5.0, 3.0, 5.0])))  # (1/4 + 5/10) / 2
    0.375
    """
    return ratio(_mape(truth, forecast), weights)


def _mape(truth: Array, forecast: Array) -> Parts:
    some = truth != 0
    return np.abs(truth - forecast) * some / np.where(some, np.abs(truth), 1.0), some.astype(np.float64)


def wmape(truth: Array, forecast: Array, weights: Array | None = None) -> Array:
    """The sum of absolute errors over the sum of absolute truths: 1 is what forecasting nothing gets.

    >>> float(wmape(np.array([4.0, 0.0, 16.0]), np.array([5.0, 3.0, 15.0])))  # 5 / 20
    0.25
    """
    return ratio((np.abs(truth - forecast), np.abs(truth)), weights)


def pinball(truth: Array, forecast: Array, share: float, weights: Array | None = None) -> Array:
    """The mean quantile loss of a forecast of the `share` quantile, in the unit of the truth (Koenker 1978).

    share x (truth - forecast) where the truth is above, (1 - share) x (forecast - truth) where it is below.

    >>> round(float(pinball(np.array([10.0, 10.0]), np.array([8.0, 14.0]), 0.9)), 6)  # (0.9 x 2 + 0.1 x 4) / 2
    1.1
    """
    if not 0 < share < 1:
        raise InputError(f"a quantile lies between 0 and 1, not at {share}")
    return ratio((_pinball(truth, forecast, share), np.ones(len(truth))), weights)


def _pinball(truth: Array, forecast: Array, share: float) -> Array:
    above = truth - forecast
    return np.maximum(share * above, (share - 1) * above)


def coverage(truth: Array, low: Array, high: Array, weights: Array | None = None) -> Array:
    """The share of rows whose truth lies in [low, high].

    >>> float(coverage(np.array([1.0, 5.0]), np.array([1.0, 1.0]), np.array([2.0, 2.0])))
    0.5
    """
    return ratio((((truth >= low) & (truth <= high)).astype(np.float64), np.ones(len(truth))), weights)


def mean_width(low: Array, high: Array, weights: Array | None = None) -> Array:
    """The mean of high - low, in the unit of the truth: of two intervals that hold as much, the narrower is better.

    >>> float(mean_width(np.array([1.0, 1.0]), np.array([2.0, 4.0])))
    2.0
    """
    return ratio((high - low, np.ones(len(low))), weights)


def mase(truth: Array, forecast: Array, scale: Array, weights: Array | None = None) -> Array:
    """The mean of the absolute error over `scale`, the seasonal naive error of the row's series before the test.

    Below 1 is better than seasonal naive was (Hyndman and Koehler 2006, section 3.1). Rows without a scale, or of 0,
    do not take part.

    >>> float(mase(np.array([4.0, 6.0]), np.array([5.0, 3.0]), np.array([2.0, 0.0])))
    0.5
    """
    return ratio(_mase(truth, forecast, scale), weights)


def _mase(truth: Array, forecast: Array, scale: Array) -> Parts:
    some = np.nan_to_num(scale) > 0
    return np.abs(truth - forecast) * some / np.where(some, scale, 1.0), some.astype(np.float64)


def parts(
    truth: Array, forecast: Array, low: Array, high: Array, *, quantiles: dict[float, Array], scale: Array
) -> dict[str, Parts]:
    """The terms of all metrics of one forecast, by their names: `pinball` is the mean over the quantiles.

    >>> one = np.ones(1)
    >>> list(parts(one, one, one, one, quantiles={0.5: one}, scale=one))
    ['wMAPE', 'pinball', 'coverage', 'width', 'MASE', 'MAPE']
    """
    all_rows = np.ones(len(truth))
    losses = [_pinball(truth, values, share) for share, values in quantiles.items()]
    return {
        "wMAPE": (np.abs(truth - forecast), np.abs(truth)),
        "pinball": (np.mean(losses, axis=0), all_rows),
        "coverage": (((truth >= low) & (truth <= high)).astype(np.float64), all_rows),
        "width": (high - low, all_rows),
        "MASE": _mase(truth, forecast, scale),
        "MAPE": _mape(truth, forecast),
    }
