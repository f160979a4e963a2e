"""What acting on predictions would have cost: nothing done, everything done, and what a rule and a budget choose."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from sixfold._core.table import Array
from sixfold._core.times import DAY
from sixfold.evaluate.bootstrap import Estimate, bootstrap
from sixfold.evaluate.measures import OURS, Trial
from sixfold.evaluate.report import Comparison, Entry
from sixfold.serve.acting import AlertBudget

__all__ = ["ActionCosts", "budgeted"]


@dataclass(frozen=True, slots=True)
class ActionCosts:
    """The true cost of the test rows under each policy, in the unit of the budget's amounts, and what was stopped.

    The rule alone is shown for every model of the trial. The budget is spent in the order of the rows, with the
    threshold learnt on validation, and never exceeds its alerts a day (UTC).
    """

    budget: AlertBudget

    @property
    def metrics(self) -> tuple[str, ...]:
        """Of what is within the budget."""
        return ("cost_per_day", "stopped_share")

    def measure(self, trial: Trial) -> tuple[Comparison, Mapping[str, Estimate | float]]:
        """Policies by cost a day and by the share of the lost amount that they stop; the budget's is ours."""
        rule, label = self.budget.rule, self.budget.rule.outcome.name
        amount = rule.amounts(trial.spine)
        amount = np.where(np.isnan(amount), trial.settings.get("amount", 0.0), amount)
        lost = trial.labels[label] * amount * rule.loss
        gains = {
            model: rule.gains(heads[label], amount) for model, heads in trial.predictions.items() if label in heads
        }
        chosen = budgeted(self.budget, gains[OURS], trial.spine["at"], trial.settings.get("threshold", 0.0))
        policies = {
            f"{rule.do} within {self.budget.per_day} a day": chosen,
            f"{rule.do} where it is worth it": gains[OURS] > 0,
            **{f"the same, by {model}": gain > 0 for model, gain in gains.items() if model != OURS},
            f"{rule.default} all": np.zeros(len(amount), np.bool_),
            f"{rule.do} all": np.ones(len(amount), np.bool_),
        }
        entries = [self._entry(trial, name, acted, lost, i == 0) for i, (name, acted) in enumerate(policies.items())]
        note = (
            f"To {rule.do} costs {rule.cost:g} and stops {rule.prevents:.0%} of the loss; to {rule.default} costs what "
            "is lost. Cost per day in the unit of the amounts, from the true outcomes; intervals by bootstrap."
        )
        table = Comparison(f"The cost of acting on {label}", note, tuple(entries), ("cost per day", "stopped share"))
        best = entries[0].metrics
        return table, {"cost_per_day": best["cost per day"], "stopped_share": best["stopped share"]}

    def _entry(self, trial: Trial, name: str, acted: Array, lost: Array, ours: bool) -> Entry:
        rule, days = self.budget.rule, trial.spine["at"] // DAY
        n_days = len(np.unique(days))
        stopped = acted * lost * rule.prevents
        paid = np.where(acted, rule.cost, 0.0) + lost - stopped
        interval = partial(bootstrap, users=trial.people, seed=trial.seed, replicates=200)
        figures = {
            "cost per day": interval(lambda w: w @ paid / n_days),
            "stopped share": interval(lambda w: _share(w @ stopped, w @ lost)),
        }
        alerts = np.bincount(days - days.min(), acted) if len(days) else np.zeros(1)
        return Entry(name, figures, ours, f"{acted.sum() / n_days:,.0f} a day, at most {int(alerts.max()):,}")


def budgeted(budget: AlertBudget, gains: Array, at: Array, threshold: float) -> Array:
    """Which rows are acted on, (n_rows,) bool: the first `per_day` of each day (UTC) whose gain is high enough.

    >>> from types import SimpleNamespace as Budget
    >>> gains, at = np.array([2.0, 1.0, 3.0, 4.0, 9.0]), np.array([0, 1, 2, 3, DAY])
    >>> budgeted(Budget(per_day=2), gains, at, threshold=1.5).tolist()
    [True, False, True, False, True]
    """
    good = np.flatnonzero((gains > 0) & (gains >= threshold))
    good = good[np.argsort(at[good], kind="stable")]
    day = at[good] // DAY
    place = np.arange(len(good)) - np.searchsorted(day, day)
    acted = np.zeros(len(gains), np.bool_)
    acted[good[place < budget.per_day]] = True
    return acted


def _share(part: Array, whole: Array) -> Array:
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0))
