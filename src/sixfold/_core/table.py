"""Columnar batches: named numpy arrays of one length. The currency of every phase.

A column is int64, float64, bool or object (str or None); a sequence column is two-dimensional, (n_rows, length).
A missing number is NaN in a float64 column, a missing text is None; int64 and bool columns have no missing values.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sixfold._core.errors import InputError

__all__ = ["Array", "Table", "column"]

Array = npt.NDArray[Any]

_DTYPES: dict[type, Any] = {int: np.int64, float: np.float64, bool: np.bool_, str: object}


def column(values: Iterable[Any], kind: type) -> Array:
    """The values as a column of `kind` (int, float, bool or str); None becomes NaN where `kind` is float.

    >>> column([1, None], float)
    array([ 1., nan])
    """
    items = values if isinstance(values, np.ndarray | list) else list(values)
    if kind is str:
        out = np.empty(len(items), object)
        out[:] = items
        return out
    return np.asarray(items, _DTYPES[kind])


class Table(Mapping[str, Array]):
    """Named columns of one length; immutable in its columns, cheap to slice.

    >>> table = Table({"user": np.array([1, 2]), "score": np.array([0.5, 0.25])})
    >>> len(table), table["score"][1], table.take([1]).row(0)
    (2, np.float64(0.25), {'user': 2, 'score': 0.25})
    """

    __slots__ = ("_columns", "n_rows")

    def __init__(self, columns: Mapping[str, Array], *, n_rows: int | None = None) -> None:
        self._columns = dict(columns)
        lengths = set(map(len, self._columns.values()))
        if len(lengths) > 1 or (n_rows is not None and lengths and n_rows not in lengths):
            found = {name: len(values) for name, values in self._columns.items()}
            raise InputError(f"the columns of a table must have one length; found {found}")
        self.n_rows = next(iter(lengths), n_rows or 0)

    def __getitem__(self, name: str) -> Array:
        try:
            return self._columns[name]
        except KeyError:
            raise InputError(f"no column {name!r}; the table has {', '.join(self._columns) or 'none'}") from None

    def get(self, name: str, default: Any = None) -> Any:
        """The column, or `default` if there is none."""
        return self._columns.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        """The number of rows (not of columns)."""
        return self.n_rows

    def __bool__(self) -> bool:
        return self.n_rows > 0

    def __repr__(self) -> str:
        return f"Table({self.n_rows} rows: {', '.join(f'{k} {v.dtype}' for k, v in self._columns.items())})"

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(self._columns)

    def take(self, rows: Any) -> Self:
        """The rows selected by a boolean mask, an index array or a slice."""
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        return type(self)({name: values[index] for name, values in self._columns.items()})

    def select(self, names: Iterable[str]) -> Self:
        """Only the named columns, in the given order."""
        return type(self)({name: self[name] for name in names}, n_rows=self.n_rows)

    def with_columns(self, columns: Mapping[str, Array]) -> Self:
        """The table with columns added or replaced."""
        return type(self)({**self._columns, **columns})

    def row(self, i: int) -> dict[str, Any]:
        """Row `i` as plain Python values."""
        return {
            name: (v.tolist() if isinstance(v := values[i], np.generic | np.ndarray) else v)
            for name, values in self._columns.items()
        }

    def rows(self) -> list[dict[str, Any]]:
        """All rows as plain Python values: for reports and tests, not for hot paths."""
        names = list(self._columns)
        lists = [values.tolist() for values in self._columns.values()]
        return [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]

    @classmethod
    def concat(cls, tables: Sequence["Table"]) -> Self:
        """One table below the other; all must have the same columns."""
        if not tables:
            return cls({})
        names = tables[0].names
        if any(set(table.names) != set(names) for table in tables):
            raise InputError(f"tables of different columns cannot be joined: {[table.names for table in tables]}")
        return cls({name: np.concatenate([table[name] for table in tables]) for name in names})
