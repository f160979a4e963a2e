"""The stage protocols: a stage is one frozen config with one function. The framework times, guards and counts it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.features.definitions import Feature
from sixfold.models.contract import FittedRanker, FittedRetriever
from sixfold.serve.candidates import Candidates

__all__ = ["DecisionRequest", "Filter", "Proposal", "Scorer", "Selection", "Selector", "Source", "View"]


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """What is asked: `n` items for `subject` at the instant `at` (microseconds), in a context of plain values."""

    id: str
    subject: int | str
    n: int
    at: int
    context: Mapping[str, Any] = field(default_factory=dict)


class Proposal(NamedTuple):
    """A source's items, best first, and their scores; both (k,)."""

    keys: Array
    scores: Array


class Selection(NamedTuple):
    """The slate as rows of the ranked candidates, in order of position.

    `propensities` are the chances that each was shown; `explored` marks those shown by chance; `notes` say what
    was given up for completeness.
    """

    rows: Array
    propensities: Array
    explored: Array
    notes: tuple[str, ...]


class View(Protocol):
    """What a stage may look at: one request over one prefix of the log and one release."""

    @property
    def request(self) -> DecisionRequest:
        """The request."""
        ...

    def value(self, feature: Feature) -> Array:
        """The value of a feature of the subject: a scalar, or (last,) for a sequence."""
        ...

    def values(self, feature: Feature, keys: Array) -> Array:
        """The values of a feature for each item, (n_items,)."""
        ...

    def first(self, feature: Feature, k: int, *, least: bool = False) -> Proposal:
        """The k items of the greatest (or least) value of a feature of the item alone, with the values."""
        ...

    def retriever(self, name: str) -> FittedRetriever:
        """The release's retriever of that name."""
        ...

    def ranker(self) -> FittedRanker:
        """The release's ranker."""
        ...


@runtime_checkable
class Source(Protocol):
    """Proposes candidates."""

    @property
    def name(self) -> str:
        """Unique in its pipeline: what reasons, weights, rungs and timings call it."""
        ...

    @property
    def features(self) -> tuple[Feature, ...]:
        """What it reads, besides the ranker's features."""
        ...

    def propose(self, view: View) -> Proposal:
        """Items, best first."""
        ...


@runtime_checkable
class Filter(Protocol):
    """Removes candidates that must not be shown."""

    @property
    def name(self) -> str:
        """Unique in its pipeline."""
        ...

    @property
    def features(self) -> tuple[Feature, ...]:
        """What it reads, besides the ranker's features."""
        ...

    def keep(self, view: View, keys: Array) -> Array:
        """True for each item that may be shown, (n_items,)."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """Says what showing each candidate is worth."""

    def score(self, view: View, features: Table) -> tuple[Array, Table]:
        """The value (n_items,) and the predictions behind it, one column per head."""
        ...


@runtime_checkable
class Selector(Protocol):
    """Makes a slate of the ranked candidates."""

    @property
    def n(self) -> int:
        """How many items a request that names no number gets."""
        ...

    @property
    def features(self) -> tuple[Feature, ...]:
        """What it reads, besides the ranker's features."""
        ...

    def select(self, view: View, ranked: Candidates, rng: np.random.Generator) -> Selection:
        """`view.request.n` of the candidates, which come best first; fewer only where there are fewer."""
        ...
