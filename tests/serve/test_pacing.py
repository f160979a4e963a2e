"""The multiplier is a pure function that follows the plan."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.times import DAY, HOUR
from sixfold.features import request
from sixfold.serve import Pace

PACE = Pace(request("spent"), request("budget"), request("opening"))
shares = st.floats(0, 2)


@given(shares, shares, st.integers(0, DAY - 1))
def test_who_is_further_ahead_bids_less(one: float, other: float, at: int) -> None:
    low, high = sorted((one, other))
    assert float(PACE.multiplier(high, 1.0, at)) <= float(PACE.multiplier(low, 1.0, at))


@given(shares, st.integers(0, DAY - 2), st.floats(0.1, 3))
def test_waiting_never_lowers_a_bid_within_a_day(spent: float, at: int, opening: float) -> None:
    assert float(PACE.multiplier(spent, 1.0, at, opening)) <= float(PACE.multiplier(spent, 1.0, at + 1, opening))


@given(shares, st.integers(0, 10 * DAY), st.floats(0.1, 3))
def test_never_beyond_its_bounds(spent: float, at: int, opening: float) -> None:
    said = float(PACE.multiplier(spent, 1.0, at, opening))
    assert 0 <= said <= PACE.most
    assert (said == 0) == (spent >= 1.0)


def test_on_plan_the_opening_holds() -> None:
    said = PACE.multiplier(np.array([2.5, 2.5, 2.5]), 10.0, DAY // 4, np.array([0.3, np.nan, 7.0]))
    assert said.tolist() == [0.3, 1.0, 1.0]


def test_currency_does_not_matter() -> None:
    assert float(PACE.multiplier(30.0, 100.0, 7 * HOUR)) == float(PACE.multiplier(30_000.0, 100_000.0, 7 * HOUR))


def test_endless_and_empty_budgets() -> None:
    assert PACE.multiplier(np.array([5.0, 0.0, np.nan]), np.array([np.nan, 0.0, 4.0]), 0).tolist() == [1.0, 0.0, 1.0]
