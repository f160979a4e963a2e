"""Step 3, features: what they are, where a value comes from, and the training set that they make."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from sixfold._core.errors import DataError, InputError
from sixfold._core.table import Table
from sixfold.data.labels import Label
from sixfold.data.log import Log
from sixfold.data.privacy import MASK, personal
from sixfold.data.retraction import RETRACTION
from sixfold.data.rules import RuleLabel
from sixfold.features.dataset import Recipe, StoredDataset, write_dataset
from sixfold.features.definitions import Feature, Request
from sixfold.features.explain import Explained, explain
from sixfold.features.featureset import FeatureSet
from sixfold.features.lineage import Lineage, lineage_of, parts_of
from sixfold.frame import Entity
from sixfold.models.contract import Progress, silent
from sixfold.models.training_set import offset_at, served_points
from sixfold.run.audit import evaluator
from sixfold.run.exports import remember_export
from sixfold.run.home import Home
from sixfold.run.prepare import weighed_labels
from sixfold.run.served import ALL_TIME
from sixfold.system import System

__all__ = ["Explanation", "Listed", "Written", "explain_features", "list_features", "write_training_set"]

_STEP = 50_000
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Listed:
    """The features of a system: those the ranker reads, then those of the other stages."""

    system: str
    fingerprint: str
    ranker: tuple[Lineage, ...]
    stages: tuple[Lineage, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The features of one moment, (`at`, `offset`), with what each value came from."""

    system: str
    moment: Mapping[str, Any]
    features: tuple[Explained, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Written:
    """A training set on disk, and how long it took; `reused` if it was there."""

    folder: str
    fingerprint: str
    rows: int
    columns: int
    reused: bool
    seconds: float


def list_features(system: System, *, only: str = "") -> Listed:
    """The features of the system with `only` in their name."""
    own = set(system.features.names)
    lines = [lineage_of(feature) for feature in _named(system, only)]
    ranker, stages = ([line for line in lines if (line.name in own) == mine] for mine in (True, False))
    return Listed(system.name, system.online_features.fingerprint, tuple(ranker), tuple(stages))


def explain_features(
    home: Home, system: System, given: Mapping[str, str], *, at: int | None = None, only: str = "", newest: int = 5
) -> Explanation:
    """The features of the keys and request fields in `given`, as of what the log knew at `at` (by default: all of it).

    `decision` in `given` stands for the moment, the subject and the request of a logged decision. Features of entities
    that are not named are left out, and those without `only` in their name.
    """
    named = dict(given)
    with home.log() as log:
        end, last = log.end()
        history = log.read(0, end, system.online_features.follows)
        decided = _decided(system, log, named.pop("decision")) if "decision" in named else {}
    if decided and at is not None:
        raise InputError("a decision has its own time", hint="leave out --at")
    at = last if at is None else at
    moment = {"at": at, "offset": offset_at(history, at) if at < last else end}
    row = {**moment, **decided, **_moment(system, named)}
    wanted = [feature for feature in _named(system, only) if set(_entities(feature)) <= set(row)]
    if not wanted:
        raise InputError("no such feature is about what was named", hint="give all keys it needs: user=7 video=3")
    found = explain(FeatureSet(wanted), history, row, newest=newest)
    hidden = _hidden(system)
    shown = {name: MASK if name in hidden and name not in given else value for name, value in row.items()}
    masked = tuple(_masked(one, feature, hidden) for one, feature in zip(found, FeatureSet(wanted), strict=True))
    return Explanation(system.name, shown, masked)


def _hidden(system: System) -> set[str]:
    """What is personal: names of keys and request fields, and fields as stream.name."""
    columns = personal(system.streams)
    names = {name for some in columns.values() for name in some}
    return names | {f"{stream}.{name}" for stream, some in columns.items() for name in some}


def _masked(one: Explained, feature: Feature, hidden: set[str]) -> Explained:
    """An explanation without the values that came from personal fields."""
    key = {name: MASK if name in hidden else value for name, value in one.key.items()}
    parts = tuple(_masked(part, own, hidden) for part, own in zip(one.parts, parts_of(feature), strict=True))
    value = getattr(feature, "value", None)
    sources = {*lineage_of(feature).fields, *([value.name] if isinstance(value, Entity) else [])}
    sources |= {feature.name} if isinstance(feature, Request) else set()
    if not sources & hidden:
        return replace(one, key=key, parts=parts)
    newest = tuple(replace(event, value=MASK) for event in one.newest)
    return replace(one, value=one.value if one.value is None else MASK, key=key, newest=newest, parts=parts)


def _decided(system: System, log: Log, decision: str) -> dict[str, Any]:
    """Whom a decision was for, when, what it saw, and the request fields."""
    found = log.find("decision", decision)
    if found is None:
        raise InputError(f"there is no decision {decision!r}", hint="`sixfold log --stream decision` lists them")
    row, per = found.row(0), system.problem.task.per.name
    context = msgspec.json.decode(row["request"])["context"]
    return {**context, per: row[per], "at": row["at"], "offset": row["as_of"]}


def _named(system: System, only: str) -> list[Feature]:
    found = [feature for feature in system.online_features if only in feature.name]
    if not found:
        raise InputError(f"no feature has {only!r} in its name", hint=f"see `sixfold features {system.name}`")
    return found


def _entities(feature: Any) -> list[str]:
    return [entity.name for entity in FeatureSet(feature).entities]


def _moment(system: System, given: Mapping[str, str]) -> dict[str, Any]:
    """Keys and request fields from text, in their types; InputError for what no feature knows."""
    features = system.online_features
    kinds: dict[str, type] = {entity.name: entity.key for entity in features.entities}
    kinds |= {part.name: part.kind for part in features.primitives if isinstance(part, Request)}
    out: dict[str, Any] = {}
    for name, text in given.items():
        if name not in kinds:
            raise InputError(f"no feature is about {name!r}", hint=f"give NAME=VALUE, of {', '.join(kinds)}")
        try:
            out[name] = _TRUTH[text] if kinds[name] is bool else kinds[name](text)
        except (KeyError, ValueError) as error:
            raise InputError(f"{name} must be {kinds[name].__name__}; found {text!r}") from error
    return out


def write_training_set(
    home: Home,
    system: System,
    folder: Path,
    *,
    within: tuple[int, int] = ALL_TIME,
    engine: str = "numpy",
    progress: Progress = silent,
) -> Written:
    """Write the mature impressions with within[0] <= at < within[1], labelled, features as of each, into a folder."""
    evaluate = evaluator(engine)
    began = time.perf_counter()
    with home.log() as log:
        end, now = log.end()
        if not end:
            raise DataError("the log is empty", hint="run `sixfold ingest` first")
        resolve = partial(served_points, decisions=_decisions(log, end))
        shift = int(home.facts().get("utc_offset_s", 0))
        recipe = Recipe(system.features, _labels(home, system, log, end), end, now, within, resolve, shift)
        stored = write_dataset(folder, recipe, log, evaluate=evaluate, progress=progress)
    remember_export(home, "training set", end, [folder / name for name in ("rows.parquet", "dataset.json")])
    return _written(stored, time.perf_counter() - began)


def _labels(home: Home, system: System, log: Log, end: int) -> tuple[Label, ...]:
    """The labels as training uses them: rules are weighed by the impressions of the training range."""
    if not any(isinstance(label, RuleLabel) for label in system.labels):
        return system.labels
    streams = {system.spine.name, RETRACTION, *(label.outcome.name for label in system.labels)}
    history = log.read(0, end, sorted(streams))
    last = int(history[system.spine.name]["at"].max())
    bounds = system.plan.split.bounds(last, int(home.facts().get("utc_offset_s", 0)))
    return tuple(weighed_labels(system, history, bounds))


def _written(stored: StoredDataset, seconds: float) -> Written:
    import pyarrow.parquet as pq

    columns = len(pq.read_schema(stored.folder / "rows.parquet").names)
    return Written(str(stored.folder), stored.fingerprint, stored.rows, columns, stored.reused, seconds)


def _decisions(log: Log, end: int) -> Table | None:
    """When each decision was made and what it saw; of what is logged with one, a few bytes in ten thousand."""
    parts: list[Table] = []
    for start in range(0, end, _STEP):
        found: Mapping[str, Table] = log.read(start, min(start + _STEP, end), ["decision"])
        parts += [table.select(("id", "at", "as_of")) for table in found.values()]
    return Table.concat(parts) if parts else None
