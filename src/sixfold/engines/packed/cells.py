"""State of a row as bytes: entries of an order (a tile or an instant) and its lanes, each eight bytes, lowest first."""

from collections.abc import Sequence

import numpy as np

from sixfold._core.table import Array

__all__ = ["pack", "unpack"]

_CELL = np.dtype("<i8")


def pack(order: Array, lanes: Array, count: Array) -> list[bytes]:
    """The entries of each row as bytes; `count` says how many of the entries, which follow one another, a row has.

    >>> packed = pack(np.array([5, 6, 9]), np.array([[1, 2, 3]]), np.array([2, 0, 1]))
    >>> [len(body) for body in packed], [part.tolist() for part in unpack(packed, 1)]
    ([32, 0, 16], [[5, 6, 9], [[1, 2, 3]], [2, 0, 1]])
    """
    cells = np.empty((len(order), 1 + len(lanes)), _CELL)
    cells[:, 0] = order
    cells[:, 1:] = lanes.T
    body = cells.tobytes()
    ends = (np.cumsum(count) * _CELL.itemsize * cells.shape[1]).tolist()
    return [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def unpack(bodies: Sequence[bytes], width: int) -> tuple[Array, Array, Array]:
    """What `pack` was given: orders (n_entries,), lanes (width, n_entries), and how many entries each row has."""
    count = np.fromiter(map(len, bodies), np.int64, len(bodies)) // (_CELL.itemsize * (1 + width))
    cells = np.frombuffer(b"".join(bodies), _CELL).reshape(-1, 1 + width).T.astype(np.int64, order="C")
    return cells[0], cells[1:], count
