"""Bidding for recorded auctions: against oracles, and closed loops on days whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.table import Array
from sixfold._core.times import DAY
from sixfold.evaluate.bidding import Day, best_multiplier, off_plan, paced, throttled, until_spent
from sixfold.features import request
from sixfold.serve import Pace

SPENT, BUDGET, OPENING = request("spent"), request("budget"), request("opening")
PACE = Pace(SPENT, BUDGET, OPENING, gain=40.0, most=3.0)

auctions = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=9)


@given(auctions, st.integers(0, 40))
def test_the_best_multiplier_is_the_best_of_all_that_could_be_tried(pairs: list[tuple[int, int]], budget: int) -> None:
    price, worth = (np.array(column, np.float64) for column in zip(*pairs, strict=True))
    levels = [0.0, *(p / w for p, w in pairs if w)]
    affordable = [
        m for m in levels if price[(m > 0) & (worth > 0) & (price / np.maximum(worth, 1e-9) <= m)].sum() <= budget
    ]
    assert best_multiplier(price, worth, float(budget)) == max(affordable)


@given(auctions, st.integers(1, 40))
def test_bids_until_spent_never_overspend(pairs: list[tuple[int, int]], budget: int) -> None:
    price, bids = (np.array(column, np.float64) for column in zip(*pairs, strict=True))
    won = until_spent(Day(np.arange(len(price)), price, bids, float(budget)), bids)
    assert price[won].sum() <= budget
    assert (bids[won] >= price[won]).all()


def day(n: int, share: float, seed: int, *, dearer: float = 1.0) -> tuple[Day, Array]:
    """A day of auctions whose prices go with what winning is worth, `dearer` in its second half, and that worth."""
    rng = np.random.default_rng(seed)
    worth = rng.lognormal(3.0, 0.7, n)
    price = worth**0.4 * rng.lognormal(2.0, 0.6, n)
    price[n // 2 :] *= dearer
    return Day(np.arange(n) * (DAY // n), price, worth, share * float(price.sum())), worth


@pytest.mark.parametrize("share", [0.5, 0.25, 0.1])
@pytest.mark.parametrize("dearer", [1.0, 2.0, 0.5])
def test_paced_bids_spend_the_budget_evenly_and_buy_what_hindsight_buys(share: float, dearer: float) -> None:
    today, worth = day(20_000, share, seed=1, dearer=dearer)
    won = paced(today, PACE)
    spent = today.price[won].sum()
    assert 0.98 * today.budget <= spent <= today.budget + today.price.max()
    assert off_plan(today, PACE, won) < 0.03
    best = best_multiplier(today.price, today.worth, today.budget)
    oracle = until_spent(today, best * today.worth)
    # Even spending costs something only where prices move: the oracle buys in the cheap half of the day.
    assert worth[won].sum() >= (0.995 if dearer == 1.0 else 0.93) * worth[oracle].sum()


def test_paced_bids_buy_more_than_a_constant_bid_and_than_chance() -> None:
    today, worth = day(20_000, 0.1, seed=2)
    mine = worth[paced(today, PACE)].sum()
    constant = until_spent(today, np.full(20_000, best_multiplier(today.price, np.ones(20_000), today.budget)))
    by_chance = throttled(today, PACE, seed=1)
    assert mine > 1.1 * worth[constant].sum()
    assert mine > 1.1 * worth[by_chance].sum()
    assert off_plan(today, PACE, by_chance) < 0.08


def test_without_an_opening_the_gain_bounds_the_distance_from_the_plan() -> None:
    # The multiplier that spends the budget is m; the pace says m when ahead by log(1 / m) / gain.
    plain = Pace(SPENT, BUDGET, gain=40.0, most=3.0)
    today, _ = day(20_000, 0.1, seed=3)
    best = best_multiplier(today.price, today.worth, today.budget)
    assert off_plan(today, plain, paced(today, plain)) == pytest.approx(abs(np.log(best)) / 40, abs=0.01)


def test_a_curve_is_followed() -> None:
    morning = Pace(SPENT, BUDGET, OPENING, gain=40.0, most=5.0, curve=(3.0, 1.0))
    today, _ = day(20_000, 0.25, seed=4)
    won = paced(today, morning)
    assert off_plan(today, morning, won) < 0.04
    assert today.price[:10_000][won[:10_000]].sum() == pytest.approx(0.75 * today.budget, rel=0.05)
