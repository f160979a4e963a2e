"""Step 4, models: fit what the pipeline names, and what it is compared with, on the time that the plan says."""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.hashing import derive_seed, fingerprint
from sixfold._core.memory import release_freed
from sixfold._core.table import Array, Table
from sixfold.data.calendar import Calendar
from sixfold.features.batch import as_of
from sixfold.features.definitions import Recent, Request
from sixfold.features.featureset import FeatureSet
from sixfold.frame import Rank
from sixfold.models.contract import FittedRanker, FittedRetriever, Interactions, Progress, Ranker, Retriever, silent
from sixfold.models.reading.contract import FittedReader
from sixfold.models.text.contract import FittedMatcher
from sixfold.models.training_set import build_interactions, catalog, known_keys, offset_at
from sixfold.operate.drift import Reference
from sixfold.run.blend import tune_blend
from sixfold.run.evidence import evidence_names, with_evidence
from sixfold.run.home import Home, read_json, write_json
from sixfold.run.prepare import Prepared, prepare
from sixfold.run.reading import Reads, examples_of, reads
from sixfold.serve import Popular, Retrieve
from sixfold.system import System

__all__ = ["Trained", "static_features", "train"]

_FALLBACK = 500


@dataclass(frozen=True, slots=True)
class Trained:
    """What was fitted, on how much, in how long; `reused` if nothing had changed since the last time."""

    fingerprint: str
    impressions: dict[str, int]
    satisfied: int
    weights: dict[str, float]
    seconds: dict[str, float] = field(default_factory=dict)
    reused: bool = False


def static_features(features: FeatureSet) -> FeatureSet:
    """What is known of an impression without looking at behaviour: attributes and request fields."""
    return FeatureSet(*(f for f in features if isinstance(f, Request) or (isinstance(f, Recent) and _is_attribute(f))))


def _is_attribute(feature: Recent) -> bool:
    return feature.single and not feature.oldest and feature.by == feature.stream.keys


def train(
    home: Home, system: System, *, seed: int, prepared: Prepared | None = None, progress: Progress = silent
) -> Trained:
    """Fit the candidate: every model of the pipeline, the baselines to beat, and the ranker without behaviour.

    Rankers learn from train, stopping and calibrating on validate. The blend is weighed on validate, with retrievers
    that know train only; those that ship learn from everything before the test range. Nothing is fitted again while
    data, definitions and seed are the same.
    """
    prepared = prepared or prepare(home, system, progress=progress)
    name = fingerprint(prepared.fingerprint, system.fingerprint, seed)
    known = read_json(home.candidate / "train.json")
    if known.get("fingerprint") == name:
        facts = {key: known[key] for key in ("fingerprint", "impressions", "satisfied", "weights", "seconds")}
        return Trained(**facts, reused=True)
    work = home.folder / "candidate.new"
    shutil.rmtree(work, ignore_errors=True)
    (work / "content" / "models").mkdir(parents=True)
    (work / "baselines").mkdir()
    training = _Training(system, prepared, work, seed, progress)
    training.seconds["point-in-time features"] = prepared.seconds
    weights = training.fit_all()
    rows = {part: len(getattr(prepared, part)) for part in ("train", "validate", "test")}
    success = system.plan.satisfied
    satisfied = 0 if success is None else int(prepared.train.labels[success.name].sum())
    trained = Trained(name, rows, satisfied, dict(weights), training.seconds)
    facts = {"system": system.fingerprint, "seed": seed, "until": prepared.now}
    write_json(work / "train.json", {**asdict(trained), **facts})
    shutil.rmtree(home.candidate, ignore_errors=True)
    work.rename(home.candidate)
    return trained


