"""What policies would have cost, against a loop over the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.table import Table
from sixfold._core.times import DAY
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.evaluate.action_costs import ActionCosts, budgeted
from sixfold.evaluate.measures import OURS, Trial
from sixfold.features import request
from sixfold.frame import Entity
from sixfold.serve import AlertBudget, CostThreshold

CARD = Entity("card")
PAID = Events("paid", keys=(CARD,), fields={"amount": float})
SEEN = Events("seen", keys=(CARD,), fields={"bad": bool})
FRAUD = Label("fraud", SEEN.bad, of=PAID, within="1d", matures="1d")
RULE = CostThreshold(FRAUD, cost=5.0, amount=request("amount"), prevents=0.5)


def trial(seed: int, n: int = 300) -> Trial:
    rng = np.random.default_rng(seed)
    p = rng.random(n) ** 3
    truth = (rng.random(n) < p).astype(float)
    at = np.sort(rng.integers(0, 3 * DAY, n))
    spine = Table({"card": rng.integers(0, 40, n), "at": at, "amount": rng.exponential(40.0, n)})
    predictions = {OURS: Table({"fraud": p}), "nothing": Table({"fraud": np.zeros(n)})}
    return Trial(
        spine=spine,
        features=Table({}, n_rows=n),
        labels=Table({"fraud": truth}),
        predictions=predictions,
        history={},
        people=spine["card"],
        start=0,
        decide=_never,
        request=_never,
        seed=1,
        settings={"amount": 1.0, "threshold": 3.0},
    )


@given(seed=st.integers(0, 10**6), per_day=st.integers(1, 60))
def test_every_policy_costs_what_a_loop_counts(seed: int, per_day: int) -> None:
    told = trial(seed)
    table, figures = ActionCosts(AlertBudget(RULE, per_day=per_day)).measure(told)
    cost = stopped = lost = 0.0
    alerts = {0: 0, 1: 0, 2: 0}
    rows = zip(told.spine.rows(), told.labels["fraud"], told.predictions[OURS]["fraud"], strict=True)
    for row, bad, p in rows:
        gain = p * row["amount"] * 0.5 - 5.0
        day = row["at"] // DAY
        lost += bad * row["amount"]
        if gain > 0 and gain >= 3.0 and alerts[day] < per_day:
            alerts[day] += 1
            cost += 5.0 + bad * row["amount"] * 0.5
            stopped += bad * row["amount"] * 0.5
        else:
            cost += bad * row["amount"]
    days = len(set((told.spine["at"] // DAY).tolist()))
    assert float(figures["cost_per_day"]) == pytest.approx(cost / days)
    assert float(figures["stopped_share"]) == pytest.approx(stopped / lost)
    assert table.entries[0].ours and f"at most {max(alerts.values())}" in table.entries[0].note


def test_doing_nothing_and_everything_are_beside_it() -> None:
    told = trial(0)
    table, _ = ActionCosts(AlertBudget(RULE, per_day=10)).measure(told)
    by_name = {entry.name: entry.metrics for entry in table.entries}
    lost = float((told.labels["fraud"] * told.spine["amount"]).sum())
    assert by_name["approve all"]["cost per day"].value == pytest.approx(lost / 3)
    assert by_name["review all"]["cost per day"].value == pytest.approx((lost / 2 + 5 * 300) / 3)
    assert by_name["the same, by nothing"]["cost per day"].value == pytest.approx(lost / 3)
    worth_it = by_name["review where it is worth it"]["cost per day"].value
    assert worth_it < by_name["review within 10 a day"]["cost per day"].value < lost / 3


@given(seed=st.integers(0, 10**6), per_day=st.integers(1, 9))
def test_the_budget_is_spent_first_come_first_served(seed: int, per_day: int) -> None:
    rng = np.random.default_rng(seed)
    gains, at = rng.normal(size=80), rng.permutation(80) * (DAY // 20)
    acted = budgeted(AlertBudget(RULE, per_day=per_day), gains, at, 0.3)
    left = dict.fromkeys(range(4), per_day)
    for row in np.argsort(at).tolist():
        wanted = gains[row] >= 0.3 and left[at[row] // DAY] > 0
        assert acted[row] == wanted
        left[at[row] // DAY] -= wanted


def _never(_: object) -> None:
    raise AssertionError("nothing is decided")
