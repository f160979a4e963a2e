"""A global forecaster: one gradient-boosted model of several quantiles for all series, saved in CatBoost's format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError, ModelError
from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table
from sixfold.features.definitions import Feature
from sixfold.frame import Outcome
from sixfold.models.conformal import Interval
from sixfold.models.contract import Dataset, Progress, silent
from sixfold.models.encoding import Encoder
from sixfold.models.storage import read_model, write_model

__all__ = ["FittedForecaster", "Forecaster", "check_heads", "check_quantiles", "columns_of", "load"]

KIND = "forecaster"


@dataclass(frozen=True, slots=True)
class Forecaster:
    """Quantiles of amounts >= 0, by boosted trees under the pinball loss, one model for all series.

    So that series of all sizes can share it, it learns multiples of `level`, a feature that says what the series has
    brought per period lately, and sees the features in `relative`, which are in the same unit, as multiples too. A
    series counts by the root of its level: large ones more, yet not alone. Quantiles never cross, for they are sorted,
    and are whole numbers where `whole`. Between the outermost two lies a share of what comes, in theory; `low` and
    `high` are the ends of the interval that held that share of the validation rows. It learns from at most `max_rows`
    rows, chosen by chance.
    """

    heads: tuple[Outcome, ...]
    level: Feature | None = None
    relative: tuple[Feature, ...] = ()
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    whole: bool = True
    categorical: tuple[str, ...] = ()
    name: str = "forecaster"
    depth: int = 6
    learning_rate: float = 0.05
    max_trees: int = 400
    patience: int = 30
    l2: float = 5.0
    max_rows: int = 200_000

    def __post_init__(self) -> None:
        check_quantiles(self.quantiles)

    def fit(self, train: Dataset, validate: Dataset, *, seed: int, progress: Progress = silent) -> "FittedForecaster":
        """Learn from `train`, stop by `validate` and fit the intervals on it; the same arguments give the same bytes.

        Raises ModelError if a head is no label, is 0 or 1, or has no rows.
        """
        heads = tuple(outcome.name for outcome in self.heads)
        check_heads(heads, train, validate)
        rows = np.arange(len(train))
        if len(train) > self.max_rows:
            rows = np.sort(np.random.default_rng(derive_seed(seed, "rows")).choice(rows, self.max_rows, replace=False))
        train = train.take(rows)
        names = tuple(feature.name for feature in self.relative if feature.name in train.features)
        scale = _Scale.of(self.level, names, train.features)
        encoder = Encoder.fit(scale.divided(train.features), categorical=self.categorical)
        trees: dict[str, Any] = {}
        for i, head in enumerate(heads):
            progress(f"training quantiles of {head}", i / len(heads))
            pools = [_pool(encoder, scale, part, head) for part in (train, validate)]
            trees[head] = self._grow(pools, derive_seed(seed, head))
        progress("training quantiles", 1.0)
        fitted = FittedForecaster(encoder, scale, trees, {}, self.quantiles)
        share = self.quantiles[-1] - self.quantiles[0]
        for head in heads:
            low, median, high = fitted.ends(head, validate.features)
            truth = validate.labels[head]
            fitted.intervals[head] = Interval.fit(truth, low, median, high, share=share, whole=self.whole)
        return fitted

    def _grow(self, pools: Sequence[Any], seed: int) -> Any:
        from catboost import CatBoost

        settings = {
            "loss_function": "MultiQuantile:alpha=" + ",".join(map(str, self.quantiles)),
            "iterations": self.max_trees,
            "learning_rate": self.learning_rate,
            "depth": self.depth,
            "l2_leaf_reg": self.l2,
            "random_seed": seed % 2**31,
            "od_type": "Iter",
            "od_wait": self.patience,
            "use_best_model": True,
            "allow_writing_files": False,
            "logging_level": "Silent",
        }
        model = CatBoost(settings)
        model.fit(pools[0], eval_set=pools[1])
        return model


class FittedForecaster:
    """The trees of each head, with the scale before and the interval after them."""

    def __init__(
        self,
        encoder: Encoder,
        scale: "_Scale",
        trees: Mapping[str, Any],
        intervals: dict[str, Interval],
        quantiles: tuple[float, ...],
    ) -> None:
        self._encoder, self._scale, self._trees = encoder, scale, trees
        self.intervals, self._quantiles = intervals, quantiles

    @property
    def heads(self) -> tuple[str, ...]:
        """The labels predicted, in order."""
        return tuple(self._trees)

    def predict(self, features: Table) -> Table:
        """For each head its median under its own name, its quantiles, and the ends of its interval, (n_rows,) each.

        For a head `sold` these are `sold`, `sold p10`, …, `sold low` and `sold high`. Raises InputError if a feature
        column is missing.
        """
        out: dict[str, Array] = {}
        for head in self._trees:
            out |= columns_of(head, self._raw(head, features), self._quantiles, self.intervals[head])
        return Table(out, n_rows=len(features))

    def ends(self, head: str, features: Table) -> tuple[Array, Array, Array]:
        """The lowest quantile, the median and the highest, before they are whole numbers; (n_rows,) each."""
        raw = self._raw(head, features)
        return raw[:, 0], raw[:, self._quantiles.index(0.5)], raw[:, -1]

    def _raw(self, head: str, features: Table) -> Array:
        matrix = _matrix(self._encoder, self._scale.divided(features))
        n = len(self._quantiles)
        raw = self._trees[head].predict(matrix, thread_count=1) if len(matrix) else np.zeros((0, n))
        return np.sort(np.maximum(raw.reshape(-1, n), 0.0), axis=1) * self._scale.levels(features)[:, None]

    def save(self, folder: Path) -> None:
        """Write the settings, the intervals and one HEAD.cbm for each head."""
        settings = {
            "heads": list(self.heads),
            "encoder": self._encoder.spec(),
            "scale": self._scale.spec(),
            "quantiles": list(self._quantiles),
            "whole": self.intervals[self.heads[0]].whole,
        }
        arrays = {f"{h}.{name}": v for h, interval in self.intervals.items() for name, v in interval.arrays().items()}
        write_model(folder, KIND, settings, arrays)
        for head, model in self._trees.items():
            model.save_model(str(folder / f"{head}.cbm"), format="cbm")


def load(folder: Path) -> FittedForecaster:
    """The model that `save` wrote into `folder`; raises ModelError if it is damaged."""
    from catboost import CatBoost, CatBoostError

    settings, arrays = read_model(folder, KIND)
    try:
        trees = {head: CatBoost().load_model(str(folder / f"{head}.cbm"), format="cbm") for head in settings["heads"]}
    except CatBoostError as error:
        raise ModelError(f"the trees of the model in {folder} cannot be read: {error}") from error
    whole = settings["whole"]
    parts = {head: {name: arrays[f"{head}.{name}"] for name in ("edges", "factors")} for head in settings["heads"]}
    intervals = {head: Interval.from_arrays(part, whole=whole) for head, part in parts.items()}
    encoder, scale = Encoder.from_spec(settings["encoder"]), _Scale(*settings["scale"])
    return FittedForecaster(encoder, scale, trees, intervals, tuple(settings["quantiles"]))


@dataclass(frozen=True, slots=True)
class _Scale:
    """The feature that says how large a series is ("" for none), the least size, and the features in its unit."""

    level: str
    least: float
    relative: Sequence[str]

    @classmethod
    def of(cls, level: Feature | None, relative: Sequence[str], features: Table) -> "_Scale":
        """Without the feature, every series counts as of size 1. The least size is a hundredth of the mean."""
        if level is None or level.name not in features:
            return cls("", 1.0, ())
        mean = float(np.nan_to_num(features[level.name]).mean())
        return cls(level.name, 0.01 * mean if mean > 0 else 1.0, (*relative, level.name))

    def levels(self, features: Table) -> Array:
        """How large the series of each row is, (n_rows,), positive."""
        if not self.level:
            return np.ones(len(features))
        return np.asarray(np.maximum(np.nan_to_num(features[self.level]), self.least))

    def divided(self, features: Table) -> Table:
        """The features with those in units of the series as multiples of its level; the level itself stays."""
        levels = self.levels(features)
        return features.with_columns({n: features[n] / levels for n in self.relative if n != self.level})

    def spec(self) -> list[Any]:
        """As plain values."""
        return [self.level, self.least, list(self.relative)]


def check_quantiles(quantiles: Sequence[float]) -> None:
    """Raise DefinitionError unless they rise from above 0 to below 1, the median among them."""
    rising = all(a < b for a, b in zip((0.0, *quantiles), (*quantiles, 1.0), strict=True))
    if not rising or 0.5 not in quantiles or len(quantiles) < 3:
        problem = f"quantiles must rise between 0 and 1, with 0.5 and one on each side of it; found {quantiles}"
        raise DefinitionError([problem])


def columns_of(head: str, raw: Array, quantiles: Sequence[float], interval: Interval) -> dict[str, Array]:
    """The columns of a head, given its sorted quantiles (n_rows, n_quantiles)."""
    median = list(quantiles).index(0.5)
    rounded = np.rint(raw) if interval.whole else raw
    low, high = interval.apply(raw[:, 0], raw[:, median], raw[:, -1])
    named = {f"{head} p{100 * q:g}": rounded[:, i] for i, q in enumerate(quantiles)}
    return {head: rounded[:, median], **named, f"{head} low": low, f"{head} high": high}


def check_heads(heads: Sequence[str], train: Dataset, validate: Dataset) -> None:
    """Raise ModelError unless every head is an amount that both parts have rows of."""
    for head in heads:
        if head not in train.labels:
            raise ModelError(f"no label {head!r} to learn; there are {', '.join(train.labels)}")
        if head in train.binary:
            raise ModelError(f"{head!r} is 0 or 1: a forecaster learns amounts", hint="use a ranker such as TreeRanker")
        if not len(train) or not len(validate):
            raise ModelError(f"there are no rows to learn {head!r} from", hint="give the split more days")


def _pool(encoder: Encoder, scale: _Scale, part: Dataset, head: str) -> Any:
    from catboost import Pool

    levels = scale.levels(part.features)
    weight = part.weights[head] * np.sqrt(levels)
    return Pool(_matrix(encoder, scale.divided(part.features)), part.labels[head] / levels, weight=weight)


def _matrix(encoder: Encoder, features: Table) -> Array:
    """Numbers, then codes: (n_rows, n_numeric + n_categorical) float32."""
    return np.concatenate([encoder.numbers(features), encoder.codes(features).astype(np.float32)], axis=1)
