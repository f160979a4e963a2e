"""What stages see: one request over one prefix of the log and one release, features read for it once."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.features.definitions import Feature
from sixfold.features.freshness import Notes
from sixfold.models.contract import FittedRanker, FittedRetriever
from sixfold.models.reading.contract import FittedReader
from sixfold.models.text.contract import FittedMatcher
from sixfold.serve.stages import DecisionRequest, Proposal

if TYPE_CHECKING:
    from sixfold.serve.bound import BoundPipeline

__all__ = ["RequestView"]


class RequestView:
    """The `View` of a bound pipeline."""

    __slots__ = ("_at", "_bound", "_columns", "_context", "_keys", "_row", "heads", "notes", "request")

    def __init__(self, bound: "BoundPipeline", request: DecisionRequest, notes: Notes | None = None) -> None:
        self._bound, self.request, self.notes = bound, request, notes
        self._context = {**request.context, bound.task.per.name: request.subject}
        self._row: Table = Table({})
        self._keys: Array | None = None
        self._columns: Mapping[str, Array] = {}
        self.heads: Table = Table({})
        self._at = bound.moment(request.at)

    def read_subject(self, names: Sequence[str]) -> Table:
        """The features of the request itself, one row; `value` answers from them."""
        self._row = self._bound.features.now(names, self._context, {}, self._at, self.notes)
        return self._row

    def read_items(self, names: Sequence[str], keys: Array) -> Table:
        """Features of the candidates."""
        columns = self._bound.candidate_columns(keys, self._at)
        return self._bound.features.now(names, self._context, columns, self._at, self.notes)

    def remember(self, keys: Array, columns: Mapping[str, Array], heads: Table) -> None:
        """Columns that were read for these very keys, for `values` to answer from, and what was predicted of them."""
        self._keys, self._columns, self.heads = keys, columns, heads

    def value(self, feature: Feature) -> Array:
        """The value of a feature of the subject: a scalar, or (last,) for a sequence."""
        return np.asarray(self._row[feature.name][0])

    def values(self, feature: Feature, keys: Array) -> Array:
        """The values of a feature for each item, (n_items,)."""
        if keys is self._keys and feature.name in self._columns:
            return self._columns[feature.name]
        return self.read_items([feature.name], keys)[feature.name]

    def first(self, feature: Feature, k: int, *, least: bool = False) -> Proposal:
        """The k items of the greatest (or least) value of a feature of the item alone, with the values."""
        return self._bound.first(feature, k, least, self.request.at, self.notes)

    def retriever(self, name: str) -> FittedRetriever:
        """The release's retriever of that name."""
        return self._bound.retriever(name)

    def ranker(self) -> FittedRanker:
        """The release's ranker."""
        return self._bound.ranker()

    def reader(self, name: str) -> FittedReader:
        """The release's reader of that name."""
        return self._bound.reader(name)

    def matcher(self, name: str) -> FittedMatcher:
        """The release's model of text of that name."""
        return self._bound.matcher(name)

    def having(self, feature: Feature, value: float | str) -> Array:
        """The keys of all items of which a feature of the item alone has this very value."""
        return self._bound.having(feature, value, self.request.at, self.notes)
