"""Judging ranking: how well each head orders and calibrates the test impressions, beside honest baselines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.evaluate.bootstrap import Estimate, bootstrap, compare
from sixfold.evaluate.calibration import CalibrationCurve, calibration_curve, expected_calibration_error
from sixfold.evaluate.measures import OURS, STATIC
from sixfold.evaluate.ranking import auc, mean_ratio, normalised_entropy, xauc
from sixfold.evaluate.slices import Slice, TableMetric, by_category, by_count, measure_slices
from sixfold.features import count, rate
from sixfold.features.batch import as_of
from sixfold.features.featureset import FeatureSet
from sixfold.frame import Entity, Forecast
from sixfold.models.calibration import Curve
from sixfold.models.contract import FittedRanker
from sixfold.models.registry import load_ranker
from sixfold.run.evidence import evidence_names
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
    """All heads, the slices of the success label, every model, and what it predicted: model → heads, ours first."""

    heads: tuple[HeadResult, ...]
    slices: tuple[Slice, ...]
    predictions: Mapping[str, Table]
    rankers: Mapping[str, FittedRanker]


def judge_ranking(
    system: System, prepared: Prepared, ranker: FittedRanker, baselines: Path, *, seed: int
) -> RankingResult:
    """Every head on the test impressions: the base rate, the item's rate so far, static features, and the ranker."""
    test, validate = prepared.test, prepared.validate
    users = test.spine[system.problem.task.per.name]
    full = ranker.predict(test.features)
    predicted, rankers = {OURS: full}, {OURS: ranker}
    said = evidence_names(system)
    if len(static := static_features(system.features)) or said:
        rankers[STATIC] = load_ranker(baselines / "static")
        predicted[STATIC] = rankers[STATIC].predict(test.features.select([*static.names, *said]))
    for rival in system.plan.rivals:
        rankers[rival.name] = load_ranker(baselines / rival.name)
        predicted[rival.name] = rankers[rival.name].predict(test.features.select([*rival.features.names, *said]))
    heads = []
    # Forecasts are amounts per series and day: the plan's measures judge them, not how rows of all series are ordered.
    judged = () if isinstance(system.problem.task, Forecast) else system.labels
    for label in (label for label in judged if label.name in ranker.heads):
        truth = test.labels[label.name]
        predictions = {model: table[label.name] for model, table in reversed(predicted.items()) if label.name in table}
        if label.binary:
            base = {"base rate": np.full(len(test), validate.labels[label.name].mean())}
            rates = {f"{e.name}'s rate as of then": _rate(system, prepared, label, e) for e in _compared(system)}
            predictions = {**base, **rates, **predictions}
        metrics = BINARY if label.binary else QUANTITY
        models = {
            name: {
                m: bootstrap(partial(f, truth, p), users=users, seed=seed, replicates=200) for m, f in metrics.items()
            }
            for name, p in predictions.items()
        }
        order = auc if label.binary else xauc
        gain = None
        if STATIC in predicted:
            ours, plain = (partial(order, truth, predicted[model][label.name]) for model in (OURS, STATIC))
            gain = compare(ours, plain, users=users, seed=seed, replicates=200)
        curve = calibration_curve(truth, full[label.name], users=users) if label.binary else None
        heads.append(HeadResult(label.name, label.binary, models, curve, gain, full[label.name]))
    return RankingResult(tuple(heads), _slices(system, prepared, full, seed), predicted, rankers)


def _compared(system: System) -> tuple[Entity, ...]:
    """Whose own rate a model must beat: that of the item, or of whom the event is about."""
    task = system.problem.task
    return (task.item,) if task.item is not None else task.known


def _rate(system: System, prepared: Prepared, label: Label, entity: Entity) -> Array:
    """The entity's own smoothed rate as of then, over all time, calibrated on the validation range."""
    name = label.name
    base = float(prepared.validate.labels[name].mean())
    feature = rate(label, by=entity, over="lifetime", prior=(20 * base, 20.0)).named("rate")
    columns = [
        as_of(FeatureSet(feature), prepared.history, part.spine)["rate"] for part in (prepared.validate, prepared.test)
    ]
    return Curve.fit(columns[0], prepared.validate.labels[name], binary=True).apply(columns[1])


def _slices(system: System, prepared: Prepared, predicted: Table, seed: int) -> tuple[Slice, ...]:
    """The success label on cold and warm users and items, and by the plan's fields."""
    test, task = prepared.test, system.problem.task
    success = system.plan.satisfied.name if system.plan.satisfied is not None else system.labels[0].name
    if success not in predicted or not isinstance(system.spine, Events):
        return ()
    seen = FeatureSet([count(system.spine, by=entity, over="lifetime").named(entity.name) for entity in task.known])
    known = as_of(seen, prepared.history, test.spine)
    masks: dict[str, Array] = {}
    for entity in task.known:
        verb, bounds = ("shown", (20, 500)) if entity == task.item else ("seen", (1, 20))
        masks |= by_count(f"{entity.name} {verb} before", known[entity.name], bounds)
    for field in system.plan.slices:
        if field.name in test.spine:
            people = test.spine[task.per.name] if field.name in field.events.personal else None
            masks |= by_category(field.name, test.spine[field.name], top=3, people=people)
    rows = Table({"truth": test.labels[success], "score": predicted[success]})
    metrics = {name: _metric(function) for name, function in BINARY.items()}
    return measure_slices(rows, masks, metrics, users=test.spine[task.per.name], seed=seed, replicates=100)


def _metric(function: Callable[..., Array]) -> TableMetric:
    return lambda rows, weights: function(rows["truth"], rows["score"], weights)
