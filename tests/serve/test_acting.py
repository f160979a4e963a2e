"""Acting: the rule of costs and the budget of alerts, each against brute force over all thresholds."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array, Table
from sixfold._core.times import DAY
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.features import count, request
from sixfold.features.definitions import Feature
from sixfold.frame import Entity
from sixfold.serve import AlertBudget, CostThreshold, DecisionRequest

CARD = Entity("card")
PAID, ALERT = Events("paid", keys=(CARD,)), Events("alert", keys=(CARD,))
SEEN = Events("seen", keys=(CARD,), fields={"bad": bool})
FRAUD = Label("fraud", SEEN.bad, of=PAID, within="1d", matures="1d")
AMOUNT, TODAY = request("amount"), count(ALERT, by=(), over="today")
RULE = CostThreshold(FRAUD, cost=5.0, amount=AMOUNT)


@dataclass(frozen=True)
class Told:
    """A view of one request of which some features are known."""

    known: dict[str, float]
    request: DecisionRequest = field(default_factory=lambda: DecisionRequest("r", 1, 1, 0))

    def value(self, feature: Feature) -> Array:
        return np.asarray(self.known[feature.name])

    def values(self, feature: Feature, keys: Array) -> Array:
        raise NotImplementedError

    first = retriever = ranker = values


def heads(*p: float) -> Table:
    return Table({"fraud": np.array(p, np.float64)})


def decide(actor: Any, p: float, settings: dict[str, float], **known: float) -> Any:
    names = {"amount": AMOUNT.name, "today": TODAY.name}
    return actor.act(Told({names[key]: value for key, value in known.items()}), heads(p), settings)


def test_the_action_of_the_least_expected_cost() -> None:
    act = decide(RULE, 0.2, {"amount": 0.0}, amount=40.0)
    assert (act.action, act.values) == ("review", {"review": -5.0, "approve": -8.0})
    act = decide(RULE, 0.01, {"amount": 0.0}, amount=400.0)
    assert (act.action, act.values) == ("approve", {"review": -5.0, "approve": -4.0})


def test_a_review_that_prevents_half_is_worth_half() -> None:
    rule = CostThreshold(FRAUD, cost=5.0, amount=AMOUNT, loss=2.0, prevents=0.5)
    act = decide(rule, 0.2, {"amount": 0.0}, amount=40.0)
    assert (act.action, act.values) == ("review", {"review": -13.0, "approve": -16.0})


def test_a_missing_amount_is_the_mean_of_the_validation_rows() -> None:
    spine = Table({"amount": np.array([10.0, np.nan, 30.0]), "at": np.zeros(3, np.int64)})
    settings = RULE.fit(heads(0, 0, 0), heads(0, 0, 0), spine)
    assert settings == {"amount": 20.0}
    assert decide(RULE, 0.5, dict(settings), amount=np.nan).values["approve"] == -10.0
    plain = CostThreshold(FRAUD, cost=0.3)
    assert plain.fit(heads(0), heads(0), spine) == {"amount": 1.0}
    assert [decide(plain, p, {"amount": 1.0}).action for p in (0.2, 0.4)] == ["approve", "review"]


@given(seed=st.integers(0, 10**6), n=st.integers(1, 80), cost=st.floats(0.1, 20.0))
def test_no_threshold_is_expected_to_cost_less(seed: int, n: int, cost: float) -> None:
    rng = np.random.default_rng(seed)
    p, amount = rng.random(n), rng.exponential(30.0, n)
    rule = CostThreshold(FRAUD, cost=cost, amount=AMOUNT)
    acts = [decide(rule, q, {"amount": 0.0}, amount=a) for q, a in zip(p.tolist(), amount.tolist(), strict=True)]
    ours = -sum(act.values[act.action] for act in acts)
    at_risk = p * amount
    every = [np.where(at_risk >= t, cost, at_risk).sum() for t in (*at_risk.tolist(), np.inf)]
    assert ours <= min(every) + 1e-9


@given(seed=st.integers(0, 10**6), n=st.integers(1, 80), per_day=st.integers(1, 12), levels=st.integers(2, 40))
def test_the_threshold_is_the_lowest_that_keeps_the_budget(seed: int, n: int, per_day: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    p, at = rng.integers(0, levels, n) / levels, np.sort(rng.integers(0, 3 * DAY, n))
    spine = Table({"amount": np.full(n, 30.0), "at": at})
    settings = AlertBudget(RULE, per_day=per_day).fit(heads(*p), heads(*p), spine)
    gains, days = RULE.gains(p, spine["amount"]), len(set((at // DAY).tolist()))
    kept = [t for t in sorted({*gains[gains > 0].tolist(), np.inf}) if (gains >= t).sum() <= per_day * days]
    reached = gains[gains > 0] >= settings["threshold"]
    assert reached.sum() == (gains >= kept[0]).sum() == round(settings["alerts_per_day"] * days)


@given(seed=st.integers(0, 10**6), per_day=st.integers(1, 12))
def test_a_replay_of_days_never_spends_more_than_the_budget(seed: int, per_day: int) -> None:
    rng = np.random.default_rng(seed)
    budget = AlertBudget(RULE, per_day=per_day, spent=TODAY)
    quiet, busy = rng.random(60), rng.random(120) ** 0.5
    spine = Table({"amount": np.full(60, 30.0), "at": np.arange(60) % 3 * DAY})
    settings = dict(budget.fit(heads(*quiet), heads(*quiet), spine))
    alerts = 0
    for p in busy.tolist():
        act = decide(budget, p, settings, amount=30.0, today=alerts)
        alerts += act.action == "review"
        assert act.detail["threshold"] == settings["threshold"]
    gains = RULE.gains(busy, np.full(120, 30.0))
    assert alerts == min(per_day, int((gains >= settings["threshold"]).sum()))


def test_what_is_not_worth_it_is_not_done_to_spend_a_budget() -> None:
    spine = Table({"amount": np.full(3, 1.0), "at": np.zeros(3, np.int64)})
    settings = AlertBudget(RULE, per_day=100).fit(heads(1, 1, 1), heads(1, 1, 1), spine)
    assert settings["alerts_per_day"] == 0
    assert decide(AlertBudget(RULE, per_day=100), 1.0, dict(settings), amount=1.0).action == "approve"


@pytest.mark.parametrize(
    "make",
    [
        lambda: CostThreshold(FRAUD, cost=-1.0),
        lambda: CostThreshold(FRAUD, cost=1.0, prevents=0.0),
        lambda: CostThreshold(FRAUD, cost=1.0, do="approve"),
        lambda: AlertBudget(RULE, per_day=0),
    ],
)
def test_rules_that_make_no_sense_are_refused(make: Any) -> None:
    with pytest.raises(DefinitionError):
        make()
