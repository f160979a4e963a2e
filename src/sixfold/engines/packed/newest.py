"""The newest events of rows as bytes, oldest first."""

from collections.abc import Sequence

import numpy as np

from sixfold._core.table import Array
from sixfold.engines.memory.tiles import as_cells
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
        rows, new_cells = new[0], as_cells(*new[1:])
        if replace:
            bodies, some = [b""] * len(bodies), new_cells[:, 0] != NEUTRAL
            rows, new_cells = rows[some], new_cells[some]
        held, count = unpack(bodies, self._width)
        rows, cells = np.concatenate([np.repeat(owner, count), rows]), np.concatenate([held, new_cells])
        order = np.lexsort((cells[:, 0], rows))  # stable: of equal instants the later folded comes later
        rows, cells = rows[order], cells[order]
        stop = np.searchsorted(rows, owner, "right")
        stays = stop[np.searchsorted(owner, rows)] - np.arange(len(rows)) <= self._n
        return pack(cells[stays], np.minimum(stop - np.searchsorted(rows, owner), self._n))

    def read(self, bodies: Sequence[bytes], lowest: Sequence[int]) -> Array:
        """`at` and the lanes of each row's events, oldest first, (1 + width, n_rows, n)."""
        cells, count = unpack(bodies, self._width)
        out = np.full((1 + self._width, len(bodies), self._n), NEUTRAL, np.int64)
        row = np.repeat(np.arange(len(bodies)), count)
        place = self._n - count[row] + np.arange(len(cells)) - (np.cumsum(count) - count)[row]
        out[:, row, place] = cells.T
        return out
