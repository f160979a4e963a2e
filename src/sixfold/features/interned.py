"""Values numbered from 1 in the order in which they are first met; 0 stands for what is not known."""

from collections.abc import Iterable
from itertools import repeat
from typing import Any

import numpy as np

from sixfold._core.table import Array
from sixfold.features.numbered import DenseNumbers, HashedNumbers, Numbers

__all__ = ["Chained", "Interned", "Joined"]


class Interned:
    """Numbers for the values of one type (int, float, bool or str); None and NaN are 0.

    >>> users = Interned(int)
    >>> users.add(np.array([7, 9, 7])).tolist(), users.find(np.array([9, 8])).tolist(), users.values.tolist()
    ([1, 2, 1], [2, 0], [-1, 7, 9])
    """

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self._keys: Numbers | _Words = DenseNumbers() if kind is int else _Words(kind)

    def __len__(self) -> int:
        """One more than the greatest number."""
        return len(self._keys)

    @property
    def values(self) -> Array:
        """The value of every number, (len(self),): -1, NaN or None at 0."""
        return self._keys.values

    def add(self, column: Array) -> Array:
        """The number of each value, (n_values,) int64; new ones are numbered."""
        column = self._typed(column)
        if isinstance(self._keys, DenseNumbers) and not self._keys.takes(column):
            self._keys = _hashed(self._keys.values[1:])
        return self._keys.add(column)

    def find(self, column: Array) -> Array:
        """The number of each value, 0 where it has none; (n_values,) int64."""
        if self.kind is int and column.dtype.kind not in "iu":
            return np.array([self._number(value) for value in _listed(column)], np.int64)
        return self._keys.find(self._typed(column))

    def find_one(self, value: Any) -> Array:
        """The number of one value, (1,)."""
        return np.array([self._number(value)])

    def _number(self, value: Any) -> int:
        if isinstance(self._keys, _Words):
            return self._keys.find_one(value)
        is_whole = isinstance(value, int | float | np.integer | np.floating) and value == value // 1
        return self._keys.find_one(int(value)) if is_whole else 0

    def _typed(self, column: Array) -> Array:
        return column.astype(np.int64, copy=False) if self.kind is int else column

    def restore(self, values: Iterable[Any]) -> None:
        """Replace everything by the values of the numbers 1, 2, 3, …"""
        self.__init__(self.kind)  # type: ignore[misc]
        if isinstance(self._keys, _Words):
            self._keys.append(values.tolist() if isinstance(values, np.ndarray) else list(values))
            return
        column = np.asarray(values, np.int64)
        if isinstance(self._keys, DenseNumbers) and self._keys.takes(column):
            self._keys.append(column)
        else:
            self._keys = _hashed(column)


class Joined(Interned):
    """Numbers for pairs of numbers; a pair with a 0 in it is 0.

    >>> pairs = Joined()
    >>> pairs.add_pairs(np.array([1, 1, 0]), np.array([5, 6, 5])).tolist()
    [1, 2, 0]
    """

    def __init__(self, kind: type = int) -> None:
        super().__init__(kind)
        self._keys = HashedNumbers()

    def add_pairs(self, left: Array, right: Array) -> Array:
        """The number of each pair, new ones are numbered."""
        known = (left != 0) & (right != 0)
        pairs = (left << 32) | right
        if known.all():
            return self._keys.add(pairs)
        out = np.zeros(len(pairs), np.int64)
        out[known] = self._keys.add(pairs[known])
        return out


