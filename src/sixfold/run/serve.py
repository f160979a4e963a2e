"""Step 6, serve: from a home to a running service, and to the state of any earlier moment."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import FeatureError, ReleaseError
from sixfold._core.table import Array
from sixfold._core.times import Clock
from sixfold.data.log import Log
from sixfold.engines.memory.store import MemoryStore
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.engines.sqlite.quarantine import SqliteQuarantine
from sixfold.features.online import OnlineFeatures
from sixfold.models.contract import FittedRanker, FittedRetriever, Progress, silent
from sixfold.models.reading.contract import FittedReader
from sixfold.models.registry import load_ranker, load_reader, load_retriever
from sixfold.models.text.contract import FittedMatcher
from sixfold.operate.releases import Release, moves, open_release
from sixfold.run.home import Home, read_json, write_json
from sixfold.run.ingest import make_ingest
from sixfold.run.lineage import made_with
from sixfold.serve.bound import BoundPipeline, Content
from sixfold.serve.horizon import Horizon
from sixfold.serve.service import Deployment
from sixfold.system import System

__all__ = [
    "Stage",
    "bind",
    "bind_content",
    "load_models",
    "one_thread",
    "open_deployment",
    "serve_stage",
    "state_at",
    "take_snapshot",
]

_CHUNK = 200_000
_KEPT_SNAPSHOTS = 4
_NAMED = 5
"""How many changed definitions an error names."""


def load_models(
    system: System, folder: Path
) -> dict[str, FittedRetriever | FittedRanker | FittedMatcher | FittedReader]:
    """Every model of the pipeline out of the folder that holds one folder for each."""
    models: dict[str, FittedRetriever | FittedRanker | FittedMatcher | FittedReader] = {
        name: load_retriever(folder / name) for name in system.retrievers
    }
    models |= {name: config.load(folder / name) for name, config in system.pipeline.matchers.items()}
    models |= {name: load_reader(folder / name) for name in system.pipeline.readers}
    models[system.ranker_name] = load_ranker(folder / system.ranker_name)
    return models


def bind(system: System, release: Release, features: OnlineFeatures) -> BoundPipeline:
    """The pipeline of a release over a state; raises ReleaseError if it was made for another definition."""
    about = release.manifest["about"]
    if about["system"] != system.fingerprint:
        changed = made_with(about, system)
        more = f", and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        what = f": {'; '.join(changed[:_NAMED])}{more}" if changed else ""
        raise ReleaseError(
            f"release {release.id} was made for another version of the system {system.name!r}{what}",
            hint="train and release again, or go back to the system file of that version",
        )
    return bind_content(system, release.folder, features, release=release.id)


def bind_content(system: System, folder: Path, features: OnlineFeatures, *, release: str) -> BoundPipeline:
    """The system's pipeline with the models, weights and fallback that lie in a folder, released or not.

    A source that training weighed 0 is not asked.
    """
    item = system.problem.task.item
    fallback: Array = np.empty(0, object if item is not None and item.key is str else np.int64)
    if system.pipeline.fallback is not None:
        with np.load(folder / "fallback.npz", allow_pickle=False) as arrays:
            fallback = arrays["keys"].astype(fallback.dtype)
    weights = read_json(folder / "blend.json")
    asked = tuple(source for source in system.pipeline.sources if weights.get(source.name, 1.0) > 0)
    weights = {source.name: weights.get(source.name, 1.0) for source in asked}
    settings, select = read_json(folder / "act.json"), system.pipeline.select
    if isinstance(select, Horizon):
        select = replace(select, utc_offset_s=int(settings["utc_offset_s"]))
    blend = replace(system.pipeline.blend, weights=weights)
    pipeline = replace(system.pipeline, sources=asked, blend=blend, select=select)
    models = load_models(system, folder / "models")
    content = Content(release, models, system.features.names, fallback, settings)
    return pipeline.bind(content, features, task=system.problem.task)


def state_at(home: Home, system: System, log: Log, offset: int, *, progress: Progress = silent) -> OnlineFeatures:
    """The state that has folded exactly the events below `offset`: the newest snapshot before it, and the rest."""
    features = OnlineFeatures(system.online_features, MemoryStore(), read=log.read)
    for snapshot in sorted(home.snapshots.glob("[0-9]*"), reverse=True):
        if int(snapshot.name) <= offset:
            try:
                features.restore(snapshot)
                break
            except FeatureError:
                # Made for other features, or damaged: the log holds everything, so it is only slower without.
                shutil.rmtree(snapshot, ignore_errors=True)
                features = OnlineFeatures(system.online_features, MemoryStore(), read=log.read)
    names = system.online_features.follows
    start = features.offset
    while features.offset < offset:
        stop = min(features.offset + _CHUNK, offset)
        features.fold(log.read(features.offset, stop, names), stop)
        progress("folding the log into the state", (stop - start) / max(offset - start, 1))
    return features


def take_snapshot(home: Home, features: OnlineFeatures) -> None:
    """Keep the state, so that the next start is quick; the oldest snapshots go."""
    home.snapshots.mkdir(exist_ok=True)
    folder = home.snapshots / f"{features.offset:015d}"
    if not folder.exists():
        features.snapshot(folder)
    for old in sorted(home.snapshots.glob("[0-9]*"))[:-_KEPT_SNAPSHOTS]:
        shutil.rmtree(old, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """What stands behind a service, opened: close the log and the quarantine after it."""

    deployment: Deployment
    log: SqliteLog
    quarantine: SqliteQuarantine

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self.quarantine.close()
        self.log.close()


def open_deployment(home: Home, system: System, *, clock: Clock | None = None, progress: Progress = silent) -> Stage:
    """All that a service of this home is made of, its state folded to the end of the log."""
    log = home.log()
    quarantine = SqliteQuarantine(home.folder / "log.db")
    end, last = log.end()
    features = state_at(home, system, log, end, progress=progress)
    take_snapshot(home, features)

    def load(release: str) -> BoundPipeline:
        return bind(system, open_release(home.releases, release), features)

    def rebuild(release: str, offset: int) -> BoundPipeline:
        with home.log() as other:
            return bind(system, open_release(home.releases, release), state_at(home, system, other, offset))

    served = [move.release for move in reversed(moves(log))]
    deployment = Deployment(
        system=system.name,
        log=log,
        ingest=make_ingest(system, log, quarantine),
        features=features,
        clock=clock or home.clock(last),
        task=system.problem.task,
        load=load,
        rebuild=rebuild,
        releases=tuple(dict.fromkeys(served)),
        snapshot=lambda: take_snapshot(home, features),
    )
    return Stage(deployment, log, quarantine)


def serve_stage(home: Home, stage: Stage, *, host: str, port: int, ready: Callable[[dict[str, Any]], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` gets the facts of the running service, which also lie in service.json."""
    from sixfold.serve.server import serve

    facts_file = home.folder / "service.json"

    def started(url: str) -> None:
        facts = {"url": url, "pid": os.getpid(), "system": home.system, "source": home.source}
        write_json(facts_file, facts)
        ready(facts)

    if not stage.deployment.releases:
        raise ReleaseError("nothing has been released yet", hint="run `sixfold release`, or `sixfold run`")
    try:
        with one_thread():
            serve(stage.deployment, host=host, port=port, ready=started)
    finally:
        facts_file.unlink(missing_ok=True)


def one_thread() -> AbstractContextManager[object]:
    """Linear algebra on one thread: a decision is too small to share, and sums must not depend on the cores."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(limits=1)
    return limits
