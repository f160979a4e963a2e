"""A pipeline bound to one release and one state: the function from requests to decisions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np

from sixfold._core.errors import DefinitionError, ModelError
from sixfold._core.table import Array
from sixfold.features.definitions import Age, Feature
from sixfold.features.featureset import needs
from sixfold.features.freshness import Notes
from sixfold.features.lineage import version_of
from sixfold.features.online import OnlineFeatures
from sixfold.frame import Forecast, Rank, Task
from sixfold.models.catalogue import top_rows
from sixfold.models.contract import FittedRanker, FittedRetriever
from sixfold.models.reading.contract import FittedReader
from sixfold.models.text.contract import FittedMatcher
from sixfold.serve.candidates import Candidates, all_of, best_first
from sixfold.serve.decision import Answer, Decision, Item, Reason, pack, seed_of
from sixfold.serve.horizon import Horizon
from sixfold.serve.ladder import Costs, Ladder
from sixfold.serve.pending import Pending
from sixfold.serve.slate import Made, Ranked, items_of, reasons_of, record_of, unranked, why_short
from sixfold.serve.stages import (
    Act,
    Actor,
    DecisionRequest,
    Filter,
    Inquirer,
    Inquiry,
    Proposal,
    Rendered,
    Selection,
    Source,
    View,
)
from sixfold.serve.view import RequestView

if TYPE_CHECKING:
    from sixfold.serve.pipeline import Pipeline

__all__ = ["BoundPipeline", "Content"]

_SOURCES_SHARE = 0.5
"""Sources may use half of the budget: the rest is for ranking."""

_KEPT_VALUES = 256
"""Of how many values of filters the items are kept."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a release holds that its pipeline needs.

    `models` are the fitted ones by name, `names` the ranker's features in order, `fallback` the item keys for
    everybody, best first, `settings` what the actor learnt.
    """

    release: str
    models: Mapping[str, FittedRetriever | FittedRanker | FittedMatcher | FittedReader]
    names: tuple[str, ...]
    fallback: Array = field(default_factory=lambda: np.empty(0, np.int64))
    settings: Mapping[str, float] = field(default_factory=dict)


class BoundPipeline:
    """Decides, as a function of the state's offset, the release, the request and the rungs, and of nothing else."""

    def __init__(
        self,
        pipeline: "Pipeline",
        content: Content,
        features: OnlineFeatures,
        *,
        task: Task,
        timer: Callable[[], int],
    ) -> None:
        self.pipeline, self.content, self.features, self.task = pipeline, content, features, task
        self.release = content.release
        self._timer = timer
        self._costs = Costs()
        self._firsts: dict[tuple[str, int, bool], tuple[Any, Array, Array]] = {}
        self._having: dict[tuple[str, float | str], tuple[Any, Array]] = {}
        self._text_items = isinstance(task, Rank) and task.item.key is str
        self._ranker_name = str(getattr(pipeline.ranker, "name", "ranker"))
        self._check()
        stages: tuple[Source | Filter, ...] = (*pipeline.sources, *pipeline.filters)
        read = {feature.name: feature for stage in stages for feature in stage.features}
        self._subject = [name for name, feature in read.items() if task.item not in needs(feature)]
        chooser = pipeline.act if pipeline.select is None else pipeline.select
        ranked = content.names
        self._extra = [feature.name for feature in chooser.features if feature.name not in ranked] if chooser else []

    def _check(self) -> None:
        wanted = [*self.pipeline.retrievers, *self.pipeline.matchers, *self.pipeline.readers, self._ranker_name]
        if lost := [name for name in wanted if name not in self.content.models]:
            raise ModelError(f"release {self.release} lacks the models {lost}; it has {sorted(self.content.models)}")
        heads, objective = self.ranker().heads, self.pipeline.score.objective
        if lost := [outcome.name for outcome in objective.worth if outcome.name not in heads] if objective else []:
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
            if self.task.item and set(needs(feature)) not in ({self.task.per}, {self.task.item}, set()):
                problems.append(f"{feature!r} of the pipeline must be of the subject or of the item alone")
        if problems:
            raise DefinitionError(problems)

    def ranker(self) -> FittedRanker:
        """The release's ranker."""
        return cast(FittedRanker, self.content.models[self._ranker_name])

    def retriever(self, name: str) -> FittedRetriever:
        """The release's retriever of that name."""
        return cast(FittedRetriever, self.content.models[name])

    def matcher(self, name: str) -> FittedMatcher:
        """The release's model of text of that name."""
        return cast(FittedMatcher, self.content.models[name])

    def reader(self, name: str) -> FittedReader:
        """The release's reader of that name."""
        return cast(FittedReader, self.content.models[name])

    def having(self, feature: Feature, value: float | str, at: int, notes: Notes | None = None) -> Array:
        """The keys of all items of which a feature has this very value, kept while nothing changes."""
        standing = self.features.standing(feature.name, at)
        kept = self._having.get((feature.name, value))
        if kept is None or kept[0] != standing:
            keys, values = self.features.known(feature.name, at, notes)
            if len(self._having) >= _KEPT_VALUES:
                self._having.clear()
            kept = self._having[feature.name, value] = standing, keys[values == value]
        return kept[1]

    def first(self, feature: Feature, k: int, least: bool, at: int, notes: Notes | None = None) -> Proposal:
        """The k items of the greatest or least value; who they are is found anew when their order may have changed."""
        standing = self.features.standing(feature.name, at)
        kept = self._firsts.get((feature.name, k, least))
        if kept is not None and kept[0] == standing and isinstance(feature, Age):
            # Ages change with every instant, but not their order: read those that are wanted, not all.
            table = self.features.now((feature.name,), {}, self.candidate_columns(kept[2], at), at, notes)
            return Proposal(kept[2], table[feature.name])
        keys, values = self.features.known(feature.name, at, notes)
        if kept is None or kept[0] != standing:
            top = top_rows(np.where(np.isnan(values), -np.inf, -values if least else values), k)
            top = top[~np.isnan(values[top])]
            kept = self._firsts[feature.name, k, least] = standing, top, keys[top]
        return Proposal(kept[2], values[kept[1]])

    def decide(
        self, request: DecisionRequest, *, rungs: Sequence[str] | None = None, heard: str | None = None
    ) -> Decision:
        """The decision over the present state. With `rungs`, a replay: those are taken, `heard` is what was replied."""
        pending = self.begin(request, rungs=rungs)
        if rungs is None:
            pending.listen()
        else:
            pending.recall(heard)
        return pending.finish()

    def begin(self, request: DecisionRequest, *, rungs: Sequence[str] | None = None) -> Pending:
        """Decide all but the words: whoever answers many requests can let others pass while a reply is waited for."""
        ladder = Ladder(int(self.pipeline.budget_ms * 1e6), self._costs, self._timer, rungs)
        as_of = self.features.offset
        notes = Notes(ladder.is_down, ladder.went_down) if self.features.declares else None
        view = RequestView(self, request, notes)
        if self.pipeline.act is not None:
            made = self._act(view, ladder, self.pipeline.act)
        else:
            made = self._slate(view, ladder, np.random.default_rng(seed_of(self.release, request.id)))
        inquiry = self._inquire(view, ladder, made.items)
        name = "" if self.pipeline.render is None else self.pipeline.render.name
        return Pending(ladder, name, inquiry, partial(self._finish, view, ladder, made, as_of))

    def _finish(self, view: RequestView, ladder: Ladder, made: Made, as_of: int, pending: Pending) -> Decision:
        request, written = view.request, pending.written()
        text: dict[str, Any] = {}
        if written is not None:
            text = {"text": written.text, "citations": list(written.citations), "refused": written.refused}
            text["detail"] = dict(written.detail)
        answer = Answer(
            request.id, request.subject, request.at, as_of, self.release, ladder.rungs, made.complete, made.why,
            made.items, **text,
        )  # fmt: skip
        record = {**made.record, "causes": ladder.causes}
        if pending.heard is not None:
            record["heard"] = pending.heard
        if view.notes is not None and view.notes.answered:
            record["absent"] = view.notes.answered
        response, seed = msgspec.json.encode(answer), seed_of(self.release, request.id)
        taken = tuple(ladder.rungs)
        return Decision(request, as_of, self.release, seed, taken, answer.complete, response, record, ladder.took)

    def _slate(self, view: RequestView, ladder: Ladder, rng: np.random.Generator) -> Made:
        """Items for the subject: proposed, blended, filtered, ranked and selected."""
        removed: dict[str, int] = {}
        n = self.pipeline.n if isinstance(self.task, Forecast) else view.request.n
        subject = ladder.step("subject", "fallback", partial(view.read_subject, self._subject), None)
        merged = self._candidates(view, ladder, removed) if subject is not None else self.pipeline.blend.merge({})
        ranked = self._rank(view, ladder, merged)
        chosen = self._select(view, ladder, ranked, n, rng)
        items = [*items_of(ranked, chosen)]
        more = self._refill(view, ladder, merged, {item.id for item in items}, n - len(items))
        items += [msgspec.structs.replace(item, position=i) for i, item in enumerate(more, len(items))]
        record = {"candidates": len(merged), "removed": removed, **record_of(ranked, chosen)}
        why = why_short(n, len(items), len(merged), removed, chosen.notes)
        return Made(items, record, len(items) == n, why)

    def _act(self, view: RequestView, ladder: Ladder, actor: Actor) -> Made:
        """One action for the event that the request tells of; the actor's default where nothing can be predicted."""
        read = partial(view.read_subject, [*self.content.names, *self._extra])
        table = ladder.step("hydrate", "no_score", read, None)
        features = None if table is None else table.select(self.content.names)
        heads = None
        if features is not None:
            scored = ladder.step("score", "no_score", partial(self.pipeline.score.score, view, features), None)
            heads = None if scored is None else scored[1]
        act = Act(actor.default, {}, {})
        if heads is not None:
            act = ladder.step("act", "no_act", partial(actor.act, view, heads, self.content.settings), act)
        item = Item(0, act.action, act.values.get(act.action), 1.0, False, [], dict(act.detail))
        if features is None or heads is None:
            return Made([item], {}, False, f"nothing could be predicted: {actor.default} is what is done then")
        record = {"ids": [act.action], "values": dict(act.values), "features": pack(features), "heads": pack(heads)}
        return Made([item], record, True, "")

    def _inquire(self, view: RequestView, ladder: Ladder, items: Sequence[Item]) -> Inquiry | None:
        """What the answer will say in words, if the pipeline writes."""
        renderer = self.pipeline.render
        if renderer is None:
            return None
        keys = np.array([item.id for item in items], object if self._text_items else np.int64)

        def ask() -> Inquiry:
            if isinstance(renderer, Inquirer):
                return renderer.inquire(view, keys)
            return _said(renderer.render(view, keys))

        return ladder.step(f"render:{renderer.name}", "no_text", ask, _said(Rendered("", refused=True)))

    def candidate_columns(self, keys: Array, at: int) -> Mapping[str, Array]:
        """What tells candidates apart: the item's key, or what is known beforehand of the step ahead."""
        if isinstance(self.pipeline.select, Horizon):
            return self.pipeline.select.columns(keys, at)
        return {self.task.item.name if isinstance(self.task, Rank) else "step": keys}

    def moment(self, at: int) -> int:
        """The instant that features are read at: that of the request, or of a forecast the midnight it begins at."""
        return self.pipeline.select.origin(at) if isinstance(self.pipeline.select, Horizon) else at

    def vary(self, **stages: Any) -> "BoundPipeline":
        """The same over the same state with some stages replaced, such as `render`: to see what they change."""
        return replace(self.pipeline, **stages).bind(self.content, self.features, task=self.task, timer=self._timer)

    def view(self, request: DecisionRequest) -> View:
        """What the stages of this pipeline see of a request: for trying a stage alone."""
        view = RequestView(self, request)
        view.read_subject(self._subject)
        return view

    def candidates(self, request: DecisionRequest) -> Candidates:
        """What the sources together find and the filters let pass, best of the blend first: all of it, unranked."""
        return self._candidates(self.view(request), Ladder(0, self._costs, self._timer, ()), {})

    def _candidates(self, view: View, ladder: Ladder, removed: dict[str, int]) -> Candidates:
        """The union of what the sources propose, less what the filters remove."""
        if isinstance(self.task, Forecast):
            return all_of(np.arange(1, self.task.steps + 1))
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

    def _rank(self, view: RequestView, ladder: Ladder, merged: Candidates) -> Ranked:
        """The best of the blend in the order of their value, or of the blend when ranking is left out."""
        top = merged.take(slice(self.pipeline.blend.keep))
        if not len(top):
            return Ranked(top)
        read = partial(view.read_items, [*self.content.names, *self._extra], top.keys)
        table = ladder.step("hydrate", "no_rank", read, None, share=1.0)
        if table is None:
            return Ranked(top)
        features = table.select(self.content.names) if self._extra else table
        evidence, known = None, features
        if self.pipeline.asked:
            say = partial(self.pipeline.score.evidence, view, top.keys)
            evidence = ladder.step("evidence", "no_rank", say, None, share=1.0)
            if evidence is None:
                return Ranked(top)
            known = features.with_columns(evidence)
        scored = ladder.step("score", "no_rank", partial(self.pipeline.score.score, view, known), None, share=1.0)
        if scored is None:
            return Ranked(top)
        values, heads = scored
        order = best_first(values) if isinstance(self.task, Rank) else np.arange(len(values))
        ranked = Ranked(replace(top.take(order), values=values[order]), order, heads, features, evidence)
        view.remember(ranked.candidates.keys, {name: table[name][order] for name in self._extra}, heads.take(order))
        return ranked

    def _select(self, view: View, ladder: Ladder, ranked: Ranked, n: int, rng: np.random.Generator) -> Selection:
        n = min(n, len(ranked.candidates))
        plain = Selection(np.arange(n), np.ones(n), np.zeros(n, np.bool_))
        if not n or self.pipeline.select is None:
            return plain
        run = partial(self.pipeline.select.select, view, ranked.candidates, rng)
        return ladder.step("select", "no_select", run, plain)

    def _refill(self, view: View, ladder: Ladder, merged: Candidates, shown: set[int | str], short: int) -> list[Item]:
        """What makes a slate complete that ran out of ranked candidates: the rest of the blend, then the fallback.

        Without a fallback nothing does: what a selector would not take, such as a bid below the reserve, stays out.
        """
        if short <= 0 or self.pipeline.fallback is None:
            return []
        rest = merged.take(slice(self.pipeline.blend.keep, None))
        reasons = reasons_of(rest, np.arange(len(rest)))
        items = [unranked(*known) for known in zip(rest.keys.tolist(), reasons, strict=True) if known[0] not in shown]
        taken = {*shown, *(item.id for item in items)}
        if len(items) < short:
            keys = self.content.fallback
            passing = None if "fallback" in ladder.rungs else self._passing(view, ladder, keys, {}, ":refill")
            rows = range(len(keys)) if passing is None else np.flatnonzero(passing).tolist()
            listed = keys.tolist()
            items += [unranked(listed[r], [Reason("fallback", r, None)]) for r in rows if listed[r] not in taken]
        return items[:short]


def _said(rendered: Rendered) -> Inquiry:
    """What needs nobody outside."""
    return Inquiry(None, lambda _: rendered)
