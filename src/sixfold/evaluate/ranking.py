"""How well scores order rows, and how well predictions match outcomes.

Every function takes (truth, prediction, weights): `truth` and `prediction` are (n_rows,), `weights` is None, (n_rows,)
or (b, n_rows), not negative; the result is a float64 array of shape () or (b,), one value per set of weights. A value
that is not defined (no rows, one class only, nothing to compare) is NaN. InputError if shapes differ, a value is
missing, a label is not 0 or 1, or a probability lies outside 0..1.
"""

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.table import Array

__all__ = ["auc", "grouped_auc", "log_loss", "mae", "mean_ratio", "normalised_entropy", "rmse", "xauc"]

_TINY = 1e-15


def auc(labels: Array, scores: Array, weights: Array | None = None) -> Array:
    """The chance that a positive row scores above a negative one, ties counting one half (area under the ROC curve).

    >>> float(auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])))
    0.75
    >>> float(auc(np.array([0, 1]), np.array([0.5, 0.5])))
    0.5
    """
    y, s, w, shape = checked(labels, scores, weights, binary=True)
    won = _wins(y > 0, _rank(s), np.zeros(len(y), np.int64), w).sum(axis=1)
    return _divide(won, (w @ y) * (w @ (1 - y))).reshape(shape)


def grouped_auc(labels: Array, scores: Array, groups: Array, weights: Array | None = None) -> Array:
    """The mean over groups of the AUC within each group, weighted by the group's rows (Zhou et al. 2018, equation 7).

    Groups of one class are left out. Only valid if the features of a user do not move inside a group: with a running
    user rate, a row just after a miss scores lower, so the score anticorrelates with the label within the user and
    the figure falls far below one half for no fault of the ranking. Use groups of (user, local day) and user state
    frozen at local midnight.

    >>> labels, scores = np.array([0, 1, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.9, 0.5])
    >>> float(grouped_auc(labels, scores, np.array([7, 7, 7, 8, 8])))  # (3 rows x 1 + 2 rows x 0) / 5
    0.6
    """
    y, s, w, shape = checked(labels, scores, weights, binary=True)
    if len(groups) != len(y):
        raise InputError(f"there are {len(y)} labels but {len(groups)} groups")
    if len(y) == 0:
        return np.full(shape, np.nan)
    _, code = np.unique(groups, return_inverse=True)
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    rows = order[(np.repeat(_has_both(y[order] > 0, starts), np.diff(starts, append=len(y))))]
    if len(rows) == 0:
        return np.full(shape, np.nan)
    starts = np.flatnonzero(np.diff(code[rows], prepend=-1))
    hit, group_w = y[rows] > 0, np.take(w, rows, axis=1)
    up, down = (np.add.reduceat(group_w * side, starts, axis=1) for side in (hit, ~hit))
    credit = np.zeros_like(group_w)
    credit[:, hit] = _wins(hit, _rank(s[rows]), code[rows], group_w)
    value = np.nan_to_num(_divide(np.add.reduceat(credit, starts, axis=1), up * down))
    size = np.where((up > 0) & (down > 0), up + down, 0.0)
    return _divide((value * size).sum(1), size.sum(1)).reshape(shape)


def _has_both(hit: Array, starts: Array) -> Array:
    return np.logical_or.reduceat(hit, starts) & np.logical_or.reduceat(~hit, starts)


def log_loss(labels: Array, probabilities: Array, weights: Array | None = None) -> Array:
    """The mean of -log(probability of what happened), in nats; probabilities are clipped to 1e-15 from 0 and 1.

    >>> round(float(log_loss(np.array([1, 0]), np.array([0.5, 0.25]))), 6)  # (log 2 - log 0.75) / 2
    0.490415
    """
    y, p, w, shape = checked(labels, probabilities, weights, binary=True)
    p = np.clip(_probability(p), _TINY, 1 - _TINY)
    return _average(-np.where(y > 0, np.log(p), np.log1p(-p)), w).reshape(shape)


def normalised_entropy(labels: Array, probabilities: Array, weights: Array | None = None) -> Array:
    """Log loss divided by that of always predicting the base rate of these rows (He et al. 2014, equation 1).

    1 is as good as the base rate, lower is better; NaN where all labels agree.

    >>> float(normalised_entropy(np.array([0, 1, 0, 1]), np.full(4, 0.5)))
    1.0
    """
    y, _, w, shape = checked(labels, probabilities, weights, binary=True)
    rate = _average(y, w)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
    return _divide(log_loss(labels, probabilities, w), np.nan_to_num(entropy)).reshape(shape)