class _Training:
    """One candidate in the making: fits, times and saves into `work`."""

    def __init__(self, system: System, prepared: Prepared, work: Path, seed: int, progress: Progress) -> None:
        self.system, self.prepared, self.seed = system, prepared, seed
        self.content, self.baselines = work / "content", work / "baselines"
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._interactions: tuple[str, Interactions] | None = None

    @contextmanager
    def _timed(self, what: str, share: float) -> Iterator[Progress]:
        release_freed()
        began = time.perf_counter()

        def tell(detail: str, _: float) -> None:
            self._progress(f"training {what}: {detail}", share)

        tell("start", 0.0)
        yield tell
        self.seconds[what] = time.perf_counter() - began

    def fit_all(self) -> Mapping[str, float]:
        """Everything, in the order in which it is needed; returns the weights of the blend."""
        system = self.system
        self._fit_matchers()
        prepared = self.prepared
        ranker = self._fit_ranker(system.ranker, system.ranker_name, system.features, self.content / "models", 0.0)
        if len(plain := static_features(system.features)) or evidence_names(system):
            self._fit_ranker(system.ranker, "static", plain, self.baselines, 0.4)
        for rival in system.plan.rivals:
            self._fit_ranker(rival.ranker, rival.name, rival.features, self.baselines, 0.45)
        histories = self._histories()
        weights = system.pipeline.blend.weights or (self._tune(ranker) if histories else {})
        for config in system.plan.beat if histories else ():
            with self._timed(config.name, 0.7) as tell:
                self._fit_and_save(config, next(iter(histories.values())), self.baselines, tell)
        for name, config in system.retrievers.items():
            with self._timed(name, 0.75) as tell:
                self._fit_and_save(config, histories[name], self.content / "models", tell)
        if (stage := reads(system)) is not None:
            self._fit_reader(stage)
        if system.pipeline.fallback is not None:
            np.savez(self.content / "fallback.npz", keys=_fallback(system, prepared, system.pipeline.fallback))
        write_json(self.content / "blend.json", weights)
        predicted = ranker.predict(prepared.validate.features)
        if (actor := system.pipeline.act) is not None:
            validate = prepared.validate
            write_json(self.content / "act.json", actor.fit(validate.labels, predicted, validate.spine))
        elif isinstance(system.spine, Calendar):
            write_json(self.content / "act.json", {"utc_offset_s": prepared.utc_offset_s})
        scores = {f"predicted {head}": predicted[head] for head in predicted}
        known = prepared.validate.features.select(system.features.names)
        Reference.of({**known, **scores}).save(self.content / "reference.json")
        return weights

    def _fit_matchers(self) -> None:
        """The models of text, which learn from the catalogue alone, and what they say of the training rows."""
        task, prepared = self.system.problem.task, self.prepared
        fitted: dict[str, FittedMatcher] = {}
        if not self.system.pipeline.matchers or task.item is None:
            return
        items = catalog(self.system.streams, prepared.history, item=task.item, at=prepared.bounds.test[0])
        for name, config in self.system.pipeline.matchers.items():
            with self._timed(name, 0.0) as tell:
                seed = derive_seed(self.seed, name)
                fitted[name] = config.fit(items, seed=seed, progress=tell, cache=self.content.parents[1] / "vectors")
                _save(fitted[name], self.content / "models" / name)
        with self._timed("what the models of text say", 0.0):
            train, validate = (with_evidence(self.system, p, fitted) for p in (prepared.train, prepared.validate))
        self.prepared = replace(prepared, train=train, validate=validate)

    def _tune(self, ranker: FittedRanker) -> Mapping[str, float]:
        """The weights of the blend, by retrievers that are used for nothing else, and go when they are known."""
        models: dict[str, FittedRetriever | FittedRanker] = {self.system.ranker_name: ranker}
        for name, config in self.system.retrievers.items():
            with self._timed(f"{name} without validate", 0.5) as tell:
                upto = self.prepared.bounds.validate[0]
                models[name] = self._fit_retriever(config, self._histories()[name], upto, tell)
        self._interactions = None
        with self._timed("weights of the sources", 0.65) as tell:
            return tune_blend(self.system, self.prepared, models, seed=self.seed, progress=tell)

    def _fit_ranker(self, config: Ranker, name: str, features: FeatureSet, folder: Path, share: float) -> FittedRanker:
        parts = [
            replace(part, features=part.features.select([*features.names, *evidence_names(self.system)]))
            for part in (self.prepared.train, self.prepared.validate)
        ]
        with self._timed(name, share) as tell:
            ranker = config.fit(*parts, seed=derive_seed(self.seed, name), progress=tell)
            _save(ranker, folder / name)
        return ranker

    def _fit_reader(self, stage: Reads) -> None:
        parts = [
            examples_of(self.system, part, self.prepared.history, stage, at=self.prepared.bounds.test[0])
            for part in (self.prepared.train, self.prepared.validate)
        ]
        with self._timed(stage.reader.name, 0.85) as tell:
            reader = stage.reader.fit(*parts, seed=derive_seed(self.seed, stage.reader.name), progress=tell)
            _save(reader, self.content / "models" / stage.reader.name)

    def _histories(self) -> dict[str, Recent]:
        return {source.name: source.history for source in self.system.pipeline.sources if isinstance(source, Retrieve)}

    def _fit_retriever(self, config: Retriever, consumed: Recent, upto: int, tell: Progress) -> FittedRetriever:
        # The data have no name here: those of the retriever before go before these are made.
        return config.fit(self._data(consumed, upto), seed=derive_seed(self.seed, config.name), progress=tell)

    def _fit_and_save(self, config: Retriever, consumed: Recent, folder: Path, tell: Progress) -> None:
        _save(self._fit_retriever(config, consumed, self.prepared.bounds.test[0], tell), folder / config.name)

    def _data(self, consumed: Recent, upto: int) -> Interactions:
        key = fingerprint(consumed.spec(), upto)
        if self._interactions is None or self._interactions[0] != key:
            # One at a time: histories of a million consumptions are 200 MB.
            self._interactions = None
            task, history = self.system.problem.task, self.prepared.history
            satisfied = self.system.plan.satisfied
            if not isinstance(task, Rank) or satisfied is None:
                raise ModelError(f"{self.system.name} does not rank, so its retrievers have nothing to learn")
            items = catalog(self.system.streams, history, item=task.item, at=upto)
            made = build_interactions(
                satisfied, consumed, history, item=task.item, per=task.per, upto=upto, items=items
            )
            self._interactions = key, made
        return self._interactions[1]


def _save(model: FittedRanker | FittedRetriever | FittedMatcher | FittedReader, folder: Path) -> None:
    folder.mkdir()
    model.save(folder)


def _fallback(system: System, prepared: Prepared, fallback: Popular) -> Array:
    """The list for everybody: what the pipeline's fallback finds best at the end of the log, best first."""
    item, popular = system.problem.task.known[-1], fallback.feature
    end = offset_at(prepared.history, prepared.now + 1)
    keys = known_keys(prepared.history, system.streams, item, end)
    spine = Table({item.name: keys, "at": np.full(len(keys), prepared.now), "offset": np.full(len(keys), end)})
    values = as_of(FeatureSet(popular), prepared.history, spine)[popular.name]
    best = keys[np.argsort(-np.nan_to_num(values), kind="stable")][:_FALLBACK]
    return best.astype(str) if best.dtype == object else best
