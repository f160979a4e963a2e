"""Rows that we did not log ourselves: what would the online path have known, had it decided them?"""

from collections.abc import Mapping

import numpy as np

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array, Table
from sixfold._core.times import duration

__all__ = ["offsets_as_known"]


def offsets_as_known(history: Mapping[str, Table], at: Array, *, lag: str) -> Array:
    """The offset that a decision at each instant `at` would have had, (n_rows,) int64, for the spine of a backfill.

    `lag`, such as "5m" or "0s", is how stale the online path would have been: an event, or a retraction, was known at
    `at` if it had arrived before `at` - lag. So the offset is that of the first event that arrived later or just then,
    among those of `history`, or the one after all of them. Raises FeatureError if a stream does not say when its
    events arrived.

    >>> arrived = np.array([60, 120, 180]) * 1_000_000
    >>> history = {"watch": Table({"offset": np.array([0, 1, 2]), "arrived": arrived})}
    >>> offsets_as_known(history, np.array([120, 121, 300]) * 1_000_000, lag="1m").tolist()
    [0, 1, 3]
    """
    if silent := [name for name, table in history.items() if table and "arrived" not in table]:
        raise FeatureError(f"the events of {silent} do not say when they arrived", hint="read them from a log")
    known = np.asarray(at) - duration(lag)
    offsets = np.zeros(len(known), np.int64)
    for table in history.values():
        if table:
            n_before = np.searchsorted(table["arrived"], known)
            np.maximum(offsets, np.append(0, table["offset"] + 1)[n_before], out=offsets)
    return offsets
