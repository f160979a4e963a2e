"""Events prepared for a store: numbered keys, resolved crosses, and what each event contributes to each lane."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.data.events import Field, field_values
from sixfold.data.expr import Expr
from sixfold.features.algebra import Lane, prepare
from sixfold.features.definitions import Key
from sixfold.features.grouping import Items, KeyPath, NewestGroup, Part, Schema, TileGroup, value_name, value_type
from sixfold.features.occurrences import plain
from sixfold.features.ordered import Ordered
from sixfold.features.reading import NewestReader
from sixfold.features.windows import tile_of

__all__ = ["Batch", "chunks"]


class Batch:
    """Some events, by stream, seen as what they add to each group. New keys and values are numbered on the way.

    An attribute that is part of a key is the newest one before the event's own offset: from the state before this
    batch, or from an event of the batch itself; where that is not so simple, `stated` says its number.
    """

    def __init__(
        self,
        schema: Schema,
        tables: Mapping[str, Table],
        newest: Mapping[str, NewestReader],
        stated: Callable[[Field, Table], Array] | None = None,
    ) -> None:
        self._schema, self._tables, self._newest, self._stated = schema, tables, newest, stated
        self._cache: dict[Any, Array] = {}

    def contributions(self, group: TileGroup | NewestGroup) -> tuple[Array, Array, Array]:
        """Rows, tiles (or instants) and lanes (width, n_events) of the events that go into a group."""
        stream = group.stream.name
        table = self._tables[stream]
        rows = self._rows(stream, group.path)
        if isinstance(group, TileGroup):
            order = self._tiles(stream, group.hop)
            if group.items is not None:
                rows = group.items.pairs.add_pairs(rows, self._items(stream, group.items))
            lanes = [self._lane(stream, lane) for lane in group.lanes]
        else:
            order = -table["at"] if group.oldest else table["at"]
            lanes = [self._value(stream, value, numbered) for value, numbered in group.lanes]
        stacked = np.stack(lanes) if lanes else np.empty((0, len(table)), np.int64)
        keep = rows > 0 if group.where is None else (rows > 0) & self._holds(stream, group.where)
        if keep.all():
            return rows, order, stacked
        return rows[keep], order[keep], stacked[:, keep]

    def _once(self, name: Any, make: Any) -> Array:
        if name not in self._cache:
            self._cache[name] = make()
        return self._cache[name]

    def _tiles(self, stream: str, hop: int | None) -> Array:
        return self._once((stream, "tile", hop), lambda: tile_of(self._tables[stream]["at"], hop))

    def _holds(self, stream: str, where: Expr) -> Array:
        return self._once((stream, where), lambda: field_values(where, self._tables[stream]).astype(np.bool_))

    def _lane(self, stream: str, lane: Lane) -> Array:
        table = self._tables[stream]

        def make() -> Array:
            values = None if lane.value is None else field_values(lane.value, table)
            return prepare(lane, values, len(table), table["at"])

        return self._once((stream, "lane", lane), make)

    def _items(self, stream: str, items: Items) -> Array:
        table = self._tables[stream]
        return self._once((stream, items), lambda: items.numbers.add(plain(field_values(items.item, table))))

    def _value(self, stream: str, value: Key, numbered: bool) -> Array:
        """A value of each event as int64: its number, the number itself, or the bits of a float."""
        column = self._tables[stream][value.name]
        if numbered:
            return self._once((stream, value_name(value)), lambda: self._schema.numbers(value).add(column))
        return column.view(np.int64) if value_type(value) is float else column.astype(np.int64)

    def _rows(self, stream: str, path: KeyPath) -> Array:
        def make() -> Array:
            rows = self._part(stream, path.parts[0])
            for part, joined in zip(path.parts[1:], path.joins, strict=True):
                rows = joined.add_pairs(rows, self._part(stream, part))
            return rows

        return self._once((stream, "rows", path), make)

    def _part(self, stream: str, part: Part) -> Array:
        if part.key is None:
            return np.ones(len(self._tables[stream]), np.int64)
        if part.path is None or not isinstance(part.key, Field):
            return self._value(stream, part.key, True)
        return self._once((stream, "part", part), lambda: self._attribute(stream, part.key, part.path))

    def _attribute(self, stream: str, field: Field, path: KeyPath) -> Array:
        """The number of the attribute's value at each event's own offset."""
        if self._stated is not None:
            return self._stated(field, self._tables[stream])
        group, lane = self._schema.attributes[value_name(field)]
        rows = self._rows(stream, path)
        reader = self._newest[group.name]
        cells = reader.cells(rows)
        at, numbers = reader.instant(cells), reader.lane(cells, lane)
        stated = self._tables.get(field.events.name)
        if not stated:
            return numbers
        source = self._rows(field.events.name, path)
        ordered = Ordered(np.where(source > 0, source, -1), stated["at"])
        ranks = np.searchsorted(stated["offset"], self._tables[stream]["offset"])
        found = ordered.rows(ordered.newest(*ordered.locate(rows, ranks)))
        newer = (found >= 0) & (stated["at"][found] >= at)
        return np.where(newer, self._value(field.events.name, field, True)[found], numbers)


def chunks(tables: Mapping[str, Table], size: int, stop: int) -> Iterator[tuple[dict[str, Table], int]]:
    """The tables cut at offsets into parts of about `size` events, each with the offset it ends before, last `stop`."""
    if sum(len(table) for table in tables.values()) <= size:
        yield {name: table for name, table in tables.items() if table}, stop
        return
    offsets = np.sort(np.concatenate([table["offset"] for table in tables.values()]))
    edges = [*offsets[::size].tolist(), stop]
    for low, high in pairwise(edges):
        part = {}
        for name, table in tables.items():
            a, b = np.searchsorted(table["offset"], [low, high])
            if a < b:
                part[name] = table.take(slice(a, b))
        yield part, high
