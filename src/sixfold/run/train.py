"""Step 4, models: fit what the pipeline names, and what it is compared with, on the time that the plan says."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from sixfold._core.errors import DataError
from sixfold._core.hashing import derive_seed, fingerprint
from sixfold._core.table import Array, Table
from sixfold.data.split import Bounds
from sixfold.features.batch import as_of
from sixfold.features.definitions import Recent, Request
from sixfold.features.featureset import FeatureSet
from sixfold.models.contract import Dataset, FittedRanker, FittedRetriever, Interactions, Progress, Retriever, silent
from sixfold.models.registry import load_ranker
from sixfold.models.training_set import build_dataset, build_interactions, catalog, known_keys, offset_at
from sixfold.operate.drift import Reference
from sixfold.run.home import Home, read_json, write_json
from sixfold.serve import Retrieve
from sixfold.system import System

__all__ = ["Prepared", "Trained", "prepare", "static_features", "train"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The views of the log that training and evaluation share."""

    history: Mapping[str, Table]
    bounds: Bounds
    now: int
    train: Dataset
    validate: Dataset
    test: Dataset

    @property
    def fingerprint(self) -> str:
        """Names the data."""
        return fingerprint([part.fingerprint for part in (self.train, self.validate, self.test)])


@dataclass(frozen=True, slots=True)
class Trained:
    """What was fitted, on how much, in how long; `reused` if nothing had changed since the last time."""

    fingerprint: str
    impressions: dict[str, int]
    satisfied: int
    seconds: dict[str, float] = field(default_factory=dict)
    reused: bool = False


def prepare(home: Home, system: System, *, progress: Progress = silent) -> Prepared:
    """Read the log and compute the labelled, point-in-time-correct tables of the three ranges of the split."""
    progress("reading the log", 0.0)
    with home.log() as log:
        end, now = log.end()
        history = log.read(0, end, [*(stream.name for stream in system.streams), "decision"])
    impressions = history.get(system.spine.name)
    if impressions is None:
        raise DataError(f"the log has no {system.spine.name!r} events to learn from", hint="run `sixfold ingest` first")
    bounds = system.plan.split.bounds(int(impressions["at"].max()), int(home.facts().get("utc_offset_s", 0)))
    ranges = {"train": bounds.train, "validate": bounds.validate, "test": bounds.test}
    progress("computing features as of each impression", 0.1)
    whole = (bounds.train[0], bounds.test[1])
    dataset = build_dataset(system.features, system.labels, history, within=whole, now=now)
    at = dataset.spine["at"]
    parts = {}
    for name, (start, stop) in ranges.items():
        rows = (at >= start) & (at < stop)
        if not rows.any():
            raise DataError(
                f"the {name} range of the split has no mature impressions",
                hint="ingest more history, or shorten the split of the plan",
            )
        parts[name] = dataset.take(np.flatnonzero(rows))
    return Prepared(history, bounds, now, **parts)


def static_features(features: FeatureSet) -> FeatureSet:
    """What is known of an impression without looking at behaviour: attributes and request fields."""
    return FeatureSet(*(f for f in features if isinstance(f, Request) or (isinstance(f, Recent) and _is_attribute(f))))


def _is_attribute(feature: Recent) -> bool:
    return feature.single and feature.by == feature.stream.keys


