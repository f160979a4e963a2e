"""Candidates: one columnar batch of items with where each came from. The currency of serving."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array
from sixfold.models.blend import standardised

__all__ = ["Blend", "Candidates", "Fuse", "all_of", "best_first"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items in order of their blended score, best first, each once.

    `ranks` (0 is best, -1 absent) and `scores` (NaN absent) say what each source thought of each item, both
    (n_sources, n). Once ranked they come in order of `values`, what showing each is worth; None where ranking was left
    out.
    """

    keys: Array
    blend: Array
    sources: tuple[str, ...]
    ranks: Array
    scores: Array
    values: Array | None = None

    def __len__(self) -> int:
        """The number of items."""
        return len(self.keys)

    def take(self, rows: Any) -> "Candidates":
        """The items selected by a mask, by indices or by a slice."""
        values = None if self.values is None else self.values[rows]
        return Candidates(
            self.keys[rows], self.blend[rows], self.sources, self.ranks[:, rows], self.scores[:, rows], values
        )


@dataclass(frozen=True, slots=True)
class Blend:
    """One order out of many sources: the weighted sum of their standardised scores; the best `keep` are ranked.

    `weights` go by the source's name; a source without one counts 1. An item that a source lacks gets that source's
    lowest score, so that silence never beats a proposal.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    keep: int = 500

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise DefinitionError([f"a blend must keep at least 1 candidate, not {self.keep}"])

    def merge(self, proposals: Mapping[str, tuple[Array, Array]]) -> Candidates:
        """The union of the proposals (keys, scores; best first) by source; ties keep the order of the sources.

        >>> a = np.array([1, 2]), np.array([9.0, 5.0])
        >>> b = np.array([3, 1]), np.array([0.4, 0.2])
        >>> Blend({"b": 0.5}).merge({"a": a, "b": b}).keys
        array([1, 3, 2])
        """
        proposals = {source: proposal for source, proposal in proposals.items() if len(proposal[0])}
        sources = tuple(proposals)
        if not sources:
            nothing = np.empty((0, 0))
            return Candidates(np.empty(0, np.int64), np.empty(0), (), nothing.astype(np.int64), nothing)
        keys = np.concatenate([keys for keys, _ in proposals.values()])
        first, place = _distinct(keys)
        ranks = np.full((len(sources), len(first)), -1, np.int64)
        scores = np.full((len(sources), len(first)), np.nan)
        start = 0
        for row, (mine, values) in enumerate(proposals.values()):
            # Written from the back, so that of an item proposed twice the better place stays.
            there = place[start : start + len(mine)][::-1]
            ranks[row, there] = np.arange(len(mine))[::-1]
            scores[row, there] = values[::-1]
            start += len(mine)
        weights = np.array([self.weights.get(source, 1.0) for source in sources])
        blend = self._together(weights, ranks, scores)
        order = np.lexsort((-blend,))
        return Candidates(keys[first[order]], blend[order], sources, ranks[:, order], scores[:, order])

    def _together(self, weights: Array, ranks: Array, scores: Array) -> Array:
        """The score of each item, (n_items,), from what each source thought of it."""
        del ranks
        together: Array = weights @ standardised(scores)
        return together


@dataclass(frozen=True, slots=True)
class Fuse(Blend):
    """One order by places alone: each source adds weight / (k + place), counted from 1, for what it proposes.

    Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009): scores of any scale go together untuned.

    >>> a = np.array([1, 2]), np.array([9.0, 5.0])
    >>> b = np.array([3, 1]), np.array([0.4, 0.2])
    >>> Fuse(k=1).merge({"a": a, "b": b}).blend.round(3).tolist()  # 1/2 + 1/3, 1/2, 1/3
    [0.833, 0.5, 0.333]
    """

    k: int = 60

    def __post_init__(self) -> None:
        Blend.__post_init__(self)
        if self.k < 0:
            raise DefinitionError([f"a fusion: k must not be negative, found {self.k}"])

    def _together(self, weights: Array, ranks: Array, scores: Array) -> Array:
        del scores
        added: Array = weights @ np.where(ranks >= 0, 1.0 / (self.k + 1 + np.maximum(ranks, 0)), 0.0)
        return added


def all_of(keys: Array) -> Candidates:
    """Candidates that nobody had to propose, in the order given."""
    nothing = np.empty((0, len(keys)))
    return Candidates(keys, np.zeros(len(keys)), (), nothing.astype(np.int64), nothing)


def best_first(values: Array) -> Array:
    """The rows by falling value; ties in their order; values that are not finite sink to the end.

    >>> best_first(np.array([0.5, np.nan, 2.0, np.inf, 0.5]))
    array([2, 0, 4, 1, 3])
    """
    return np.lexsort((np.where(np.isfinite(values), -values, np.inf),))


def _distinct(keys: Array) -> tuple[Array, Array]:
    """Where each different key first occurs, in that order, and for every key its number in that order.

    >>> _distinct(np.array([7, 3, 7, 5]))
    (array([0, 1, 3]), array([0, 1, 0, 2]))
    """
    if keys.dtype != np.int64 or keys.min() < 0 or (top := int(keys.max())) > 64 * len(keys):
        _, at, inverse = np.unique(keys, return_index=True, return_inverse=True)
        order = np.argsort(at)
        number = np.empty(len(at), np.int64)
        number[order] = np.arange(len(at))
        return at[order], number[inverse]
    # Small whole numbers need no sorting: a table keeps where each was first, which is what is written last.
    table = np.empty(top + 1, np.int64)
    here = np.arange(len(keys))
    table[keys[::-1]] = here[::-1]
    is_first = table[keys] == here
    first = np.flatnonzero(is_first)
    table[keys[first]] = np.arange(len(first))
    return first, table[keys]
