"""Whether a probability means what it says: calibration curve and expected calibration error.

Bins: by "mass" (the default), edges are quantiles of the predictions, so every bin holds about as many rows; by
"width", edges are evenly spaced in 0..1. Equal predictions always share a bin, and empty bins are left out.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.table import Array
from sixfold.evaluate.ranking import checked

__all__ = ["Binning", "CalibrationCurve", "calibration_curve", "expected_calibration_error"]

Binning = Literal["mass", "width"]


@dataclass(frozen=True, slots=True)
class CalibrationCurve:
    """One point per bin, in order of prediction: mean prediction, observed share with its 95 % interval, and rows."""

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n_rows: tuple[int, ...]


def expected_calibration_error(
    labels: Array, probabilities: Array, weights: Array | None = None, *, bins: int = 15, binning: Binning = "mass"
) -> Array:
    """The mean over bins, weighted by rows, of |observed share - mean prediction| (Guo et al. 2017, equation 5).

    `weights` None, (n_rows,) or (b, n_rows); result () or (b,), NaN for no rows. The bins are those of the unweighted
    rows. Noise alone gives about sqrt(2 p (1 - p) bins / (pi n_rows)) for a base rate p, so small samples read high.

    >>> labels, said = np.array([0, 0, 0, 1]), np.full(4, 0.5)
    >>> float(expected_calibration_error(labels, said))
    0.25
    """
    y, p, w, shape = _checked(labels, probabilities, weights)
    if len(y) == 0:
        return np.full(shape, np.nan)
    order, starts = _bins(p, bins, binning)
    gap = np.add.reduceat(np.take(w, order, axis=1) * (y - p)[order], starts, axis=1)
    total = w.sum(axis=1)
    return np.asarray(np.abs(gap).sum(axis=1) / np.where(total > 0, total, np.nan)).reshape(shape)


def calibration_curve(
    labels: Array, probabilities: Array, *, users: Array, bins: int = 15, binning: Binning = "mass"
) -> CalibrationCurve:
    """Observed against predicted shares by bin.

    `users` (n_rows,) names whose each row is: the interval of a bin's share is normal with the variance between users
    (linearised cluster variance: sum over users of (sum of residuals)^2 / rows^2), cut to 0..1. A bin of one outcome
    only has no variance to go by: its interval adds two successes and two failures (Agresti and Coull 1998).

    >>> curve = calibration_curve(np.array([0, 1, 1, 1]), np.array([0.2, 0.2, 0.8, 0.8]), users=np.arange(4), bins=2)
    >>> curve.predicted, curve.observed, curve.n_rows
    ((0.2, 0.8), (0.5, 1.0), (2, 2))
    """
    y, p = _checked(labels, probabilities, None)[:2]
    if len(y) == 0:
        return CalibrationCurve((), (), (), (), ())
    order, starts = _bins(p, bins, binning)
    rows = np.diff(starts, append=len(y))
    observed, predicted = (np.add.reduceat(values[order], starts) / rows for values in (y, p))
    bin_of = np.empty(len(y), np.int64)
    bin_of[order] = np.repeat(np.arange(len(starts)), rows)
    _, user = np.unique(users, return_inverse=True)
    _, cell, inverse = np.unique(bin_of * len(y) + user, return_index=True, return_inverse=True)
    residuals = np.bincount(inverse, (y - observed[bin_of]))
    spread = np.sqrt(np.bincount(bin_of[cell], residuals**2)) / rows
    shrunk = (observed * rows + 2) / (rows + 4)
    pure = (observed == 0) | (observed == 1)
    centre = np.where(pure, shrunk, observed)
    half = 1.96 * np.where(pure, np.sqrt(shrunk * (1 - shrunk) / (rows + 4)), spread)
    low, high = np.clip(centre - half, 0, observed), np.clip(centre + half, observed, 1)
    columns = (tuple(values.tolist()) for values in (predicted, observed, low, high, rows))
    return CalibrationCurve(*columns)


def _checked(labels: Array, probabilities: Array, weights: Array | None) -> tuple[Array, Array, Array, tuple[int, ...]]:
    y, p, w, shape = checked(labels, probabilities, weights, binary=True)
    if len(p) and (p.min() < 0 or p.max() > 1):
        raise InputError(f"probabilities must lie in 0..1; found {p.min():g} to {p.max():g}")
    return y, p, w, shape


def _bins(p: Array, bins: int, binning: Binning) -> tuple[Array, Array]:
    """Rows in order of bin, and where each non-empty bin starts."""
    if bins < 1:
        raise InputError(f"calibration needs at least 1 bin, not {bins}")
    inner = np.arange(1, bins) / bins
    edges = np.quantile(p, inner, method="inverted_cdf") if binning == "mass" else inner
    code = np.searchsorted(edges, p, side="left")
    order = np.argsort(code, kind="stable")
    return order, np.flatnonzero(np.diff(code[order], prepend=-1))