def xauc(quantities: Array, predictions: Array, weights: Array | None = None) -> Array:
    """The share of pairs of rows with different quantities that the predictions put in the right order.

    Ties of the prediction count one half (Zhan et al. 2022, section 4.1.2). O(n log n): write the rank of each
    quantity in binary; two rows are ordered by the highest bit in which their ranks differ, and among rows that agree
    above a bit the count is that of an AUC with the bit as label.

    >>> float(xauc(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0]))) == 2 / 3
    True
    """
    q, p, w, shape = checked(quantities, predictions, weights)
    _, rank, size = np.unique(q, return_inverse=True, return_counts=True)
    predicted, won = _rank(p), np.zeros(len(w))
    for bit in range(int(rank.max(initial=0)).bit_length()):
        won += _wins((rank >> bit) & 1 == 1, predicted, rank >> (bit + 1), w).sum(axis=1)
    equal = np.add.reduceat(w[:, np.argsort(rank)], np.cumsum(size) - size, axis=1) if len(q) else w
    return _divide(won, (w.sum(axis=1) ** 2 - (equal**2).sum(axis=1)) / 2).reshape(shape)


def mae(quantities: Array, predictions: Array, weights: Array | None = None) -> Array:
    """The mean absolute error, in the unit of the quantity.

    >>> float(mae(np.array([1.0, 5.0]), np.array([2.0, 2.0])))
    2.0
    """
    q, p, w, shape = checked(quantities, predictions, weights)
    return _average(np.abs(q - p), w).reshape(shape)


def rmse(quantities: Array, predictions: Array, weights: Array | None = None) -> Array:
    """The root of the mean squared error, in the unit of the quantity.

    >>> float(rmse(np.array([1.0, 5.0]), np.array([2.0, 12.0])))
    5.0
    """
    q, p, w, shape = checked(quantities, predictions, weights)
    return np.sqrt(_average((q - p) ** 2, w)).reshape(shape)


def mean_ratio(quantities: Array, predictions: Array, weights: Array | None = None) -> Array:
    """The mean prediction over the mean quantity: 1 is unbiased, 2 is twice too much; NaN where the mean is 0.

    >>> float(mean_ratio(np.array([1.0, 3.0]), np.array([2.0, 4.0])))
    1.5
    """
    q, p, w, shape = checked(quantities, predictions, weights)
    return _divide(w @ p, w @ q).reshape(shape)


def checked(
    truth: Array, prediction: Array, weights: Array | None, *, binary: bool = False
) -> tuple[Array, Array, Array, tuple[int, ...]]:
    """Truth and prediction as float64, weights as (b, n_rows), and the shape of the result."""
    y, p = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
    if y.ndim != 1 or y.shape != p.shape:
        raise InputError(f"truth and prediction must be columns of one length; found shapes {y.shape} and {p.shape}")
    w = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    if w.shape[-1:] != y.shape or w.ndim > 2:
        raise InputError(f"weights must have shape ({len(y)},) or (b, {len(y)}); found {w.shape}")
    for what, values in (("truth", y), ("prediction", p)):
        if missing := int(np.isnan(values).sum()):
            raise InputError(
                f"{what} is missing in {missing} of {len(y)} rows", hint="leave such rows out, or fill them"
            )
    if binary and not np.isin(y, (0.0, 1.0)).all():
        raise InputError("a label must be 0 or 1", hint="use xauc, mae, rmse or mean_ratio for a quantity")
    return y, p, np.atleast_2d(w), w.shape[:-1]


def _probability(p: Array) -> Array:
    if len(p) and (p.min() < 0 or p.max() > 1):
        raise InputError(f"probabilities must lie in 0..1; found {p.min():g} to {p.max():g}")
    return p


def _divide(a: Array, b: Array) -> Array:
    """a / b, NaN where b is 0."""
    return np.asarray(np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b != 0))


def _average(values: Array, w: Array) -> Array:
    return _divide(w @ values, w.sum(axis=1))


def _wins(hit: Array, rank: Array, groups: Array, w: Array) -> Array:
    """For each positive row, in the order given, its weight times that of the negatives of its group that it beats.

    `rank` (n_rows,) are the dense ranks of the scores; equal scores count one half.
    """
    step = int(rank.max(initial=0)) + 1
    key, negatives = groups * step + rank, np.flatnonzero(~hit)
    negatives = negatives[np.argsort(key[negatives], kind="stable")]
    below = np.zeros((len(w), len(negatives) + 1))
    np.cumsum(np.take(w, negatives, axis=1), axis=1, out=below[:, 1:])
    known, sought = key[negatives], key[hit]
    first, last = np.searchsorted(known, sought, side="left"), np.searchsorted(known, sought, side="right")
    beaten = np.take(below, first, axis=1)
    if (first != last).any():
        beaten = (beaten + np.take(below, last, axis=1)) / 2
    if (base := np.searchsorted(known, groups[hit] * step)).any():
        beaten -= np.take(below, base, axis=1)
    beaten *= np.take(w, np.flatnonzero(hit), axis=1)
    return beaten


def _rank(scores: Array) -> Array:
    return np.asarray(np.unique(scores, return_inverse=True)[1])
