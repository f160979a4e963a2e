"""Bidding through a day of recorded auctions, and what each way of bidding buys: the arithmetic, no reports."""

import math
from dataclasses import dataclass

import numpy as np

from sixfold._core.table import Array
from sixfold.serve.pacing import Pace

__all__ = ["Day", "best_multiplier", "off_plan", "paced", "throttled", "until_spent"]


@dataclass(frozen=True, slots=True)
class Day:
    """The auctions of one day for one budget, in order: instants, market prices, and what winning each is worth.

    `price` is the highest bid of the others, which the winner pays; all (n_auctions,), `at` in microseconds.
    """

    at: Array
    price: Array
    worth: Array
    budget: float


def until_spent(day: Day, bids: Array) -> Array:
    """Which auctions are won by these bids before the first that the budget does not cover, (n_auctions,) bool.

    >>> day = Day(np.arange(4), np.array([3.0, 5.0, 3.0, 3.0]), np.ones(4), budget=7.0)
    >>> until_spent(day, np.full(4, 4.0)).tolist()
    [True, False, True, False]
    """
    won = bids >= day.price
    return np.asarray(won & (np.cumsum(np.where(won, day.price, 0.0)) <= day.budget))


def best_multiplier(price: Array, worth: Array, budget: float) -> float:
    """The greatest factor on the worth that spends at most the budget over all of these auctions.

    Of all ways to bid a constant multiple of the worth, that buys most: every auction won at a smaller factor is won at
    a greater one too. With a worth of 1 throughout it is the best constant bid.

    >>> best_multiplier(np.array([1.0, 2.0, 3.0]), np.ones(3), budget=3.0)
    2.0
    """
    factor = np.divide(price, worth, out=np.full(len(price), np.inf), where=worth > 0)
    levels, group = np.unique(factor, return_inverse=True)
    cost = np.cumsum(np.bincount(group, price, minlength=len(levels)))
    within = np.flatnonzero((cost <= budget) & np.isfinite(levels))
    return float(levels[within[-1]]) if len(within) else 0.0


def paced(day: Day, pace: Pace) -> Array:
    """Which auctions the pace wins, asked before each with what was spent by then, (n_auctions,) bool.

    Where the pace has an `opening`, it is the mean multiplier of the auctions won so far today: what a mean over the
    last day says when the day before bought nothing.
    """
    won = np.zeros(len(day.price), np.bool_)
    spent, total, n_won = 0.0, 0.0, 0
    learns = pace.opening is not None
    for i, (at, price, worth) in enumerate(zip(day.at.tolist(), day.price.tolist(), day.worth.tolist(), strict=True)):
        opening = total / n_won if learns and n_won else 1.0
        multiplier = float(pace.multiplier(spent, day.budget, at, opening))
        if multiplier > 0 and multiplier * worth >= price:
            won[i] = True
            spent, total, n_won = spent + price, total + multiplier, n_won + 1
    return won


def throttled(day: Day, pace: Pace, seed: int) -> Array:
    """Which auctions full bids win that take part by chance only, less often when ahead of the plan; bool.

    The usual alternative to lower bids: the same plan and gain, but for the chance to take part.
    """
    won = np.zeros(len(day.price), np.bool_)
    planned, chance = pace.planned(day.at).tolist(), np.random.default_rng(seed).random(len(day.price)).tolist()
    spent = 0.0
    for i, (price, worth) in enumerate(zip(day.price.tolist(), day.worth.tolist(), strict=True)):
        ahead = spent / day.budget - planned[i]
        takes_part = spent < day.budget and chance[i] < math.exp(min(-pace.gain * ahead, 0.0))
        if takes_part and worth >= price:
            won[i] = True
            spent += price
    return won


def off_plan(day: Day, pace: Pace, won: Array) -> float:
    """The largest distance over the day between the share of the budget that is spent and the planned one.

    >>> from sixfold.features import request
    >>> day = Day(np.arange(4) * 6 * 3_600_000_000, np.ones(4), np.ones(4), budget=4.0)
    >>> off_plan(day, Pace(request("spent"), request("budget")), np.array([True, True, False, True]))
    0.25
    """
    spent = np.cumsum(np.where(won, day.price, 0.0)) / day.budget
    before = np.concatenate([[0.0], spent[:-1]])
    planned = pace.planned(day.at)
    return float(max(np.abs(spent - planned).max(), np.abs(before - planned).max()))
