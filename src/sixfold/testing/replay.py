"""Ask online features what a spine asks: the rows in order of offset, with folds, restarts and saves in between."""

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from sixfold._core.table import Table
from sixfold.features.featureset import FeatureSet
from sixfold.features.online import OnlineFeatures
from sixfold.features.store import Store
from sixfold.testing.histories import between

__all__ = ["asked_online"]


def asked_online(
    features: FeatureSet,
    history: Mapping[str, Table],
    spine: Table,
    *,
    make_store: Callable[[], Store],
    rng: np.random.Generator,
    restarts: float = 0.0,
) -> Table:
    """The features of the spine's rows, each read once the events before its offset are folded.

    The log is cut into random folds; after each, with probability `restarts`, state is saved and restored into a new
    store. Now and then a row is read from a fresh fold of its whole prefix instead.
    """
    online = OnlineFeatures(features, make_store(), read=partial(between, history))
    rows: list[Table] = []
    order = np.argsort(spine["offset"], kind="stable")
    for row in (spine.row(i) for i in order.tolist()):
        while online.offset < row["offset"]:
            stop = min(row["offset"], online.offset + int(rng.integers(1, 12)))
            online.fold(between(history, online.offset, stop), stop)
            if rng.random() < restarts:
                online = _restarted(online, make_store, history)
        reader = online
        if rng.random() < 0.1:
            reader = OnlineFeatures(features, make_store(), read=partial(between, history))
            reader.fold(between(history, 0, row["offset"]), row["offset"])
        request = {name: value for name, value in row.items() if name not in ("at", "offset", "video")}
        candidates = {"video": np.array([row["video"], 1, 0])}  # neighbours must not matter
        rows.append(reader.now(features.names, request, candidates, row["at"]).take([0]))
    return Table.concat(rows).take(np.argsort(order)) if rows else Table({})


def _restarted(online: OnlineFeatures, make_store: Callable[[], Store], history: Mapping[str, Table]) -> OnlineFeatures:
    with tempfile.TemporaryDirectory() as folder:
        online.snapshot(Path(folder))
        again = OnlineFeatures(online.features, make_store(), read=partial(between, history))
        again.restore(Path(folder))
    return again
