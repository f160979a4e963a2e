"""Drift: whether live values still look like those a release was trained on, feature by feature.

A release stores a `Reference`: for a number, 10 quantile bins and a sketch of 1,024 sorted values; for a text, its 50
most frequent values. Two figures say how far live values are from it. The population stability index compares shares
of bins; missing values (NaN, None) have a bin of their own, as have numbers below and above all that training saw, and
texts outside the 50. The distance is that of Kolmogorov and Smirnov for numbers, the largest gap between the two
distribution functions, and the total variation distance over the bins for texts; missing values take no part in it.
With many rows every p-value is tiny: judge by psi and distance, and use `psi_by_chance` to see whether there are rows
enough to judge by.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import msgspec
import numpy as np

from sixfold._core.errors import InputError, ReleaseError
from sixfold._core.hashing import canonical
from sixfold._core.table import Array

__all__ = ["DriftRow", "Reference", "Summary", "compare", "ks", "psi"]

_BINS, _POINTS, _NAMES = 10, 1024, 50
_HUGE = 1e308  # stands for infinity, which JSON cannot hold


@dataclass(frozen=True, slots=True)
class Summary:
    """The distribution of one feature in training.

    A number has `edges` (bin i is edges[i-1] < x <= edges[i]; the first and last bins are open and empty) and `points`,
    a sorted sketch of at most 1,024 values, evenly spaced in rank, so that the distance is within 1/1,024 of that of
    all rows; infinities are kept as 1e308 and left out of the moments. A text has `names`. `counts` has one entry per
    bin or name, then for a text the others, then the missing.
    """

    name: str
    kind: Literal["number", "text"]
    rows: int
    mean: float
    deviation: float
    edges: tuple[float, ...]
    points: tuple[float, ...]
    names: tuple[str, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DriftRow:
    """How far one feature is from its reference.

    `psi_by_chance` is what equal distributions exceed one time in twenty at these numbers of rows (Yurdakul 2018);
    `shift` the difference of means in standard deviations of the reference (NaN for texts); `missing_before` and
    `missing_now` are shares.
    """

    feature: str
    rows: int
    psi: float
    psi_by_chance: float
    distance: float
    p_value: float
    shift: float
    missing_before: float
    missing_now: float


@dataclass(frozen=True, slots=True)
class Reference:
    """The summaries of all features, as a release stores them."""

    features: tuple[Summary, ...]

    @classmethod
    def of(cls, columns: Mapping[str, Array]) -> Self:
        """Summarise columns (n_rows,) of numbers, bools or texts; of a sequence (n_rows, length) its filled length.

        >>> Reference.of({"age": np.arange(100.0)}).features[0].counts
        (0, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 0, 0)
        """
        return cls(tuple(_summary(name, values) for name, values in columns.items()))

    def save(self, path: Path) -> None:
        """Write one JSON file, the same bytes for the same content."""
        path.write_bytes(canonical(self))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; raises ReleaseError if it cannot be read."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError) as error:
            hint = "release again, or roll back to another release"
            raise ReleaseError(f"the reference distributions in {path} cannot be read: {error}", hint=hint) from error


def compare(reference: Reference, live: Mapping[str, Array]) -> tuple[DriftRow, ...]:
    """One row per feature of the reference, the most drifted first; raises InputError if a column is missing.

    A column without one live row has NaN figures and stands last.
    """
    lost = [summary.name for summary in reference.features if summary.name not in live]
    if lost:
        raise InputError(f"the live values lack the columns {lost}", hint="log every feature of the release")
    rows = [_compare(summary, live[summary.name]) for summary in reference.features]
    return tuple(sorted(rows, key=lambda row: (np.isnan(row.psi), -np.nan_to_num(row.psi))))


def psi(expected: Array, actual: Array) -> float:
    """The population stability index of two lists of bin counts: sum of (a - e) * ln(a / e) over shares a and e.

    Half a row is added to every bin that either list fills, so that an empty bin has a logarithm. NaN if a list is
    empty. Under 0.1 is usually read as stable, over 0.2 as drift.

    >>> psi(np.array([50, 50]), np.array([50, 50]))
    0.0
    """
    used = (expected > 0) | (actual > 0)
    if expected.sum() == 0 or actual.sum() == 0:
        return np.nan
    e, a = ((counts[used] + 0.5) / (counts[used] + 0.5).sum() for counts in (expected, actual))
    return float(((a - e) * np.log(a / e)).sum())


def ks(points: Array, live: Array) -> float:
    """The largest gap between the distribution functions of two samples, both sorted and without NaN.

    >>> ks(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    1.0
    """
    if len(points) == 0 or len(live) == 0:
        return np.nan
    # between two points the first function is flat and the second rises: the gap is largest at a point or just below
    gaps = [
        np.searchsorted(points, points, side=side) / len(points) - np.searchsorted(live, points, side=side) / len(live)
        for side in ("left", "right")
    ]
    return float(np.abs(gaps).max())


def _flat(values: Array) -> Array:
    """A column of numbers as float64; a sequence as the number of its filled places."""
    if values.ndim == 2:
        empty = np.equal(values, np.array(None, object)) if values.dtype == object else np.isnan(values)
        filled = ~(values == -1 if values.dtype.kind == "i" else empty)
        return np.asarray(filled.sum(axis=1), np.float64)
    return values if values.dtype == object else np.clip(values.astype(np.float64), -_HUGE, _HUGE)


def _summary(name: str, values: Array) -> Summary:
    flat = _flat(values)
    if flat.dtype == object:
        found = Counter(flat.tolist())
        del found[None]
        top = tuple(sorted(found, key=lambda text: (-found[text], text))[:_NAMES])
        return Summary(name, "text", len(flat), 0.0, 0.0, (), (), top, tuple(_count_texts(flat, top).tolist()))
    known = np.sort(flat[~np.isnan(flat)])
    edges, points = np.empty(0), known
    if n := len(known):
        ranks = np.ceil(np.arange(1, _BINS + 1) / _BINS * n).astype(np.int64) - 1
        edges = np.unique([np.nextafter(known[0], -np.inf), *known[ranks]])
        if n > _POINTS:
            points = known[((np.arange(_POINTS) + 0.5) / _POINTS * n).astype(np.int64)]
    counted = _count_numbers(known, len(flat), edges)
    mean, deviation = _moments(known)
    cuts, sketch, bins = (tuple(part.tolist()) for part in (edges, points, counted))
    return Summary(name, "number", len(flat), mean, deviation, cuts, sketch, (), bins)


def _moments(known: Array) -> tuple[float, float]:
    """Mean and standard deviation of the finite ones of sorted numbers; zeros where there are none."""
    finite = known[np.searchsorted(known, -_HUGE, side="right") : np.searchsorted(known, _HUGE)]
    return (float(finite.mean()), float(finite.std())) if len(finite) else (0.0, 0.0)


def _count_numbers(ordered: Array, rows: int, edges: Array) -> Array:
    """Rows per bin of sorted known numbers, the missing last."""
    upto = np.searchsorted(ordered, edges, side="right")
    return np.diff(np.concatenate([[0], upto, [len(ordered), rows]]))


def _count_texts(values: Array, names: tuple[str, ...]) -> Array:
    """Rows per name, then the others, then the missing."""
    found = Counter(values.tolist())
    missing = found.pop(None, 0)
    listed = [found[name] for name in names]
    return np.array([*listed, found.total() - sum(listed), missing])


def _compare(summary: Summary, values: Array) -> DriftRow:
    from scipy.stats import chi2, kstwo

    flat, before = _flat(values), np.array(summary.counts)
    if (flat.dtype == object) != (summary.kind == "text"):
        raise InputError(f"feature {summary.name!r} was a {summary.kind} in training; now its column is {flat.dtype}")
    shift = np.nan
    if summary.kind == "text":
        now = _count_texts(flat, summary.names)
        a, b = before[:-1], now[:-1]
        distance = float(np.abs(a / a.sum() - b / b.sum()).sum() / 2) if a.sum() and b.sum() else np.nan
        p_value = _chi_square(a, b)
    else:
        known = np.sort(flat[~np.isnan(flat)])
        now = _count_numbers(known, len(flat), np.array(summary.edges))
        n, m = int(before[:-1].sum()), len(known)
        distance = ks(np.array(summary.points), known)
        p_value = float(kstwo.sf(distance, max(round(n * m / (n + m)), 1))) if n and m else np.nan
        mean, _ = _moments(known)
        shift = (mean - summary.mean) / summary.deviation if summary.deviation > 0 else np.nan
    rows, bins = len(flat), int(((before > 0) | (now > 0)).sum())
    chance = (
        float(chi2.ppf(0.95, max(bins - 1, 1)) * (1 / rows + 1 / summary.rows)) if rows and summary.rows else np.nan
    )
    missing = [
        float(counts[-1] / total) if total else np.nan for counts, total in ((before, summary.rows), (now, rows))
    ]
    return DriftRow(summary.name, rows, psi(before, now), chance, distance, p_value, float(shift), *missing)


def _chi_square(a: Array, b: Array) -> float:
    """The p-value of Pearson's test that two lists of counts come from one distribution."""
    from scipy.stats import chi2

    both = np.array([a, b], np.float64)[:, (a + b) > 0]
    if not both.sum(axis=1).all() or both.shape[1] < 2:
        return np.nan
    expected = both.sum(axis=1, keepdims=True) * both.sum(axis=0) / both.sum()
    return float(chi2.sf(((both - expected) ** 2 / expected).sum(), both.shape[1] - 1))
