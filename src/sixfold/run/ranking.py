"""Judging ranking: how well each head orders and calibrates the test impressions, beside honest baselines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.evaluate.bootstrap import Estimate, bootstrap, compare
from sixfold.evaluate.calibration import CalibrationCurve, calibration_curve, expected_calibration_error
from sixfold.evaluate.ranking import auc, mean_ratio, normalised_entropy, xauc
from sixfold.evaluate.slices import Slice, TableMetric, by_category, by_count, measure_slices
from sixfold.features import count, rate
from sixfold.features.batch import as_of
from sixfold.features.featureset import FeatureSet
from sixfold.models.calibration import Curve
from sixfold.models.contract import FittedRanker
from sixfold.models.registry import load_ranker
from sixfold.run.prepare import Prepared
from sixfold.run.train import static_features
from sixfold.system import System

__all__ = ["HeadResult", "RankingResult", "judge_ranking"]

BINARY = {"auc": auc, "ne": normalised_entropy, "ece": expected_calibration_error}
QUANTITY = {"xauc": xauc, "mean ratio": mean_ratio}


@dataclass(frozen=True, slots=True)
class HeadResult:
    """One head under every model: model → metric → estimate; `gain` is the paired AUC gain over static features."""

    head: str
    binary: bool
    models: Mapping[str, Mapping[str, Estimate]]
    curve: CalibrationCurve | None
    gain: Estimate | None
    scores: Array


@dataclass(frozen=True, slots=True)
class RankingResult:
    """All heads, and the slices of the success label."""

    heads: tuple[HeadResult, ...]
    slices: tuple[Slice, ...]


def judge_ranking(
    system: System, prepared: Prepared, ranker: FittedRanker, baselines: Path, *, seed: int
) -> RankingResult:
    """Every head on the test impressions: the base rate, the item's rate so far, static features, and the ranker."""
    test, validate = prepared.test, prepared.validate
    users = test.spine[system.problem.task.per.name]
    full = ranker.predict(test.features)
    plain = load_ranker(baselines / "static").predict(test.features.select(static_features(system.features).names))
    heads = []
    for label in (label for label in system.labels if label.name in ranker.heads):
        truth = test.labels[label.name]
        predictions = {"static features": plain[label.name], "with behaviour as of then": full[label.name]}
        if label.binary:
            rates = _item_rate(system, prepared, label.name)
            predictions = {
                "base rate": np.full(len(test), validate.labels[label.name].mean()),
                "item's rate as of then": rates,
                **predictions,
            }
        metrics = BINARY if label.binary else QUANTITY
        models = {
            name: {
                m: bootstrap(partial(f, truth, p), users=users, seed=seed, replicates=200) for m, f in metrics.items()
            }
            for name, p in predictions.items()
        }
        order = auc if label.binary else xauc
        gain = compare(
            partial(order, truth, full[label.name]),
            partial(order, truth, plain[label.name]),
            users=users,
            seed=seed,
            replicates=200,
        )
        curve = calibration_curve(truth, full[label.name], users=users) if label.binary else None
        heads.append(HeadResult(label.name, label.binary, models, curve, gain, full[label.name]))
    return RankingResult(tuple(heads), _slices(system, prepared, full, seed))


def _item_rate(system: System, prepared: Prepared, name: str) -> Array:
    """The item's own smoothed rate as of then, over all time, calibrated on the validation range."""
    label = next(label for label in system.labels if label.name == name)
    base = float(prepared.validate.labels[name].mean())
    feature = rate(label, by=system.problem.task.item, over="lifetime", prior=(20 * base, 20.0)).named("rate")
    columns = [
        as_of(FeatureSet(feature), prepared.history, part.spine)["rate"] for part in (prepared.validate, prepared.test)
    ]
    return Curve.fit(columns[0], prepared.validate.labels[name], binary=True).apply(columns[1])


def _slices(system: System, prepared: Prepared, predicted: Table, seed: int) -> tuple[Slice, ...]:
    """The success label on cold and warm users and items, and by the plan's fields."""
    test, success, task = prepared.test, system.plan.satisfied.name, system.problem.task
    if success not in predicted:
        return ()
    seen = FeatureSet(
        count(system.spine, by=task.per, over="lifetime").named("user"),
        count(system.spine, by=task.item, over="lifetime").named("item"),
    )
    known = as_of(seen, prepared.history, test.spine)
    masks = by_count(f"{task.per.name} seen before", known["user"], (1, 20))
    masks |= by_count(f"{task.item.name} shown before", known["item"], (20, 500))
    for field in system.plan.slices:
        if field.name in test.spine:
            masks |= by_category(field.name, test.spine[field.name], top=3)
    rows = Table({"truth": test.labels[success], "score": predicted[success]})
    metrics = {name: _metric(function) for name, function in BINARY.items()}
    return measure_slices(rows, masks, metrics, users=test.spine[task.per.name], seed=seed, replicates=100)


def _metric(function: Callable[..., Array]) -> TableMetric:
    return lambda rows, weights: function(rows["truth"], rows["score"], weights)
