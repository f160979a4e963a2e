"""The stage protocols: a stage is one frozen config with one function. The framework times, guards and counts it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec
import numpy as np

from sixfold._core.table import Array, Table
from sixfold.features.definitions import Feature
from sixfold.models.contract import FittedRanker, FittedRetriever
from sixfold.models.reading.contract import FittedReader
from sixfold.models.text.contract import FittedMatcher
from sixfold.serve.candidates import Candidates

__all__ = [
    "Act",
    "Actor",
    "Citation",
    "DecisionRequest",
    "Detail",
    "Filter",
    "Inquirer",
    "Inquiry",
    "Proposal",
    "Rendered",
    "Renderer",
    "Scorer",
    "Selection",
    "Selector",
    "Source",
    "View",
]

Detail = Mapping[str, float | str]
"""What else an answer says of an item or an action: a price, a quantile, a probability."""


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
    was given up for completeness; `details`, if any, has one entry for each row.
    """

    rows: Array
    propensities: Array
    explored: Array
    notes: tuple[str, ...] = ()
    details: tuple[Detail, ...] = ()


class Act(NamedTuple):
    """The action chosen, what each action was thought to be worth, and what else the answer says of it."""

    action: str
    values: Mapping[str, float]
    detail: Detail


class Citation(msgspec.Struct, frozen=True):
    """Where a part of a text comes from: the item, and the characters [start, end) of its text that are quoted."""

    item: int | str
    start: int
    end: int
    quote: str


class Rendered(NamedTuple):
    """What was written about the items shown, with its evidence; `refused` where that is too thin, and no text then."""

    text: str
    citations: tuple[Citation, ...] = ()
    refused: bool = False
    detail: Detail = MappingProxyType({})


class Inquiry(NamedTuple):
    """A text that waits for a reply from outside.

    `ask` gets it, in seconds and in another thread; None where there is nothing to ask. `finish` writes with what was
    heard, None for nothing; it depends on that alone, and reads no state: a replay gives it the reply of then.
    """

    ask: Callable[[], str] | None
    finish: Callable[[str | None], Rendered]


class View(Protocol):
    """What a stage may look at: one request over one prefix of the log and one release."""

    @property
    def request(self) -> DecisionRequest:
        """The request."""
        ...

    @property
    def heads(self) -> Table:
        """What was predicted of the ranked candidates, a row for each; no rows before, or where it was left out."""
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

    def reader(self, name: str) -> FittedReader:
        """The release's reader of that name."""
        ...

    def matcher(self, name: str) -> FittedMatcher:
        """The release's model of text of that name."""
        ...

    def having(self, feature: Feature, value: float | str) -> Array:
        """The keys of all items of which a feature of the item alone has this very value."""
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


@runtime_checkable
class Actor(Protocol):
    """Chooses one of the task's actions for an event, by what was predicted of it."""

    @property
    def name(self) -> str:
        """What rungs and timings call it."""
        ...

    @property
    def default(self) -> str:
        """The action where nothing could be predicted."""
        ...

    @property
    def features(self) -> tuple[Feature, ...]:
        """What it reads, besides the ranker's features."""
        ...

    def fit(self, truth: Table, predictions: Table, spine: Table) -> Mapping[str, float]:
        """Settings learnt on the validation rows, kept in the release: labels, heads, and the rows they are of."""
        ...

    def act(self, view: View, heads: Table, settings: Mapping[str, float]) -> Act:
        """The action, given the predicted heads as a table of one row."""
        ...


@runtime_checkable
class Renderer(Protocol):
    """Writes about what was selected: an answer, a summary."""

    @property
    def name(self) -> str:
        """What rungs and timings call it."""
        ...

    @property
    def features(self) -> tuple[Feature, ...]:
        """What it reads, besides the ranker's features."""
        ...

    def render(self, view: View, keys: Array) -> Rendered:
        """A text about the items shown, best first."""
        ...


@runtime_checkable
class Inquirer(Renderer, Protocol):
    """A renderer that asks somebody outside, such as a language model."""

    def inquire(self, view: View, keys: Array) -> Inquiry:
        """What to ask about the items shown, best first, and how to write with the reply."""
        ...
