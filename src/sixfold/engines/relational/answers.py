"""What the plan found, by row of the spine, and the features made from it, chunk by chunk."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.engines.relational.encoding import Texts, kind_of
from sixfold.engines.relational.layout import Keyed, Layout, Newest, value_column
from sixfold.engines.relational.questions import QuestionWriter
from sixfold.features.algebra import at_instant, finalize, value_kind
from sixfold.features.columns import age_of, as_number, pick_sequence, pick_single
from sixfold.features.definitions import Age
from sixfold.features.occurrences import Occurrences, empty_column, from_counts
from sixfold.features.windows import Cut

__all__ = ["Answers", "Scratch"]


class Scratch:
    """Arrays of int64, in memory up to `room` bytes each, beyond that in files of a folder."""

    def __init__(self, folder: Path, room: int) -> None:
        self._folder, self._room, self._made = folder, room, 0

    def is_large(self, size: int) -> bool:
        """Whether an array of `size` numbers would be a file."""
        return size * 8 > self._room

    def full(self, shape: tuple[int, ...], fill: int) -> Array:
        """A new array."""
        if not self.is_large(int(np.prod(shape))):
            return np.full(shape, fill, np.int64)
        self._made += 1
        out = np.memmap(self._folder / f"scratch_{self._made}", np.int64, "w+", shape=shape)
        if fill:
            out[...] = fill
        return out


class Answers:
    """Merged lanes by (group, cut, lane), and newest events by (group, column), each (n_rows, …) int64.

    `counts` are files by (group, cut) of how often which item occurs in which row.
    """

    def __init__(self, layout: Layout, texts: Texts) -> None:
        self.lanes: dict[tuple[str, Cut, str], Array] = {}
        self.newest: dict[tuple[str, str], Array] = {}
        self.counts: dict[tuple[str, Cut], Path] = {}
        self._layout, self._texts = layout, texts

    def tables(self, questions: QuestionWriter) -> Iterator[Table]:
        """The features of the rows, in chunks as they were asked."""
        words, start = self._texts.words(), 0
        for chunk, size in enumerate(questions.sizes):
            at, requests = questions.kept(chunk)
            yield self._table(slice(start, start + size), at, requests, words)
            start += size

    def _table(self, rows: slice, at: Array, requests: Mapping[str, Array], words: Array) -> Table:
        plan, n_rows = self._layout.plan, len(at)
        columns: list[Any] = [None] * plan.n_slots
        for feature, slot in plan.requests:
            columns[slot] = requests[feature.name]
        for keyed in self._layout.keyed:
            found = self._cuts(keyed, rows, at) if keyed.item is None else self._items(keyed, rows, words)
            for slot, column in found:
                columns[slot] = column
            for newest in keyed.newest:
                for slot, column in self._newest(newest, rows, at, words):
                    columns[slot] = column
        for function, slot in plan.computed:
            columns[slot] = as_number(function(columns), n_rows)
        return Table({name: columns[slot] for name, slot in plan.outputs.items()}, n_rows=n_rows)

    def _cuts(self, keyed: Keyed, rows: slice, at: Array) -> Iterable[tuple[int, Array]]:
        for aggregated, lanes in keyed.aggregates:
            feature = aggregated.feature
            merged = [np.array(self.lanes[keyed.name, cut, lane][rows]) for cut in feature.cuts for lane in lanes]
            yield aggregated.slot, at_instant(feature, finalize(feature, merged), at)

    def _items(self, keyed: Keyed, rows: slice, words: Array) -> Iterable[tuple[int, Array]]:
        assert keyed.item is not None
        kind = value_kind(keyed.item[1])
        for aggregated, _ in keyed.aggregates:
            [cut] = aggregated.feature.cuts
            if (path := self.counts.get((keyed.name, cut))) is None:
                yield aggregated.slot, empty_column(aggregated.feature, rows.stop - rows.start)
                continue
            owner, items, counts = _counted(path, rows)
            used, place = np.unique(items, return_inverse=True)
            occurs = Occurrences(rows.stop - rows.start, owner, place, counts)
            yield aggregated.slot, from_counts(aggregated.feature, occurs, _decoded(used, kind, words))

    def _newest(self, newest: Newest, rows: slice, at: Array, words: Array) -> Iterable[tuple[int, Array]]:
        known = self.newest[newest.name, "known"][rows] == 1
        for feature, slot in newest.members:
            if isinstance(feature, Age):
                ages = age_of(at, self.newest[newest.name, "newest_at"][rows, -feature.n :], known[:, -feature.n :])
                yield slot, ages[:, -1] if feature.single else ages
                continue
            values = np.array(self.newest[newest.name, value_column(feature.value)][rows])
            values = _decoded(values, kind_of(feature.value), words)
            where = np.where(known, np.arange(values.size).reshape(values.shape), -1)
            if feature.single:
                yield slot, pick_single(values.ravel(), where[:, -1])
            else:
                yield slot, pick_sequence(values.ravel(), where[:, -feature.n :])


def _counted(path: Path, rows: slice) -> tuple[Array, Array, Array]:
    """The place of a row among these, an item and its count, in order of rows."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, filters=[("id", ">=", rows.start), ("id", "<", rows.stop)])
    found = {name: table[name].to_numpy().astype(np.int64) for name in ("id", "item", "n")}
    order = np.argsort(found["id"], kind="stable")
    return found["id"][order] - rows.start, found["item"][order], found["n"][order]


def _decoded(values: Array, kind: type, words: Array) -> Array:
    """The inverse of `Texts.values`."""
    if kind is str:
        return words[values]
    return values.view(np.float64) if kind is float else values
