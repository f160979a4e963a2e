"""Sampling of training rows that keeps what is learnt honest."""

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.table import Array

__all__ = ["sample_negatives"]


def sample_negatives(labels: Array, *, keep: float, seed: int) -> tuple[Array, Array]:
    """All positives and a share `keep` of the negatives: row numbers, ascending, and their weights, both (n_kept,).

    `labels` is (n_rows,) of 0 and 1. The weight is 1 for a positive and 1 / keep for a negative. A model taught with
    the weights predicts calibrated probabilities as it is; one taught without them needs
    `sixfold.models.calibration.undo_downsampling` with the same `keep`: use one or the other.

    >>> rows, weights = sample_negatives(np.array([0, 1, 0, 0]), keep=1.0, seed=1)
    >>> rows.tolist(), weights.tolist()
    ([0, 1, 2, 3], [1.0, 1.0, 1.0, 1.0])
    """
    if not 0 < keep <= 1:
        raise InputError(f"the share of negatives to keep must lie in (0, 1], not {keep}")
    positive = labels > 0
    rows = np.flatnonzero(positive | (np.random.default_rng(seed).random(len(labels)) < keep))
    return rows, np.where(positive[rows], 1.0, 1.0 / keep)
