"""Keys as dense integers: events and spine rows that agree on a key get the same code, and -1 stands for no key."""

from collections.abc import Sequence

import numpy as np

from sixfold._core.table import Array

__all__ = ["Codebook", "JointCode"]


def _dense(n: int) -> int:
    """Whole numbers below this are their own codes."""
    return 4 * n + 65_536


class Codebook:
    """Codes for the values of one part of a key, (0 .. size - 1); values that are not in the book get -1."""

    def __init__(self, columns: Sequence[Array]) -> None:
        values = np.concatenate(columns) if columns else np.empty(0, np.int64)
        self._words: dict[object, int] | None = None
        self._sorted: Array | None = None
        if values.dtype == object:
            self._words = {value: code for code, value in enumerate(dict.fromkeys(values.tolist()))}
            self._words.pop(None, None)
            self.size = len(self._words) + 1
        elif values.dtype == np.int64 and len(values) and values.min() >= 0 and values.max() < _dense(len(values)):
            self.size = int(values.max()) + 1
        else:
            self._sorted = np.unique(values[~np.isnan(values)])
            self.size = len(self._sorted)

    def encode(self, values: Array) -> Array:
        """The code of each value, int64."""
        if self._words is not None:
            return np.fromiter((self._words.get(value, -1) for value in values.tolist()), np.int64, len(values))
        if self._sorted is None:
            return np.where((values >= 0) & (values < self.size), values, -1)
        return _find(self._sorted, values)


class JointCode:
    """One code for all parts of a key, fitted on the keys of events; -1 where a part is not known.

    >>> user, topic = (np.array([0, 1, -1]), 2), (np.array([3, 0, 0]), 4)
    >>> JointCode([user, topic]).codes.tolist()
    [3, 4, -1]
    """

    def __init__(self, parts: Sequence[tuple[Array, int]]) -> None:
        self.codes, self.size = parts[0]
        self._sizes = [size for _, size in parts]
        self._dense: list[Array | None] = [None] * len(parts)
        for i, (part, size) in enumerate(parts):
            if i:
                self.codes, self.size = _joined(self.codes, part, size), self.size * size
            if self.size > _ROOM:
                self._dense[i] = kept = np.unique(self.codes[self.codes >= 0])
                self.codes, self.size = _find(kept, self.codes), len(kept)

    def encode(self, parts: Sequence[Array]) -> Array:
        """The codes of other keys; -1 also where no event has the key and it had to be made dense."""
        codes = parts[0]
        for i, part in enumerate(parts):
            if i:
                codes = _joined(codes, part, self._sizes[i])
            kept = self._dense[i]
            codes = codes if kept is None else _find(kept, codes)
        return codes


_ROOM = 2**31
"""Codes stay below this, so that the product with another part, or with an event's row, fits 62 bits."""


def _joined(codes: Array, part: Array, size: int) -> Array:
    return np.where((codes < 0) | (part < 0), -1, codes * size + part)


def _find(kept: Array, codes: Array) -> Array:
    if len(kept) == 0:
        return np.full(len(codes), -1, np.int64)
    place = np.minimum(np.searchsorted(kept, codes), len(kept) - 1)
    return np.where(kept[place] == codes, place, -1)
