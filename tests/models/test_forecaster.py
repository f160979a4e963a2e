"""Forecasters of all series at once: what they learn, that sizes do not matter, and what they keep."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import DefinitionError, InputError, ModelError
from sixfold._core.table import Table
from sixfold.data import Calendar, Events, Label
from sixfold.evaluate.forecasts import coverage, pinball, wmape
from sixfold.features import computed, request
from sixfold.frame import Entity
from sixfold.models import Forecaster, Persistence
from sixfold.models.contract import Dataset
from sixfold.models.registry import load_ranker

product = Entity("product", str)
sale = Events("sale", keys=(product,), fields={"quantity": float})
calendar = Calendar(sale, per=product, steps=7)
SOLD = Label("sold", sale.quantity, of=calendar, within="1d", matures="7d")
LEVEL, LAST = request("level", float), request("last", float)


def rows(n: int, seed: int, *, times: float = 1.0) -> Dataset:
    """Series of very different sizes with a weekly season; `last` is what the same weekday brought, with noise."""
    rng = np.random.default_rng(seed)
    level = rng.lognormal(2.0, 1.2, n)
    weekday = rng.integers(0, 7, n)
    mean = level * np.array([1.2, 1.0, 0.8, 0.9, 1.3, 1.8, 0.0])[weekday]
    features = {
        "level": np.where(rng.random(n) < 0.02, np.nan, level) * times,
        "last": rng.poisson(mean) * times,
        "weekday": weekday.astype(float),
        "department": np.array(["a", "b"], object)[rng.integers(0, 2, n)],
    }
    spine = Table({"at": np.arange(n), "offset": np.arange(n)})
    labels = Table({"sold": rng.poisson(mean) * times})
    weights = Table({"sold": np.ones(n)})
    return Dataset(Table(features), labels, weights, spine, frozenset(), "example")


def config(**settings: object) -> Forecaster:
    return replace(Forecaster((SOLD,), level=LEVEL, relative=(LAST,), max_trees=120), **settings)


TRAIN, VALIDATE, TEST = rows(6_000, 1), rows(2_500, 2), rows(2_500, 3)


def test_it_beats_last_week_and_its_interval_holds() -> None:
    found = config().fit(TRAIN, VALIDATE, seed=1).predict(TEST.features)
    naive = Persistence((SOLD,), of=LAST, level=LEVEL).fit(TRAIN, VALIDATE, seed=1).predict(TEST.features)
    truth = TEST.labels["sold"]
    assert found.names == naive.names == ("sold", "sold p10", "sold p50", "sold p90", "sold low", "sold high")
    assert wmape(truth, found["sold"]) < 0.9 * wmape(truth, naive["sold"])
    for share in (0.1, 0.5, 0.9):
        name = f"sold p{100 * share:g}"
        assert pinball(truth, found[name], share) < pinball(truth, naive[name], share)
    for model in (found, naive):
        # Two standard errors of a share of 2,500 rows, twice: fitted on one such part, tried on another.
        assert 0.76 < coverage(truth, model["sold low"], model["sold high"]) < 0.84


def test_quantiles_do_not_cross_and_are_whole() -> None:
    found = config().fit(TRAIN, VALIDATE, seed=1).predict(TEST.features)
    assert (found["sold p10"] <= found["sold p50"]).all() and (found["sold p50"] <= found["sold p90"]).all()
    assert (found["sold low"] <= found["sold high"]).all() and (found["sold low"] >= 0).all()
    assert all((found[name] == np.rint(found[name])).all() for name in found.names)
    assert found["sold"].tobytes() == found["sold p50"].tobytes()
    fine = config(whole=False).fit(TRAIN, VALIDATE, seed=1).predict(TEST.features)
    assert (fine["sold"] != np.rint(fine["sold"])).any()


def test_in_another_unit_it_forecasts_the_same_in_that_unit() -> None:
    one = config(whole=False).fit(TRAIN, VALIDATE, seed=1).predict(TEST.features)
    big = config(whole=False).fit(rows(6_000, 1, times=1024), rows(2_500, 2, times=1024), seed=1)
    other = big.predict(rows(2_500, 3, times=1024).features)
    # The level itself is a feature too: where its borders fall differs by rounding alone.
    assert np.isclose(np.median(other["sold"] / np.maximum(one["sold"], 1e-9)), 1024, rtol=0.01)


@pytest.mark.parametrize("kind", ["forecaster", "persistence"])
def test_what_was_saved_predicts_the_same(kind: str, tmp_path: Path) -> None:
    make = config() if kind == "forecaster" else Persistence((SOLD,), of=LAST, level=LEVEL)
    fitted, again = (make.fit(TRAIN, VALIDATE, seed=1) for _ in range(2))
    fitted.save(tmp_path)
    loaded = load_ranker(tmp_path)
    assert loaded.heads == fitted.heads == ("sold",)
    expected = fitted.predict(TEST.features)
    for other in (again, loaded):
        found = other.predict(TEST.features)
        assert all(found[name].tobytes() == expected[name].tobytes() for name in expected.names)
    assert not [path for path in tmp_path.iterdir() if path.suffix not in (".json", ".npz", ".cbm")]
    assert len(loaded.predict(TEST.features.take(slice(0, 0)))) == 0
    some = loaded.predict(TEST.features.take(slice(0, 7)))
    assert all(np.allclose(some[name], expected[name][:7]) for name in expected.names)
    with pytest.raises(InputError):
        loaded.predict(TEST.features.select(["weekday"]))


def test_strange_values_give_finite_forecasts() -> None:
    fitted = config().fit(TRAIN, VALIDATE, seed=1)
    strange = {"level": np.array([np.nan, 0.0, -1.0, 1e-300]), "last": np.array([np.inf, np.nan, -5.0, 1e300])}
    found = fitted.predict(TEST.features.take(slice(0, 4)).with_columns(strange))
    assert all(np.isfinite(found[name]).all() and (found[name] >= 0).all() for name in found.names)


def test_without_the_level_every_series_is_of_one_size() -> None:
    small = [replace(part, features=part.features.select(["weekday", "department"])) for part in (TRAIN, VALIDATE)]
    found = config().fit(*small, seed=1).predict(TEST.features)
    assert len(np.unique(found["sold"])) <= 14


def test_few_rows_are_drawn_of_many() -> None:
    few = config(max_rows=500).fit(TRAIN, VALIDATE, seed=1).predict(TEST.features)
    assert wmape(TEST.labels["sold"], few["sold"]) < 0.6


def test_what_cannot_be_learnt_is_refused() -> None:
    binary = replace(TRAIN, binary=frozenset({"sold"}))
    unnamed = replace(TRAIN, labels=Table({"other": TRAIN.labels["sold"]}))
    nothing = TRAIN.take(np.zeros(0, np.int64))
    for bad, good in ((binary, VALIDATE), (unnamed, VALIDATE), (nothing, VALIDATE), (TRAIN, nothing)):
        for make in (config(), Persistence((SOLD,), of=LAST)):
            with pytest.raises(ModelError):
                make.fit(bad, good, seed=1)
    for quantiles in ((0.5,), (0.1, 0.9), (0.9, 0.5, 0.1), (0.0, 0.5, 0.9)):
        with pytest.raises(DefinitionError, match="quantiles must rise"):
            Forecaster((SOLD,), quantiles=quantiles)
        with pytest.raises(DefinitionError, match="quantiles must rise"):
            Persistence((SOLD,), of=computed("x", LAST + 1), quantiles=quantiles)
