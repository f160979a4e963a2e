"""Conformal intervals: quantiles stretched or shrunk about the median until they hold what they promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.table import Array

__all__ = ["Interval"]

_GROUPS = 20
_ROWS = 200


@dataclass(frozen=True, slots=True)
class Interval:
    """How far to stretch, by the size of the upper quantile: `factors` (g,), group i ending at `edges` (g - 1,).

    The interval of a row is median - f (median - low) to median + f (high - median), not below 0, in whole numbers
    where `whole`. Split conformal prediction with the score of a row being the least f that covers it (Romano,
    Patterson and Candès 2019, "Conformalized quantile regression", section 4, in ratios; a factor for each group as in
    Vovk 2012, "Conditional validity of inductive conformal predictors").

    >>> interval = Interval(np.zeros(0), np.array([2.0]), whole=False)
    >>> [values.tolist() for values in interval.apply(np.array([4.0]), np.array([5.0]), np.array([8.0]))]
    [[3.0], [11.0]]
    """

    edges: Array
    factors: Array
    whole: bool

    @classmethod
    def fit(cls, actual: Array, low: Array, median: Array, high: Array, *, share: float, whole: bool) -> Self:
        """The factors with which the intervals of these rows hold `share` of the rows, all groups as nearly as can be.

        A group that is always covered, such as days that surely bring nothing, is made up for by the others: so much
        of all rows is covered. Raises ModelError on no rows.
        """
        if not len(actual):
            raise ModelError("there are no rows to learn an interval from", hint="give the validation split more days")
        n_groups = int(np.clip(len(actual) // _ROWS, 1, _GROUPS))
        edges = np.unique(np.quantile(high, np.linspace(0, 1, n_groups + 1)[1:-1]))
        group = np.searchsorted(edges, high)
        needed = _needed(actual, low, median, high, 0.5 if whole else 0.0)
        parts = [np.sort(needed[group == g]) for g in range(len(edges) + 1)]
        least, most = 0.0, 1.0
        for _ in range(30):
            middle = (least + most) / 2
            few = _held(needed, _factors(parts, middle)[group]) < share
            least, most = (middle, most) if few else (least, middle)
        # Many rows may need the same factor: between the two sides of such a step, the nearer one.
        sides = [_factors(parts, side) for side in (most, least)]
        return cls(edges, min(sides, key=lambda factors: abs(_held(needed, factors[group]) - share)), whole)

    def apply(self, low: Array, median: Array, high: Array) -> tuple[Array, Array]:
        """The ends of the interval, each (n_rows,)."""
        factor = self.factors[np.searchsorted(self.edges, high)]
        ends = np.maximum(median - factor * (median - low), 0.0), median + factor * (high - median)
        return (np.rint(ends[0]), np.rint(ends[1])) if self.whole else ends

    def arrays(self) -> dict[str, Array]:
        """What is to be saved."""
        return {"edges": self.edges, "factors": self.factors}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], *, whole: bool) -> Self:
        """The inverse of `arrays`."""
        return cls(arrays["edges"], arrays["factors"], whole)


def _needed(actual: Array, low: Array, median: Array, high: Array, slack: float) -> Array:
    """The least factor with which each row is covered, infinite where none does."""
    beyond = np.where(actual > median, actual - median, median - actual) - slack
    side = np.where(actual > median, high - median, median - low)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(beyond <= 0, 0.0, np.where(side > 0, beyond / side, np.inf))


def _factors(parts: Sequence[Array], share: float) -> Array:
    """The factor of each group, given its sorted rows' needs, with which it holds that share of them."""
    return np.array([_quantile(part, share) for part in parts])


def _held(needed: Array, factors: Array) -> float:
    return float((needed <= factors).mean())


def _quantile(ordered: Array, share: float) -> float:
    """The least value that is at least as great as `share` of them; the greatest finite one where that is infinite."""
    if not len(ordered):
        return 1.0
    finite = int(np.searchsorted(ordered, np.inf))
    place = min(int(np.ceil(share * len(ordered))) - 1, finite - 1)
    return float(ordered[max(place, 0)]) if finite else 1.0
