"""From named feature columns to the two matrices that a ranker eats: numbers and codes of categories."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Self

import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.table import Array, Table

__all__ = ["Encoder"]


@dataclass(frozen=True, slots=True)
class Encoder:
    """Which columns are numbers, and for each categorical column its known values; code 0 is everything else.

    Text columns are categorical, numeric columns only when declared so; sequences are left to the retrievers.

    >>> table = Table({"age": np.array([3.0, np.nan]), "kind": np.array(["ad", None], object)})
    >>> encoder = Encoder.fit(table, min_count=1)
    >>> encoder.numbers(table).tolist(), encoder.codes(table).tolist()
    ([[3.0], [nan]], [[1], [0]])
    """

    numeric: tuple[str, ...]
    vocabularies: Mapping[str, tuple[Any, ...]]
    _lookups: Mapping[str, Any]

    @classmethod
    def fit(
        cls, table: Table, *, categorical: tuple[str, ...] = (), max_values: int = 2_000, min_count: int = 10
    ) -> Self:
        """Learn the categories of `table`: per column the `max_values` most frequent that occur `min_count` times.

        Raises ModelError if a column declared categorical is missing or is a sequence.
        """
        flat = {name: values for name, values in table.items() if values.ndim == 1}
        if lost := [name for name in categorical if name not in flat]:
            raise ModelError(f"categorical features {lost} are not single columns; there are {', '.join(flat)}")
        chosen = [name for name, values in flat.items() if values.dtype == object or name in categorical]
        numeric = tuple(name for name in flat if name not in chosen)
        return cls.known(numeric, {name: _frequent(flat[name], max_values, min_count) for name in chosen})

    @classmethod
    def known(cls, numeric: tuple[str, ...], vocabularies: Mapping[str, tuple[Any, ...]]) -> Self:
        """The encoder of these numeric columns and these values of each categorical column; value i has code i + 1."""
        lookups: dict[str, Any] = {}
        for name, values in vocabularies.items():
            codes = {value: code for code, value in enumerate(values, 1)}
            numbers = [] if any(isinstance(value, str) for value in values) else values
            order = np.argsort(np.array(numbers, np.float64), kind="stable")
            lookups[name] = (codes, np.array(numbers, np.float64)[order], order + 1)
        return cls(tuple(numeric), dict(vocabularies), lookups)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, numeric ones first."""
        return (*self.numeric, *self.vocabularies)

    @property
    def categorical(self) -> tuple[str, ...]:
        """The categorical columns, in order."""
        return tuple(self.vocabularies)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many codes each categorical column has, code 0 included."""
        return tuple(len(values) + 1 for values in self.vocabularies.values())

    def only(self, names: Collection[str]) -> "Encoder":
        """The encoder of those of its columns that are named."""
        numeric = tuple(name for name in self.numeric if name in names)
        return Encoder.known(numeric, {name: values for name, values in self.vocabularies.items() if name in names})

    def numbers(self, table: Table) -> Array:
        """The numeric columns as they are, NaN where missing: (n_rows, n_numeric) float32."""
        out = np.empty((len(table), len(self.numeric)), np.float32)
        with np.errstate(over="ignore"):
            for i, name in enumerate(self.numeric):
                out[:, i] = table[name]
        return out

    def codes(self, table: Table) -> Array:
        """The codes of the categorical columns, 0 where unknown or missing: (n_rows, n_categorical) int64."""
        out = np.zeros((len(table), len(self._lookups)), np.int64)
        for i, (name, (codes, known, ordered)) in enumerate(self._lookups.items()):
            values = table[name]
            if values.strides == (0,) and len(values):
                # A column that is the same for every candidate comes as a view of one value: look it up once.
                out[:, i] = codes.get(values[0], 0)
            elif len(known) == 0:
                out[:, i] = list(map(codes.get, values.tolist(), repeat(0)))
            else:
                place = np.minimum(np.searchsorted(known, values), len(known) - 1)
                out[:, i] = np.where(known[place] == values, ordered[place], 0)
        return out

    def spec(self) -> dict[str, Any]:
        """The encoder as plain values, for JSON; the order of columns is part of it."""
        return {"numeric": list(self.numeric), "vocabularies": [[k, list(v)] for k, v in self.vocabularies.items()]}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Self:
        """The inverse of `spec`."""
        return cls.known(tuple(spec["numeric"]), {k: tuple(v) for k, v in spec["vocabularies"]})


def _frequent(values: Array, max_values: int, min_count: int) -> tuple[Any, ...]:
    """The most frequent values first, ties by value, so that equal tables give equal codes."""
    present = values[[value is not None for value in values]] if values.dtype == object else values.astype(np.float64)
    present = present if present.dtype == object else present[~np.isnan(present)]
    if len(present) == 0:
        return ()
    found, counts = np.unique(present, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return tuple(found[order[counts[order] >= min_count]][:max_values].tolist())
