"""Metrics of forecasts against the sentences that define them, as loops over rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import InputError
from sixfold.evaluate import forecasts

row = st.tuples(*[st.integers(0, 6)] * 5, st.integers(0, 3))
rows = st.lists(row, min_size=1, max_size=12)


def columns(table: list[tuple[int, ...]]) -> list[np.ndarray]:
    return [np.array(part, np.float64) for part in zip(*table, strict=True)]


def mean(pairs: list[tuple[float, float]]) -> float:
    total = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / total if total else np.nan


@given(rows, st.sampled_from([0.1, 0.5, 0.9]))
def test_every_metric_is_its_definition(table: list[tuple[int, ...]], share: float) -> None:
    y, f, low, high, scale, w = columns(table)
    some = [(abs(a - b) / a, c) for a, b, c in zip(y, f, w, strict=True) if a > 0]
    off, all_sold = sum(c * abs(a - b) for a, b, c in zip(y, f, w, strict=True)), float((y * w).sum())
    loss = [(share * (a - b) if a > b else (1 - share) * (b - a), c) for a, b, c in zip(y, f, w, strict=True)]
    inside = [(float(lo <= a <= hi), c) for a, lo, hi, c in zip(y, low, high, w, strict=True)]
    scaled = [(abs(a - b) / s, c) for a, b, s, c in zip(y, f, scale, w, strict=True) if s > 0]
    expected = {
        "MAPE": mean(some),
        "wMAPE": off / all_sold if all_sold else np.nan,
        "pinball": mean(loss),
        "coverage": mean(inside),
        "width": mean(list(zip(high - low, w, strict=True))),
        "MASE": mean(scaled),
    }
    found = {
        "MAPE": forecasts.mape(y, f, w),
        "wMAPE": forecasts.wmape(y, f, w),
        "pinball": forecasts.pinball(y, f, share, w),
        "coverage": forecasts.coverage(y, low, high, w),
        "width": forecasts.mean_width(low, high, w),
        "MASE": forecasts.mase(y, f, scale, w),
    }
    terms = forecasts.parts(y, f, low, high, quantiles={share: f}, scale=scale)
    assert set(terms) == set(expected)
    for name, value in expected.items():
        assert np.isclose(float(found[name]), value, equal_nan=True), name
        assert np.isclose(float(forecasts.ratio(terms[name], w)), value, equal_nan=True), name


@given(rows)
def test_drawing_a_series_twice_is_weighing_its_sums_twice(table: list[tuple[int, ...]]) -> None:
    y, f, low, high, scale, _ = columns(table)
    series = np.arange(len(y)) % 3
    names, code = np.unique(series, return_inverse=True)
    weights = np.random.default_rng(0).integers(0, 3, (4, len(names))).astype(float)
    for terms in forecasts.parts(y, f, low, high, quantiles={0.9: high}, scale=scale).values():
        sums = np.bincount(code, terms[0]), np.bincount(code, terms[1])
        assert np.allclose(forecasts.ratio(terms, weights[:, code]), forecasts.ratio(sums, weights), equal_nan=True)


def test_the_median_and_the_quantile_minimise_their_losses() -> None:
    y = np.random.default_rng(1).exponential(10, 4_001)
    for share in (0.1, 0.5, 0.9):
        best = float(np.quantile(y, share))
        at = float(forecasts.pinball(y, np.full_like(y, best), share))
        for other in (best * 0.8, best * 1.2):
            assert at < float(forecasts.pinball(y, np.full_like(y, other), share))


def test_mistakes_are_refused() -> None:
    one, two = np.ones(1), np.ones(2)
    with pytest.raises(InputError, match="between 0 and 1"):
        forecasts.pinball(one, one, 1.0)
    with pytest.raises(InputError, match="weights"):
        forecasts.wmape(two, two, one)
    with pytest.raises(InputError, match="missing in 1 of 1 rows"):
        forecasts.wmape(one, np.array([np.nan]))
