"""The conformance kits of models: call one from a test with a function that makes your config.

def test_my_ranker() -> None:
    check_ranker(lambda heads: MyRanker(heads=heads))
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import InputError, ModelError
from sixfold._core.table import Array, Table
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.frame import Entity
from sixfold.models.contract import Dataset, FittedRanker, Ranker
from sixfold.models.registry import load_ranker

__all__ = ["check_ranker", "example_dataset", "example_heads"]


def example_heads() -> tuple[Label, ...]:
    """Two heads of a small problem: `liked` is binary, `seconds` an amount."""
    user, item = Entity("user"), Entity("item")
    shown = Events("shown", keys=(user, item))
    seen = Events("seen", keys=(user, item), fields={"liked": bool, "seconds": float})
    return (
        Label("liked", seen.liked, of=shown, within="1h", matures="1h"),
        Label("seconds", seen.seconds, of=shown, within="1h", matures="1h"),
    )


def example_dataset(n_rows: int, seed: int) -> Dataset:
    """Impressions whose outcomes depend on a number, a text and a numbered category, with gaps and a dull column."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=n_rows)
    topic = rng.integers(0, 4, n_rows)
    author = rng.integers(0, 6, n_rows)
    score = quality + np.array([-1.0, 0.0, 0.5, 1.0])[topic] + np.array([0.0, 1.5, 0.0, -1.5, 0.0, 0.0])[author]
    liked = rng.random(n_rows) < 1 / (1 + np.exp(1 - score))
    seconds = np.where(rng.random(n_rows) < 0.2, 0.0, np.exp(1 + 0.7 * score + rng.normal(scale=0.5, size=n_rows)))
    topics = np.array(["news", "music", "sport", None], object)[topic]
    features = {
        "quality": np.where(rng.random(n_rows) < 0.1, np.nan, quality),
        "noise": rng.exponential(1e6, n_rows),
        "dull": np.zeros(n_rows),
        "topic": topics,
        "author": np.where(author == 5, np.nan, author * 1e9),
        "recent": rng.integers(-1, 9, (n_rows, 3)),
    }
    spine = {"at": np.arange(n_rows), "offset": np.arange(n_rows)}
    weights = {"liked": np.ones(n_rows), "seconds": np.ones(n_rows)}
    labels = {"liked": liked.astype(np.float64), "seconds": seconds}
    return Dataset(Table(features), Table(labels), Table(weights), Table(spine), frozenset({"liked"}), "example")


def check_ranker(make_config: Callable[[tuple[Label, ...]], Ranker]) -> None:
    """Raise AssertionError unless the ranker keeps the contract: what it learns, forgives, refuses and saves.

    `make_config` gets the labels to predict; their data have a numeric column `author` whose values are only names.
    """
    config = make_config(example_heads())
    train, validate, test = (example_dataset(n, seed) for n, seed in ((6_000, 1), (2_000, 2), (2_000, 3)))
    fitted = config.fit(train, validate, seed=1)
    again = config.fit(train, validate, seed=1)
    predicted = fitted.predict(test.features)
    assert fitted.heads == predicted.names == ("liked", "seconds"), "heads come in the order of the config"
    _check_learnt(predicted, test)
    _check_same(predicted, again.predict(test.features), "the same data, config and seed must give the same bytes")
    _check_forgiving(fitted, test.features)
    with pytest.raises(InputError):
        fitted.predict(test.features.select(["quality"]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fitted.save(folder)
        assert (folder / "model.json").is_file(), "a saved model states its kind in model.json"
        assert not [p for p in folder.rglob("*") if p.suffix in (".pkl", ".pickle", ".pt", ".joblib")], "no pickles"
        _check_same(predicted, load_ranker(folder).predict(test.features), "a loaded model must predict the same bytes")
    _check_refusals(config, train, validate)


def _check_learnt(predicted: Table, test: Dataset) -> None:
    p, y = predicted["liked"], test.labels["liked"]
    assert ((p >= 0) & (p <= 1)).all(), "a binary head predicts probabilities"
    assert np.isfinite(predicted["seconds"]).all() and (predicted["seconds"] >= 0).all()
    base = y.mean()
    best = -np.log(np.where(y > 0, base, 1 - base)).mean()
    loss = -np.log(np.clip(np.where(y > 0, p, 1 - p), 1e-9, 1)).mean()
    assert loss < 0.9 * best, f"log loss {loss:.3f} is hardly better than the base rate's {best:.3f}"
    # Two standard errors of a mean over 2,000 rows with these spreads are 8 % of it; learning adds about as much.
    ratio = predicted["seconds"].mean() / test.labels["seconds"].mean()
    assert 0.84 < ratio < 1.16, f"predicted amounts add up to {ratio:.2f} of what happened"
    assert np.corrcoef(predicted["seconds"], test.labels["seconds"])[0, 1] > 0.4, "amounts are hardly told apart"


def _check_same(one: Table, other: Table, why: str) -> None:
    assert all(one[name].tobytes() == other[name].tobytes() for name in one.names), why


def _check_close(one: Table, other: Table, why: str) -> None:
    assert all(np.allclose(one[name], other[name], rtol=1e-4, atol=1e-5) for name in one.names), why


def _check_forgiving(fitted: FittedRanker, features: Table) -> None:
    some = features.take(slice(0, 7))
    _check_close(fitted.predict(features).take(slice(0, 7)), fitted.predict(some), "rows must not see each other")
    assert len(fitted.predict(features.take(slice(0, 0)))) == 0, "no rows in, no rows out"
    same = Table({name: np.broadcast_to(values[3], values.shape) for name, values in some.items()})
    copied = Table({name: values.copy() for name, values in same.items()})
    _check_same(fitted.predict(same), fitted.predict(copied), "a broadcast column is a column like any other")
    strange: dict[str, Array] = {
        "quality": np.array([np.inf, -np.inf, np.nan, 1e300, -1e300, 0.0, 1.0]),
        "topic": np.array(["never seen", None, "", "news", "news", "news", "news"], object),
        "author": np.array([-1.0, np.nan, 1e300, 0.5, 0.0, 0.0, 0.0]),
    }
    odd = fitted.predict(some.with_columns(strange))
    assert all(np.isfinite(odd[name]).all() for name in odd.names), "strange values must still give finite predictions"
    shuffled = Table({name: some[name] for name in reversed(some.names)}).with_columns({"extra": np.zeros(7)})
    _check_same(fitted.predict(some), fitted.predict(shuffled), "columns are found by name")


def _check_refusals(config: Ranker, train: Dataset, validate: Dataset) -> None:
    empty = train.take(np.zeros(0, np.int64))
    flat = replace(train, labels=train.labels.with_columns({"liked": np.zeros(len(train))}))
    unnamed = replace(train, labels=train.labels.select(["seconds"]))
    for bad, good in (
        (empty, validate),
        (train, validate.take(np.zeros(0, np.int64))),
        (flat, validate),
        (unnamed, validate),
    ):
        with pytest.raises(ModelError):
            config.fit(bad, good, seed=1)
