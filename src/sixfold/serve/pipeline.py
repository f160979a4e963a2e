"""The pipeline: which stages, in which order, within which budget. Data, until `bind` gives it models and state."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array
from sixfold.features.definitions import Feature
from sixfold.features.featureset import FeatureSet
from sixfold.features.online import OnlineFeatures
from sixfold.frame import Rank
from sixfold.models.contract import FittedRanker, FittedRetriever
from sixfold.serve.bound import BoundPipeline
from sixfold.serve.candidates import Blend
from sixfold.serve.scoring import Score
from sixfold.serve.selection import TopK
from sixfold.serve.sources import Popular, Retrieve
from sixfold.serve.stages import Filter, Selector, Source

__all__ = ["Pipeline"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """An ordered fold of stages: propose, blend, filter, rank, select.

    `fallback` is the list for everybody when nothing better can be had; a release keeps a copy of it. `budget_ms` is
    what a decision may take before stages are left out.
    """

    sources: tuple[Source, ...]
    blend: Blend
    score: Score
    select: TopK
    fallback: Popular
    filters: tuple[Filter, ...] = ()
    budget_ms: float = 50.0

    def __post_init__(self) -> None:
        problems = [] if self.sources else ["a pipeline needs at least one source of candidates"]
        stages: tuple[Source | Filter, ...] = (*self.sources, *self.filters)
        names = [stage.name for stage in stages]
        problems += [f"two stages are called {name!r}" for name in sorted(set(names)) if names.count(name) > 1]
        sources = [source.name for source in self.sources]
        problems += [
            f"the blend weighs {name!r}, which is not a source; sources are {', '.join(sources)}"
            for name in self.blend.weights
            if name not in sources
        ]
        if self.blend.keep < self.select.n:
            problems.append(f"the blend keeps {self.blend.keep} candidates, but {self.select.n} are to be shown")
        if self.budget_ms <= 0:
            problems.append(f"budget_ms must be positive, not {self.budget_ms}")
        if problems:
            raise DefinitionError(problems)

    @property
    def features(self) -> FeatureSet:
        """What the stages read besides the ranker's features, each definition once."""
        stages: tuple[Source | Filter | Selector, ...] = (*self.sources, *self.filters, self.select, self.fallback)
        found: dict[str, Feature] = {}
        for feature in (feature for stage in stages for feature in stage.features):
            if found.setdefault(feature.name, feature).declared() != feature.declared():
                raise DefinitionError([f"two different features of the pipeline are called {feature.name!r}"])
        return FeatureSet(*found.values())

    @property
    def retrievers(self) -> Mapping[str, Any]:
        """The configs of the retrievers, by name."""
        return {source.name: source.model for source in self.sources if isinstance(source, Retrieve)}

    @property
    def ranker(self) -> Any:
        """The config of the ranker."""
        return self.score.ranker

    def bind(
        self,
        models: Mapping[str, FittedRetriever | FittedRanker],
        features: OnlineFeatures,
        *,
        names: tuple[str, ...],
        task: Rank,
        fallback: Array,
        release: str,
        timer: Callable[[], int] = time.perf_counter_ns,
    ) -> BoundPipeline:
        """The pipeline of one release over one state.

        `names` are the ranker's features, in order; `fallback` the item keys for everybody, best first. Raises
        ModelError if a model is missing or does not predict what the objective values.
        """
        return BoundPipeline(
            self, models, features, names=names, task=task, fallback=fallback, release=release, timer=timer
        )
