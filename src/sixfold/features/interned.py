"""Values numbered from 1 in the order in which they are first met; 0 stands for what is not known."""

from collections.abc import Iterable
from itertools import repeat
from typing import Any

import numpy as np

from sixfold._core.table import Array

__all__ = ["Interned", "Joined"]


class Interned:
    """Numbers for the values of one type (int, float, bool or str); None is 0.

    >>> users = Interned(int)
    >>> users.add([7, 9, 7, None]).tolist(), users.find([9, 8]).tolist(), users.values.tolist()
    ([1, 2, 1, 0], [2, 0], [-1, 7, 9])
    """

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self._numbers: dict[Any, int] = {None: 0}
        self._values: list[Any] = []
        missing: Any = {int: -1, float: np.nan, bool: False, str: None}[kind]
        dtype: Any = {int: np.int64, float: np.float64, bool: np.bool_, str: object}[kind]
        self._array = np.full(1, missing, dtype)
        self._n_synced = 0

    def __len__(self) -> int:
        """One more than the greatest number."""
        return len(self._values) + 1

    def add(self, values: list[Any]) -> Array:
        """The number of each value, (n_values,) int64; new ones are numbered."""
        out = np.fromiter(map(self._numbers.get, values, repeat(-1)), np.int64, len(values))
        new = np.flatnonzero(out < 0)
        if len(new):
            unknown = [values[i] for i in new.tolist()]
            distinct = dict.fromkeys(unknown)
            self._numbers.update(zip(distinct, range(len(self), len(self) + len(distinct)), strict=True))
            self._values.extend(distinct)
            out[new] = np.fromiter(map(self._numbers.__getitem__, unknown), np.int64, len(unknown))
        return out

    def find(self, values: list[Any]) -> Array:
        """The number of each value, 0 where it has none; (n_values,) int64."""
        return np.fromiter(map(self._numbers.get, values, repeat(0)), np.int64, len(values))

    @property
    def values(self) -> Array:
        """The value of every number, (len(self),): -1, NaN or None at 0."""
        n = len(self._values)
        if self._n_synced < n:
            if n + 1 > len(self._array):
                grown = np.resize(self._array, max(2 * len(self._array), n + 1))
                self._array = grown
            self._array[self._n_synced + 1 : n + 1] = self._values[self._n_synced :]
            self._n_synced = n
        return self._array[: n + 1]

    def restore(self, values: Iterable[Any]) -> None:
        """Replace everything by the values of the numbers 1, 2, 3, …"""
        self.__init__(self.kind)  # type: ignore[misc]
        self._values = list(values)
        self._numbers |= {value: i for i, value in enumerate(self._values, 1)}


class Joined(Interned):
    """Numbers for pairs of numbers; a pair with a 0 in it is 0.

    >>> pairs = Joined()
    >>> pairs.add_pairs(np.array([1, 1, 0]), np.array([5, 6, 5])).tolist()
    [1, 2, 0]
    """

    def __init__(self, kind: type = int) -> None:
        super().__init__(kind)
        self._numbers[0] = 0

    def add_pairs(self, left: Array, right: Array) -> Array:
        """The number of each pair, new ones are numbered."""
        return self.add(_pairs(left, right))

    def find_pairs(self, left: Array, right: Array) -> Array:
        """The number of each pair, 0 where it has none; one of the sides may be of length 1."""
        if len(left) == 1 and len(right) > _FEW:
            distinct, place = np.unique(right, return_inverse=True)
            return self.find(_pairs(left, distinct))[place]
        return self.find(_pairs(left, right))


_FEW = 32
"""Beyond this, sorting the numbers costs less than looking each of them up."""


def _pairs(left: Array, right: Array) -> list[int]:
    pairs = (left << 32) | right
    pairs[(left == 0) | (right == 0)] = 0
    return pairs.tolist()  # type: ignore[no-any-return]
