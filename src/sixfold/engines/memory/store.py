"""Online state in the arrays of one process."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sixfold._core.arrays import load_arrays, save_arrays
from sixfold._core.table import Array
from sixfold.engines.memory.newest import NewestRings
from sixfold.engines.memory.tiles import TileArena
from sixfold.features.store import NEUTRAL, Shape, Tiles, Usage

__all__ = ["MemoryStore"]


class MemoryStore:
    """Implements `sixfold.features.Store`.

    >>> import numpy as np
    >>> store = MemoryStore()
    >>> store.open({"clicks": Tiles(adds=1, maxima=0)})
    >>> two = np.array([7, 7])
    >>> store.fold("clicks", two, order=np.array([10, 11]), lanes=np.array([[1, 1]]), keep_from=0)
    >>> store.read("clicks", np.array([7, 8]), [10, 11]).tolist()
    [[[2, 0]], [[1, 0]]]
    """

    def __init_subclass__(cls) -> None:
        """Whoever reads a group in another way reads several of them in that way too."""
        super().__init_subclass__()
        if "read" in vars(cls) and "read_together" not in vars(cls):
            cls.read_together = _one_by_one  # type: ignore[method-assign]

    def __init__(self) -> None:
        self._tiles: dict[str, tuple[TileArena, int]] = {}
        self._newest: dict[str, NewestRings] = {}

    def open(self, shapes: Mapping[str, Shape]) -> None:
        """Start empty, with these groups."""
        self._tiles = {}
        self._newest = {name: NewestRings(shape) for name, shape in shapes.items() if not isinstance(shape, Tiles)}
        families: dict[str, dict[str, Tiles]] = {}
        for name, shape in shapes.items():
            if isinstance(shape, Tiles):
                families.setdefault(shape.family or f"{name} alone", {})[name] = shape
        for family in families.values():
            arena = TileArena(list(family.values()))
            self._tiles |= {name: (arena, group) for group, name in enumerate(family)}

    def fold(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int, replace: bool = False
    ) -> None:
        """Merge events into their rows; see the protocol."""
        if len(rows) == 0:
            return
        if group in self._tiles:
            arena, place = self._tiles[group]
            if replace:
                arena.empty(place, rows, order)
            arena.fold(place, rows, tiles=order, lanes=lanes, keep_from=keep_from)
            return
        if replace:
            self._newest[group].empty(rows)
            rows, order, lanes = rows[order != NEUTRAL], order[order != NEUTRAL], lanes[:, order != NEUTRAL]
        if len(rows):
            self._newest[group].fold(rows, order, lanes)

    def read(self, group: str, rows: Array, lowest: Sequence[int]) -> Array:
        """The state of rows; see the protocol."""
        if group not in self._tiles:
            return self._newest[group].read(rows)
        arena, place = self._tiles[group]
        return arena.read(place, rows, lowest)

    def read_together(self, groups: Sequence[str], rows: Array, lowest: Sequence[Sequence[int]]) -> list[Array]:
        """The state of the same rows in several groups of one family; see the protocol."""
        arena = self._tiles[groups[0]][0]
        return arena.read_together([self._tiles[group][1] for group in groups], rows, lowest)

    def save(self, folder: Path) -> None:
        """Write all state into `state.npz` of an existing folder."""
        parts = {name: rings.arrays() for name, rings in self._newest.items()}
        parts |= {name: arena.arrays(place) for name, (arena, place) in self._tiles.items()}
        arrays = {f"{name}.{part}": array for name, group in parts.items() for part, array in group.items()}
        save_arrays(folder / "state.npz", arrays)

    def load(self, folder: Path) -> None:
        """Replace all state by what `save` wrote."""
        parts: dict[str, dict[str, Array]] = {name: {} for name in (*self._newest, *self._tiles)}
        for key, array in load_arrays(folder / "state.npz").items():
            name, _, part = key.rpartition(".")
            parts[name][part] = array
        for name, rings in self._newest.items():
            rings.restore(parts[name])
        families: dict[TileArena, list[Mapping[str, Array]]] = {}
        for name, (arena, _) in self._tiles.items():
            families.setdefault(arena, []).append(parts[name])
        for arena, groups in families.items():
            arena.restore(groups)

    def usage(self) -> dict[str, Usage]:
        """What each group takes, the room that its arrays have to spare included."""
        usage = {name: arena.usage(place) for name, (arena, place) in self._tiles.items()}
        return usage | {name: Usage(rings.n_rows, rings.n_bytes) for name, rings in self._newest.items()}


def _one_by_one(self: MemoryStore, groups: Sequence[str], rows: Array, lowest: Sequence[Sequence[int]]) -> list[Array]:
    return [self.read(group, rows, low) for group, low in zip(groups, lowest, strict=True)]
