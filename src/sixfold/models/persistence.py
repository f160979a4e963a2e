"""The forecasts to beat: what was sold the last time, with quantiles by how far that has been off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.features.definitions import Feature
from sixfold.frame import Outcome
from sixfold.models.conformal import Interval
from sixfold.models.contract import Dataset, Progress, silent
from sixfold.models.forecaster import check_heads, check_quantiles, columns_of
from sixfold.models.storage import read_model, write_model

__all__ = ["FittedPersistence", "Persistence", "load"]

KIND = "persistence"


@dataclass(frozen=True, slots=True)
class Persistence:
    """A feature as the forecast: the same weekday of last week (seasonal naive), or a moving average.

    The other quantiles are the feature plus those of its own errors on the validation rows, in multiples of `level`
    where that is given. A missing value counts as 0.
    """

    heads: tuple[Outcome, ...]
    of: Feature
    level: Feature | None = None
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    whole: bool = True
    name: str = "seasonal naive"

    def __post_init__(self) -> None:
        check_quantiles(self.quantiles)

    def fit(self, train: Dataset, validate: Dataset, *, seed: int, progress: Progress = silent) -> "FittedPersistence":
        """Learn the spread of the errors on `validate`; raises ModelError as a forecaster does."""
        heads = tuple(outcome.name for outcome in self.heads)
        check_heads(heads, train, validate)
        level = "" if self.level is None else self.level.name
        errors: list[list[float]] = []
        intervals: dict[str, Interval] = {}
        share = self.quantiles[-1] - self.quantiles[0]
        for head in heads:
            truth, value, size = validate.labels[head], *_sizes(self.of.name, level, validate.features)
            errors.append([float(np.quantile((truth - value) / size, q)) for q in self.quantiles])
            raw = _raw(value, size, errors[-1], self.quantiles)
            ends = raw[:, 0], value, raw[:, -1]
            intervals[head] = Interval.fit(truth, *ends, share=share, whole=self.whole)
        return FittedPersistence(self.of.name, level, self.quantiles, np.array(errors), intervals)


class FittedPersistence:
    """Which feature, and the quantiles of its errors, a row for each head."""

    def __init__(
        self,
        of: str,
        level: str,
        quantiles: tuple[float, ...],
        errors: Array,
        intervals: Mapping[str, Interval],
    ) -> None:
        self._of, self._level, self._quantiles = of, level, quantiles
        self._errors, self._intervals = errors, intervals

    @property
    def heads(self) -> tuple[str, ...]:
        """The labels predicted, in order."""
        return tuple(self._intervals)

    def predict(self, features: Table) -> Table:
        """For each head the columns that a forecaster gives; raises InputError if a feature column is missing."""
        value, size = _sizes(self._of, self._level, features)
        out: dict[str, Array] = {}
        for (head, interval), errors in zip(self._intervals.items(), self._errors, strict=True):
            out |= columns_of(head, _raw(value, size, errors, self._quantiles), self._quantiles, interval)
        return Table(out, n_rows=len(features))

    def save(self, folder: Path) -> None:
        """Write the settings, the errors and the intervals."""
        settings = {
            "heads": list(self.heads),
            "of": self._of,
            "level": self._level,
            "quantiles": list(self._quantiles),
            "whole": self._intervals[self.heads[0]].whole,
        }
        arrays = {"errors": self._errors}
        for head, interval in self._intervals.items():
            arrays |= {f"{head}.{name}": values for name, values in interval.arrays().items()}
        write_model(folder, KIND, settings, arrays)


def load(folder: Path) -> FittedPersistence:
    """The model that `save` wrote into `folder`; raises ModelError if it is damaged."""
    known, arrays = read_model(folder, KIND)
    parts = {head: {name: arrays[f"{head}.{name}"] for name in ("edges", "factors")} for head in known["heads"]}
    intervals = {head: Interval.from_arrays(part, whole=known["whole"]) for head, part in parts.items()}
    return FittedPersistence(known["of"], known["level"], tuple(known["quantiles"]), arrays["errors"], intervals)


def _sizes(of: str, level: str, features: Table) -> tuple[Array, Array]:
    """What is forecast, and how large the series of each row is; (n_rows,) each."""
    value = np.maximum(np.nan_to_num(features[of]), 0.0)
    return value, np.maximum(np.nan_to_num(features[level]), 1e-9) if level else np.ones(len(value))


def _raw(value: Array, size: Array, errors: Sequence[float], quantiles: Sequence[float]) -> Array:
    """Sorted quantiles, (n_rows, n_quantiles): the median is the value itself."""
    raw = value[:, None] + size[:, None] * np.asarray(errors)
    raw[:, list(quantiles).index(0.5)] = value
    return np.sort(np.maximum(raw, 0.0), axis=1)
