"""A pipeline bound to one release and one state: the function from requests to decisions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from sixfold._core.errors import DefinitionError, ModelError
from sixfold._core.table import Array, Table
from sixfold.features.definitions import Age, Feature
from sixfold.features.featureset import needs
from sixfold.features.freshness import Notes
from sixfold.features.lineage import version_of
from sixfold.features.online import OnlineFeatures
from sixfold.frame import Rank
from sixfold.models.catalogue import top_rows
from sixfold.models.contract import FittedRanker, FittedRetriever
from sixfold.serve.candidates import Candidates, best_first
from sixfold.serve.decision import Answer, Decision, Item, Reason, pack, seed_of
from sixfold.serve.ladder import Costs, Ladder
from sixfold.serve.stages import DecisionRequest, Filter, Proposal, Selection, Source, View

if TYPE_CHECKING:
    from sixfold.serve.pipeline import Pipeline

__all__ = ["BoundPipeline"]

_SOURCES_SHARE = 0.5
"""Sources may use half of the budget: the rest is for ranking."""


@dataclass(slots=True)
class _Ranked:
    """Candidates, best first, with what ranking knew of them: nothing when it was left out.

    `values` go with the candidates; `heads` and `features` with the rows before ranking, which `order` names.
    """

    candidates: Candidates
    values: Array | None = None
    order: Array | None = None
    heads: Table | None = None
    features: Table | None = None


class BoundPipeline:
    """Decides, as a function of the state's offset, the release, the request and the rungs, and of nothing else."""

    def __init__(
        self,
        pipeline: "Pipeline",
        models: Mapping[str, Any],
        features: OnlineFeatures,
        *,
        names: tuple[str, ...],
        task: Rank,
        fallback: Array,
        release: str,
        timer: Callable[[], int],
    ) -> None:
        self.pipeline, self.features, self.task, self.release = pipeline, features, task, release
        self._models, self._names, self._fallback, self._timer = models, names, fallback, timer
        self._costs = Costs()
        self._firsts: dict[tuple[str, int, bool], tuple[Any, Array, Array]] = {}
        self._ranker_name = str(getattr(pipeline.ranker, "name", "ranker"))
        self._check()
        stages: tuple[Source | Filter, ...] = (*pipeline.sources, *pipeline.filters)
        read = {feature.name: feature for stage in stages for feature in stage.features}
        self._subject = [name for name, feature in read.items() if task.item not in needs(feature)]
        self._extra = [feature.name for feature in pipeline.select.features if feature.name not in names]

    def _check(self) -> None:
        wanted = [*self.pipeline.retrievers, self._ranker_name]
        if lost := [name for name in wanted if name not in self._models]:
            raise ModelError(f"release {self.release} lacks the models {lost}; it has {sorted(self._models)}")
        heads = self.ranker().heads
        if lost := [outcome.name for outcome in self.pipeline.score.objective.worth if outcome.name not in heads]:
            raise ModelError(f"the objective needs {lost}, but the ranker predicts {', '.join(heads)}")
        problems = []
        for feature in self.pipeline.features:
            known = self.features.features
            if feature.name not in known or known[feature.name].declared() != feature.declared():
                mine = f"{feature.name}@{version_of(feature)}"
                has = (
                    f"{feature.name}@{version_of(known[feature.name])}"
                    if feature.name in known
                    else "nothing by that name"
                )
                problems.append(
                    f"the pipeline reads {mine}, but the state has {has}: give each definition its own name"
                )
            if set(needs(feature)) not in ({self.task.per}, {self.task.item}, set()):
                problems.append(f"{feature!r} of the pipeline must be of the subject or of the item alone")
        if problems:
            raise DefinitionError(problems)

    def ranker(self) -> FittedRanker:
        """The release's ranker."""
        model: FittedRanker = self._models[self._ranker_name]
        return model

    def retriever(self, name: str) -> FittedRetriever:
        """The release's retriever of that name."""
        model: FittedRetriever = self._models[name]
        return model

    def first(self, feature: Feature, k: int, least: bool, at: int, notes: Notes | None = None) -> Proposal:
        """The k items of the greatest or least value; who they are is found anew when their order may have changed."""
        standing = self.features.standing(feature.name, at)
        kept = self._firsts.get((feature.name, k, least))
        if kept is not None and kept[0] == standing and isinstance(feature, Age):
            # Ages change with every instant, but not their order: read those that are wanted, not all.
            table = self.features.now((feature.name,), {}, {self.task.item.name: kept[2]}, at, notes)
            return Proposal(kept[2], table[feature.name])
        keys, values = self.features.known(feature.name, at, notes)
        if kept is None or kept[0] != standing:
            top = top_rows(np.where(np.isnan(values), -np.inf, -values if least else values), k)
            top = top[~np.isnan(values[top])]
            kept = self._firsts[feature.name, k, least] = standing, top, keys[top]
        return Proposal(kept[2], values[kept[1]])

    def decide(self, request: DecisionRequest, *, rungs: Sequence[str] | None = None) -> Decision:
        """The decision over the present state. With `rungs`, a replay, exactly those are taken in any time."""
        ladder = Ladder(int(self.pipeline.budget_ms * 1e6), self._costs, self._timer, rungs)
        seed = seed_of(self.release, request.id)
        as_of = self.features.offset
        notes = Notes(ladder.is_down, ladder.went_down) if self.features.declares else None
        view = _View(self, request, notes)
        removed: dict[str, int] = {}
        subject = ladder.step("subject", "fallback", view.read_subject, None)
        merged = self._candidates(view, ladder, removed) if subject is not None else self.pipeline.blend.merge({})
        ranked = self._rank(view, ladder, merged)
        chosen = self._select(view, ladder, ranked, np.random.default_rng(seed))
        items = [*_items(ranked, chosen)]
        more = self._refill(view, ladder, merged, {item.id for item in items}, request.n - len(items))
        items += [msgspec.structs.replace(item, position=i) for i, item in enumerate(more, len(items))]
        answer = Answer(
            request.id, request.subject, request.at, as_of, self.release, ladder.rungs,
            len(items) == request.n, _why(request.n, len(items), len(merged), removed, chosen.notes), items,
        )  # fmt: skip
        record = {"candidates": len(merged), "removed": removed, "causes": ladder.causes, **_shown(ranked, chosen)}
        if notes is not None and notes.answered:
            record["absent"] = notes.answered
        response = msgspec.json.encode(answer)
        taken = tuple(ladder.rungs)
        return Decision(request, as_of, self.release, seed, taken, answer.complete, response, record, ladder.took)

    def view(self, request: DecisionRequest) -> View:
        """What the stages of this pipeline see of a request: for trying a stage alone."""
        view = _View(self, request)
        view.read_subject()
        return view

    def candidates(self, request: DecisionRequest) -> Candidates:
        """What the sources together find and the filters let pass, best of the blend first: all of it, unranked."""
        return self._candidates(self.view(request), Ladder(0, self._costs, self._timer, ()), {})

    def _candidates(self, view: View, ladder: Ladder, removed: dict[str, int]) -> Candidates:
        """The union of what the sources propose, less what the filters remove."""
        proposals: dict[str, Proposal] = {}
        for source in self.pipeline.sources:
            name = source.name
            run = partial(source.propose, view)
            proposal = ladder.step(f"source:{name}", f"no_source:{name}", run, None, share=_SOURCES_SHARE)
            if proposal is not None:
                proposals[name] = proposal
        merged = self.pipeline.blend.merge(proposals)
        keep = self._passing(view, ladder, merged.keys, removed)
        return merged if keep is None else merged.take(keep)

    def _passing(
        self, view: View, ladder: Ladder, keys: Array, removed: dict[str, int], again: str = ""
    ) -> Array | None:
        """Which items every filter lets pass; `removed` counts the others by filter. None stands for all."""
        passing: Array | None = None
        for filter_ in self.pipeline.filters:
            run = partial(filter_.keep, view, keys)
            keep = ladder.step(f"filter:{filter_.name}", f"no_filter:{filter_.name}{again}", run, None)
            if keep is not None:
                removed[filter_.name] = removed.get(filter_.name, 0) + int(len(keep) - np.count_nonzero(keep))
                passing = keep if passing is None else passing & keep
        return passing

    def _rank(self, view: "_View", ladder: Ladder, merged: Candidates) -> _Ranked:
        """The best of the blend in the order of their value, or of the blend when ranking is left out."""
        top = merged.take(slice(self.pipeline.blend.keep))
        if not len(top):
            return _Ranked(top)
        read = partial(view.read_items, [*self._names, *self._extra], top.keys)
        table = ladder.step("hydrate", "no_rank", read, None, share=1.0)
        if table is None:
            return _Ranked(top)
        features = table.select(self._names) if self._extra else table
        scored = ladder.step("score", "no_rank", partial(self.pipeline.score.score, view, features), None, share=1.0)
        if scored is None:
            return _Ranked(top)
        values, heads = scored
        order = best_first(values)
        ranked = _Ranked(top.take(order), values[order], order, heads, features)
        view.remember(ranked.candidates.keys, {name: table[name][order] for name in self._extra})
        return ranked

    def _select(self, view: View, ladder: Ladder, ranked: _Ranked, rng: np.random.Generator) -> Selection:
        n = min(view.request.n, len(ranked.candidates))
        plain = Selection(np.arange(n), np.ones(n), np.zeros(n, np.bool_), ())
        run = partial(self.pipeline.select.select, view, ranked.candidates, rng)
        return ladder.step("select", "no_select", run, plain) if n else plain

    def _refill(self, view: View, ladder: Ladder, merged: Candidates, shown: set[int | str], short: int) -> list[Item]:
        """What makes a slate complete that ran out of ranked candidates: the rest of the blend, then the fallback."""
        if short <= 0:
            return []
        rest = merged.take(slice(self.pipeline.blend.keep, None))
        reasons = _reasons(rest, np.arange(len(rest)))
        items = [_item(*known) for known in zip(rest.keys.tolist(), reasons, strict=True) if known[0] not in shown]
        taken = {*shown, *(item.id for item in items)}
        if len(items) < short:
            keys = self._fallback
            passing = None if "fallback" in ladder.rungs else self._passing(view, ladder, keys, {}, ":refill")
            rows = range(len(keys)) if passing is None else np.flatnonzero(passing).tolist()
            listed = keys.tolist()
            items += [_item(listed[r], [Reason("fallback", r, None)]) for r in rows if listed[r] not in taken]
        return items[:short]


