"""Drift against scipy and against the definition; and what each kind of column does when something moves."""

from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from sixfold._core.errors import InputError, ReleaseError
from sixfold._core.table import column
from sixfold.operate.drift import DriftRow, Reference, compare, ks, psi

NUMBERS = st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats(-1e9, 1e9)), min_size=2, max_size=30)


def only(before: np.ndarray, now: np.ndarray) -> DriftRow:
    (row,) = compare(Reference.of({"x": before}), {"x": now})
    return row


@given(before=NUMBERS, now=NUMBERS)
def test_the_distance_and_its_p_value_are_those_of_scipy(before: list, now: list) -> None:
    expected = ks_2samp(before, now, method="asymp")
    row = only(np.array(before), np.array(now))
    assert row.distance == pytest.approx(expected.statistic)
    assert row.p_value == pytest.approx(expected.pvalue)
    assert ks(np.sort(before), np.sort(now)) == pytest.approx(expected.statistic)


def test_a_sketch_of_many_rows_is_within_its_stated_error() -> None:
    rng = np.random.default_rng(0)
    for shape in (0.3, 2.0, 50.0):
        before, now = rng.gamma(shape, size=20_000), rng.gamma(shape * 1.1, size=7_000)
        assert only(before, now).distance == pytest.approx(ks_2samp(before, now).statistic, abs=1 / 1024)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12).filter(
        lambda bins: any(e for e, _ in bins) and any(a for _, a in bins)
    )
)
def test_psi_is_its_formula(bins: list) -> None:
    used = [(e + 0.5, a + 0.5) for e, a in bins if e or a]
    before, now = sum(e for e, _ in used), sum(a for _, a in used)
    expected = sum((a / now - e / before) * log((a / now) / (e / before)) for e, a in used)
    assert psi(np.array([e for e, _ in bins]), np.array([a for _, a in bins])) == pytest.approx(expected, abs=1e-12)


@given(values=st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(np.nan), st.just(np.inf)), min_size=1, max_size=40))
def test_every_row_is_counted_once_and_nothing_drifts_from_itself(values: list) -> None:
    numbers = np.array(values)
    (summary,) = Reference.of({"x": numbers}).features
    edges, known = summary.edges, [min(v, 1e308) for v in values if not np.isnan(v)]
    bins = [sum(sum(v > edge for edge in edges) == b for v in known) for b in range(len(edges) + 1)]
    assert list(summary.counts) == [*bins, len(values) - len(known)]
    row = only(numbers, numbers)
    assert row.psi == 0
    assert row.missing_before == row.missing_now


def test_equal_distributions_exceed_the_figure_by_chance_one_time_in_twenty() -> None:
    """Over 1,000 comparisons: 5 % plus or minus 3.5 standard deviations of a binomial, 1.5 % as it is asymptotic."""
    rng = np.random.default_rng(1)
    rows = [only(rng.normal(size=2000), rng.normal(size=1000)) for _ in range(1000)]
    share = np.mean([row.psi > row.psi_by_chance for row in rows])
    assert share == pytest.approx(0.05, abs=3.5 * np.sqrt(0.05 * 0.95 / 1000) + 0.015)
    assert np.mean([row.p_value < 0.05 for row in rows]) <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / 1000)


def test_what_moves_is_seen() -> None:
    rng = np.random.default_rng(2)
    normal = rng.normal(size=5000)
    shifted = only(normal, normal + 0.5)
    assert shifted.psi > 0.2
    assert shifted.shift == pytest.approx(0.5, abs=0.05)
    assert shifted.p_value < 1e-6
    gaps = np.where(np.arange(5000) % 3 == 0, np.nan, normal)
    lost = only(normal, gaps)
    assert lost.psi > 0.2
    assert lost.missing_now == pytest.approx(1 / 3, abs=1e-3)
    assert lost.distance < 0.05
    assert only(np.ones(100), np.zeros(100)).psi > 1
    assert only(np.zeros(100), np.ones(100)).psi > 1
    assert only(np.zeros(100, np.bool_), np.ones(100, np.bool_)).distance == 1


def test_texts() -> None:
    before = column(["a"] * 60 + ["b"] * 30 + [None] * 10, str)
    row = only(before, column(["a"] * 30 + ["new"] * 60 + [None] * 10, str))
    assert row.psi == pytest.approx(psi(np.array([60, 30, 0, 10]), np.array([30, 0, 60, 10])))
    assert row.distance == pytest.approx(60 / 90)
    assert row.p_value < 1e-6
    assert np.isnan(row.shift)
    assert only(before, before[::-1]).psi == 0


def test_a_sequence_drifts_in_its_length() -> None:
    full, short = np.full((50, 4), 7), np.full((50, 4), -1)
    assert only(full, short).distance == 1
    assert only(full, full + 1).psi == 0
    assert only(np.array([[None, "a"]] * 3, object), np.array([["a", "b"]] * 3, object)).distance == 1


def test_rows_are_sorted_by_drift_and_empty_columns_stand_last() -> None:
    reference = Reference.of({"calm": np.arange(100.0), "gone": np.arange(100.0), "wild": np.arange(100.0)})
    live = {"calm": np.arange(100.0), "gone": np.empty(0), "wild": np.arange(100.0) + 500}
    rows = compare(reference, live)
    assert [row.feature for row in rows] == ["wild", "calm", "gone"]
    assert np.isnan([rows[2].psi, rows[2].distance, rows[2].p_value]).all()
    assert np.isnan(only(np.empty(0), np.arange(3.0)).psi)
    nothing = only(np.full(4, np.nan), np.full(4, np.nan))
    assert nothing.psi == 0
    assert np.isnan(nothing.distance)


def test_unusable_columns_are_refused() -> None:
    reference = Reference.of({"x": np.arange(3.0)})
    with pytest.raises(InputError, match=r"lack the columns \['x'\]"):
        compare(reference, {})
    with pytest.raises(InputError, match="was a number in training; now its column is object"):
        compare(reference, {"x": column(["a"], str)})


def test_a_reference_survives_the_disk(tmp_path: Path) -> None:
    columns = {
        "x": np.random.default_rng(0).normal(size=3000),
        "text": column(["ä", None, "b"] * 1000, str),
        "infinite": np.array([np.inf, -np.inf, 1.0] * 1000),
        "empty": np.full(3000, np.nan),
    }
    reference, path = Reference.of(columns), tmp_path / "reference.json"
    reference.save(path)
    assert Reference.load(path) == reference
    again = tmp_path / "again.json"
    Reference.of(columns).save(again)
    assert again.read_bytes() == path.read_bytes()
    path.write_text('{"features": [')
    with pytest.raises(ReleaseError, match="cannot be read"):
        Reference.load(path)
