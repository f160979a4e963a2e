import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from sixfold._core.errors import ModelError
from sixfold.models.deep_ranker import DeepRanker
from sixfold.testing.model_kit import check_ranker, example_dataset, example_heads


def test_keeps_the_contract() -> None:
    check_ranker(lambda heads: DeepRanker(heads, categorical=("author",)))


def test_another_seed_gives_another_model() -> None:
    train, check = example_dataset(1_000, 1), example_dataset(500, 2)
    config = DeepRanker(example_heads(), epochs=1)
    one, two = (config.fit(train, check, seed=seed).predict(check.features)["liked"] for seed in (1, 2))
    assert one.tobytes() != two.tobytes()


def test_categories_that_say_nothing_are_not_learnt_by_heart() -> None:
    rng = np.random.default_rng(0)
    train, check = (
        replace(data, features=data.features.with_columns({"name": rng.integers(0, 200, len(data)) * 1.0}))
        for data in (example_dataset(2_000, 1), example_dataset(1_000, 2))
    )
    liked, losses = check.labels["liked"] > 0, []
    for decay in (0.0, 3.0):
        config = DeepRanker(example_heads(), ("name",), batch_rows=64, patience=24, refit=False, embedding_decay=decay)
        said = config.fit(train, train, seed=1).predict(check.features)["liked"]
        losses.append(-np.log(np.where(liked, said, 1 - said)).mean())
    assert losses[1] < losses[0] - 0.01


def test_progress_ends_at_most_at_one() -> None:
    shares: list[float] = []
    config = DeepRanker(example_heads(), epochs=1)
    config.fit(
        example_dataset(1_000, 1), example_dataset(500, 2), seed=1, progress=lambda _, share: shares.append(share)
    )
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] <= 1


def test_needs_a_head() -> None:
    data = example_dataset(50, 1)
    with pytest.raises(ModelError, match="no heads"):
        DeepRanker(heads=()).fit(data, data, seed=1)


def test_a_saved_model_is_served_without_torch(tmp_path) -> None:
    fitted = DeepRanker(example_heads(), epochs=1).fit(example_dataset(500, 1), example_dataset(500, 2), seed=1)
    fitted.save(tmp_path)
    code = (
        "import sys, pathlib; from sixfold.models.registry import load_ranker\n"
        f"load_ranker(pathlib.Path({str(tmp_path)!r})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("hidden", [(), (16, 8)])
@pytest.mark.parametrize("members", [1, 2])
def test_what_candidates_share_is_worked_out_once_and_changes_nothing(hidden: tuple[int, ...], members: int) -> None:
    train, check = example_dataset(1_000, 1), example_dataset(500, 2)
    config = DeepRanker(example_heads(), categorical=("author",), hidden=hidden, members=members, epochs=1)
    names = train.features.names
    whole = config.fit(train, check, seed=3)
    for shared in (names[:3], names[-3:], names):
        cut = config.fit(replace(train, shared=frozenset(shared)), check, seed=3)
        one = {
            name: np.broadcast_to(check.features[name][7:8], (500, *check.features[name].shape[1:])) for name in shared
        }
        for table in (check.features, check.features.with_columns(one)):
            expected, found = whole.predict(table), cut.predict(table)
            for head in expected:
                np.testing.assert_allclose(found[head], expected[head], rtol=2e-4, atol=1e-6)
