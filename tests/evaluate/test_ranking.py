"""Every metric against the sentence that defines it, as a loop over rows or pairs."""

from collections.abc import Callable
from math import isnan, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import InputError
from sixfold.evaluate import ranking
from sixfold.evaluate.calibration import calibration_curve, expected_calibration_error


def naive_auc(y: list, s: list, w: list) -> float:
    won = total = 0.0
    for i, yi in enumerate(y):
        for j, yj in enumerate(y):
            if yi == 1 and yj == 0:
                total += w[i] * w[j]
                won += w[i] * w[j] * (1.0 if s[i] > s[j] else 0.5 if s[i] == s[j] else 0.0)
    return won / total if total else np.nan


def naive_grouped_auc(y: list, s: list, g: list, w: list) -> float:
    won = total = 0.0
    for group in set(g):
        rows = [i for i in range(len(y)) if g[i] == group]
        value = naive_auc([y[i] for i in rows], [s[i] for i in rows], [w[i] for i in rows])
        if not isnan(value):
            size = sum(w[i] for i in rows)
            won, total = won + value * size, total + size
    return won / total if total else np.nan


def naive_xauc(q: list, p: list, w: list) -> float:
    won = total = 0.0
    for i in range(len(q)):
        for j in range(len(q)):
            if q[i] > q[j]:
                total += w[i] * w[j]
                won += w[i] * w[j] * (1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0)
    return won / total if total else np.nan


def average(values: list, w: list) -> float:
    return sum(v * u for v, u in zip(values, w, strict=True)) / sum(w) if sum(w) else np.nan


def naive_log_loss(y: list, p: list, w: list) -> float:
    clipped = [min(max(v, 1e-15), 1 - 1e-15) for v in p]
    return average([-log(c) if t else -log(1 - c) for t, c in zip(y, clipped, strict=True)], w)


def naive_ne(y: list, p: list, w: list) -> float:
    rate = average(y, w)
    if isnan(rate) or rate in (0, 1):
        return np.nan
    return naive_log_loss(y, p, w) / -(rate * log(rate) + (1 - rate) * log(1 - rate))


def naive_ece(y: list, p: list, w: list, bins: int, by_mass: bool) -> float:
    if not p:
        return np.nan
    ordered = sorted(p)
    edges = [
        ordered[max(0, int(np.ceil(len(p) * i / bins - 1e-9)) - 1)] if by_mass else i / bins for i in range(1, bins)
    ]
    total = 0.0
    for b in range(bins):
        rows = [i for i, v in enumerate(p) if sum(v > edge for edge in edges) == b]
        total += abs(sum(w[i] * (y[i] - p[i]) for i in rows))
    return total / sum(w) if sum(w) else np.nan


# few distinct values, so that ties are common
SCORE = st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9, 1.0])
ROWS = st.lists(st.tuples(st.integers(0, 1), SCORE, st.integers(0, 3), st.integers(0, 3)), max_size=24)
NAIVE: dict[str, tuple[Callable, Callable]] = {
    "auc": (ranking.auc, naive_auc),
    "log_loss": (ranking.log_loss, naive_log_loss),
    "normalised_entropy": (ranking.normalised_entropy, naive_ne),
    "xauc": (ranking.xauc, naive_xauc),
    "mae": (ranking.mae, lambda q, p, w: average([abs(a - b) for a, b in zip(q, p, strict=True)], w)),
    "rmse": (ranking.rmse, lambda q, p, w: sqrt(average([(a - b) ** 2 for a, b in zip(q, p, strict=True)], w))),
    "mean_ratio": (ranking.mean_ratio, lambda q, p, w: average(p, w) / average(q, w) if average(q, w) else np.nan),
}


def check(value: np.ndarray, expected: float) -> None:
    np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAIVE)
@given(rows=ROWS)
def test_a_metric_is_what_its_definition_says(name: str, rows: list) -> None:
    y, p, w, q = (list(part) for part in zip(*rows, strict=True)) if rows else ([], [], [], [])
    fast, naive = NAIVE[name]
    truth = q if name in ("xauc", "mae", "rmse", "mean_ratio") else y
    check(fast(np.array(truth), np.array(p), np.array(w)), naive(truth, p, w))
    check(fast(np.array(truth), np.array(p)), naive(truth, p, [1] * len(y)))


@given(rows=ROWS, quantities=st.lists(st.floats(-1e6, 1e6), min_size=24, max_size=24))
def test_xauc_with_many_distinct_quantities(rows: list, quantities: list) -> None:
    p, w, q = [row[1] for row in rows], [row[2] for row in rows], quantities[: len(rows)]
    check(ranking.xauc(np.array(q), np.array(p), np.array(w)), naive_xauc(q, p, w))


@given(rows=ROWS)
def test_grouped_auc(rows: list) -> None:
    y, s, w, g = (list(part) for part in zip(*rows, strict=True)) if rows else ([], [], [], [])
    check(ranking.grouped_auc(np.array(y), np.array(s), np.array(g), np.array(w)), naive_grouped_auc(y, s, g, w))


