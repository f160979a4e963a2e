"""The views of the log that training and evaluation share: labelled ranges, targets, and the state as of an instant."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from sixfold._core.errors import DataError
from sixfold._core.hashing import fingerprint
from sixfold._core.memory import release_freed
from sixfold._core.table import Array, Table
from sixfold.data.calendar import Calendar
from sixfold.data.labels import Label
from sixfold.data.log import Log
from sixfold.data.retraction import RETRACTION
from sixfold.data.rules import RuleLabel, weighed
from sixfold.data.split import Bounds
from sixfold.engines.memory.store import MemoryStore
from sixfold.features.batch import as_of
from sixfold.features.definitions import Feature
from sixfold.features.featureset import FeatureSet
from sixfold.features.online import OnlineFeatures
from sixfold.models.contract import Dataset, Progress, silent
from sixfold.models.training_set import build_dataset, offset_at
from sixfold.run.home import Home
from sixfold.system import System

__all__ = ["Prepared", "fold_until", "prepare", "targets_of", "weighed_labels"]


_CHUNK = 200_000
_TEXTS_OF_DECISIONS = {"request", "response", "record"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """The views of the log that training and evaluation share."""

    history: Mapping[str, Table]
    bounds: Bounds
    now: int
    train: Dataset
    validate: Dataset
    test: Dataset
    seconds: float
    utc_offset_s: int = 0

    @property
    def fingerprint(self) -> str:
        """Names the data."""
        return fingerprint([part.fingerprint for part in (self.train, self.validate, self.test)])


def prepare(home: Home, system: System, *, progress: Progress = silent) -> Prepared:
    """Read the log and compute the labelled, point-in-time-correct tables of the three ranges of the split."""
    began = time.perf_counter()
    progress("reading the log", 0.0)
    with home.log() as log:
        end, now = log.end()
        history = _read(log, end, [*(stream.name for stream in system.streams), RETRACTION, "decision"])
    release_freed()
    spine = system.spine.events if isinstance(system.spine, Calendar) else system.spine
    impressions = history.get(spine.name)
    if impressions is None:
        raise DataError(f"the log has no {spine.name!r} events to learn from", hint="run `sixfold ingest` first")
    utc_offset_s = int(home.facts().get("utc_offset_s", 0))
    bounds = system.plan.split.bounds(int(impressions["at"].max()), utc_offset_s)
    ranges = {"train": bounds.train, "validate": bounds.validate, "test": bounds.test}
    progress("computing features as of each impression", 0.1)
    whole = (bounds.start, bounds.test[1])
    item = system.problem.task.item
    labels = weighed_labels(system, history, bounds)
    dataset = build_dataset(
        system.features, labels, history, within=whole, now=now, item=item, utc_offset_s=utc_offset_s
    )
    at = dataset.spine["at"]
    parts = {}
    for name, (start, stop) in ranges.items():
        rows = (at >= start) & (at < stop)
        if not rows.any():
            raise DataError(
                f"the {name} range of the split has no mature impressions",
                hint="ingest more history, or shorten the split of the plan",
            )
        if name == "test" and system.plan.only is not None:
            rows &= _wanted(system.plan.only, history, dataset.spine)
            if not rows.any():
                raise DataError(
                    f"{system.plan.only.name} leaves no row of the test range", hint="see the plan's `only`"
                )
        parts[name] = dataset.take(np.flatnonzero(rows))
    took = time.perf_counter() - began
    return Prepared(history, bounds, now, **parts, seconds=took, utc_offset_s=utc_offset_s)


def weighed_labels(system: System, history: Mapping[str, Table], bounds: Bounds) -> list[Label]:
    """The system's labels, those by rule weighed by the impressions of the training range."""
    if not any(isinstance(label, RuleLabel) for label in system.labels):
        return list(system.labels)
    impressions = history[system.spine.name]
    learning = (impressions["at"] >= bounds.train[0]) & (impressions["at"] < bounds.train[1])
    return [weighed(label, impressions.take(learning), history) for label in system.labels]


def _wanted(only: Feature, history: Mapping[str, Table], spine: Table) -> Array:
    """The rows where the feature has a value other than 0, (n_rows,) bool."""
    values = as_of(FeatureSet(only), history, spine)[only.name].astype(np.float64)
    return np.asarray(np.nan_to_num(values) != 0)


def _read(log: Log, end: int, streams: Sequence[str]) -> dict[str, Table]:
    """The events below `end`, some at a time, without what nobody looks at and takes most of the memory.

    That is their ids, a hundred bytes each, except those of decisions, and of decisions the texts that were logged.
    """
    parts: dict[str, list[Table]] = {}
    for start in range(0, end, _CHUNK):
        for name, table in log.read(start, min(start + _CHUNK, end), streams).items():
            dropped = _TEXTS_OF_DECISIONS if name == "decision" else {"id"}
            parts.setdefault(name, []).append(table.select(column for column in table if column not in dropped))
    return {name: Table.concat(parts.pop(name)) for name in tuple(parts)}


def fold_until(system: System, prepared: Prepared, instant: int) -> OnlineFeatures:
    """The state of a service that has seen what arrived before `instant`, and nothing later."""
    read = partial(_between, prepared.history)
    features = OnlineFeatures(system.online_features, MemoryStore(), read=read)
    stop = offset_at(prepared.history, instant)
    while features.offset < stop:
        upto = min(features.offset + _CHUNK, stop)
        features.fold(read(features.offset, upto, features.features.follows), upto)
    return features


def _between(history: Mapping[str, Table], start: int, stop: int, streams: Iterable[str]) -> dict[str, Table]:
    """What a log of these events would read."""
    tables = {name: history[name] for name in streams if name in history}
    return {name: table.take(slice(*table["offset"].searchsorted([start, stop]))) for name, table in tables.items()}


def targets_of(system: System, part: Dataset) -> tuple[Array, list[Array]]:
    """Who was satisfied in a range of the split, and by which items; the task must be to rank."""
    task, satisfied = system.problem.task, system.plan.satisfied
    if task.item is None or satisfied is None:
        raise DataError(f"{system.name} finds no items, so nobody is satisfied by one")
    hit = part.labels[satisfied.name] > 0
    users, items = part.spine[task.per.name][hit], part.spine[task.item.name][hit]
    names, code = np.unique(users, return_inverse=True)
    order = np.argsort(code, kind="stable")
    return names, np.split(items[order], np.cumsum(np.bincount(code))[:-1])
