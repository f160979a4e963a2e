"""The newest events of rows as bytes, oldest first."""

from collections.abc import Sequence

import numpy as np

from sixfold._core.table import Array
from sixfold.engines.packed.cells import pack, unpack
from sixfold.features.store import NEUTRAL, Newest

__all__ = ["PackedNewest"]


class PackedNewest:
    """How the bytes of rows change when events are folded, and what they say."""

    def __init__(self, shape: Newest) -> None:
        self._n, self._width = shape.n, shape.width

    def folded(
        self, owner: Array, bodies: Sequence[bytes], new: tuple[Array, Array, Array], *, keep_from: int, replace: bool
    ) -> list[bytes]:
        """The bytes of the rows `owner`, sorted and unique, after the events `new` (rows, instants, lanes)."""
        rows, at, lanes = new
        if replace:
            bodies = [b""] * len(bodies)
            some = at != NEUTRAL
            rows, at, lanes = rows[some], at[some], lanes[:, some]
        held_at, held_lanes, count = unpack(bodies, self._width)
        rows, at = np.concatenate([np.repeat(owner, count), rows]), np.concatenate([held_at, at])
        lanes = np.concatenate([held_lanes, lanes], axis=1)
        order = np.lexsort((at, rows))  # stable: of equal instants the later folded comes later
        rows, at, lanes = rows[order], at[order], lanes[:, order]
        stop = np.searchsorted(rows, owner, "right")
        stays = stop[np.searchsorted(owner, rows)] - np.arange(len(rows)) <= self._n
        count = np.minimum(stop - np.searchsorted(rows, owner), self._n)
        return pack(at[stays], lanes[:, stays], count)

    def read(self, bodies: Sequence[bytes], lowest: Sequence[int]) -> Array:
        """`at` and the lanes of each row's events, oldest first, (1 + width, n_rows, n)."""
        at, lanes, count = unpack(bodies, self._width)
        out = np.full((1 + self._width, len(bodies), self._n), NEUTRAL, np.int64)
        row = np.repeat(np.arange(len(bodies)), count)
        place = self._n - count[row] + np.arange(len(at)) - (np.cumsum(count) - count)[row]
        out[0, row, place] = at
        out[1:, row, place] = lanes
        return out
