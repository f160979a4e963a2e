"""Sawtooth windows: the head is exact to the last event, the tail moves in hops.

A window W at time t covers the events with tile(at) >= tile(t - W), where tile(x) = floor(x / hop).
"""

from dataclasses import dataclass
from typing import TypeVar

from sixfold._core.table import Array
from sixfold._core.times import DAY, HOUR, MINUTE

__all__ = ["HALF_LIVES", "TODAY", "Cut", "decay_cuts", "hop_of", "lowest_tile", "tile_of", "window_cuts"]

_Instants = TypeVar("_Instants", int, Array)

HALF_LIVES = 20
"""Tiles of a half-life each that a decayed value is made of: what is older counts for nothing, not for 2**-20."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The tiles of `hop` microseconds from the one that holds the instant `back` before now; all if `hop` is None."""

    hop: int | None
    back: int = 0

    def lowest(self, t: _Instants) -> _Instants:
        """The first tile that is covered at time `t`."""
        return t * 0 if self.hop is None else (t - self.back) // self.hop


TODAY = (Cut(DAY),)
"""The cut of the calendar day, in UTC, that now lies in: unlike a window of 24 hours it begins anew at midnight."""


def window_cuts(window: int | None) -> tuple[Cut]:
    """The one cut of a window, in microseconds; None is a lifetime.

    >>> window_cuts(HOUR)[0].lowest(DAY + HOUR) == DAY // (5 * MINUTE)
    True
    """
    return (Cut(None) if window is None else Cut(hop_of(window), window),)


def decay_cuts(half_life: int) -> tuple[Cut, ...]:
    """The cuts of a decayed value, longest first: the difference of two neighbours is one tile of a half-life.

    >>> [cut.lowest(100 * DAY) for cut in decay_cuts(DAY)][-3:]
    [98, 99, 100]
    """
    return tuple(Cut(half_life, back * half_life) for back in range(HALF_LIVES - 1, -1, -1))


def hop_of(window: int | None) -> int | None:
    """The hop of a window, both in microseconds; None for a lifetime, which is one tile.

    >>> [hop_of(hours * HOUR) == hop for hours, hop in ((1, 5 * MINUTE), (12, HOUR), (288, HOUR), (289, DAY))]
    [True, True, True, True]
    """
    if window is None:
        return None
    if window < 12 * HOUR:
        return 5 * MINUTE
    return HOUR if window <= 12 * DAY else DAY


def tile_of(at: Array, hop: int | None) -> Array:
    """The tile of each instant, int64; 0 for a lifetime."""
    return at * 0 if hop is None else at // hop


def lowest_tile(t: _Instants, window: int | None) -> _Instants:
    """The first tile that a window covers at time `t`.

    >>> lowest_tile(DAY + HOUR, HOUR) == DAY // (5 * MINUTE), lowest_tile(DAY, None)
    (True, 0)
    """
    return window_cuts(window)[0].lowest(t)
