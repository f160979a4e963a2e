"""Choosing how much each source of candidates counts when their standardised scores are added up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.table import Array

__all__ = ["Query", "standardised", "tune_weights"]

_STEPS = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3, 1.7)


@dataclass(frozen=True, slots=True)
class Query:
    """What the sources proposed to one person: `scores` (n_sources, n), NaN where a source lacks the item.

    `relevant` (n,) says which items the person then wanted; `n_relevant` how many there were, proposed or not.
    """

    scores: Array
    relevant: Array
    n_relevant: int


def standardised(scores: Array) -> Array:
    """Each row of (n_sources, n) minus its mean, over its deviation; 0 where all are alike.

    Absent and non-finite scores take the row's lowest, so that silence never beats a proposal.

    >>> standardised(np.array([[3.0, 1.0, np.nan], [np.nan, np.nan, np.nan]])).round(2)
    array([[ 1.41, -0.71, -0.71],
           [ 0.  ,  0.  ,  0.  ]])
    """
    finite = np.isfinite(scores)
    low = np.where(finite, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    filled = np.where(finite, scores, np.where(np.isfinite(low), low, 0.0))
    centred = filled - filled.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=1, keepdims=True))
    # The mean of equal numbers may differ from them in the last bit: such a row has no spread, only rounding.
    real = spread > 1e-12 * np.abs(filled).max(axis=1, keepdims=True, initial=0.0)
    return np.where(real, centred, 0.0) / np.where(real, spread, 1.0)


def tune_weights(
    sources: Sequence[str], queries: Sequence[Query], *, k: int = 100, rounds: int = 2
) -> tuple[Mapping[str, float], float]:
    """The weights with the best mean recall at k that coordinate search finds, and that recall; the first stays 1.

    Every source starts at 1; each round tries, source by source, what other weights would bring. Choose on validation
    data: on the test range it is cheating. Raises InputError if no query wanted anything.
    """
    wanted = [query for query in queries if query.n_relevant > 0]
    if not wanted:
        raise InputError("nobody in these queries wanted anything: there is nothing to tune on")
    width = max(query.scores.shape[1] for query in wanted)
    z = np.zeros((len(sources), len(wanted), width), np.float32)
    gain = np.zeros((len(wanted), width), np.float32)
    for row, query in enumerate(wanted):
        n = query.scores.shape[1]
        z[:, row, :n] = standardised(query.scores)
        gain[row, :n] = query.relevant / query.n_relevant
        z[:, row, n:] = -1e6  # padding sinks under every weight

    def recall(weights: Array) -> float:
        if width <= k:
            return float(gain.sum(axis=1).mean())
        blend = np.tensordot(np.maximum(weights, 1e-9).astype(np.float32), z, axes=1)
        top = np.argpartition(-blend, k - 1, axis=1)[:, :k]
        return float(np.take_along_axis(gain, top, axis=1).sum(axis=1).mean())

    weights = np.ones(len(sources))
    best = recall(weights)
    for _ in range(rounds):
        for source in range(1, len(sources)):
            for step in _STEPS:
                tried = weights.copy()
                tried[source] = step
                if (found := recall(tried)) > best + 1e-9:
                    weights, best = tried, found
    return dict(zip(sources, weights.tolist(), strict=True)), best
