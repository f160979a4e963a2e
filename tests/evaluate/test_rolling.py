"""Rolling origins on a trial made by hand: figures, differences, and what each step shows."""

import numpy as np
import pytest

from sixfold._core.errors import DataError, DefinitionError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY
from sixfold.data import Calendar, Events, Label
from sixfold.evaluate import RollingOrigin, StepByStep
from sixfold.evaluate.measures import OURS, Trial
from sixfold.frame import Entity

PRODUCT = Entity("product", str)
SALE = Events("sale", keys=(PRODUCT,), fields={"quantity": float})
CALENDAR = Calendar(SALE, per=PRODUCT, steps=2)
SOLD = Label("sold", SALE.quantity, of=CALENDAR, within="1d", matures="2d")
START = 400 * DAY


def predicted(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> Table:
    columns = {"sold": values, "sold p10": low, "sold p50": values, "sold p90": high}
    return Table({**columns, "sold low": low, "sold high": high})


def trial(n_series: int = 30, origins: int = 3) -> Trial:
    rng = np.random.default_rng(0)
    names = column([f"P{i}" for i in range(n_series)], str)
    n = n_series * origins * 2
    key, step = np.repeat(names, origins * 2), np.tile([1.0, 2.0], n_series * origins)
    at = START + np.tile(np.repeat(np.arange(origins), 2), n_series) * DAY
    truth = rng.poisson(5, n).astype(float)
    # 70 days of sales before: two units on even weeks, four on odd ones, so last week's day is off by two.
    day = np.tile(np.arange(70), n_series)
    happened = START - (day + 1) * DAY
    sale = {
        "product": np.repeat(names, 70),
        "at": happened,
        "quantity": np.where(day // 7 % 2 == 0, 2.0, 4.0),
        "offset": np.arange(len(day)),
    }
    good = np.maximum(truth + rng.integers(-1, 2, n), 0)
    bad = np.maximum(truth + rng.integers(-4, 5, n), 0)
    predictions = {
        OURS: predicted(good, good - 1, good + 1),
        "no quantiles": Table({"sold": bad}),
        "seasonal naive": predicted(bad, bad - 4, bad + 4),
    }
    return Trial(
        spine=Table({"product": key, "at": at, "step": step}),
        features=Table({}, n_rows=n),
        labels=Table({"sold": truth}),
        predictions=predictions,
        history={"sale": Table(sale)},
        people=key,
        start=START,
        decide=None,
        request=None,
        seed=1,
    )


def test_ours_stands_beside_the_rival_and_the_difference_is_paired() -> None:
    one = trial()
    comparison, figures = RollingOrigin(SOLD).measure(one)
    assert [entry.name for entry in comparison.entries] == [OURS, "seasonal naive"]
    assert set(figures) == set(RollingOrigin(SOLD).metrics)
    truth, good, bad = one.labels["sold"], one.predictions[OURS]["sold"], one.predictions["seasonal naive"]["sold"]
    wmape = [np.abs(truth - values).sum() / truth.sum() for values in (good, bad)]
    assert np.isclose(float(figures["wmape"]), wmape[0])
    assert np.isclose(float(figures["wmape_gain"]), wmape[1] - wmape[0])
    assert figures["wmape_gain"].above_zero and figures["pinball_gain"].above_zero
    assert float(figures["coverage"]) == 1.0 and float(figures["width"]) == 2.0
    assert np.isclose(float(figures["mase"]), np.abs(truth - good).mean() / 2)
    sold = truth > 0
    assert np.isclose(float(figures["mape"]), (np.abs(truth - good)[sold] / truth[sold]).mean())
    assert figures["wmape"].n_users == 30
    assert "3 origins between 1971-02-05 and 1971-02-07" in comparison.note
    assert "behind by" in comparison.entries[1].note


def test_each_step_is_measured_by_itself() -> None:
    one = trial()
    comparison, figures = StepByStep(SOLD, steps=(1, 2)).measure(one)
    assert figures == {} and comparison.metrics == ("wMAPE@1", "wMAPE@2")
    truth, ours = one.labels["sold"], one.predictions[OURS]["sold"]
    for step in (1, 2):
        rows = one.spine["step"] == step
        expected = np.abs(truth - ours)[rows].sum() / truth[rows].sum()
        assert np.isclose(float(comparison.entries[0].metrics[f"wMAPE@{step}"]), expected)


def test_what_does_not_forecast_is_refused() -> None:
    shown = Events("shown", keys=(PRODUCT,))
    other = Label("sold", SALE.quantity, of=shown, within="1d", matures="2d")
    with pytest.raises(DefinitionError, match="an amount of a calendar"):
        RollingOrigin(other)
    one = trial()
    object.__setattr__(one, "predictions", {OURS: Table({"sold": one.labels["sold"]})})
    with pytest.raises(DataError, match="gives no forecasts of 'sold'"):
        RollingOrigin(SOLD).measure(one)
