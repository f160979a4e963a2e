"""Trees: the contract of rankers, and that members are averaged."""

from dataclasses import replace

import numpy as np
import pytest

from sixfold._core.errors import ModelError
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
