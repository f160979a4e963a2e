"""What evaluates features as of past moments: numpy in this process, or an engine for data that does not fit in it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from sixfold._core.table import Table
from sixfold.features.batch import as_of
from sixfold.features.featureset import FeatureSet

__all__ = ["Engine", "NumpyEngine"]


class Engine(Protocol):
    """Evaluates feature sets; equal to the oracle to the bit, or a FeatureError before any work."""

    def as_of(self, features: FeatureSet, history: Mapping[str, Table], spine: Table) -> Table:
        """The features of every spine row, from the events with a smaller offset; see `sixfold.features.as_of`."""
        ...

    def stream(
        self, features: FeatureSet, history: Iterable[Mapping[str, Table]], spine: Iterable[Table]
    ) -> Iterator[Table]:
        """The same for a history and a spine in chunks, a table for each chunk of the spine.

        The chunks of the history come in order of offset, as from `log.read`; those of the spine in any order.
        """
        ...


class NumpyEngine:
    """The batch evaluator: the history is held in memory, the spine a chunk at a time."""

    def as_of(self, features: FeatureSet, history: Mapping[str, Table], spine: Table) -> Table:
        """The features of every spine row."""
        return as_of(features, history, spine)

    def stream(
        self, features: FeatureSet, history: Iterable[Mapping[str, Table]], spine: Iterable[Table]
    ) -> Iterator[Table]:
        """The features of every chunk of the spine."""
        parts: dict[str, list[Table]] = {}
        for chunk in history:
            for name, table in chunk.items():
                parts.setdefault(name, []).append(table)
        whole = {name: Table.concat(tables) for name, tables in parts.items()}
        return (as_of(features, whole, rows) for rows in spine)
