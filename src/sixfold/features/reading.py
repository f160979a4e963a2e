"""Values read from a store: a reader for each group of what is kept there."""

from collections.abc import Sequence

from sixfold.features.grouping import Schema
from sixfold.features.newest_reading import NewestReader
from sixfold.features.store import Store
from sixfold.features.tile_reading import ItemReader, TileReader

__all__ = ["NewestReader", "Reader", "TileReader", "readers_of"]

Reader = TileReader | NewestReader


def readers_of(schema: Schema, store: Store) -> Sequence[Reader]:
    """A reader for every group."""
    tiles: list[Reader] = [
        TileReader(group, store) if group.items is None else ItemReader(group, group.items, store)
        for group in schema.tiles
    ]
    return tiles + [NewestReader(group, store, schema) for group in schema.newest.values()]
