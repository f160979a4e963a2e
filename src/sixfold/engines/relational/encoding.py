"""Columns as int64 and back: numbers as they are, floats by their bits, texts by numbers that are given out here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.table import Array
from sixfold.data.events import Field
from sixfold.features.definitions import Key

__all__ = ["Masked", "Sink", "Texts", "kind_of"]

Masked = tuple[Array, Array]
"""int64 values, and which of them are null."""


class Texts:
    """Numbers for texts, from 0; the texts themselves stay in memory.

    >>> texts = Texts()
    >>> texts.add(np.array(["b", None, "b"], object)).tolist(), texts.find(np.array(["a", "b"], object)).tolist()
    ([0, -1, 0], [-1, 0])
    """

    def __init__(self) -> None:
        self._codes: dict[Any, int] = {}

    def add(self, values: Array) -> Array:
        """The number of each text, -1 for None."""
        codes = self._codes
        new = [value for value in dict.fromkeys(values.tolist()) if value is not None and value not in codes]
        codes.update(zip(new, range(len(codes), len(codes) + len(new)), strict=True))
        return self.find(values)

    def find(self, values: Array) -> Array:
        """The number of each text, -1 for None and for texts that were never added."""
        return np.fromiter((self._codes.get(value, -1) for value in values.tolist()), np.int64, len(values))

    def words(self) -> Array:
        """All texts in the order of their numbers, and None at the end, where -1 finds it."""
        out = np.empty(len(self._codes) + 1, object)
        out[:-1] = list(self._codes)
        return out

    def keys(self, values: Array, kind: type, *, grow: bool) -> Masked:
        """Values as parts of a key: equal values are equal numbers, missing ones are null."""
        if kind is str:
            codes = self.add(values) if grow else self.find(values)
            return codes, codes < 0
        if kind is float:
            return (values.astype(np.float64) + 0.0).view(np.int64), np.isnan(values)
        return values.astype(np.int64), np.zeros(len(values), np.bool_)

    def values(self, values: Array, kind: type) -> Array:
        """Values such that `decoded` gives them back to the bit."""
        if kind is str:
            return self.add(values)
        return values.astype(np.float64).view(np.int64) if kind is float else values.astype(np.int64)


class Sink:
    """A Parquet file of int64 columns, made when the first rows are written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._writer: Any = None

    def write(self, columns: Mapping[str, Array | Masked]) -> None:
        """Add rows; null where a column comes with a mask that says so."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        arrays = [
            pa.array(c[0], mask=c[1] if c[1].any() else None) if isinstance(c, tuple) else pa.array(c)
            for c in columns.values()
        ]
        table = pa.table(arrays, schema=pa.schema([(name, pa.int64()) for name in columns]))
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, table.schema, use_dictionary=False, compression="none")
        self._writer.write_table(table)
        self.rows += len(table)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


def kind_of(value: Key) -> type:
    """int, float, bool or str: the type of an entity's keys or of a field."""
    return value.kind if isinstance(value, Field) else value.key
