"""Intervals that hold what they promise, on rows of the same kind as those they were fitted on."""

import numpy as np
import pytest

from sixfold._core.errors import ModelError
from sixfold.models.conformal import Interval


def sales(n: int, seed: int, *, zeros: float) -> tuple[np.ndarray, ...]:
    """What was sold, and quantiles that are wrong: too narrow for large series, too wide for small ones."""
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(1.5, 1.0, n)
    sold = rng.poisson(mean).astype(float)
    closed = rng.random(n) < zeros
    mean = np.where(closed, 0.0, mean)
    spread = np.where(mean > 5, 0.5, 3.0) * np.sqrt(mean)
    return np.where(closed, 0.0, sold), np.maximum(mean - spread, 0), mean, mean + spread


@pytest.mark.parametrize("zeros", [0.0, 0.15])
@pytest.mark.parametrize("whole", [True, False])
def test_the_promised_share_is_held_and_by_all_sizes(whole: bool, zeros: float) -> None:
    interval = Interval.fit(*sales(8_000, 1, zeros=zeros), share=0.8, whole=whole)
    sold, low, median, high = sales(8_000, 2, zeros=zeros)
    ends = interval.apply(low, median, high)
    held = (sold >= ends[0]) & (sold <= ends[1])
    # Two standard errors of two shares of 8,000 rows are .013; that many rows bring nothing comes as steps on top.
    assert 0.78 < held.mean() < 0.82
    large = median > 8
    assert ((sold >= low) & (sold <= high))[large].mean() < 0.5
    # Small series and closed days that are always covered leave less of the share to the others.
    assert 0.55 < held[large].mean() < 0.9
    assert (ends[0] >= 0).all() and (ends[0] <= ends[1]).all()
    if whole:
        assert (ends[0] == np.rint(ends[0])).all()
    again = Interval.from_arrays(interval.arrays(), whole=whole).apply(low, median, high)
    assert again[1].tobytes() == ends[1].tobytes()


def test_more_is_held_by_wider_intervals() -> None:
    rows = sales(4_000, 3, zeros=0.1)
    widths = [np.subtract(*Interval.fit(*rows, share=s, whole=False).apply(*rows[1:])[::-1]).mean() for s in (0.5, 0.9)]
    assert widths[0] < widths[1]


def test_rows_that_no_stretch_covers_are_given_up() -> None:
    zero = np.zeros(100)
    sold = np.where(np.arange(100) < 10, 5.0, 0.0)
    interval = Interval.fit(sold, zero, zero, zero, share=0.95, whole=True)
    assert np.isfinite(interval.factors).all()
    with pytest.raises(ModelError, match="no rows"):
        Interval.fit(zero[:0], zero[:0], zero[:0], zero[:0], share=0.8, whole=True)
