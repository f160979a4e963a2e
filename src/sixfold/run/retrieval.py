"""Judging retrieval: for every person of the test range, the state as of its start, and what each method would find."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.evaluate.bootstrap import Estimate, bootstrap, compare, mean
from sixfold.evaluate.retrieval import Hits, coverage, find_hits, ndcg, recall
from sixfold.features.batch import as_of
from sixfold.features.featureset import FeatureSet
from sixfold.models.contract import FittedRetriever, Progress
from sixfold.models.registry import load_retriever
from sixfold.models.training_set import offset_at
from sixfold.run.prepare import Prepared, targets_of
from sixfold.serve import DecisionRequest, Retrieve, Seen
from sixfold.serve.bound import BoundPipeline
from sixfold.system import System

__all__ = ["Method", "judge_retrieval"]

LENGTH = 500
"""How many items each method may name: what the pipeline hands to its ranker."""


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the retrieval table; `gain` is the paired difference to it of the system's recall at the plan's k."""

    name: str
    metrics: Mapping[str, Estimate]
    gain: Estimate | None = None


def judge_retrieval(
    system: System, prepared: Prepared, bound: BoundPipeline, baselines: Path, *, seed: int, progress: Progress
) -> list[Method]:
    """Each method's recall, NDCG and coverage over the same users, what they have seen excluded.

    The first row is the pipeline's sources together, as served; the others its retrievers alone and the baselines.
    """
    users, targets = targets_of(system, prepared.test)
    start = prepared.bounds.test[0]
    lists = {"sources together": _as_served(bound, users, start, progress)}
    spine = Table({
        system.problem.task.per.name: users,
        "at": np.full(len(users), start),
        "offset": np.full(len(users), offset_at(prepared.history, start)),
    })  # fmt: skip
    seen = [f.recent for f in system.pipeline.filters if isinstance(f, Seen)]
    sources = [source for source in system.pipeline.sources if isinstance(source, Retrieve)]
    history = {feature.name: feature for feature in (*seen, *(source.history for source in sources))}
    read = as_of(FeatureSet(*history.values()), prepared.history, spine)
    exclude = [read[feature.name] for feature in seen]
    alone = {source.name: (bound.retriever(source.name), source.history.name) for source in sources}
    first = sources[0].history.name
    alone |= {config.name: (load_retriever(baselines / config.name), first) for config in system.plan.beat}
    for done, (name, (model, consumed)) in enumerate(alone.items()):
        progress(f"evaluating {name}", 0.5 + 0.5 * done / len(alone))
        lists[name] = _ranked(model, read[consumed], exclude)
    hits = {name: find_hits(ranked, targets) for name, ranked in lists.items()}
    size = len(bound.retriever(sources[0].name).items)
    best = recall(hits["sources together"], system.plan.k)
    methods = []
    for name, found in hits.items():
        gain = None
        if name != "sources together":
            gain = compare(_of(best), _of(recall(found, system.plan.k)), users=users, seed=seed)
        methods.append(Method(name, _metrics(found, lists[name], users, size=size, k=system.plan.k, seed=seed), gain))
    return methods


def _of(figures: Array) -> Callable[[Array], Array]:
    return lambda weights: mean(figures, weights)


def _metrics(hits: Hits, ranked: Array, users: Array, *, size: int, k: int, seed: int) -> dict[str, Estimate]:
    figures = {f"recall@{n}": recall(hits, n) for n in sorted({50, k, LENGTH}) if n <= ranked.shape[1]}
    figures["ndcg@20"] = ndcg(hits, 20)
    out = {name: bootstrap(_of(values), users=users, seed=seed) for name, values in figures.items()}
    out[f"coverage@{k}"] = coverage(ranked, k, catalog_size=size)
    return out


def _as_served(bound: BoundPipeline, users: Array, at: int, progress: Progress) -> Array:
    """The blended candidates of the real pipeline for each user, (n_users, LENGTH)."""
    item = bound.task.item
    text = item is not None and item.key is str
    out = np.full((len(users), LENGTH), None if text else -1, object if text else np.int64)
    for i, user in enumerate(users.tolist()):
        if i % 200 == 0:
            progress("evaluating the sources together", 0.5 * i / len(users))
        found = bound.candidates(DecisionRequest(f"evaluate-{user}", user, 20, at)).keys[:LENGTH]
        out[i, : len(found)] = found
    return out


def _ranked(model: FittedRetriever, histories: Array, exclude: list[Array]) -> Array:
    """The best LENGTH items for each history that are not in any of the `exclude` sequences, padded."""
    items = model.items
    order = np.argsort(items, kind="stable")
    length = min(LENGTH, len(items))
    out = np.full((len(histories), LENGTH), None if items.dtype == object else -1, items.dtype)
    for start in range(0, len(histories), 1000):
        part = slice(start, start + 1000)
        scores = np.array(model.scores(histories[part]), np.float32)
        for seen in exclude:
            place = np.searchsorted(items, seen[part], sorter=order).clip(max=len(items) - 1)
            rows, columns = np.nonzero(items[order[place]] == seen[part])
            scores[rows, order[place[rows, columns]]] = -np.inf
        top = np.argsort(-scores, axis=1, kind="stable")[:, :length]
        known = np.isfinite(np.take_along_axis(scores, top, axis=1))
        out[part, :length] = np.where(known, items[top], out[part, :length])
    return out
