"""The model contract: a frozen config that fits, and a fitted model that predicts and saves itself in open formats.

A model never sees the log. It gets a `Dataset` (for rankers) or `Interactions` (for retrievers), views of a prefix.
Saving writes `model.json` (its kind and settings) and arrays (npz), graphs (ONNX) or trees beside it: never pickles.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from sixfold._core.table import Array, Table

__all__ = ["Dataset", "FittedRanker", "FittedRetriever", "Interactions", "Progress", "Ranker", "Retriever", "silent"]

Progress = Callable[[str, float], None]
"""Called with what is being done and the share done so far, 0..1."""


def silent(what: str, share: float) -> None:
    """A progress that shows nothing."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A labelled, point-in-time-correct table: row i of every part is the same impression.

    `features` has one column per feature; `labels` and `weights` one float64 column per label; `spine` the keys, `at`
    and `offset` of the impressions. `binary` names the labels that are 0 or 1. `fingerprint` names prefix and
    definitions. `shared` names the features that are the same for all candidates of one request.
    """

    features: Table
    labels: Table
    weights: Table
    spine: Table
    binary: frozenset[str]
    fingerprint: str
    shared: frozenset[str] = frozenset()

    def __len__(self) -> int:
        """The number of impressions."""
        return len(self.spine)

    def take(self, rows: Array) -> "Dataset":
        """The impressions selected by a mask or by indices."""
        parts = {name: getattr(self, name).take(rows) for name in ("features", "labels", "weights", "spine")}
        return replace(self, **parts)


@dataclass(frozen=True, slots=True)
class Interactions:
    """What retrievers learn from: consumptions in order of time, and the catalogue.

    `events`: columns `user`, `item` (keys), `at` (int64 microseconds), `weight` (float64) and `satisfied` (bool);
    consumptions that did not satisfy weigh less, but still say what somebody is shown and looks at.
    `histories`: (n_events, length) int32, what the user had consumed before each event, newest last, as rows of the
    catalogue; -1 on the left for nothing, and for items that the catalogue lacks.
    `catalog`: column `item` (unique keys) and attribute columns (float64 or text), as known at the end of the prefix.
    """

    events: Table
    histories: Array
    catalog: Table
    fingerprint: str


class FittedRanker(Protocol):
    """Predicts the outcomes of showing items."""

    @property
    def heads(self) -> tuple[str, ...]:
        """The labels predicted, in order."""
        ...

    def predict(self, features: Table) -> Table:
        """One float64 column per head, (n_rows,): a probability for a binary label, an expected quantity otherwise."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model into an existing empty folder."""
        ...


class Ranker(Protocol):
    """The config of a ranker; fitting it is deterministic in (data, config, seed)."""

    @property
    def name(self) -> str:
        """What stages, releases and reports call it."""
        ...

    def fit(self, train: Dataset, validate: Dataset, *, seed: int, progress: Progress = silent) -> FittedRanker:
        """Learn from `train`; `validate` decides when to stop. Raises ModelError if the data cannot teach a head."""
        ...


class FittedRetriever(Protocol):
    """Finds items for a person from what that person consumed."""

    @property
    def items(self) -> Array:
        """The keys that can be retrieved, (n_items,)."""
        ...

    def scores(self, histories: Array) -> Array:
        """Scores of all items for each history (n, length) of item keys: (n, n_items) float32."""
        ...

    def retrieve(self, history: Array, k: int) -> tuple[Array, Array]:
        """The best k items for one history (length,): keys and float32 scores, best first, ties by catalogue order."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model into an existing empty folder."""
        ...


class Retriever(Protocol):
    """The config of a retriever; fitting it is deterministic in (data, config, seed)."""

    @property
    def name(self) -> str:
        """What stages, releases and reports call it."""
        ...

    def fit(self, data: Interactions, *, seed: int, progress: Progress = silent) -> FittedRetriever:
        """Learn from the interactions. Raises ModelError if there are none."""
        ...
