"""Acting on a prediction: by what each action is expected to cost, and within what people have time to look at."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array, Table
from sixfold._core.times import DAY
from sixfold.features.definitions import Feature, Request
from sixfold.frame import Outcome
from sixfold.serve.stages import Act, View

__all__ = ["AlertBudget", "CostThreshold"]


@dataclass(frozen=True, slots=True)
class CostThreshold:
    """Acts where that is expected to cost less than not to (Elkan 2001, equation 1); costs in the unit of `amount`.

    Not acting costs P(outcome) x amount x `loss`. Acting costs `cost`, whatever comes of it, and what it does not
    prevent: P(outcome) x amount x `loss` x (1 - `prevents`). What an action is worth is minus its cost. Without
    `amount` all events are worth 1; where the amount is missing, the mean of the validation rows stands for it.
    """

    outcome: Outcome
    cost: float
    amount: Request | None = None
    loss: float = 1.0
    prevents: float = 1.0
    do: str = "review"
    default: str = "approve"
    name: str = "cost"

    def __post_init__(self) -> None:
        problems = []
        if self.cost < 0 or self.loss <= 0 or not 0 < self.prevents <= 1:
            problems.append(
                f"{self.name}: give cost >= 0, loss > 0 and prevents within (0, 1], not {self.cost}, {self.loss} "
                f"and {self.prevents}"
            )
        if self.do == self.default:
            problems.append(f"{self.name}: to act and not to act are both called {self.do!r}")
        if problems:
            raise DefinitionError(problems)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The amount."""
        return () if self.amount is None else (self.amount,)

    def gains(self, probability: Array, amount: Array) -> Array:
        """By how much acting is expected to cost less than not acting, (n_rows,)."""
        return np.asarray(probability * amount * self.loss * self.prevents - self.cost)

    def amounts(self, spine: Table) -> Array:
        """What each row of a spine is worth, (n_rows,), NaN where that is not known."""
        return np.ones(len(spine)) if self.amount is None else spine[self.amount.name].astype(np.float64)

    def fit(self, truth: Table, predictions: Table, spine: Table) -> Mapping[str, float]:
        """`amount`: what stands for one that is missing. The costs are given, so there is nothing else to learn."""
        amounts = self.amounts(spine)
        known = amounts[~np.isnan(amounts)]
        return {"amount": float(known.mean()) if len(known) else 0.0}

    def act(self, view: View, heads: Table, settings: Mapping[str, float]) -> Act:
        """The action of the least expected cost, the default where both cost the same."""
        probability = float(heads[self.outcome.name][0])
        amount = 1.0 if self.amount is None else float(view.value(self.amount))
        if np.isnan(amount):
            amount = settings["amount"]
        gain = float(self.gains(np.array(probability), np.array(amount)))
        waiting = -probability * amount * self.loss
        values = {self.do: waiting + gain, self.default: waiting}
        return Act(self.do if gain > 0 else self.default, values, {"probability": probability, "amount": amount})


@dataclass(frozen=True, slots=True)
class AlertBudget:
    """Acts where `rule` does, on the events that gain most by it, as many a day as people can look at.

    The threshold is the lowest gain at which the validation rows give at most `per_day` alerts a day on average: a
    busier day would have more. `spent`, a feature that counts the alerts of today, makes the budget hard: once it is
    spent nothing more is done that day. An alert counts when its event is in the log: alerts decided at the same time
    do not see each other, so as many as are decided at once may come on top. Without `spent` the budget is kept on
    average only.
    """

    rule: CostThreshold
    per_day: int
    spent: Feature | None = None
    name: str = "budget"

    def __post_init__(self) -> None:
        if self.per_day < 1:
            raise DefinitionError([f"{self.name}: give per_day of at least 1, not {self.per_day}"])

    @property
    def default(self) -> str:
        """That of the rule."""
        return self.rule.default

    @property
    def features(self) -> tuple[Feature, ...]:
        """Those of the rule, and what counts today's alerts."""
        return (*self.rule.features, *(() if self.spent is None else (self.spent,)))

    def fit(self, truth: Table, predictions: Table, spine: Table) -> Mapping[str, float]:
        """`threshold` in the unit of the amount, `alerts_per_day` at it, and the settings of the rule."""
        settings = self.rule.fit(truth, predictions, spine)
        amounts = self.rule.amounts(spine)
        amounts = np.where(np.isnan(amounts), settings["amount"], amounts)
        gains = self.rule.gains(predictions[self.rule.outcome.name], amounts)
        days = len(np.unique(spine["at"] // DAY))
        threshold, alerts = _threshold(gains, self.per_day * days)
        return {**settings, "threshold": threshold, "alerts_per_day": alerts / max(days, 1)}

    def act(self, view: View, heads: Table, settings: Mapping[str, float]) -> Act:
        """What the rule does, where the gain reaches the threshold and something of the budget is left."""
        act = self.rule.act(view, heads, settings)
        gain = act.values[self.rule.do] - act.values[self.default]
        spent = 0.0 if self.spent is None else float(view.value(self.spent))
        good = act.action == self.rule.do and gain >= settings["threshold"] and spent < self.per_day
        detail = {**act.detail, "threshold": settings["threshold"], "spent": spent}
        return Act(self.rule.do if good else self.default, act.values, detail)


def _threshold(gains: Array, alerts: int) -> tuple[float, int]:
    """The lowest gain above 0 that at most so many rows reach, and how many reach it.

    >>> _threshold(np.array([3.0, 1.0, 2.0, 2.0, -1.0]), 2)  # 2.0 is reached by three
    (3.0, 1)
    """
    worth, n = np.unique(gains[gains > 0], return_counts=True)
    reached = np.cumsum(n[::-1])[::-1]
    good = np.flatnonzero(reached <= alerts)
    if len(good):
        return float(worth[good[0]]), int(reached[good[0]])
    return (float(np.nextafter(worth[-1], np.inf)), 0) if len(worth) else (0.0, 0)
