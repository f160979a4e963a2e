"""The lanes of a group merged over windows, for many moments at once."""

from collections.abc import Sequence

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.data.events import field_values
from sixfold.features.algebra import Lane, prepare
from sixfold.features.lives import Sight
from sixfold.features.ordered import Ordered
from sixfold.features.plan import Group
from sixfold.features.tiled import Tiled
from sixfold.features.windows import Cut

__all__ = ["Windows"]


class Windows:
    """The lanes of a group, merged over windows; the tiles of an order of events are made once for each hop."""

    def __init__(self, group: Group, events: Table) -> None:
        self._group, self._events = group, events
        self._values: dict[int, list[Array]] = {}
        self._tiled: dict[tuple[int, int | None], Tiled] = {}

    def merge(self, sights: Sequence[Sight], at: Array, cut: Cut, used: set[int]) -> dict[int, Array]:
        """The lanes in use over all that moments see from a cut on; the first sight is of all moments."""
        lanes = self._group.lanes
        first, *more = sights
        if len(first.ordered):
            out = self._tiles(first.ordered, cut.hop).merge(first.key, first.end, at, cut, used)
        else:
            out = {i: np.full(len(at), lanes[i].neutral, np.int64) for i in used}
        for sight in more:
            tiled = self._tiles(sight.ordered, cut.hop)
            for i, values in tiled.merge(sight.key, sight.end, at[sight.rows], cut, used).items():
                so_far = out[i][sight.rows]
                out[i][sight.rows] = so_far + values if lanes[i].adds else np.maximum(so_far, values)
        return out

    def _tiles(self, ordered: Ordered, hop: int | None) -> Tiled:
        name = (id(ordered), hop)
        if name not in self._tiled:
            if name[0] not in self._values:
                self._values[name[0]] = _lane_values(self._group.lanes, self._events, ordered)
            of_hop = [member for member in self._group.aggregates if member.feature.cuts[0].hop == hop]
            used = {i for member in of_hop for i in member.lanes}
            if any(other != hop for _, other in self._tiled):
                self._tiled.clear()  # members come by hop: what is left behind is not asked for again
            self._tiled[name] = Tiled(ordered, hop, {i: (self._group.lanes[i], self._values[name[0]][i]) for i in used})
        return self._tiled[name]


def _lane_values(lanes: tuple[Lane, ...], events: Table, ordered: Ordered) -> list[Array]:
    """What each event of the order contributes to each lane."""
    out = []
    for lane in lanes:
        values = None if lane.value is None else field_values(lane.value, events)[ordered.order]
        out.append(prepare(lane, values, len(ordered), ordered.at))
    return out
