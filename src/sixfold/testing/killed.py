"""A service to be killed: `python -m sixfold.testing.killed FOLDER STORE FIRST` appends, folds, saves, seals for ever.

It prints the number of each batch once the log has it. Batches are the same for a number, so that whoever looks at what
a killed process left knows what should be there.
"""

import sys
from itertools import count
from pathlib import Path

import numpy as np

from sixfold._core.table import Table, column
from sixfold._core.times import HOUR
from sixfold.data.log import Log
from sixfold.features.online import OnlineFeatures
from sixfold.features.store import Durable
from sixfold.testing.histories import EVERYTHING, build, draw
from sixfold.testing.places import LOGS, STORES, Place

__all__ = ["batch", "come_back"]


def batch(number: int) -> dict[str, Table]:
    """The events of a batch, by stream, late and tied ones among them."""
    rng = np.random.default_rng(number)
    history, _ = build(draw(rng, int(rng.integers(1, 9)), 0))
    tables = {}
    for stream, table in history.items():
        names = column([f"{number}-{offset}" for offset in table["offset"].tolist()], str)
        times = {name: table[name] + number * HOUR for name in ("at", "arrived")}
        tables[stream] = table.select([n for n in table if n != "offset"]).with_columns({"id": names, **times})
    return tables


def come_back(place: Place) -> tuple[Log, OnlineFeatures]:
    """The log, and the features as a new process finds them: what a durable store holds, or the last snapshot."""
    log, store = place.open_log(), place.open_store("state")
    online = OnlineFeatures(EVERYTHING, store, read=log.read)
    if not isinstance(store, Durable) and any((place.folder / "snapshot").glob("[0-9]*")):
        online.restore(place.folder / "snapshot")
    return log, online


def _serve(place: Place, first: int) -> None:
    log, online = come_back(place)
    for number in count(first):
        log.append(batch(number), now=0)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        end = log.end()[0]
        online.fold(log.read(online.offset, end), end)
        if number % 3 == 0:
            online.snapshot(place.folder / "snapshot")
        if number % 5 == 0:
            log.seal(end - 10)


if __name__ == "__main__":
    _serve(Place(Path(sys.argv[1]), LOGS["sqlite"], STORES[sys.argv[2]]), int(sys.argv[3]))
