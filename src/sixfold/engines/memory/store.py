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

    def __init__(self) -> None:
        self._tiles: dict[str, TileArena] = {}
        self._newest: dict[str, NewestRings] = {}

    def open(self, shapes: Mapping[str, Shape]) -> None:
        """Start empty, with these groups."""
        self._tiles = {name: TileArena(shape) for name, shape in shapes.items() if isinstance(shape, Tiles)}
        self._newest = {name: NewestRings(shape) for name, shape in shapes.items() if not isinstance(shape, Tiles)}

    def fold(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int, replace: bool = False
    ) -> None:
        """Merge events into their rows; see the protocol."""
        if len(rows) == 0:
            return
        if group in self._tiles:
            if replace:
                self._tiles[group].empty(rows, order)
            self._tiles[group].fold(rows, order, lanes, keep_from)
            return
        if replace:
            self._newest[group].empty(rows)
            rows, order, lanes = rows[order != NEUTRAL], order[order != NEUTRAL], lanes[:, order != NEUTRAL]
        if len(rows):
            self._newest[group].fold(rows, order, lanes)

    def read(self, group: str, rows: Array, lowest: Sequence[int]) -> Array:
        """The state of rows; see the protocol."""
        return self._tiles[group].read(rows, lowest) if group in self._tiles else self._newest[group].read(rows)

    def save(self, folder: Path) -> None:
        """Write all state into `state.npz` of an existing folder."""
        groups = self._groups()
        arrays = {f"{name}.{part}": array for name, group in groups.items() for part, array in group.arrays().items()}
        save_arrays(folder / "state.npz", arrays)

    def load(self, folder: Path) -> None:
        """Replace all state by what `save` wrote."""
        arrays = load_arrays(folder / "state.npz")
        for name, group in self._groups().items():
            group.restore({key.rpartition(".")[2]: a for key, a in arrays.items() if key.rpartition(".")[0] == name})

    def usage(self) -> dict[str, Usage]:
        """What each group takes, the room that its arrays have to spare included."""
        return {name: Usage(group.n_rows, group.n_bytes) for name, group in self._groups().items()}

    def _groups(self) -> dict[str, TileArena | NewestRings]:
        return {**self._tiles, **self._newest}
