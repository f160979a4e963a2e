"""State of a row as bytes: entries of an order (a tile or an instant) and its lanes, each eight bytes, lowest first."""

from collections.abc import Sequence

import numpy as np

from sixfold._core.table import Array

__all__ = ["pack", "unpack"]

_CELL = np.dtype("<i8")


def pack(cells: Array, count: Array) -> list[bytes]:
    """The entries of each row, (n_entries, 1 + width), as bytes; `count` says how many of them, in turn, a row has.

    >>> packed = pack(np.array([[5, 1], [6, 2], [9, 3]]), np.array([2, 0, 1]))
    >>> [len(body) for body in packed], [part.tolist() for part in unpack(packed, 1)]
    ([32, 0, 16], [[[5, 1], [6, 2], [9, 3]], [2, 0, 1]])
    """
    body = cells.astype(_CELL, copy=False).tobytes()
    ends = (np.cumsum(count) * _CELL.itemsize * cells.shape[1]).tolist()
    return [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def unpack(bodies: Sequence[bytes], width: int) -> tuple[Array, Array]:
    """What `pack` was given: the entries, read-only, and how many of them each row has."""
    count = np.fromiter(map(len, bodies), np.int64, len(bodies)) // (_CELL.itemsize * (1 + width))
    cells = np.frombuffer(b"".join(bodies), _CELL).reshape(-1, 1 + width)
    return cells.astype(np.int64, copy=False), count
