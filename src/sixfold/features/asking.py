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
from sixfold.features.reading import NewestReader, Reader

__all__ = ["Asked", "Route", "wide"]


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
        self._raw: dict[str, Array] = {}

    def rows(self, path: KeyPath) -> Array:
        """The rows that the path leads to, (n_candidates,) or (1,) int64; 0 where nothing is known."""
        if path not in self._rows:
            rows = self._part(path.parts[0])
            for part, joined in zip(path.parts[1:], path.joins, strict=True):
                rows = joined.find_pairs(rows, self._part(part))
            self._rows[path] = rows
        return self._rows[path]

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
        if group.name not in self._raw:
            self._raw[group.name] = self._newest[group.name].raw(self.rows(path))
        return np.asarray(self._raw[group.name][1 + lane])


@dataclass(frozen=True, slots=True)
class Route:
    """What must be read for some names, and in which order."""

    requests: tuple[tuple[Request, int], ...]
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
        return cls(
            tuple((feature, slot) for feature, slot in plan.requests if slot in wanted),
            tuple(reader for reader in readers if wanted.intersection(reader.slots)),
            tuple((function, slot) for function, slot in plan.computed if plan.inputs[slot] <= wanted),
            outputs,
        )


def wide(column: Array, n_rows: int) -> Array:
    """What all candidates share as a view of the one value, so that readers can tell and work on it once."""
    if len(column) == n_rows:
        return column
    if column.ndim > 1 or column.dtype == object:
        return np.broadcast_to(column, (n_rows, *column.shape[1:]))
    # The same view as np.broadcast_to makes, at a tenth of its cost: one is made for each column of each request.
    view: Array = np.ndarray((n_rows,), column.dtype, column, strides=(0,))
    view.flags.writeable = False
    return view