class _View:
    """What stages see: one request, and features read for it once."""

    __slots__ = ("_bound", "_columns", "_context", "_keys", "_row", "notes", "request")

    def __init__(self, bound: BoundPipeline, request: DecisionRequest, notes: Notes | None = None) -> None:
        self._bound, self.request, self.notes = bound, request, notes
        self._context = {**request.context, bound.task.per.name: request.subject}
        self._row: Table = Table({})
        self._keys: Array | None = None
        self._columns: Mapping[str, Array] = {}

    def read_subject(self) -> Table:
        self._row = self._bound.features.now(self._bound._subject, self._context, {}, self.request.at, self.notes)
        return self._row

    def read_items(self, names: Sequence[str], keys: Array) -> Table:
        items = {self._bound.task.item.name: keys}
        return self._bound.features.now(names, self._context, items, self.request.at, self.notes)

    def remember(self, keys: Array, columns: Mapping[str, Array]) -> None:
        self._keys, self._columns = keys, columns

    def value(self, feature: Feature) -> Array:
        return np.asarray(self._row[feature.name][0])

    def values(self, feature: Feature, keys: Array) -> Array:
        if keys is self._keys and feature.name in self._columns:
            return self._columns[feature.name]
        return self.read_items([feature.name], keys)[feature.name]

    def first(self, feature: Feature, k: int, *, least: bool = False) -> Proposal:
        return self._bound.first(feature, k, least, self.request.at, self.notes)

    def retriever(self, name: str) -> FittedRetriever:
        return self._bound.retriever(name)

    def ranker(self) -> FittedRanker:
        return self._bound.ranker()


