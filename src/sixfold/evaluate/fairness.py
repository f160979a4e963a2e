"""Fairness of scores between groups: how differently a threshold treats them, with intervals over people.

Demographic parity asks that the same share of every group be selected; equalised odds (Hardt, Price and Srebro 2016)
that, of those with the outcome, and of those without it, the same share be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from sixfold._core.errors import DefinitionError, InputError
from sixfold._core.table import Array
from sixfold.evaluate.bootstrap import Estimate, Metric, bootstrap
from sixfold.evaluate.measures import OURS, Trial
from sixfold.evaluate.report import Comparison, Entry
from sixfold.features.batch import as_of
from sixfold.features.definitions import Feature
from sixfold.features.featureset import FeatureSet
from sixfold.frame import Outcome

__all__ = ["Fairness", "equalised_odds_gap", "gap", "parity_gap", "selection_rate"]


def selection_rate(selected: Array, of: Array, weights: Array | None = None) -> Array:
    """The weighted share of `selected` among the rows of the mask `of`, (b,) for weights (b, n_rows); NaN for none.

    >>> float(selection_rate(np.array([True, False, True]), np.array([True, True, False])))
    0.5
    """
    w = np.ones((1, len(of))) if weights is None else np.atleast_2d(weights)
    rows = np.flatnonzero(of)
    w = w[:, rows]
    total = w.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (w @ selected[rows].astype(np.float64)) / np.where(total > 0, total, np.nan)
    return np.asarray(share[0] if weights is None else share)


def gap(selected: Array, groups: Array, of: Array, weights: Array | None = None) -> Array:
    """The largest difference in selection rate between two groups (n_rows,), among the rows of the mask `of`."""
    rates = np.array([selection_rate(selected, of & (groups == name), weights) for name in np.unique(groups)])
    return np.asarray(rates.max(axis=0) - rates.min(axis=0))


def parity_gap(selected: Array, groups: Array, weights: Array | None = None) -> Array:
    """The demographic parity gap: the largest difference in selection rate between two groups.

    >>> float(parity_gap(np.array([True, False, True, True]), np.array([0, 0, 1, 1])))
    0.5
    """
    return gap(selected, groups, np.ones(len(groups), np.bool_), weights)


def equalised_odds_gap(selected: Array, outcome: Array, groups: Array, weights: Array | None = None) -> Array:
    """The larger of the gaps in true and in false positive rate between two groups.

    A group without rows of one kind makes it undefined (NaN).

    >>> selected, outcome = np.array([1, 0, 1, 0, 1, 1, 0, 0]) > 0, np.array([1, 1, 0, 0, 1, 1, 0, 0])
    >>> float(equalised_odds_gap(selected, outcome, np.array([0, 0, 0, 0, 1, 1, 1, 1])))
    0.5
    """
    happened = outcome > 0
    return np.maximum(gap(selected, groups, happened, weights), gap(selected, groups, ~happened, weights))


@dataclass(frozen=True, slots=True)
class Fairness:
    """How differently the best-scored `share` of the test rows falls on the groups that a feature tells apart.

    `head` is the outcome predicted; `by` a text feature, such as an attribute of the person, as known then. Groups of
    fewer than `least` people are left out, and named; with fewer than two groups nothing is measured. Limits can bound
    `parity_gap:FEATURE` and `odds_gap:FEATURE`.
    """

    head: Outcome
    by: Feature
    share: float = 0.1
    least: int = 100
    metrics: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise DefinitionError([f"Fairness: share must lie between 0 and 1, not {self.share}"])
        object.__setattr__(self, "metrics", (f"parity_gap:{self.by.name}", f"odds_gap:{self.by.name}"))

    def measure(self, trial: Trial) -> tuple[Comparison, Mapping[str, Estimate | float]]:
        """A row for each group, and one for the largest difference between two of them."""
        people = trial.people
        groups = as_of(FeatureSet(self.by), trial.history, trial.spine)[self.by.name]
        if groups.dtype != object:
            raise InputError(
                f"Fairness by {self.by.name!r}: the feature must be text, such as attribute(person.gender)"
            )
        names = np.array(["unknown" if group is None else str(group) for group in groups.tolist()])
        kept = [name for name in np.unique(names) if len(np.unique(people[names == name])) >= self.least]
        title = f"Fairness: {self.head.name} by {self.by.name}"
        if len(kept) < 2:
            note = f"Fewer than two groups have {self.least} people: there is nothing to compare."
            unknown = Estimate(np.nan, np.nan, np.nan, 0)
            return Comparison(title, note, (), ()), dict.fromkeys(self.metrics, unknown)
        rows = np.isin(names, kept)
        scores, outcome = trial.predictions[OURS][self.head.name][rows], trial.labels[self.head.name][rows]
        selected = scores > np.quantile(scores, 1 - self.share)
        treated = _Treated(selected, outcome, names[rows], people[rows])
        entries = [Entry(f"{self.by.name} = {name}", treated.measured(trial.seed, name)) for name in kept]
        gaps = treated.measured(trial.seed)
        entries.append(Entry("largest difference", gaps, ours=True))
        lost = sorted(set(names.tolist()) - set(kept))
        note = f"The best-scored {self.share:.0%} of the test rows are selected; 95 % intervals over people."
        note += f" Left out, as they have fewer than {self.least} people: {', '.join(lost)}." if lost else ""
        odds = max(gaps["of those with it"], gaps["of those without it"], key=float)
        return (
            Comparison(title, note, tuple(entries), ()),
            dict(zip(self.metrics, (gaps["selected"], odds), strict=True)),
        )


@dataclass(frozen=True, slots=True)
class _Treated:
    """Rows with whether they were selected, their outcome, the group and the person; all (n_rows,)."""

    selected: Array
    outcome: Array
    groups: Array
    people: Array

    def measured(self, seed: int, name: str | None = None) -> dict[str, Estimate]:
        """The rates of one group, or where no name is given the largest differences between two."""
        happened = self.outcome > 0
        parts = {"selected": happened | ~happened, "of those with it": happened, "of those without it": ~happened}
        return {
            what: bootstrap(self._metric(of, name), users=self.people, seed=seed, replicates=200)
            for what, of in parts.items()
        }

    def _metric(self, of: Array, name: str | None) -> Metric:
        if name is None:
            return partial(gap, self.selected, self.groups, of)
        return partial(selection_rate, self.selected, of & (self.groups == name))
