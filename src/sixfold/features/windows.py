"""Sawtooth windows: the head is exact to the last event, the tail moves in hops.

A window W at time t covers the events with tile(at) >= tile(t - W), where tile(x) = floor(x / hop).
"""

from typing import TypeVar

from sixfold._core.table import Array
from sixfold._core.times import DAY, HOUR, MINUTE

__all__ = ["hop_of", "lowest_tile", "tile_of"]

_Instants = TypeVar("_Instants", int, Array)


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
    hop = hop_of(window)
    return t * 0 if hop is None or window is None else (t - window) // hop
