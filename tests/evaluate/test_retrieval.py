"""List metrics against their definitions, one user at a time."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import InputError
from sixfold.evaluate.retrieval import (
    average_precision,
    coverage,
    find_hits,
    hit_rate,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)

LENGTH = 5
USERS = st.lists(
    st.tuples(st.lists(st.integers(-1, 6), min_size=LENGTH, max_size=LENGTH), st.lists(st.integers(0, 6), max_size=8)),
    max_size=6,
)


def naive(items: list, wanted: list, k: int) -> dict[str, float]:
    goal = set(wanted)
    if not goal:
        return dict.fromkeys(("recall", "precision", "hit", "rr", "ap", "ndcg"), np.nan)
    hit = [item != -1 and item in goal and item not in items[:i] for i, item in enumerate(items)][:k]
    gain = sum(1 / log2(i + 2) for i in range(k) if hit[i])
    ideal = sum(1 / log2(i + 2) for i in range(min(k, len(goal))))
    return {
        "recall": sum(hit) / len(goal),
        "precision": sum(hit) / k,
        "hit": float(any(hit)),
        "rr": next((1 / (i + 1) for i in range(k) if hit[i]), 0.0),
        "ap": sum(sum(hit[: i + 1]) / (i + 1) for i in range(k) if hit[i]) / min(k, len(goal)),
        "ndcg": gain / ideal,
    }


@given(users=USERS, k=st.integers(1, LENGTH), text=st.booleans())
def test_list_metrics(users: list, k: int, text: bool) -> None:
    ranked = np.array([items for items, _ in users], np.int64).reshape(len(users), LENGTH)
    targets = [wanted for _, wanted in users]
    expected = [naive(items, wanted, k) for items, wanted in users]
    if text:
        ranked = np.array([[None if i == -1 else f"v{i}" for i in items] for items, _ in users], object)
        ranked, targets = ranked.reshape(len(users), LENGTH), [[f"v{i}" for i in wanted] for wanted in targets]
    hits = find_hits(ranked, targets)
    metrics = {
        "recall": recall,
        "precision": precision,
        "hit": hit_rate,
        "rr": reciprocal_rank,
        "ap": average_precision,
        "ndcg": ndcg,
    }
    for name, metric in metrics.items():
        np.testing.assert_allclose(metric(hits, k), [row[name] for row in expected], err_msg=name)


@given(users=USERS, k=st.integers(1, LENGTH))
def test_coverage_is_the_share_of_items_shown_with_the_jackknife_over_users(users: list, k: int) -> None:
    ranked = np.array([items for items, _ in users], np.int64).reshape(len(users), LENGTH)
    shown = [set(items[:k]) - {-1} for items, _ in users]
    found = coverage(ranked, k, catalog_size=7)
    assert found.value == pytest.approx(len(set().union(*shown)) / 7)
    n = len(users)
    if n < 2:
        assert np.isnan(found.high)
        return
    without = [len(set().union(*shown[:i], *shown[i + 1 :])) / 7 for i in range(n)]
    error = np.sqrt((n - 1) / n * sum((v - np.mean(without)) ** 2 for v in without))
    assert found.high == pytest.approx(min(1, found.value + 1.96 * error))
    assert found.low == pytest.approx(max(0, found.value - 1.96 * error))


def test_the_interval_of_coverage_covers() -> None:
    """600 studies of 150 users: the expected coverage lies inside at least as often as promised, up to 3.5 sigma."""

    def world(rng: np.random.Generator) -> np.ndarray:
        return np.minimum(rng.geometric(0.01, size=(150, 5)), 399)

    rng = np.random.default_rng(0)
    studies = [coverage(world(rng), 5, catalog_size=400) for _ in range(3000)]
    truth = np.mean([study.value for study in studies])
    covered = np.mean([study.low <= truth <= study.high for study in studies[:600]])
    assert covered >= 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / 600)
    assert np.isnan(coverage(world(rng), 5, catalog_size=0).value)


def test_lists_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"one per user; found \(1, 2\)"):
        find_hits(np.array([[1, 2]]), [[1], [2]])
    with pytest.raises(InputError, match="k must be 1 to 2"):
        recall(find_hits(np.array([[1, 2]]), [[1]]), 3)
