"""Sources of candidates: a retriever, what is popular, what is new."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold.data.events import Events
from sixfold.features.definitions import Age, Aggregate, Feature, Recent
from sixfold.serve.filters import Where
from sixfold.serve.stages import Proposal, View

__all__ = ["Fresh", "Match", "Popular", "Retrieve"]


@dataclass(frozen=True, slots=True)
class Retrieve:
    """The best `k` items of a retriever for what the subject consumed, as `history` (a sequence of items) says."""

    model: Any
    k: int
    history: Recent

    def __post_init__(self) -> None:
        problems = _count_problems(self.k, f"Retrieve({self.name!r})")
        if not isinstance(self.history, Recent) or self.history.single:
            problems.append(f"Retrieve({self.name!r}): history must be a sequence feature, not {self.history!r}")
        if problems:
            raise DefinitionError(problems)

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.model.name)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The history."""
        return (self.history,)

    def propose(self, view: View) -> Proposal:
        """The retriever's answer."""
        return Proposal(*view.retriever(self.name).retrieve(view.value(self.history), self.k))


@dataclass(frozen=True, slots=True)
class Match:
    """The best `k` documents of a model of text for the subject, where the subject is a text itself: a query.

    With `where`, only the documents that the filter would keep are searched, so it never leaves too few.
    """

    model: Any
    k: int
    where: Where | None = None

    def __post_init__(self) -> None:
        if problems := _count_problems(self.k, f"Match({self.name!r})"):
            raise DefinitionError(problems)

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.model.name)

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the filter reads."""
        return () if self.where is None else self.where.features

    def propose(self, view: View) -> Proposal:
        """The model's answer."""
        among = None if self.where is None else self.where.allowed(view)
        return Proposal(*view.matcher(self.name).search(str(view.request.subject), self.k, among))


@dataclass(frozen=True, slots=True)
class Popular:
    """The `k` items of the greatest `feature`: a count or rate of the item alone, such as long views in 3 days.

    The score is the logarithm of 1 + the value: counts are spread over orders of magnitude, and blended as they are a
    few hits would outweigh everything.
    """

    feature: Aggregate
    k: int
    name: str = "popular"

    def __post_init__(self) -> None:
        problems = _count_problems(self.k, f"Popular({self.feature!r})")
        if not isinstance(self.feature, Aggregate) or len(self.feature.by) != 1:
            problems.append(
                f"Popular needs an aggregate of the item alone, such as count(watch, by=video, over='3d'); "
                f"found {self.feature!r}"
            )
        if problems:
            raise DefinitionError(problems)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The popularity."""
        return (self.feature,)

    def propose(self, view: View) -> Proposal:
        """The most popular."""
        keys, values = view.first(self.feature, self.k)
        return Proposal(keys, np.copysign(np.log1p(np.abs(values)), values))


@dataclass(frozen=True, slots=True)
class Fresh:
    """The `k` items that an event of `stream` most recently spoke of, such as the newest of a catalogue."""

    stream: Events
    k: int
    name: str = "fresh"
    age: Age = field(init=False)

    def __post_init__(self) -> None:
        problems = _count_problems(self.k, f"Fresh({self.stream.name!r})")
        if len(self.stream.keys) != 1:
            problems.append(f"Fresh({self.stream.name!r}): the stream must be about the item alone, such as video_meta")
        if problems:
            raise DefinitionError(problems)
        object.__setattr__(self, "age", Age(f"{self.name}_age_{self.stream.name}", self.stream, self.stream.keys))

    @property
    def features(self) -> tuple[Feature, ...]:
        """The age."""
        return (self.age,)

    def propose(self, view: View) -> Proposal:
        """The youngest; the score is minus the age in seconds."""
        keys, ages = view.first(self.age, self.k, least=True)
        return Proposal(keys, -ages)


def _count_problems(k: int, where: str) -> list[str]:
    return [] if k >= 1 else [f"{where}: k must be at least 1, not {k}"]
