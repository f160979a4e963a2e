"""Values read from a store: a reader for each group of what is kept there."""

from collections.abc import Sequence

from sixfold.features.grouping import KeyPath, Schema, TileGroup
from sixfold.features.newest_reading import NewestReader
from sixfold.features.shelf import WIDEST, Shelf
from sixfold.features.store import Store
from sixfold.features.tile_reading import ItemReader, Share, ShelfReader, TileReader

__all__ = ["NewestReader", "Reader", "Share", "ShelfReader", "TileReader", "readers_of"]

Reader = TileReader | NewestReader


def readers_of(schema: Schema, store: Store) -> Sequence[Reader]:
    """A reader for every group, in the order of the groups; those of one key share shelves."""
    by_path: dict[KeyPath, list[TileGroup]] = {}
    readers: dict[str, Reader] = {}
    for group in schema.tiles:
        if group.items is None:
            by_path.setdefault(group.path, []).append(group)
        else:
            readers[group.name] = ItemReader(group, group.items, store)
    for path, groups in by_path.items():
        for i in range(0, len(groups), WIDEST):
            shelf = Shelf(path, groups[i : i + WIDEST], store)
            readers |= {group.name: ShelfReader(shelf, place) for place, group in enumerate(shelf.groups)}
    return [readers[group.name] for group in schema.tiles] + [
        NewestReader(group, store, schema) for group in schema.newest.values()
    ]
