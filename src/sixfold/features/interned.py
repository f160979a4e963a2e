"""Values numbered from 1 in the order in which they are first met; 0 stands for what is not known."""

from collections.abc import Iterable
from itertools import repeat
from typing import Any

import numpy as np

from sixfold._core.table import Array

__all__ = ["Interned", "Joined"]


class Interned:
    """Numbers for the values of one type (int, float, bool or str); None and NaN are 0.

    >>> users = Interned(int)
    >>> users.add(np.array([7, 9, 7])).tolist(), users.find(np.array([9, 8])).tolist(), users.values.tolist()
    ([1, 2, 1], [2, 0], [-1, 7, 9])
    """

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self._numbers: dict[Any, int] = {None: 0}
        self._values: list[Any] = []
        missing: Any = {int: -1, float: np.nan, bool: False, str: None}[kind]
        dtype: Any = {int: np.int64, float: np.float64, bool: np.bool_, str: object}[kind]
        self._array = np.full(1, missing, dtype)
        self._n_synced = 0
        # While whole numbers stay small, a table of their numbers answers ten times as fast as the dictionary.
        self._table: Array | None = np.zeros(1, np.int64) if kind is int else None
        self._n_in_table = 0

    def __len__(self) -> int:
        """One more than the greatest number."""
        return len(self._values) + 1

    def add(self, column: Array) -> Array:
        """The number of each value, (n_values,) int64; new ones are numbered."""
        if self._tabled(column) is None:
            return self._add(_listed(column))
        out = self.find(column)
        new = out == 0
        if new.any():
            out[new] = self._add(column[new].tolist())
        return out

    def find(self, column: Array) -> Array:
        """The number of each value, 0 where it has none; (n_values,) int64."""
        table = self._tabled(column)
        if table is None:
            return self._find(_listed(column))
        inside = (column >= 0) & (column < len(table))
        return np.where(inside, table[np.where(inside, column, 0)], 0)

    def find_one(self, value: Any) -> Array:
        """The number of one value, (1,)."""
        return np.array([self._numbers.get(value, 0)])

    def _add(self, values: list[Any]) -> Array:
        out = np.fromiter(map(self._numbers.get, values, repeat(-1)), np.int64, len(values))
        new = np.flatnonzero(out < 0)
        if len(new):
            unknown = [values[i] for i in new.tolist()]
            distinct = dict.fromkeys(unknown)
            self._numbers.update(zip(distinct, range(len(self), len(self) + len(distinct)), strict=True))
            self._values.extend(distinct)
            out[new] = self._find(unknown)
        return out

    def _find(self, values: list[Any]) -> Array:
        return np.fromiter(map(self._numbers.get, values, repeat(0)), np.int64, len(values))

    def _tabled(self, column: Array) -> Array | None:
        """The table of numbers by value if it serves for this column."""
        if self._table is not None and self._n_in_table < len(self._values):
            new = self.values[self._n_in_table + 1 :]
            top = int(new.max()) + 1
            if new.min() < 0 or top > 4 * len(self._values) + 65_536:
                self._table = None
                return None
            if top > len(self._table):
                self._table = np.append(
                    self._table, np.zeros(max(top, 2 * len(self._table)) - len(self._table), np.int64)
                )
            self._table[new] = np.arange(self._n_in_table + 1, len(self))
            self._n_in_table = len(self._values)
        return self._table if column.dtype == np.int64 else None

    @property
    def values(self) -> Array:
        """The value of every number, (len(self),): -1, NaN or None at 0."""
        n = len(self._values)
        if self._n_synced < n:
            if n + 1 > len(self._array):
                self._array = np.resize(self._array, max(2 * len(self._array), n + 1))
            self._array[self._n_synced + 1 : n + 1] = self._values[self._n_synced :]
            self._n_synced = n
        return self._array[: n + 1]

    def restore(self, values: Iterable[Any]) -> None:
        """Replace everything by the values of the numbers 1, 2, 3, …"""
        self.__init__(self.kind)  # type: ignore[misc]
        self._values = list(values)
        self._numbers.update(zip(self._values, range(1, len(self)), strict=True))


class Joined(Interned):
    """Numbers for pairs of numbers; a pair with a 0 in it is 0.

    >>> pairs = Joined()
    >>> pairs.add_pairs(np.array([1, 1, 0]), np.array([5, 6, 5])).tolist()
    [1, 2, 0]
    """

    def __init__(self, kind: type = int) -> None:
        super().__init__(kind)
        self._numbers[0] = 0
        self._table = None

    def add_pairs(self, left: Array, right: Array) -> Array:
        """The number of each pair, new ones are numbered."""
        return self._add(_pairs(left, right))

    def find_pairs(self, left: Array, right: Array) -> Array:
        """The number of each pair, 0 where it has none; one of the sides may be of length 1."""
        if len(left) > 1 or len(right) == 0 or (top := int(right.max())) >= _FEW:
            return self._find(_pairs(left, right))
        distinct = np.flatnonzero(np.bincount(right))
        place = np.zeros(top + 1, np.int64)
        place[distinct] = self._find(_pairs(left, distinct))
        return place[right]


_FEW = 4096
"""Numbers below this are counted through, so that each is looked up once for all candidates that share it."""


def _pairs(left: Array, right: Array) -> list[int]:
    pairs = (left << 32) | right
    pairs[(left == 0) | (right == 0)] = 0
    return pairs.tolist()  # type: ignore[no-any-return]


def _listed(column: Array) -> list[Any]:
    """A column as Python values, with None for what is missing."""
    if column.dtype == np.float64:
        return [None if missing else value for value, missing in zip(column.tolist(), np.isnan(column), strict=True)]
    return column.tolist()  # type: ignore[no-any-return]