@given(rows=ROWS, bins=st.integers(1, 6), by_mass=st.booleans())
def test_expected_calibration_error(rows: list, bins: int, by_mass: bool) -> None:
    y, p, w = ([row[i] for row in rows] for i in range(3))
    value = expected_calibration_error(
        np.array(y), np.array(p), np.array(w), bins=bins, binning="mass" if by_mass else "width"
    )
    check(value, naive_ece(y, p, w, bins, by_mass))


@given(rows=ROWS, sets=st.integers(1, 4))
def test_many_sets_of_weights_at_once_are_the_same_as_one_by_one(rows: list, sets: int) -> None:
    rng = np.random.default_rng(0)
    y, p, q = (np.array([row[i] for row in rows], float) for i in (0, 1, 3))
    w = rng.integers(0, 3, (sets, len(rows)))
    for metric in (ranking.auc, ranking.normalised_entropy, expected_calibration_error):
        np.testing.assert_allclose(metric(y, p, w), [metric(y, p, one) for one in w])
    for metric in (ranking.xauc, ranking.rmse, ranking.mean_ratio):
        np.testing.assert_allclose(metric(q, p, w), [metric(q, p, one) for one in w])
    grouped = [ranking.grouped_auc(y, p, q, one) for one in w]
    np.testing.assert_allclose(ranking.grouped_auc(y, p, q, w), grouped)


def test_undefined_is_nan_and_not_an_accident() -> None:
    none, ones, half = np.array([]), np.ones(3), np.full(3, 0.5)
    for metric in (ranking.auc, ranking.log_loss, ranking.normalised_entropy, ranking.xauc, expected_calibration_error):
        assert np.isnan(metric(none, none))
    assert np.isnan(ranking.auc(ones, half))
    assert np.isnan(ranking.normalised_entropy(ones, half))
    assert np.isnan(ranking.xauc(ones, half))
    assert np.isnan(ranking.mean_ratio(np.zeros(3), half))
    assert ranking.log_loss(ones, half) == pytest.approx(log(2))
    assert calibration_curve(none, none, users=none).predicted == ()


@pytest.mark.parametrize(
    ("labels", "scores", "weights", "says"),
    [
        ([0, 1], [0.5], None, "one length"),
        ([0, 1], [0.5, np.nan], None, "prediction is missing in 1 of 2 rows"),
        ([0, 2], [0.5, 0.5], None, "must be 0 or 1"),
        ([0, 1], [0.5, 1.5], None, r"must lie in 0\.\.1; found 0\.5 to 1\.5"),
        ([0, 1], [0.5, 0.5], [1.0], "weights must have shape"),
    ],
)
def test_unusable_input_is_refused(labels: list, scores: list, weights: list | None, says: str) -> None:
    given_weights = None if weights is None else np.array(weights)
    with pytest.raises(InputError, match=says):
        ranking.log_loss(np.array(labels), np.array(scores), given_weights)


def test_a_running_user_rate_has_no_grouped_auc_worth_reading() -> None:
    """The trap in the docstring: the label itself is random, yet the running rate reads far below one half."""
    rng = np.random.default_rng(3)
    clicked = rng.integers(0, 2, (5000, 3)).astype(float)
    running = (np.cumsum(clicked, axis=1) - clicked + 1) / (np.arange(3) + 2)
    users = np.repeat(np.arange(5000), 3)
    assert ranking.grouped_auc(clicked.ravel(), running.ravel(), users) < 0.4
    assert ranking.auc(clicked.ravel(), running.ravel()) == pytest.approx(0.5, abs=0.02)


def test_equal_predictions_share_a_bin_whatever_the_order_of_rows() -> None:
    labels, said = np.array([1, 0, 1, 0, 1, 1]), np.array([0.5, 0.5, 0.5, 0.5, 0.9, 0.9])
    curve = calibration_curve(labels, said, users=np.arange(6), bins=3)
    assert curve.predicted == (0.5, 0.9)
    assert curve.n_rows == (4, 2)
    assert expected_calibration_error(labels, said, bins=3) == pytest.approx(2 / 6 * 0.1)


def test_the_interval_of_a_calibration_point_knows_that_rows_of_a_user_agree() -> None:
    """Ten rows a user with one shared outcome: 200 rows say no more than 20 users, an interval sqrt(10) wider."""
    outcome = np.tile([0.0, 1.0], 10)
    curve = calibration_curve(np.repeat(outcome, 10), np.full(200, 0.5), users=np.repeat(np.arange(20), 10), bins=1)
    assert curve.high[0] - curve.low[0] == pytest.approx(2 * 1.96 * 0.5 / sqrt(20))
    alone = calibration_curve(np.repeat(outcome, 10), np.full(200, 0.5), users=np.arange(200), bins=1)
    assert alone.high[0] - alone.low[0] == pytest.approx(2 * 1.96 * 0.5 / sqrt(200))


def test_the_noise_of_a_calibrated_model_is_as_the_docstring_says() -> None:
    rng = np.random.default_rng(0)
    n, bins, p = 3000, 15, 0.4
    said = np.full(n, p) + rng.uniform(-1e-6, 1e-6, n)
    found = [expected_calibration_error((rng.random(n) < p).astype(float), said) for _ in range(200)]
    expected = sqrt(2 * p * (1 - p) * bins / (np.pi * n))
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / sqrt(200))
