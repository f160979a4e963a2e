"""Calibration: monotone corrections that make predicted probabilities come true and predicted amounts add up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.table import Array

__all__ = ["Calibration", "Curve", "undo_downsampling"]

_UNBOUNDED = 1e12


@dataclass(frozen=True, slots=True)
class Curve:
    """A non-decreasing, piecewise linear map from predictions >= 0 to corrected predictions; `x` increases.

    >>> Curve(np.array([0.0, 1.0]), np.array([0.0, 0.5])).apply(np.array([0.5, 2.0])).tolist()
    [0.25, 0.5]
    """

    x: Array
    y: Array

    @classmethod
    def fit(cls, predicted: Array, actual: Array, weights: Array | None = None, *, binary: bool) -> Self:
        """Isotonic regression (pool adjacent violators) of `actual` on `predicted`, all (n_rows,).

        Rows are first pooled into at most 200 groups, with 20 rows of the rarer outcome each (of a `binary` head) or
        50 rows (of an amount), and the curve joins the groups' means: it neither chases single rows nor makes more ties
        than it must. Where that leaves under 5 groups, predictions are only scaled. Either way the corrected
        predictions add up to what happened. Raises ModelError on no rows.
        """
        weights = np.ones(len(predicted)) if weights is None else weights
        total = float(weights.sum())
        if total <= 0:
            raise ModelError("there are no rows to calibrate on", hint="give the validation split at least one day")
        n_positive = int((actual > 0).sum())
        n_groups = min(200, min(n_positive, len(actual) - n_positive) // 20 if binary else len(actual) // 50)
        if n_groups < 5:
            return cls._scaled(float((weights * actual).sum()), float((weights * predicted).sum()), binary=binary)
        x, y = _knots(predicted, actual, weights, n_groups)
        fitted = float((weights * np.interp(predicted, x, y)).sum())
        y = y * (float((weights * actual).sum()) / fitted) if fitted > 0 else y
        return cls(x, np.clip(y, 0.0, 1.0) if binary else y)

    @classmethod
    def _scaled(cls, actual: float, predicted: float, *, binary: bool) -> Self:
        factor = actual / predicted if predicted > 0 and actual > 0 else 1.0
        top = min(1.0, 1.0 / factor) if binary else _UNBOUNDED
        return cls(np.array([0.0, top]), np.array([0.0, top * factor]))

    def apply(self, predicted: Array) -> Array:
        """The corrected predictions, float64, the same shape."""
        return np.interp(predicted, self.x, self.y)


def _knots(predicted: Array, actual: Array, weights: Array, n_groups: int) -> tuple[Array, Array]:
    """Isotonic means of equally large groups of rows, equal predictions together; one knot in the middle of a level.

    Joining the middles gives a strictly increasing line where plain isotonic regression gives steps.
    """
    from scipy.optimize import isotonic_regression

    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, n_groups + 1)[1:-1]))
    group = np.searchsorted(edges, predicted, side="left")
    mass = np.bincount(group, weights, minlength=len(edges) + 1)
    held = mass > 0
    x, y = (np.bincount(group, weights * v, minlength=len(mass))[held] / mass[held] for v in (predicted, actual))
    mass = mass[held]
    _, level = np.unique(isotonic_regression(y, weights=mass).x, return_inverse=True)
    size = np.bincount(level, mass)
    return np.bincount(level, mass * x) / size, np.bincount(level, mass * y) / size


@dataclass(frozen=True, slots=True)
class Calibration:
    """A curve for each calibrated head; other heads pass unchanged."""

    curves: Mapping[str, Curve]

    def apply(self, head: str, predicted: Array) -> Array:
        """The corrected predictions of a head, float64."""
        curve = self.curves.get(head)
        return np.asarray(predicted, np.float64) if curve is None else curve.apply(predicted)

    def arrays(self) -> dict[str, Array]:
        """The curves as named arrays, to be saved."""
        return {f"{head}.{axis}": getattr(curve, axis) for head, curve in self.curves.items() for axis in "xy"}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The inverse of `arrays`."""
        heads = [name[:-2] for name in arrays if name.endswith(".x")]
        return cls({head: Curve(arrays[f"{head}.x"], arrays[f"{head}.y"]) for head in heads})


def undo_downsampling(predicted: Array, keep: float) -> Array:
    """Probabilities of a model that was taught on every positive and a share `keep` of the negatives, put right.

    p / (p + (1 - p) / keep): He et al. 2014, "Practical lessons from predicting clicks on ads at Facebook", 6.3.

    >>> undo_downsampling(np.array([0.5]), keep=0.1).round(4).tolist()
    [0.0909]
    """
    if not 0 < keep <= 1:
        raise ModelError(f"the share of negatives kept must lie in (0, 1], not {keep}")
    return np.asarray(predicted / (predicted + (1 - predicted) / keep))
