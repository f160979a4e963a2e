"""Retractions: facts that say that another fact does not count any more. Nothing is ever removed from the log for it.

A retraction counts from its own offset on: whoever sees the events below offset o sees an event of them unless one of
them retracts it. What was decided before stays as it was, and can be replayed.
"""

from collections.abc import Mapping

import numpy as np

from sixfold._core.table import Array, Table

__all__ = ["NEVER", "RETRACTION", "ends"]

RETRACTION = "retraction"
"""The stream that retractions are logged in; `target` is the offset of the event that stops counting."""

NEVER = int(np.iinfo(np.int64).max)


def ends(history: Mapping[str, Table], events: Table) -> Array | None:
    """The offset of each event's first retraction, NEVER where it has none, (n_events,); None if none of them has one.

    >>> events, retractions = {"offset": np.array([0, 2])}, {"offset": np.array([1]), "target": np.array([0])}
    >>> (ends({"retraction": Table(retractions)}, Table(events)) == [1, NEVER]).tolist()
    [True, True]
    """
    retractions = history.get(RETRACTION)
    if not retractions or not events:
        return None
    offsets, target = events["offset"], retractions["target"]
    place = np.minimum(np.searchsorted(offsets, target), len(offsets) - 1)
    mine = offsets[place] == target
    if not mine.any():
        return None
    out = np.full(len(offsets), NEVER)
    np.minimum.at(out, place[mine], retractions["offset"][mine])
    return out
