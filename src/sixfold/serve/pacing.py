"""Pacing: spending a day's budget evenly, by a multiplier on bids that the log alone determines."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array
from sixfold._core.times import DAY
from sixfold.features.definitions import Feature
from sixfold.serve.stages import View

__all__ = ["Pace"]


@dataclass(frozen=True, slots=True)
class Pace:
    """How much of its bid an item may bid now, so that what it has `spent` today follows the plan for its `budget`.

    multiplier = min(most, opening x exp(-gain x (spent / budget - planned share))), and 0 once the budget is spent.

    That is the dual step of adaptive pacing (Balseiro and Gur 2019, algorithm 1) added up over the day, with the plan
    as the target and steps that multiply: the sum of the steps is what was spent beyond the plan, so the multiplier
    needs no memory of its own. It is a function of the prefix of the log and of the time, and decisions replay. To be
    ahead of the plan by 1 % of the budget lowers bids by 1 - exp(-gain / 100).

    `spent` and `budget` are features of the item in one currency, such as sum(shown.price, by=campaign, over="today")
    and attribute(meta.budget); a missing budget is endless. `opening` is the multiplier that was right lately, such as
    mean(shown.pace, by=campaign, over="1d"); missing stands for 1. `most` above 1 lets an owner pay more than its bid.
    `curve` is the plan: the shares of the budget for equal parts of the day, such as 24 for the hours; none means
    evenly. Days begin at midnight UTC, like windows over "today".
    """

    spent: Feature
    budget: Feature
    opening: Feature | None = None
    gain: float = 20.0
    most: float = 1.0
    curve: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        problems = [] if self.gain > 0 else [f"Pace: gain must be positive, not {self.gain}"]
        problems += [] if self.most > 0 else [f"Pace: most must be positive, not {self.most}"]
        if self.curve and (min(self.curve) < 0 or sum(self.curve) <= 0):
            problems.append("Pace: the shares of the curve must not be negative, and not all 0")
        if problems:
            raise DefinitionError(problems)

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the multiplier is a function of, besides the time."""
        return (self.spent, self.budget, *([self.opening] if self.opening is not None else []))

    def multipliers(self, view: View, keys: Array) -> Array:
        """The multiplier of each item at the time of the request, (n_items,)."""
        opening = 1.0 if self.opening is None else view.values(self.opening, keys)
        spent, budget = view.values(self.spent, keys), view.values(self.budget, keys)
        return self.multiplier(spent, budget, view.request.at, opening)

    def multiplier(self, spent: Any, budget: Any, at: Any, opening: Any = 1.0) -> Array:
        """The multiplier, of the shape that the arguments have together; `at` in microseconds.

        >>> from sixfold.features import request
        >>> pace = Pace(request("spent"), request("budget"), gain=10.0)
        >>> noon = DAY // 2
        >>> pace.multiplier(np.array([5.0, 4.0, 6.0, 10.0]), 10.0, noon).round(3).tolist()
        [1.0, 1.0, 0.368, 0.0]
        """
        spent, budget = np.nan_to_num(np.asarray(spent, np.float64)), np.asarray(budget, np.float64)
        opening = np.asarray(opening, np.float64)
        opening = np.where(np.isfinite(opening), opening, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ahead = spent / budget - self.planned(at)
        paced = np.minimum(self.most, opening * np.exp(np.clip(-self.gain * ahead, -50.0, 50.0)))
        return np.where(np.isnan(budget), 1.0, np.where(spent < budget, paced, 0.0))

    def planned(self, at: Any) -> Array:
        """The share of the day's budget that should be spent by the instant `at`.

        >>> from sixfold.features import request
        >>> Pace(request("spent"), request("budget"), curve=(1.0, 3.0)).planned(np.array([0, DAY // 2, DAY - DAY // 4]))
        array([0.   , 0.25 , 0.625])
        """
        passed = np.asarray(at, np.int64) % DAY / DAY
        if not self.curve:
            return np.asarray(passed)
        reached = np.concatenate([[0.0], np.cumsum(self.curve)]) / sum(self.curve)
        return np.asarray(np.interp(passed, np.linspace(0.0, 1.0, len(reached)), reached))
