"""Intervals: what they cover, measured on simulated studies whose truth is known.

With 95 % coverage, the number of covered studies out of n is binomial: a test allows 3.5 standard deviations of it,
plus a stated allowance where the method is known to be approximate at the size used.
"""

from collections.abc import Callable
from functools import partial
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import InputError
from sixfold.evaluate.bootstrap import Estimate, bootstrap, compare, mean
from sixfold.evaluate.calibration import expected_calibration_error
from sixfold.evaluate.ranking import auc

STUDIES = 1000


def covered(study: Callable[[np.random.Generator, int], Estimate], truth: float) -> float:
    rng = np.random.default_rng(11)
    hits = [e.low <= truth <= e.high for e in (study(rng, i) for i in range(STUDIES))]
    return float(np.mean(hits))


def tolerance(allowance: float = 0.0) -> float:
    return 3.5 * sqrt(0.95 * 0.05 / STUDIES) + allowance


@given(st.lists(st.one_of(st.floats(-100, 100), st.just(np.nan)), max_size=20))
def test_mean_leaves_missing_values_out(values: list) -> None:
    known = [v for v in values if not np.isnan(v)]
    expected = sum(known) / len(known) if known else np.nan
    np.testing.assert_allclose(mean(np.array(values, float)), expected, atol=1e-9)
    np.testing.assert_allclose(mean(np.array(values, float), np.full((2, len(values)), 3)), [expected] * 2, atol=1e-9)


def test_a_mean_over_users_is_covered() -> None:
    def study(rng: np.random.Generator, seed: int) -> Estimate:
        values = rng.exponential(size=150)
        return bootstrap(lambda w: mean(values, w), users=np.arange(150), seed=seed, replicates=200)

    assert covered(study, 1.0) == pytest.approx(0.95, abs=tolerance(0.015))  # skewed values, 150 users, 200 replicates


def test_users_are_drawn_and_not_rows() -> None:
    """Twenty equal rows per user: drawing rows would give an interval sqrt(20) too narrow, covering about a third."""

    def study(rng: np.random.Generator, seed: int) -> Estimate:
        values, users = np.repeat(rng.normal(size=100), 20), np.repeat(np.arange(100), 20)
        return bootstrap(lambda w: mean(values, w), users=users, seed=seed, replicates=200)

    assert covered(study, 0.0) == pytest.approx(0.95, abs=tolerance(0.015))


def test_auc_is_covered_when_users_differ() -> None:
    def world(rng: np.random.Generator, n_users: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        taste = rng.normal(size=n_users)
        users = np.repeat(np.arange(n_users), rng.integers(1, 8, n_users))
        score = taste[users] + rng.normal(size=len(users))
        labels = (rng.random(len(users)) < 1 / (1 + np.exp(-taste[users]))).astype(float)
        return labels, score, users

    truth = float(auc(*world(np.random.default_rng(0), 300_000)[:2]))

    def study(rng: np.random.Generator, seed: int) -> Estimate:
        labels, score, users = world(rng, 200)
        return bootstrap(lambda w: auc(labels, score, w), users=users, seed=seed, replicates=200)

    assert covered(study, truth) == pytest.approx(0.95, abs=tolerance(0.015))


def test_calibration_error_is_covered_although_noise_adds_to_it() -> None:
    """What is covered is the expected reading at this number of rows, which noise lifts above the true error."""

    def world(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        said = rng.random(1500)
        return (rng.random(1500) < said).astype(float), said

    truth = np.mean([expected_calibration_error(*world(np.random.default_rng(i))) for i in range(2000)])

    def study(rng: np.random.Generator, seed: int) -> Estimate:
        labels, said = world(rng)
        metric = partial(expected_calibration_error, labels, said)
        return bootstrap(metric, users=np.arange(1500), seed=seed, replicates=100)

    assert covered(study, float(truth)) == pytest.approx(0.95, abs=tolerance(0.02))  # 100 replicates


def test_a_paired_difference_sees_what_two_intervals_do_not() -> None:
    rng = np.random.default_rng(5)
    shared, users = rng.normal(size=400), np.arange(400)
    a, b = shared + 0.1 + rng.normal(scale=0.1, size=400), shared
    metric_a, metric_b = (lambda w: mean(a, w)), (lambda w: mean(b, w))
    alone_a, alone_b = (bootstrap(m, users=users, seed=1) for m in (metric_a, metric_b))
    difference = compare(metric_a, metric_b, users=users, seed=1)
    assert alone_a.low < alone_b.high
    assert difference.above_zero
    assert difference.value == pytest.approx(alone_a.value - alone_b.value)


def test_two_models_of_equal_worth_are_rarely_told_apart() -> None:
    """The gate's error: a lower end above zero where there is no difference, at most 2.5 % of studies."""

    def study(rng: np.random.Generator, seed: int) -> Estimate:
        a, b = rng.normal(size=(2, 200))
        return compare(lambda w: mean(a, w), lambda w: mean(b, w), users=np.arange(200), seed=seed, replicates=200)

    rng = np.random.default_rng(2)
    wrong = np.mean([study(rng, i).above_zero for i in range(STUDIES)])
    assert wrong <= 0.025 + 3.5 * sqrt(0.025 * 0.975 / STUDIES) + 0.008


def test_the_same_seed_gives_the_same_interval() -> None:
    values, users = np.arange(50.0), np.arange(50) % 9
    first = bootstrap(lambda w: mean(values, w), users=users, seed=4)
    assert first == bootstrap(lambda w: mean(values, w), users=users, seed=4)
    assert first != bootstrap(lambda w: mean(values, w), users=users, seed=5)


def test_many_rows_are_resampled_in_parts_of_bounded_size() -> None:
    sizes = []

    def metric(weights: np.ndarray) -> np.ndarray:
        sizes.append(weights.shape)
        return weights.mean(axis=1)

    estimate = bootstrap(metric, users=np.repeat(np.arange(5), 40_000), seed=1, replicates=70)
    assert sizes == [(1, 200_000), (30, 200_000), (30, 200_000), (10, 200_000)]
    assert (estimate.value, estimate.low, estimate.high) == (1.0, 1.0, 1.0)


def test_nothing_to_measure() -> None:
    empty = bootstrap(lambda w: mean(np.array([]), w), users=np.array([]), seed=1)
    assert np.isnan(empty.value)
    assert empty.n_users == 0
    one_class = bootstrap(lambda w: auc(np.ones(4), np.arange(4.0), w), users=np.arange(4), seed=1)
    assert np.isnan([one_class.value, one_class.low, one_class.high]).all()
    with pytest.raises(InputError, match="replicates >= 2"):
        bootstrap(lambda w: mean(np.ones(2), w), users=np.arange(2), seed=1, replicates=1)
