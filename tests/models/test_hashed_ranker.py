from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import ModelError
from sixfold.models.hashed_ranker import HashedRanker
from sixfold.models.registry import load_ranker
from sixfold.testing.model_kit import check_ranker, example_dataset, example_heads


def test_keeps_the_contract() -> None:
    check_ranker(lambda heads: HashedRanker(heads, categorical=("author",)))


def test_one_column_without_a_prior_gives_the_rates_of_its_values() -> None:
    # Of a saturated model the maximum of the likelihood is known: the observed share of each value.
    data = example_dataset(4_000, 1)
    data = replace(data, features=data.features.select(["topic"]))
    said = HashedRanker(example_heads()[:1], l2=1e-6).fit(data, data, seed=1).predict(data.features)["liked"]
    for topic in ("news", "music", "sport", None):
        rows = np.array([value == topic for value in data.features["topic"].tolist()])
        assert np.allclose(said[rows], data.labels["liked"][rows].mean(), atol=1e-4)


def test_the_mean_prediction_is_the_base_rate() -> None:
    # The shared weight has no prior, so at the optimum predictions add up to what happened, whatever the l2.
    data = example_dataset(3_000, 2)
    said = HashedRanker(example_heads()[:1], l2=50.0).fit(data, data, seed=1).predict(data.features)["liked"]
    assert said.mean() == pytest.approx(data.labels["liked"].mean(), abs=1e-4)


def test_a_stronger_prior_pulls_towards_the_base_rate() -> None:
    data = example_dataset(3_000, 2)
    spread = [
        HashedRanker(example_heads()[:1], l2=l2).fit(data, data, seed=1).predict(data.features)["liked"].std()
        for l2 in (0.1, 10.0, 1_000.0)
    ]
    assert spread[0] > spread[1] > spread[2]


def test_weights_of_rows_count() -> None:
    data = example_dataset(1_000, 3)
    doubled = replace(data, weights=data.weights.with_columns({"liked": np.full(1_000, 2.0)}))
    twice = data.take(np.repeat(np.arange(1_000), 2))
    config = HashedRanker(example_heads()[:1])
    some = data.features.take(slice(0, 50))
    one, other = (config.fit(part, data, seed=1).predict(some)["liked"] for part in (doubled, twice))
    # Duplicates leave the quantiles as they are, so the two problems are the same up to the end of the search.
    assert np.allclose(one, other, atol=1e-3)


def test_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    data = example_dataset(200, 1)
    with pytest.raises(ModelError, match="bits from 1 to 24"):
        HashedRanker(example_heads(), bits=30).fit(data, data, seed=1)
    with pytest.raises(ModelError, match="are not single columns"):
        HashedRanker(example_heads(), categorical=("recent",)).fit(data, data, seed=1)
    HashedRanker(example_heads()).fit(data, data, seed=1).save(tmp_path)
    np.savez(tmp_path / "arrays.npz", used=np.zeros(1, np.int64))
    with pytest.raises(ModelError, match="cannot be read"):
        load_ranker(tmp_path)


def test_a_column_without_a_number_says_nothing() -> None:
    data = example_dataset(500, 1)
    empty = replace(data, features=data.features.with_columns({"nothing": np.full(500, np.nan)}))
    with_it, without = (
        HashedRanker(example_heads(), l2=1.0).fit(part, part, seed=1).predict(empty.features)["liked"]
        for part in (empty, data)
    )
    # Its one weight is the same for all rows: what it takes over from the shared weight changes nothing else.
    assert np.allclose(with_it, without, atol=1e-3)
