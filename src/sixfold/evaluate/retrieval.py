"""How well ranked lists find what people wanted: one figure per user, (n_users,), NaN for users who wanted nothing.

Average them with `bootstrap.mean`, whose rows are then users. Lists and targets hold item keys, int or text; -1 and
None pad short lists and hit nothing; an item that stands twice in a list counts at its first place only, and a target
given twice is one target. Ranks start at 1. Whether items seen before may be recommended or are excluded moves every
figure here: say it beside each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from sixfold._core.errors import InputError
from sixfold._core.table import Array
from sixfold.evaluate.bootstrap import Estimate

__all__ = [
    "Hits",
    "average_precision",
    "coverage",
    "find_hits",
    "hit_rate",
    "ndcg",
    "precision",
    "recall",
    "reciprocal_rank",
]


@dataclass(frozen=True, slots=True)
class Hits:
    """Where the ranked lists hit: `at` (n_users, length) bool, `targets` (n_users,) the number of distinct targets."""

    at: Array
    targets: Array

    def top(self, k: int) -> Array:
        """The first k places; raises InputError if the lists are shorter than k."""
        if not 1 <= k <= self.at.shape[1]:
            raise InputError(f"k must be 1 to {self.at.shape[1]}, the length of the ranked lists; found {k}")
        return np.asarray(self.at[:, :k])

    def _known(self, values: npt.ArrayLike) -> Array:
        return np.where(self.targets > 0, values, np.nan)


def find_hits(ranked: Array, targets: Sequence[Array | Sequence[int] | Sequence[str]]) -> Hits:
    """Compare lists (n_users, length), best first, with each user's targets, ragged.

    >>> hits = find_hits(np.array([[5, 3, 9], [1, 2, -1]]), [[9, 5], [7]])
    >>> hits.at.tolist(), hits.targets.tolist()
    ([[True, False, True], [False, False, False]], [2, 1])
    """
    if ranked.ndim != 2 or len(ranked) != len(targets):
        raise InputError(f"expected ranked lists of shape ({len(targets)}, length), one per user; found {ranked.shape}")
    n, length = ranked.shape
    code, wanted, width = _codes(ranked, list(chain.from_iterable(targets)))
    owner = np.repeat(np.arange(n), [len(items) for items in targets])
    pairs = np.unique((owner * width + wanted)[wanted >= 0])
    found = np.isin(np.arange(n)[:, None] * width + code, pairs) & (code >= 0)
    flat = np.flatnonzero(found)
    _, first = np.unique((flat // max(length, 1)) * width + code.ravel()[flat], return_index=True)
    at = np.zeros(found.size, np.bool_)
    at[flat[first]] = True
    return Hits(at.reshape(n, length), np.bincount(pairs // width, minlength=n))


def _codes(ranked: Array, wanted: Sequence[int | str]) -> tuple[Array, Array, int]:
    """Keys as small whole numbers, -1 for padding: of the lists, of the targets, and how many there are."""
    keys = np.concatenate([ranked.ravel(), np.array(wanted, ranked.dtype)])
    empty = np.equal(keys, np.array(None, object)) if ranked.dtype == object else keys == -1
    code = np.full(len(keys), -1, np.int64)
    names, code[~empty] = np.unique(keys[~empty], return_inverse=True)
    return code[: ranked.size].reshape(ranked.shape), code[ranked.size :], max(len(names), 1)


def recall(hits: Hits, k: int) -> Array:
    """The share of the user's targets among the first k; (n_users,).

    >>> recall(find_hits(np.array([[5, 3, 9]]), [[9, 5, 4, 6]]), 3).tolist()
    [0.5]
    """
    return hits._known(hits.top(k).sum(axis=1) / np.maximum(hits.targets, 1))


def precision(hits: Hits, k: int) -> Array:
    """The share of the first k places that are targets; (n_users,)."""
    return hits._known(hits.top(k).sum(axis=1) / k)


def hit_rate(hits: Hits, k: int) -> Array:
    """1 if any of the first k is a target, else 0; (n_users,)."""
    return hits._known(hits.top(k).any(axis=1).astype(np.float64))


def reciprocal_rank(hits: Hits, k: int) -> Array:
    """One over the rank of the first hit, 0 if there is none in the first k; its mean is the MRR; (n_users,).

    >>> reciprocal_rank(find_hits(np.array([[5, 3, 9]]), [[9]]), 3).tolist() == [1 / 3]
    True
    """
    top = hits.top(k)
    return hits._known(np.where(top.any(axis=1), 1 / (1 + top.argmax(axis=1)), 0.0))


def average_precision(hits: Hits, k: int) -> Array:
    """The mean precision at the ranks of the hits, over min(k, targets) of them; its mean is the MAP; (n_users,).

    >>> average_precision(find_hits(np.array([[5, 3, 9]]), [[9, 5]]), 3).tolist() == [(1 / 1 + 2 / 3) / 2]
    True
    """
    top = hits.top(k)
    at_hit = np.where(top, np.cumsum(top, axis=1) / np.arange(1, k + 1), 0.0).sum(axis=1)
    return hits._known(at_hit / np.clip(hits.targets, 1, k))


def ndcg(hits: Hits, k: int) -> Array:
    """Normalised discounted cumulative gain with gain 1 and discount log2(rank + 1); (n_users,).

    The ideal list has min(k, targets) hits in front (Järvelin and Kekäläinen 2002).

    >>> round(ndcg(find_hits(np.array([[3, 9]]), [[9]]), 2).item(), 6)  # 1 / log2(3)
    0.63093
    """
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.clip(hits.targets, 1, k) - 1]
    return hits._known(hits.top(k) @ discount / ideal)


def coverage(ranked: Array, k: int, *, catalog_size: int) -> Estimate:
    """The share of a catalogue of `catalog_size` items that stands in the first k of some user's list.

    It grows with the number of users: compare it only at the same number. Resampling shows fewer distinct users and
    covers too rarely here (measured), so the interval is the jackknife's, 1.96 standard errors, which errs on the wide
    side (Efron and Stein 1981). NaN for an empty catalogue; an interval needs two users.

    >>> coverage(np.array([[1, 2], [1, 3]]), 2, catalog_size=4).value
    0.75
    """
    if ranked.ndim != 2 or not 1 <= k <= ranked.shape[1]:
        raise InputError(f"k must be 1 to the length of the ranked lists; found k = {k} and lists {ranked.shape}")
    n, size = len(ranked), catalog_size or np.nan
    code, _, width = _codes(ranked[:, :k], [])
    shown = np.unique((code + width * np.arange(n)[:, None])[code >= 0])  # each (user, item) once
    viewers = np.bincount(shown % width, minlength=width)
    only_here = np.bincount(shown // width, viewers[shown % width] == 1, minlength=n) / size
    value = float((viewers > 0).sum() / size)
    if n < 2:
        return Estimate(value, np.nan, np.nan, n)
    half = 1.96 * float(np.sqrt((n - 1) * only_here.var()))
    return Estimate(value, max(value - half, 0.0), min(value + half, 1.0), n)
