"""A small system that serves within a second: real log, features and stages, and models that are plain arithmetic.

For tests and load generators that need a service but no training. `python -m sixfold.testing.small_service FOLDER PORT`
serves it over the log in the folder, which it fills first if it is empty.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from sixfold._core.errors import ReleaseError
from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, MINUTE, Clock, system_clock
from sixfold.data.events import Events
from sixfold.data.ingest import Ingest
from sixfold.data.labels import Label
from sixfold.data.log import Log
from sixfold.data.quarantine import Quarantine
from sixfold.engines.memory.store import MemoryStore
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.engines.sqlite.quarantine import SqliteQuarantine
from sixfold.features import FeatureSet, attribute, count, mean, rate, request, sequence
from sixfold.features.online import OnlineFeatures
from sixfold.frame import Entity, Objective, Rank
from sixfold.models.catalogue import Catalogue, top_rows
from sixfold.models.contract import FittedRanker, FittedRetriever
from sixfold.serve.bound import BoundPipeline, Content
from sixfold.serve.candidates import Blend
from sixfold.serve.filters import Seen
from sixfold.serve.pipeline import Pipeline
from sixfold.serve.scoring import Score
from sixfold.serve.selection import Cap, TopK
from sixfold.serve.server import serve
from sixfold.serve.service import Deployment
from sixfold.serve.sources import Fresh, Popular, Retrieve

__all__ = ["SmallSystem", "small_deployment", "small_events", "state_of"]

user, video = Entity("user"), Entity("video")
meta = Events("video_meta", keys=(video,), fields={"topic": str, "duration_ms": float})
shown = Events("shown", keys=(user, video), fields={"tab": str, "decision": str})
watch = Events("watch", keys=(user, video), fields={"share": float, "long": bool})
long_view = Label("long_view", watch.long, of=shown, within="30m", matures="1h")
watched = Label("watched", watch.share, of=shown, within="30m", matures="1h")


@dataclass(frozen=True, slots=True)
class Named:
    """Stands for a model config where only its name matters."""

    name: str


@dataclass(frozen=True, slots=True)
class DotRetriever:
    """Items by the dot product of their vectors with the mean vector of the history; deterministic in `seed`."""

    items: Array
    seed: int
    vectors: Array = field(init=False)
    catalogue: Catalogue = field(init=False)

    def __post_init__(self) -> None:
        vectors = np.random.default_rng(self.seed).normal(size=(len(self.items), 16)).astype(np.float32)
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "catalogue", Catalogue(self.items))

    def scores(self, histories: Array) -> Array:
        """(n, n_items) float32; the first vector is added, so that an empty history has an answer."""
        rows = self.catalogue.rows(histories)
        known = (rows >= 0)[..., None]
        query = (self.vectors[np.maximum(rows, 0)] * known).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        return np.asarray((query + self.vectors[0]) @ self.vectors.T, np.float32)

    def retrieve(self, history: Array, k: int) -> tuple[Array, Array]:
        """The best k."""
        scores = self.scores(history[None])[0]
        top = top_rows(scores, k)
        return self.items[top], scores[top]

    def save(self, folder: Path) -> None:
        """Write the items."""
        np.savez(folder / "items.npz", items=self.items, seed=self.seed)


@dataclass(frozen=True, slots=True)
class SumRanker:
    """Two heads out of weighted sums of the numeric features; a missing value counts 0."""

    weights: Mapping[str, float]
    heads: tuple[str, ...] = ("long_view", "watched")

    def predict(self, features: Table) -> Table:
        """A probability and a quantity."""
        total = np.zeros(len(features))
        for name, weight in self.weights.items():
            total += weight * np.nan_to_num(features[name])
        return Table({"long_view": 1 / (1 + np.exp(-total)), "watched": np.maximum(total, 0.0)})

    def save(self, folder: Path) -> None:
        """Write the weights."""
        (folder / "weights.txt").write_text("\n".join(f"{name} {weight!r}" for name, weight in self.weights.items()))


@dataclass(frozen=True, slots=True)
class SmallSystem:
    """The definition: what the ranker reads, the pipeline, and releases "a", "b" that differ in their weights."""

    n_items: int = 60
    features: FeatureSet = field(
        default_factory=lambda: FeatureSet(
            count(watch, by=user, over=("1h", "7d")),
            rate(long_view, by=video, over=("1h", "7d"), prior=(1, 4)),
            mean(watch.share, by=(user, meta.topic), over="7d"),
            attribute(meta.duration_ms),
            request("tab", str),
            request("hour", float),
        )
    )
    select: TopK = field(default_factory=lambda: TopK(10, cap=Cap(meta.topic, 4), explore=1))
    budget_ms: float = 10_000.0
    found: int = 30
    keep: int = 50

    @property
    def pipeline(self) -> Pipeline:
        """Two sources that fit a person, two that fit everybody."""
        history = sequence(watch, by=user, of=video, last=20, where=watch.long)
        long_views = replace(count(watch, by=video, over="7d", where=watch.long), name="long_views")
        popular = Popular(long_views, self.found // 2)
        return Pipeline(
            sources=(
                Retrieve(Named("near"), 30, history),
                Retrieve(Named("far"), 30, history),
                popular,
                Fresh(meta, 10),
            ),
            blend=Blend({"near": 1.0, "far": 0.5, "popular": 0.7, "fresh": 0.1}, keep=self.keep),
            filters=(Seen(shown, last=30),),
            score=Score(Named("ranker"), Objective({long_view: 1.0, watched: 0.1})),
            select=self.select,
            fallback=popular,
            budget_ms=self.budget_ms,
        )

    @property
    def online(self) -> FeatureSet:
        """All that serving reads."""
        return FeatureSet(self.features, self.pipeline.features)

    @property
    def task(self) -> Rank:
        """Videos for a user."""
        return Rank(video, per=user)

    def bind(self, release: str, features: OnlineFeatures) -> BoundPipeline:
        """The pipeline of a release; raises ReleaseError unless it is "a" or "b"."""
        if release not in ("a", "b"):
            raise ReleaseError(f"release {release} is damaged: its weights cannot be read")
        items = np.arange(self.n_items)
        sign = 1.0 if release == "a" else -1.0
        rates = {name: sign for name in self.features.names if name.startswith("rate")}
        weights = {**rates, "duration_ms": 1e-5 * sign, "hour": 0.01}
        models: dict[str, FittedRetriever | FittedRanker] = {
            "near": DotRetriever(items, 1),
            "far": DotRetriever(items, 2),
            "ranker": SumRanker(weights),
        }
        content = Content(release, models, self.features.names, items[::-1].copy())
        return self.pipeline.bind(content, features, task=self.task)


def small_events(system: SmallSystem, *, n_users: int = 20, n_watches: int = 300, seed: int = 0) -> dict[str, Table]:
    """A catalogue and some watching, one minute apart from instant DAY on."""
    rng = np.random.default_rng(seed)
    n = system.n_items
    videos = {
        "id": column([f"m{i}" for i in range(n)], str),
        "at": np.full(n, DAY) + np.arange(n),
        "video": np.arange(n),
        "topic": column([f"t{i % 5}" for i in range(n)], str),
        "duration_ms": rng.uniform(5e3, 6e4, n).round(),
    }
    users, items = rng.integers(0, n_users, n_watches), rng.integers(0, n, n_watches)
    share = rng.uniform(0, 1, n_watches)
    watches = {
        "id": column([f"w{i}" for i in range(n_watches)], str),
        "at": DAY + MINUTE * (1 + np.arange(n_watches)),
        "user": users,
        "video": items,
        "share": share,
        "long": share > 0.6,
    }
    return {"video_meta": Table(videos), "watch": Table(watches)}


def state_of(system: SmallSystem, log: Log, stop: int | None = None) -> OnlineFeatures:
    """The features folded from the log's start to `stop`, or to its end."""
    features = OnlineFeatures(system.online, MemoryStore(), read=log.read)
    end = log.end()[0] if stop is None else stop
    features.fold(log.read(0, end), end)
    return features


def small_deployment(
    system: SmallSystem,
    log: Log,
    quarantine: Quarantine,
    *,
    clock: Clock = system_clock,
    releases: tuple[str, ...] = ("a",),
) -> Deployment:
    """All that a service of the system over a log needs."""
    features = state_of(system, log)
    return Deployment(
        system="small",
        log=log,
        ingest=Ingest(log, quarantine, (meta, shown, watch)),
        features=features,
        clock=clock,
        task=system.task,
        load=lambda release: system.bind(release, features),
        rebuild=lambda release, offset: system.bind(release, state_of(system, log, offset)),
        releases=releases,
    )


def main(folder: Path, port: int) -> None:
    """Serve until a signal; the URL goes to the file `url` when the service is ready."""
    system = SmallSystem()
    with SqliteLog(folder / "log.db") as log, SqliteQuarantine(folder / "log.db") as quarantine:
        if log.end()[0] == 0:
            log.append(small_events(system), now=system_clock())
        deployment = small_deployment(system, log, quarantine)
        serve(deployment, port=port, ready=partial(tell, folder / "url"))


def tell(path: Path, url: str) -> None:
    """Write the URL into a file, whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(url)
    draft.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
