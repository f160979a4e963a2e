"""The pipeline: which stages, in which order, within which budget. Data, until `bind` gives it models and state."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sixfold._core.errors import DefinitionError
from sixfold.features.definitions import Feature
from sixfold.features.featureset import FeatureSet
from sixfold.features.online import OnlineFeatures
from sixfold.frame import Task
from sixfold.serve.bound import BoundPipeline, Content
from sixfold.serve.candidates import Blend
from sixfold.serve.scoring import Score
from sixfold.serve.sources import Match, Popular, Retrieve
from sixfold.serve.stages import Actor, Filter, Renderer, Selector, Source

__all__ = ["Pipeline"]

Stage = Source | Filter | Selector | Actor | Renderer


@dataclass(frozen=True, slots=True)
class Pipeline:
    """An ordered fold of stages. Which of them there are makes the shape of a system.

    Ranking proposes, blends, filters, scores and selects; `render` then writes about what was selected. Choosing scores
    the event of the request itself, and `act` picks an action. A forecast scores the steps ahead, and selects all.
    `fallback` is the list for everybody when nothing better can be had; a release keeps a copy of it. `budget_ms` is
    what a decision may take before stages are left out.
    """

    score: Score
    sources: tuple[Source, ...] = ()
    blend: Blend = field(default_factory=Blend)
    filters: tuple[Filter, ...] = ()
    select: Selector | None = None
    act: Actor | None = None
    render: Renderer | None = None
    fallback: Popular | None = None
    budget_ms: float = 50.0

    def __post_init__(self) -> None:
        problems = []
        if (self.select is None) == (self.act is None):
            problems.append("a pipeline ends in a choice: give `select` for items, or `act` for one of a few actions")
        if self.act is not None and (self.sources or self.filters or self.render or self.fallback):
            problems.append(
                "a pipeline that acts on an event has no sources, filters, fallback or text: leave them out"
            )
        proposing: tuple[Source | Filter, ...] = (*self.sources, *self.filters)
        named = [stage.name for stage in proposing]
        problems += [f"two stages are called {name!r}" for name in sorted(set(named)) if named.count(name) > 1]
        sources = [source.name for source in self.sources]
        problems += [
            f"the blend weighs {name!r}, which is not a source; sources are {', '.join(sources)}"
            for name in self.blend.weights
            if name not in sources
        ]
        if self.select is not None and self.blend.keep < self.select.n:
            problems.append(f"the blend keeps {self.blend.keep} candidates, but {self.select.n} are to be shown")
        if self.budget_ms <= 0:
            problems.append(f"budget_ms must be positive, not {self.budget_ms}")
        if problems:
            raise DefinitionError(problems)

    @property
    def stages(self) -> Iterator[Stage]:
        """Every stage that reads features, in order."""
        yield from self.sources
        yield from self.filters
        for stage in (self.select, self.act, self.render, self.fallback):
            if stage is not None:
                yield stage

    @property
    def n(self) -> int:
        """How many items a request that names no number gets; an action is one."""
        return 1 if self.select is None else self.select.n

    @property
    def features(self) -> FeatureSet:
        """What the stages read besides the ranker's features, each definition once."""
        found: dict[str, Feature] = {}
        for feature in (feature for stage in self.stages for feature in stage.features):
            if found.setdefault(feature.name, feature).declared() != feature.declared():
                raise DefinitionError([f"two different features of the pipeline are called {feature.name!r}"])
        return FeatureSet(*found.values())

    @property
    def retrievers(self) -> Mapping[str, Any]:
        """The configs of the retrievers, by name."""
        return {source.name: source.model for source in self.sources if isinstance(source, Retrieve)}

    @property
    def asked(self) -> tuple[Any, ...]:
        """The configs of the models that scoring asks besides the ranker."""
        return self.score.also if isinstance(self.score, Score) else ()

    @property
    def matchers(self) -> Mapping[str, Any]:
        """The configs of the models of text that sources search in or that scoring asks, by name."""
        searched = [source.model for source in self.sources if isinstance(source, Match)]
        return {model.name: model for model in (*searched, *self.asked)}

    @property
    def readers(self) -> Mapping[str, Any]:
        """The config of the reader that finds answers for what is written, by name; empty where nothing is."""
        reader = getattr(self.render, "reader", None)
        return {} if reader is None else {reader.name: reader}

    @property
    def ranker(self) -> Any:
        """The config of the ranker."""
        return self.score.ranker

    def bind(
        self,
        content: Content,
        features: OnlineFeatures,
        *,
        task: Task,
        timer: Callable[[], int] = time.perf_counter_ns,
    ) -> BoundPipeline:
        """The pipeline of one release over one state.

        Raises ModelError if a model is missing or does not predict what the objective values.
        """
        return BoundPipeline(self, content, features, task=task, timer=timer)
