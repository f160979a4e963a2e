"""What one request needs of the state: which groups are read for some names, and which rows of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array
from sixfold.features.definitions import Key, Request
from sixfold.features.grouping import KeyPath, Part, Schema, value_name
from sixfold.features.plan import Made, Plan
from sixfold.features.reading import NewestReader, Reader, Share, ShelfReader
from sixfold.features.shelf import Shelf

__all__ = ["Asked", "Route", "widen"]


class Asked:
    """The rows of a request's keys: one for all candidates, or one each."""

    def __init__(
        self,
        schema: Schema,
        newest: Mapping[str, NewestReader],
        request: Mapping[str, Any],
        candidates: Mapping[str, Array],
    ) -> None:
        self._schema, self._newest, self._request, self._candidates = schema, newest, request, candidates
        self._rows: dict[KeyPath | Part, Array] = {}
        self._places: dict[KeyPath, tuple[Array, Array | None]] = {}
        self._cells: dict[str, Array] = {}

    def rows(self, path: KeyPath) -> Array:
        """The rows that the path leads to, (n_candidates,) or (1,) int64; 0 where nothing is known."""
        if path not in self._rows:
            rows, place = self.places(path)
            self._rows[path] = rows if place is None else rows.take(place)
        return self._rows[path]

    def places(self, path: KeyPath) -> tuple[Array, Array | None]:
        """The rows that the path leads to, and where among them that of each candidate is; None if one after another.

        So what many candidates share, as all of a topic do, is read once.
        """
        if path not in self._places:
            rows, place = self._part(path.parts[0]), None
            for part, joined in zip(path.parts[1:], path.joins, strict=True):
                rows, place = joined.find_pairs(rows if place is None else rows.take(place), self._part(part))
            self._places[path] = rows, place
        return self._places[path]

    def cells(self, reader: NewestReader) -> Array:
        """What the reader keeps of the single events of its rows."""
        name = reader.group.name
        if name not in self._cells:
            self._cells[name] = reader.cells(self.rows(reader.group.path))
        return self._cells[name]

    def _part(self, part: Part) -> Array:
        if part not in self._rows:
            self._rows[part] = self._found(part)
        return self._rows[part]

    def _found(self, part: Part) -> Array:
        if part.key is None:
            return np.ones(1, np.int64)
        return self._entity(part.key, part) if part.path is None else self._attribute(part.key, part.path)

    def _entity(self, key: Key, part: Part) -> Array:
        name = key.name
        if name in self._candidates:
            return part.numbers.find(self._candidates[name])
        if name not in self._request:
            raise FeatureError(
                f"the request names no {name!r}", hint=f"give {name!r} in the request or as a column of the candidates"
            )
        return part.numbers.find_one(self._request[name])

    def _attribute(self, key: Any, path: KeyPath) -> Array:
        group, lane = self._schema.attributes[value_name(key)]
        reader = self._newest[group.name]
        return reader.lane(self.cells(reader), lane)


@dataclass(frozen=True, slots=True)
class Route:
    """What must be read for some names: shares of shelves, then what the other readers keep."""

    requests: tuple[tuple[Request, int], ...]
    shares: tuple[Share, ...]
    readers: tuple[Reader, ...]
    computed: tuple[tuple[Made, int], ...]
    outputs: tuple[tuple[str, int], ...]

    @classmethod
    def to(cls, names: tuple[str, ...], plan: Plan, readers: Sequence[Reader]) -> Self:
        """The way to the named features; raises FeatureError if there is none of a name."""
        if unknown := [name for name in names if name not in plan.outputs]:
            raise FeatureError(f"no features {unknown}; there are {', '.join(plan.outputs)}")
        outputs = tuple((name, plan.outputs[name]) for name in names)
        wanted = {slot for _, last in outputs for slot in plan.inputs[last]} | {slot for _, slot in outputs}
        shelves: dict[Shelf, list[ShelfReader]] = {}
        others: list[Reader] = []
        for reader in readers:
            if wanted.intersection(reader.slots):
                if isinstance(reader, ShelfReader):
                    shelves.setdefault(reader.shelf, []).append(reader)
                else:
                    others.append(reader)
        return cls(
            tuple((feature, slot) for feature, slot in plan.requests if slot in wanted),
            tuple(Share(mine, wanted) for mine in shelves.values()),
            tuple(others),
            tuple((function, slot) for function, slot in plan.computed if plan.inputs[slot] <= wanted),
            outputs,
        )

    def stale(self, asked: Asked, at: int) -> dict[str, Array]:
        """The rows of each group that have to be read from the store."""
        stale: dict[str, Array] = {}
        for share in self.shares:
            stale |= share.stale(asked.places(share.path)[0], at)
        for reader in self.readers:
            stale[reader.group.name] = reader.stale(asked.rows(reader.group.path), at)
        return stale

    def fill(self, columns: list[Any], asked: Asked, at: int) -> None:
        """Put the columns that are read where they belong."""
        for share in self.shares:
            rows, place = asked.places(share.path)
            for slot, column in zip(share.slots, share.columns(rows, at, place), strict=True):
                columns[slot] = column
        for reader in self.readers:
            if isinstance(reader, NewestReader) and reader.group.single:
                made = reader.singles(asked.cells(reader), at)
            else:
                made = reader.columns(asked.rows(reader.group.path), at)
            for slot, column in zip(reader.slots, made, strict=True):
                columns[slot] = column


def widen(columns: list[Array], n_rows: int) -> None:
    """Put views in place of what all candidates share, so that readers can tell and work on the one value.

    They are the views that np.broadcast_to makes, but made together, and faster: there are dozens in each request.
    """
    shared = [i for i, column in enumerate(columns) if len(column) != n_rows]
    singles: dict[str, list[int]] = {}
    for i in shared:
        column = columns[i]
        if column.ndim == 1 and column.dtype.char in "dO":
            singles.setdefault(column.dtype.char, []).append(i)
        else:
            columns[i] = np.broadcast_to(column, (n_rows, *column.shape[1:]))
    for kind, places in singles.items():
        values = np.concatenate([columns[i] for i in places])
        shape = len(values), n_rows
        if kind == "d":
            views = np.ndarray(shape, np.float64, values, strides=(values.itemsize, 0))
            views.flags.writeable = False
        else:
            views = np.broadcast_to(values[:, None], shape)
        for i, view in zip(places, views, strict=True):
            columns[i] = view
