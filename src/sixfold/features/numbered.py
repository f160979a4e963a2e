"""Whole numbers numbered from 1 in the order in which they are first met, for many look-ups at once."""

from abc import ABC, abstractmethod

import numpy as np

from sixfold._core.table import Array

__all__ = ["DenseNumbers", "HashedNumbers", "Numbers"]

_WIDTH = 8
"""Places of a bucket: the keys of one are a cache line."""
_FEW = 4
"""Up to this many keys are looked up one by one: that costs less than a dozen calls on short arrays."""
_MIX = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


class Numbers(ABC):
    """Numbers for int64 keys, 0 for those that have none. Nothing is ever removed."""

    def __init__(self) -> None:
        self._n = 0
        self._met = np.full(16, -1, np.int64)

    def __len__(self) -> int:
        """One more than the greatest number."""
        return self._n + 1

    @property
    def values(self) -> Array:
        """The key of every number, (len(self),); -1 at 0."""
        return self._met[: self._n + 1]

    @abstractmethod
    def find(self, keys: Array) -> Array:
        """The number of each key, (n_keys,) int64."""

    @abstractmethod
    def find_one(self, key: int) -> int:
        """The number of a key."""

    def add(self, keys: Array) -> Array:
        """The number of each key; new ones are numbered."""
        out = self.find(keys)
        new = np.flatnonzero(out == 0)
        if len(new):
            distinct, first, inverse = np.unique(keys[new], return_index=True, return_inverse=True)
            order = np.argsort(first)
            number = np.empty(len(order), np.int64)
            number[order] = np.arange(len(self), len(self) + len(order))
            self.append(distinct[order])
            out[new] = number[inverse]
        return out

    def append(self, keys: Array) -> None:
        """Number keys that are all different and new."""
        if len(keys) == 0:
            return
        before, self._n = len(self), self._n + len(keys)
        if len(self) > len(self._met):
            self._met = np.append(self._met[:before], np.full(max(len(self), 2 * before) - before, -1, np.int64))
        self._met[before : len(self)] = keys
        self._extend(before)

    @abstractmethod
    def _extend(self, before: int) -> None:
        """Have the keys of the numbers from `before` on found."""


class DenseNumbers(Numbers):
    """Numbers of small keys in a table by key: the fastest way while most places of the table are in use.

    >>> table = DenseNumbers()
    >>> table.add(np.array([7, 9, 7])).tolist(), table.find(np.array([9, -1, 8])).tolist(), table.values.tolist()
    ([1, 2, 1], [2, 0, 0], [-1, 7, 9])
    """

    def __init__(self) -> None:
        super().__init__()
        self._table = np.zeros(2, np.int64)  # by key + 1; the first and the last place stay 0

    def takes(self, keys: Array) -> bool:
        """Whether the table would not become too sparse with these keys as well."""
        return bool(keys.min(initial=0) >= 0 and keys.max(initial=0) < 4 * (self._n + len(keys)) + 65_536)

    def find(self, keys: Array) -> Array:
        """The number of each key, (n_keys,) int64."""
        return self._table.take(keys + 1, mode="clip")

    def find_one(self, key: int) -> int:
        """The number of a key."""
        return int(self._table[key + 1]) if 0 <= key < len(self._table) - 1 else 0

    def _extend(self, before: int) -> None:
        keys = self.values[before:]
        top = int(keys.max()) + 3
        if top > len(self._table):
            size = max(top, 2 * len(self._table))
            self._table = np.append(self._table, np.zeros(size - len(self._table), np.int64))
        self._table[keys + 1] = np.arange(before, len(self))


class HashedNumbers(Numbers):
    """Numbers of any keys in a hash table.

    Buckets fill from the left, and a key goes to the first bucket from its own that has room; so a key that is in no
    bucket up to one with room is not there. An empty place has the number 0, whatever key lies in it.

    >>> table = HashedNumbers()
    >>> table.add(np.array([7, -9, 7])).tolist(), table.find(np.array([-9, 0])).tolist(), table.values.tolist()
    ([1, 2, 1], [2, 0], [-1, 7, -9])
    """

    def __init__(self) -> None:
        super().__init__()
        self._clear(3)

    def _clear(self, bits: int) -> None:
        self._shift = 64 - bits
        self._keys = np.zeros((1 << bits, _WIDTH), np.int64)
        self._numbers = np.zeros((1 << bits, _WIDTH), np.int32)
        self._filled = np.zeros(1 << bits, np.int8)

    def find(self, keys: Array) -> Array:
        """The number of each key, (n_keys,) int64."""
        if len(keys) <= _FEW:
            return np.array([self.find_one(key) for key in keys.tolist()], np.int64)
        bucket = self._bucket(keys)
        out, rest = self._match(bucket, keys)
        bucket = bucket[rest]
        while len(rest):
            bucket = self._next(bucket)
            out[rest], again = self._match(bucket, keys[rest])
            rest, bucket = rest[again], bucket[again]
        return out

    def find_one(self, key: int) -> int:
        """The number of a key."""
        bucket = ((key * _MIX) & _WORD) >> self._shift
        while True:
            n_filled = int(self._filled[bucket])
            places = self._keys[bucket, :n_filled].tolist()
            if key in places:
                return int(self._numbers[bucket, places.index(key)])
            if n_filled < _WIDTH:
                return 0
            bucket = (bucket + 1) % len(self._filled)

    def _extend(self, before: int) -> None:
        if 2 * self._n > self._keys.size:
            self._clear((self._n // 2).bit_length())
            before = 1
        keys, numbers = self.values[before:], np.arange(before, len(self))
        bucket = self._bucket(keys)
        while len(keys):
            order = np.argsort(bucket, kind="stable")
            keys, numbers, bucket = keys[order], numbers[order], bucket[order]
            place = self._filled[bucket] + np.arange(len(bucket)) - np.searchsorted(bucket, bucket)
            fits = place < _WIDTH
            here = bucket[fits], place[fits]
            self._keys[here], self._numbers[here] = keys[fits], numbers[fits]
            np.maximum.at(self._filled, here[0], (here[1] + 1).astype(np.int8))
            keys, numbers, bucket = keys[~fits], numbers[~fits], self._next(bucket[~fits])

    def _next(self, bucket: Array) -> Array:
        return np.asarray((bucket + 1) % len(self._filled))

    def _bucket(self, keys: Array) -> Array:
        return ((keys.view(np.uint64) * np.uint64(_MIX)) >> np.uint64(self._shift)).view(np.int64)

    def _match(self, bucket: Array, keys: Array) -> tuple[Array, Array]:
        """The number of each key in its bucket, 0 where it is not there, and which of those have to look further."""
        numbers = self._numbers.take(bucket, axis=0)
        # Where an empty place has the key as well, it adds 0.
        out = np.einsum("ij,ij->i", self._keys.take(bucket, axis=0) == keys[:, None], numbers, dtype=np.int64)
        return out, ((out == 0) & (numbers[:, -1] != 0)).nonzero()[0]
