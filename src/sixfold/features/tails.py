"""Where the windows of a group of tiles end at a moment, and whether what was read before still says so."""

from sixfold._core.errors import FeatureError
from sixfold._core.times import iso
from sixfold.features.grouping import TileGroup
from sixfold.features.store import NEUTRAL

__all__ = ["Tail"]

_SPARE_TILES = 12
"""Tiles kept beyond the longest window, so that a clock somewhat behind the last arrival still reads exact values."""
_ERA = 1 << 32
_LATEST = 1 << 62


class Tail:
    """The lowest tiles that the cuts of a group reach down to, numbered by epochs: a new one when any of them moves.

    While time goes on they only rise, and a row without events in its longest window stays so: what was read of such a
    row holds until the `dusk` of the era, which ends when a moment earlier than the last is asked for. `since` and
    `until` are the moments [since, until) between which no tail moves.
    """

    def __init__(self, group: TileGroup) -> None:
        self._group, self._cuts = group, group.cuts
        self.lowest: list[int] = []
        self.epoch = 0
        self._floor = 0
        self.since, self.until = _LATEST, -_LATEST
        self.kept_from = NEUTRAL
        self._last_arrival = 0

    @property
    def dusk(self) -> int:
        """The last epoch of the era."""
        return self.epoch | (_ERA - 1)

    def keep_from(self, last_arrival: int) -> int:
        """The lowest tile that will still be read after events up to `last_arrival` are folded."""
        if self._group.hop is not None:
            self._last_arrival = last_arrival
            self.kept_from = min(cut.lowest(last_arrival) for cut in self._cuts) - _SPARE_TILES
        return self.kept_from

    def move(self, at: int) -> None:
        """Let the windows end as of the instant `at`."""
        if self.since <= at < self.until:
            return
        lowest, before = [cut.lowest(at) for cut in self._cuts], self.lowest
        if before and any(new < old for new, old in zip(lowest, before, strict=True)):
            self.epoch = self.dusk + 1
        elif lowest != before:
            self.epoch += 1
        self.lowest = lowest
        self._floor = min(lowest)
        if self._group.hop is None:
            self.since, self.until = -_LATEST, _LATEST
            return
        starts = [low * self._group.hop + cut.back for low, cut in zip(lowest, self._cuts, strict=True)]
        self.since, self.until = max(starts), min(starts) + self._group.hop

    def check(self, at: int) -> None:
        """Raise FeatureError if tiles that the windows reach down to, as of the last `move`, may be forgotten."""
        if self._floor < self.kept_from:
            raise FeatureError(
                f"features cannot be read as of {iso(at)}: the last event arrived at {iso(self._last_arrival)}, and "
                "tiles that only an earlier moment could see are forgotten",
                hint="ask for a later moment, or compute the past from the log with as_of",
            )