def _item(key: int | str, reasons: list[Reason]) -> Item:
    return Item(-1, key, None, 1.0, False, reasons)


def _reasons(candidates: Candidates, rows: Array) -> list[list[Reason]]:
    """For each row the sources that proposed the item."""
    ranks, scores = candidates.ranks[:, rows].T.tolist(), candidates.scores[:, rows].T.tolist()
    return [
        [Reason(*known) for known in zip(candidates.sources, *mine, strict=True) if known[1] >= 0]
        for mine in zip(ranks, scores, strict=True)
    ]


def _items(ranked: _Ranked, chosen: Selection) -> list[Item]:
    keys = ranked.candidates.keys[chosen.rows].tolist()
    values = [None] * len(keys) if ranked.values is None else ranked.values[chosen.rows].tolist()
    chances, explored = chosen.propensities.tolist(), chosen.explored.tolist()
    reasons = _reasons(ranked.candidates, chosen.rows)
    return [Item(i, *known) for i, known in enumerate(zip(keys, values, chances, explored, reasons, strict=True))]


def _shown(ranked: _Ranked, chosen: Selection) -> dict[str, Any]:
    """The shown items' features and heads, exactly as they were ranked by."""
    if ranked.features is None or ranked.heads is None or ranked.order is None:
        return {}
    ids = ranked.candidates.keys[chosen.rows].tolist()
    rows = ranked.order[chosen.rows]
    return {"ids": ids, "features": pack(ranked.features.take(rows)), "heads": pack(ranked.heads.take(rows))}


def _why(n: int, found: int, candidates: int, removed: Mapping[str, int], notes: Sequence[str]) -> str:
    """In words, what is unusual about the slate; empty when nothing is."""
    parts = list(notes)
    if found < n:
        gone = ", ".join(f"{name} removed {count}" for name, count in removed.items()) or "nothing was removed"
        parts.append(f"only {found} of {n} items: {candidates} candidates were left ({gone}) and the fallback ran out")
    return "; ".join(parts)
