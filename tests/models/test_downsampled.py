from functools import partial

import numpy as np
import pytest

from sixfold._core.errors import ModelError
from sixfold._core.table import Table
from sixfold.evaluate.calibration import expected_calibration_error
from sixfold.models.contract import Dataset
from sixfold.models.downsampled import Downsampled
from sixfold.models.hashed_ranker import HashedRanker
from sixfold.models.tree_ranker import TreeRanker
from sixfold.testing.model_kit import check_ranker, example_dataset, example_heads

LIKED, SECONDS = example_heads()


def test_keeps_the_contract() -> None:
    check_ranker(lambda heads: Downsampled(HashedRanker(heads, categorical=("author",)), keep=0.5))


def rare(n_rows: int, seed: int) -> Dataset:
    """Clicks of 5 %, logistic in a number and a category."""
    rng = np.random.default_rng(seed)
    x, site = rng.normal(size=n_rows), rng.integers(0, 20, n_rows)
    chance = 1 / (1 + np.exp(3.4 - 0.8 * x - np.linspace(-1, 1, 20)[site]))
    features = {"x": x, "site": np.array([f"site-{i}" for i in range(20)], object)[site]}
    labels = Table({"liked": (rng.random(n_rows) < chance).astype(np.float64)})
    ones = Table({"liked": np.ones(n_rows)})
    spine = Table({"at": np.arange(n_rows), "offset": np.arange(n_rows)})
    return Dataset(Table(features), labels, ones, spine, frozenset({"liked"}), "rare")


def test_calibrated_within_one_percent_with_a_tenth_of_the_negatives() -> None:
    train, validate, test = rare(60_000, 1), rare(10_000, 2), rare(100_000, 3)
    clicked, error = test.labels["liked"], partial(expected_calibration_error, test.labels["liked"])
    for ranker in (HashedRanker((LIKED,)), TreeRanker((LIKED,), max_trees=200)):
        right = Downsampled(ranker, keep=0.1).fit(train, validate, seed=1).predict(test.features)["liked"]
        wrong = (
            Downsampled(ranker, keep=0.1, correct=False).fit(train, validate, seed=1).predict(test.features)["liked"]
        )
        # Noise alone gives sqrt(2 p (1 - p) 15 / (pi n)) = 0.0021 here.
        assert float(error(right)) < 0.01
        assert float(error(wrong)) > 0.1
        assert abs(right.mean() / clicked.mean() - 1) < 0.06


def test_an_amount_comes_after_the_head_that_is_sampled() -> None:
    data = example_dataset(500, 1)
    with pytest.raises(ModelError, match="put a binary head first"):
        Downsampled(HashedRanker((SECONDS, LIKED)), keep=0.5).fit(data, data, seed=1)
    with pytest.raises(ModelError, match="no heads"):
        Downsampled(HashedRanker(()), keep=0.5).fit(data, data, seed=1)


def test_the_other_heads_stay_as_they_would_be() -> None:
    data = example_dataset(20_000, 1)
    heads = (LIKED, SECONDS)
    whole = HashedRanker(heads).fit(data, data, seed=1).predict(data.features)["seconds"]
    sampled = Downsampled(HashedRanker(heads), keep=0.3).fit(data, data, seed=1).predict(data.features)["seconds"]
    assert sampled.mean() / whole.mean() == pytest.approx(1, abs=0.05)
