import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold._core.errors import ModelError
from sixfold.models.calibration import Calibration, Curve, undo_downsampling


@given(st.integers(0, 10_000), st.integers(1, 3_000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_corrected_predictions_add_up_and_keep_their_order(seed: int, n: int, binary: bool) -> None:
    rng = np.random.default_rng(seed)
    predicted = rng.random(n) if binary else rng.lognormal(size=n)
    actual = (rng.random(n) < predicted**2).astype(float) if binary else predicted * rng.lognormal(size=n)
    weights = rng.uniform(0.5, 2.0, n)
    curve = Curve.fit(predicted, actual, weights, binary=binary)
    corrected = curve.apply(predicted)
    assert (np.diff(curve.x) > 0).all() and (np.diff(corrected[np.argsort(predicted)]) >= 0).all()
    assert (corrected >= 0).all() and (not binary or (corrected <= 1).all())
    # Clipping at 1 may lose a little; with nothing to clip the totals agree to rounding.
    if corrected.max() < 1 or not binary:
        assert np.isclose((weights * corrected).sum(), (weights * actual).sum()) or actual.sum() == 0


def test_a_distorted_probability_comes_true_again() -> None:
    rng = np.random.default_rng(1)
    true = rng.random(40_000)
    actual = (rng.random(40_000) < true).astype(float)
    curve = Curve.fit(true**3, actual, binary=True)
    fresh = rng.random(10_000)
    # 200 groups of 200 rows: a group's share has a standard error of at most .035; pooling and interpolation halve it.
    assert np.abs(curve.apply(fresh**3) - fresh).mean() < 0.02


def test_a_rare_outcome_is_scaled_rather_than_chased() -> None:
    predicted = np.linspace(0.001, 0.01, 1_000)
    actual = np.zeros(1_000)
    actual[[10, 500, 990]] = 1
    corrected = Curve.fit(predicted, actual, binary=True).apply(predicted)
    assert np.allclose(corrected / predicted, 3 / predicted.sum())


def test_a_constant_prediction_becomes_the_mean() -> None:
    corrected = Curve.fit(np.full(400, 0.3), np.repeat([0.0, 1.0], 200), binary=True).apply(np.array([0.3]))
    assert corrected.tolist() == [0.5]


def test_no_rows_cannot_calibrate() -> None:
    with pytest.raises(ModelError, match="no rows"):
        Curve.fit(np.zeros(0), np.zeros(0), binary=True)


def test_curves_come_back_from_their_arrays() -> None:
    calibration = Calibration({"liked": Curve(np.array([0.0, 1.0]), np.array([0.1, 0.4]))})
    again = Calibration.from_arrays(calibration.arrays())
    assert again.apply("liked", np.array([0.5])).tolist() == [0.25]
    assert again.apply("other", np.array([0.5], np.float32)).tolist() == [0.5]


@given(st.floats(0.01, 0.99), st.floats(0.01, 1.0))
def test_undoing_downsampling_inverts_what_it_does_to_the_odds(p: float, keep: float) -> None:
    taught = p / (p + (1 - p) * keep)
    assert np.isclose(undo_downsampling(np.array([taught]), keep)[0], p)


def test_undoing_downsampling_restores_the_base_rate() -> None:
    rng = np.random.default_rng(2)
    labels = (rng.random(200_000) < 0.05).astype(float)
    keep = 0.1
    kept = (labels > 0) | (rng.random(200_000) < keep)
    # The standard error of the share of positives among some 29,000 kept rows is .003; undone it is about .0004.
    assert abs(undo_downsampling(labels[kept].mean(keepdims=True), keep)[0] - labels.mean()) < 0.002


@pytest.mark.parametrize("keep", [0.0, 1.5, float("nan")])
def test_a_share_kept_must_be_a_share(keep: float) -> None:
    with pytest.raises(ModelError):
        undo_downsampling(np.array([0.5]), keep)
