"""The conformance kits of models: call one from a test with a function that makes your config.

def test_my_ranker() -> None:
    check_ranker(lambda heads: MyRanker(heads=heads))

def test_my_retriever() -> None:
    check_retriever(MyRetriever)
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sixfold._core.errors import InputError, ModelError
from sixfold._core.table import Array, Table, column
from sixfold._core.times import MINUTE
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.frame import Entity
from sixfold.models.contract import Dataset, FittedRanker, FittedRetriever, Interactions, Ranker, Retriever
from sixfold.models.registry import load_ranker, load_retriever

__all__ = [
    "check_ranker",
    "check_retriever",
    "consumed_keys",
    "example_dataset",
    "example_heads",
    "example_interactions",
]


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
    same = Table({name: np.broadcast_to(values[3:4], values.shape) for name, values in some.items()})
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


def example_interactions(n_users: int = 300, *, seed: int = 1, key: type = int) -> Interactions:
    """People of four tastes over 60 items: everybody consumes mostly the 15 items of one taste, popular ones more.

    Keys are in no order; text keys where `key` is str. The catalogue has a text, a number with gaps and a dull column.
    """
    rng = np.random.default_rng(seed)
    n_items, length = 60, 8
    numbers = rng.permutation(n_items) * 7 + 3
    keys = numbers if key is int else column([f"item-{number}" for number in numbers.tolist()], str)
    taste = np.arange(n_items) % 4
    popular = 1.0 / (1 + np.arange(n_items) // 4)
    users, items, histories = [], [], []
    for user in range(n_users):
        chance = popular * np.where(taste == user % 4, 1.0, 0.03)
        drawn = rng.choice(n_items, size=rng.integers(2, 13), replace=False, p=chance / chance.sum())
        for i, item in enumerate(drawn.tolist()):
            before = drawn[max(0, i - length) : i]
            users.append(user)
            items.append(item)
            histories.append(np.concatenate([np.full(length - len(before), -1), before]))
    order = rng.permutation(len(users))
    satisfied = rng.random(len(users)) < 0.5
    events = Table({
        "user": np.array(users)[order],
        "item": keys[np.array(items)[order]],
        "at": np.arange(len(users)) * MINUTE,
        "weight": np.where(satisfied, 1.0, 0.5),
        "satisfied": satisfied,
    })  # fmt: skip
    topics = column([None if i % 10 == 9 else f"topic-{i % 4}" for i in range(n_items)], str)
    size = np.where(np.arange(n_items) % 7 == 6, np.nan, rng.normal(size=n_items))
    catalog = Table({"item": keys, "topic": topics, "size": size, "dull": np.zeros(n_items)})
    return Interactions(events, np.stack(histories)[order].astype(np.int32), catalog, f"example-{n_users}-{seed}")


def consumed_keys(data: Interactions, rows: Any) -> Array:
    """Some histories as the service gives them to a fitted retriever: item keys, padded with -1 or None."""
    keys = data.catalog["item"]
    pad = column([None], str) if keys.dtype == object else np.array([-1])
    found: Array = np.concatenate([keys, pad])[data.histories[rows]]
    return found


def check_retriever(make_config: Callable[[], Retriever], *, personal: bool = True) -> None:
    """Raise AssertionError unless the retriever keeps the contract: what it finds, forgives, refuses and saves.

    `personal=False` for one that gives everybody the same answer.
    """
    config = make_config()
    for key in (int, str):
        data = example_interactions(key=key)
        fitted = config.fit(data, seed=1)
        histories = consumed_keys(data, slice(40))
        scores = fitted.scores(histories)
        assert scores.shape == (40, len(fitted.items)) and scores.dtype == np.float32
        assert np.isfinite(scores).all(), "scores must be finite"
        assert set(fitted.items.tolist()) <= set(data.catalog["item"].tolist()), "only items of the catalogue"
        again = config.fit(data, seed=1).scores(histories)
        assert scores.tobytes() == again.tobytes(), "the same data, config and seed must give the same bytes"
        _check_order(fitted, histories)
        _check_strange_histories(fitted, histories, key)
        _check_retriever_saves(fitted, histories)
        if personal:
            _check_finds_taste(fitted, data)
    _check_retriever_refusals(config)


def _check_order(fitted: FittedRetriever, histories: Array) -> None:
    place = {key: row for row, key in enumerate(fitted.items.tolist())}
    n = len(fitted.items)
    for history in histories[:10]:
        scores = fitted.scores(history[None])[0]
        for k in (0, 1, 7, n, n + 5):
            keys, found = fitted.retrieve(history, k)
            assert len(keys) == len(found) == min(k, n), "k items, or all there are"
            assert found.dtype == np.float32 and keys.dtype == fitted.items.dtype
            rows = [place[item] for item in keys.tolist()]
            assert found.tobytes() == scores[rows].tobytes(), "retrieve and scores must agree to the bit"
            best = sorted(range(n), key=lambda row: (-scores[row], row))
            assert rows == best[:k], "best first, ties by the order of the catalogue"
        with pytest.raises(InputError):
            fitted.retrieve(history, -1)
    with pytest.raises(InputError):
        fitted.scores(histories[0])


def _check_strange_histories(fitted: FittedRetriever, histories: Array, key: type) -> None:
    pad, unknown = (None, "never seen") if key is str else (-1, 10**12)
    empty = column([pad] * 4, key)
    nothing = fitted.scores(empty[None])
    assert np.isfinite(nothing).all(), "an empty history must be answered"
    strange = (empty[:0], column([unknown] * 4, key), column([pad, unknown, pad], key))
    for history in strange:
        assert fitted.scores(history[None]).tobytes() == nothing.tobytes(), "unknown items say nothing"
    known = histories[0]
    padded = np.concatenate([np.repeat(empty[:1], 3), known])[-len(known) :] if known[0] in (None, -1) else known
    assert np.array_equal(fitted.scores(padded[None]), fitted.scores(known[None])), "padding says nothing"
    assert fitted.scores(histories[:0]).shape == (0, len(fitted.items)), "no histories in, no scores out"


def _check_retriever_saves(fitted: FittedRetriever, histories: Array) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fitted.save(folder)
        assert (folder / "model.json").is_file(), "a saved model states its kind in model.json"
        assert not [p for p in folder.rglob("*") if p.suffix in (".pkl", ".pickle", ".pt", ".joblib")], "no pickles"
        loaded = load_retriever(folder)
        assert loaded.items.tolist() == fitted.items.tolist() and loaded.items.dtype == fitted.items.dtype
        assert loaded.scores(histories).tobytes() == fitted.scores(histories).tobytes(), "a loaded model must agree"
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        for path in folder.iterdir():
            path.unlink()
        loaded.save(folder)
        assert before == {path.name: path.read_bytes() for path in folder.iterdir()}, "saving again changes nothing"


def _check_finds_taste(fitted: FittedRetriever, data: Interactions) -> None:
    """Of the ten best new items for somebody of a taste, chance would name 2.5 of that taste."""
    keys = data.catalog["item"]
    right = []
    for taste in range(4):
        consumed = keys[[taste, taste + 4, taste + 8]]
        found = [item for item in fitted.retrieve(consumed, 13)[0].tolist() if item not in consumed.tolist()][:10]
        row = {item: i for i, item in enumerate(keys.tolist())}
        right += [row[item] % 4 == taste for item in found]
    assert np.mean(right) > 0.7, f"only {np.mean(right):.0%} of what it finds suits the taste"


def _check_retriever_refusals(config: Retriever) -> None:
    data = example_interactions(50)
    none = np.zeros(0, np.int64)
    nothing = replace(data, events=data.events.take(none), histories=data.histories[none])
    no_items = replace(data, catalog=data.catalog.take(none))
    strangers = replace(data, events=data.events.with_columns({"item": data.events["item"] + 10**9}))
    weightless = replace(data, events=data.events.with_columns({"weight": np.zeros(len(data.events))}))
    for bad in (nothing, no_items, strangers, weightless):
        with pytest.raises(ModelError):
            config.fit(bad, seed=1)
    endless = replace(data, events=data.events.with_columns({"weight": np.full(len(data.events), np.nan)}))
    for odd in (replace(data, histories=data.histories[:3]), endless):
        with pytest.raises(InputError):
            config.fit(odd, seed=1)
