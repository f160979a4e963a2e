"""Trees: the contract of rankers, and that members are averaged."""

from dataclasses import replace

import numpy as np
import pytest

from sixfold._core.errors import ModelError
from sixfold._core.table import Array, Table
from sixfold.models.contract import Dataset
from sixfold.models.tree_ranker import TreeRanker
from sixfold.testing.model_kit import check_ranker, example_dataset, example_heads


def test_keeps_the_contract() -> None:
    check_ranker(lambda heads: TreeRanker(heads, categorical=("author",), max_trees=200))


def test_members_keep_the_contract() -> None:
    check_ranker(lambda heads: TreeRanker(heads, categorical=("author",), max_trees=80, members=3))


def test_members_are_averaged_and_steadier_than_one() -> None:
    train, validate, test = (example_dataset(n, seed) for n, seed in ((1_500, 1), (800, 2), (4_000, 3)))
    config = TreeRanker(example_heads()[:1], learning_rate=0.2, max_trees=80)

    def logits(members: int, seed: int) -> np.ndarray:
        fitted = replace(config, members=members).fit(train, validate, seed=seed)
        p = fitted.predict(test.features)["liked"]
        return np.asarray(np.log(p / (1 - p)))

    apart = [np.abs(logits(members, 1) - logits(members, 2)).mean() for members in (1, 6)]
    assert apart[1] < 0.7 * apart[0]  # the difference of two averages of 6 has a sixth of the variance
    assert np.abs(logits(6, 1) - logits(1, 1)).mean() > 0


def test_there_is_at_least_one_member() -> None:
    train, validate = example_dataset(500, 1), example_dataset(500, 2)
    with pytest.raises(ModelError, match="at least 1"):
        TreeRanker(example_heads(), members=0).fit(train, validate, seed=1)


def searched(n: int, seed: int) -> Dataset:
    """Rows that were shown for their score, where more is better, and some shown in spite of it: they were good."""
    rng = np.random.default_rng(seed)
    score = np.concatenate([rng.uniform(0.5, 1.0, n), rng.uniform(0.0, 0.3, n // 20)])
    good = np.concatenate([rng.random(n) < score[:n] ** 4, np.ones(n // 20, np.bool_)]).astype(np.float64)
    rows = len(score)
    columns = {"score": score, "noise": rng.random(rows)}
    labels, weights = Table({"liked": good}), Table({"liked": np.ones(rows)})
    return Dataset(Table(columns), labels, weights, Table({"user": np.arange(rows)}), frozenset({"liked"}), "searched")


def test_predictions_never_fall_as_a_rising_feature_grows() -> None:
    train, validate = searched(2_000, 1), searched(1_000, 2)
    grid = Table({"score": np.linspace(0, 1, 50), "noise": np.full(50, 0.5)})

    def along(rising: tuple[str, ...]) -> Array:
        config = TreeRanker(example_heads()[:1], max_trees=200, rising=rising)
        return np.asarray(config.fit(train, validate, seed=1).predict(grid)["liked"])

    free, bound = along(()), along(("score",))
    assert free[0] > 0.9 > free[30], "rows that were shown because they were good teach that a low score is good"
    assert (np.diff(bound) >= -1e-12).all() and bound[-1] > bound[30] > bound[0] - 1e-12


def test_only_numbers_can_rise() -> None:
    train, validate = example_dataset(500, 1), example_dataset(500, 2)
    with pytest.raises(ModelError, match="which are not numbers"):
        TreeRanker(example_heads(), categorical=("author",), rising=("author",)).fit(train, validate, seed=1)