class Chained(Joined):
    """Pairs that are found by their left part as well: each names the one before it of the same left part.

    >>> pairs = Chained()
    >>> pairs.add_pairs(np.array([1, 1, 2]), np.array([5, 6, 5])).tolist()
    [1, 2, 3]
    >>> numbers, places = pairs.find_pairs(np.array([1]), np.array([6, 6, 5, 7]))
    >>> numbers[places].tolist()
    [2, 2, 1, 0]
    """

    def __init__(self, kind: type = int) -> None:
        super().__init__(kind)
        self._newest = np.zeros(1, np.int32)
        self._before = np.zeros(1, np.int32)
        self._n_linked = 1
        self._place = np.zeros(1, np.int64)

    def add_pairs(self, left: Array, right: Array) -> Array:
        """The number of each pair, new ones are numbered."""
        numbers = super().add_pairs(left, right)
        self._link()
        return numbers

    def restore(self, values: Iterable[Any]) -> None:
        """Replace everything by the values of the numbers 1, 2, 3, …"""
        super().restore(values)
        self._link()

    def find_pairs(self, left: Array, right: Array) -> tuple[Array, Array | None]:
        """The numbers of pairs, 0 where they have none, and where among them that of each pair is.

        The places are None if that is one after another. One of the sides may be of length 1: the pairs of one left
        part, if they are few, are listed, which is less than to look for each.
        """
        if len(left) == 1 and len(right) > 1 and (known := self._of(int(left[0]))) is not None:
            top = int(right.max())
            if top < _WIDEST:
                numbers = np.array([0, *known])
                rights = self.values.take(numbers) & _RIGHT
                rights[0] = 0
                return numbers, self._places(rights, right, top)
        # No pair with a 0 in it was ever added.
        return self._keys.find((left << 32) | right), None

    def _places(self, rights: Array, right: Array, top: int) -> Array:
        """Where in `rights` each of `right` is, 0 if nowhere."""
        top = max(top, int(rights.max()))
        if top >= len(self._place):
            self._place = np.zeros(2 * top + 1, np.int64)
        self._place[rights] = np.arange(len(rights))
        places = self._place.take(right)
        self._place[rights] = 0
        return places

    def _of(self, left: int) -> list[int] | None:
        """The pairs with a left part, unless they are many."""
        number = int(self._newest[left]) if left < len(self._newest) else 0
        known: list[int] = []
        while number:
            if len(known) == _FEW:
                return None
            known.append(number)
            number = int(self._before[number])
        return known

    def _link(self) -> None:
        first, stop = self._n_linked, len(self)
        if first == stop:
            return
        self._n_linked = stop
        left = self.values[first:] >> 32
        self._before = _long_enough(self._before, stop)
        self._newest = _long_enough(self._newest, int(left.max()) + 1)
        if stop - first <= _FEW:
            for number, mine in enumerate(left.tolist(), first):
                self._before[number] = self._newest[mine]
                self._newest[mine] = number
            return
        order = np.argsort(left, kind="stable")
        left, numbers = left[order], order + first
        changes = left[1:] != left[:-1]
        begins, ends = np.append(True, changes), np.append(changes, True)
        self._before[numbers[1:]] = numbers[:-1]
        self._before[numbers[begins]] = self._newest[left[begins]]
        self._newest[left[ends]] = numbers[ends]


_FEW = 64
_WIDEST = 1 << 20
_RIGHT = (1 << 32) - 1


def _long_enough(values: Array, n: int) -> Array:
    """The values with zeros after them, at least n in all."""
    return values if n <= len(values) else np.append(values, np.zeros(max(n, 2 * len(values)) - len(values), np.int32))


class _Words:
    """Numbers for anything that is no whole number, in a dictionary."""

    def __init__(self, kind: type) -> None:
        missing: Any = {float: np.nan, bool: False, str: None}[kind]
        self._numbers: dict[Any, int] = {None: 0}
        self._listed: list[Any] = []
        self._array: Array = np.full(1, missing, {float: np.float64, bool: np.bool_, str: object}[kind])
        self._n_synced = 0

    def __len__(self) -> int:
        return len(self._listed) + 1

    @property
    def values(self) -> Array:
        n = len(self._listed)
        if self._n_synced < n:
            if n + 1 > len(self._array):
                self._array = np.resize(self._array, max(2 * len(self._array), n + 1))
            self._array[self._n_synced + 1 : n + 1] = self._listed[self._n_synced :]
            self._n_synced = n
        return self._array[: n + 1]

    def add(self, column: Array) -> Array:
        values = _listed(column)
        out = np.fromiter(map(self._numbers.get, values, repeat(-1)), np.int64, len(values))
        new = np.flatnonzero(out < 0)
        if len(new):
            unknown = [values[i] for i in new.tolist()]
            self.append(list(dict.fromkeys(unknown)))
            out[new] = np.fromiter(map(self._numbers.__getitem__, unknown), np.int64, len(unknown))
        return out

    def append(self, values: list[Any]) -> None:
        self._numbers.update(zip(values, range(len(self), len(self) + len(values)), strict=True))
        self._listed.extend(values)

    def find(self, column: Array) -> Array:
        values = _listed(column)
        return np.fromiter(map(self._numbers.get, values, repeat(0)), np.int64, len(values))

    def find_one(self, value: Any) -> int:
        return self._numbers.get(value, 0)


def _hashed(keys: Array) -> HashedNumbers:
    numbers = HashedNumbers()
    numbers.append(keys)
    return numbers


def _listed(column: Array) -> list[Any]:
    """A column as Python values, with None for what is missing."""
    if column.dtype == np.float64:
        return [None if missing else value for value, missing in zip(column.tolist(), np.isnan(column), strict=True)]
    return column.tolist()  # type: ignore[no-any-return]
