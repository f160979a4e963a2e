"""Tiles of rows as bytes: one entry a tile, in order."""

from collections.abc import Sequence

import numpy as np

from sixfold._core.table import Array
from sixfold.engines.memory.tiles import as_cells, merge_cells, over_windows
from sixfold.engines.packed.cells import pack, unpack
from sixfold.features.store import Tiles

__all__ = ["PackedTiles"]


class PackedTiles:
    """How the bytes of rows change when events are folded, and what they say."""

    def __init__(self, shape: Tiles) -> None:
        self._adds, self._width = shape.adds, shape.width

    def folded(
        self, owner: Array, bodies: Sequence[bytes], new: tuple[Array, Array, Array], *, keep_from: int, replace: bool
    ) -> list[bytes]:
        """The bytes of the rows `owner`, sorted and unique, after the entries `new` (rows, tiles, lanes)."""
        rows, new_cells = new[0], as_cells(*new[1:])
        cells, count = unpack(bodies, self._width)
        held = np.repeat(owner, count)
        if replace:
            stays = ~_named(owner, (held, cells[:, 0]), new[:2])
            held, cells = held[stays], cells[stays]
        rows, cells = np.concatenate([held, rows]), np.concatenate([cells, new_cells])
        kept = cells[:, 0] >= keep_from
        if not kept.all():
            rows, cells = rows[kept], cells[kept]
        rows, cells = merge_cells(rows, cells, self._adds)
        return pack(cells, np.searchsorted(rows, owner, "right") - np.searchsorted(rows, owner))

    def read(self, bodies: Sequence[bytes], lowest: Sequence[int]) -> Array:
        """The lanes over the tiles >= each of `lowest`, (len(lowest), width, n_rows)."""
        return over_windows(*unpack(bodies, self._width), lowest, self._adds)


def _named(owner: Array, held: tuple[Array, Array], named: tuple[Array, Array]) -> Array:
    """Whether each held (row, tile) is one of those named."""
    kinds, kind = np.unique(named[1], return_inverse=True)
    found = np.minimum(np.searchsorted(kinds, held[1]), len(kinds) - 1)
    pairs = np.searchsorted(owner, held[0]) * len(kinds) + found
    return np.asarray((kinds[found] == held[1]) & np.isin(pairs, np.searchsorted(owner, named[0]) * len(kinds) + kind))