def train(
    home: Home, system: System, *, seed: int, prepared: Prepared | None = None, progress: Progress = silent
) -> Trained:
    """Fit the candidate: every model of the pipeline, the baselines to beat, and the ranker without behaviour.

    Retrievers learn from everything before the test range, rankers from train, stopping and calibrating on validate.
    Nothing is fitted again while data, definitions and seed are the same.
    """
    began = time.perf_counter()
    prepared = prepared or prepare(home, system, progress=progress)
    name = fingerprint(prepared.fingerprint, system.fingerprint, seed)
    known = read_json(home.candidate / "train.json")
    if known.get("fingerprint") == name:
        return Trained(**{**known, "reused": True})
    work = home.folder / "candidate.new"
    shutil.rmtree(work, ignore_errors=True)
    content = work / "content"
    (content / "models").mkdir(parents=True)
    (work / "baselines").mkdir()
    seconds = {"point-in-time features": time.perf_counter() - began}
    jobs = list(_jobs(system, prepared, work))
    for done, (folder, fit) in enumerate(jobs):
        began = time.perf_counter()
        folder.mkdir()

        def tell(what: str, share: float, *, done: int = done, name: str = folder.name) -> None:
            progress(f"training {name}: {what}", (done + share) / len(jobs))

        tell("start", 0.0)
        fit(derive_seed(seed, folder.name), tell).save(folder)
        seconds[folder.name] = time.perf_counter() - began
    np.savez(content / "fallback.npz", keys=_fallback(system, prepared))
    predicted = load_ranker(content / "models" / system.ranker_name).predict(prepared.validate.features)
    scores = {f"predicted {head}": predicted[head] for head in predicted}
    Reference.of({**prepared.validate.features, **scores}).save(content / "reference.json")
    rows = {part: len(getattr(prepared, part)) for part in ("train", "validate", "test")}
    satisfied = int(prepared.train.labels[system.plan.satisfied.name].sum())
    trained = Trained(name, rows, satisfied, seconds)
    write_json(work / "train.json", {**asdict(trained), "system": system.fingerprint, "seed": seed})
    shutil.rmtree(home.candidate, ignore_errors=True)
    work.rename(home.candidate)
    return trained


def _fallback(system: System, prepared: Prepared, *, length: int = 500) -> Array:
    """The list for everybody: what the pipeline's fallback finds best at the end of the log, best first."""
    item, popular = system.problem.task.item, system.pipeline.fallback.feature
    end = offset_at(prepared.history, prepared.now + 1)
    keys = known_keys(prepared.history, system.streams, item, end)
    spine = Table({item.name: keys, "at": np.full(len(keys), prepared.now), "offset": np.full(len(keys), end)})
    values = as_of(FeatureSet(popular), prepared.history, spine)[popular.name]
    best = keys[np.argsort(-np.nan_to_num(values), kind="stable")][:length]
    return best.astype(str) if best.dtype == object else best


def _jobs(
    system: System, prepared: Prepared, work: Path
) -> Iterator[tuple[Path, Callable[[int, Progress], FittedRetriever | FittedRanker]]]:
    """The folder of each model, and what fits it."""
    content = work / "content"
    task = system.problem.task
    items = catalog(system.features, prepared.history, item=task.item, at=prepared.bounds.test[0])
    learned: dict[str, Interactions] = {}

    def interactions(consumed: Recent) -> Interactions:
        key = fingerprint(consumed.spec())
        if key not in learned:
            learned[key] = build_interactions(
                system.plan.satisfied,
                consumed,
                prepared.history,
                item=task.item,
                per=task.per,
                upto=prepared.bounds.test[0],
                items=items,
            )
        return learned[key]

    histories = {source.name: source.history for source in system.pipeline.sources if isinstance(source, Retrieve)}
    first = next(iter(histories.values()))
    retrievers = [(content / "models" / n, config, histories[n]) for n, config in system.retrievers.items()]
    retrievers += [(work / "baselines" / config.name, config, first) for config in system.plan.beat]
    for folder, config, history in retrievers:
        yield folder, partial(_fit_retriever, config, partial(interactions, history))
    fit = partial(system.ranker.fit, prepared.train, prepared.validate)
    yield content / "models" / system.ranker_name, partial(_fit_ranker, fit)
    static = static_features(system.features).names
    plain = [replace(part, features=part.features.select(static)) for part in (prepared.train, prepared.validate)]
    yield work / "baselines" / "static", partial(_fit_ranker, partial(system.ranker.fit, *plain))


def _fit_retriever(config: Retriever, data: Callable[[], Interactions], seed: int, tell: Progress) -> FittedRetriever:
    return config.fit(data(), seed=seed, progress=tell)


def _fit_ranker(fit: Callable[..., FittedRanker], seed: int, tell: Progress) -> FittedRanker:
    return fit(seed=seed, progress=tell)
