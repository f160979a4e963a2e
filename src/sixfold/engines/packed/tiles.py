"""Tiles of rows as bytes: one entry a tile, in order."""

from collections.abc import Sequence

import numpy as np

from sixfold._core.table import Array
from sixfold.engines.memory.tiles import merge_tiles, over_windows
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
        rows, tiles, lanes = new
        held_tiles, held_lanes, count = unpack(bodies, self._width)
        held = np.repeat(owner, count)
        if replace:
            stays = ~_named(owner, (held, held_tiles), (rows, tiles))
            held, held_tiles, held_lanes = held[stays], held_tiles[stays], held_lanes[:, stays]
        rows, tiles = np.concatenate([held, rows]), np.concatenate([held_tiles, tiles])
        lanes = np.concatenate([held_lanes, lanes], axis=1)
        kept = tiles >= keep_from
        if not kept.all():
            rows, tiles, lanes = rows[kept], tiles[kept], lanes[:, kept]
        rows, tiles, lanes = merge_tiles(rows, tiles, lanes, self._adds)
        return pack(tiles, lanes, np.searchsorted(rows, owner, "right") - np.searchsorted(rows, owner))

    def read(self, bodies: Sequence[bytes], lowest: Sequence[int]) -> Array:
        """The lanes over the tiles >= each of `lowest`, (len(lowest), width, n_rows)."""
        tiles, lanes, count = unpack(bodies, self._width)
        return over_windows(tiles, lanes, count, lowest, self._adds)


def _named(owner: Array, held: tuple[Array, Array], named: tuple[Array, Array]) -> Array:
    """Whether each held (row, tile) is one of those named."""
    kinds, kind = np.unique(named[1], return_inverse=True)
    found = np.minimum(np.searchsorted(kinds, held[1]), len(kinds) - 1)
    pairs = np.searchsorted(owner, held[0]) * len(kinds) + found
    return np.asarray((kinds[found] == held[1]) & np.isin(pairs, np.searchsorted(owner, named[0]) * len(kinds) + kind))
