"""Windows over ordered events: for every row and window, the lanes merged over what the row sees."""

import numpy as np

from sixfold._core.table import Array
from sixfold.features.algebra import Lane
from sixfold.features.ordered import Ordered
from sixfold.features.ranges import range_max, range_sum, suffix_merge
from sixfold.features.windows import Cut, tile_of

__all__ = ["Tiled"]


class Tiled:
    """Ordered events by tiles of one hop, merging `lanes` (specifications and values per event of the order).

    An event whose tile is below an earlier one of its key is late. Among the others tiles never fall along a run.
    """

    def __init__(self, ordered: Ordered, hop: int | None, lanes: dict[int, tuple[Lane, Array]]) -> None:
        self._ordered = ordered
        self._lanes = lanes
        tile = tile_of(ordered.at, hop)
        self._base, self._top = int(tile.min()), int(tile.max())
        self._bits = (self._top - self._base + 1).bit_length()
        reached = (ordered.key << self._bits) | (tile - self._base)
        self._reached = np.maximum.accumulate(reached)
        self._late = np.flatnonzero(reached != self._reached)
        self._late_tiles = tile[self._late]
        self._on_time = {i: self._without_late(lane, values) for i, (lane, values) in lanes.items()}

    def _without_late(self, lane: Lane, values: Array) -> Array:
        """Prefix sums of an adding lane, else the values, with nothing in the place of late events."""
        if len(self._late):
            values = values.copy()
            values[self._late] = lane.neutral
        return range_sum(values) if lane.adds else values

    def merge(self, key: Array, end: Array, at: Array, cut: Cut, wanted: set[int]) -> dict[int, Array]:
        """The wanted lanes for rows that see positions [starts[key], end) at the instants `at`; (n_rows,) each."""
        lowest, first = cut.lowest(at), self.begin(key, end, at, cut)
        out = {}
        for i in wanted:
            values = self._on_time[i]
            out[i] = values[end] - values[first] if self._lanes[i][0].adds else range_max(values, first, end)
        if len(self._late):
            self._merge_late(out, key, end, lowest)
        return out

    def begin(self, key: Array, end: Array, at: Array, cut: Cut) -> Array:
        """The position before which nothing that rows see lies in the cut: after it, all does that is not late."""
        if cut.hop is None:
            first = self._ordered.starts[np.maximum(key, 0)]
        else:
            low = np.clip(cut.lowest(at) - self._base, 0, self._top - self._base + 1)
            first = np.searchsorted(self._reached, (np.maximum(key, 0) << self._bits) | low)
        return np.asarray(np.minimum(first, end))  # a key that is not known ends at 0

    def _merge_late(self, out: dict[int, Array], key: Array, end: Array, lowest: Array) -> None:
        start = np.where(key < 0, 0, self._ordered.starts[key])
        first, stop = np.searchsorted(self._late, start), np.searchsorted(self._late, end)
        rows = np.flatnonzero(first < stop)
        lanes = [self._lanes[i] for i in out]
        merged = suffix_merge(
            self._late_tiles,
            [values[self._late] for _, values in lanes],
            [lane.adds for lane, _ in lanes],
            first=first[rows],
            end=stop[rows],
            lowest=lowest[rows],
        )
        for total, late, (lane, _) in zip(out.values(), merged, lanes, strict=True):
            total[rows] = total[rows] + late if lane.adds else np.maximum(total[rows], late)
