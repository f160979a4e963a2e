"""What Feast's offline stores are given to join, and whether they join it rightly."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.features.measured import Figures
from benchmarks.features.world import SIZES, WINDOWS, history, spine
from sixfold._core.table import Array, Table
from sixfold.features import as_of

__all__ = ["agrees", "prepare"]

_KEYS = ("user", "video")
_SAMPLE = 2_000


def prepare(size: str, n_rows: int, variant: str, folder: Path) -> Figures:
    """Parquet with each key's features: `variant` is "moments" or "events", then "skewed" or "even" popularity.

    Features of "events" are those just after each event, as one precomputes them; those of
    "moments" only the ones that will be asked for, which is the least that Feast could be given.
    """
    asked = SIZES[size]
    when, popularity = variant.split("-")
    past = history(asked.events, asked, with_share=False, even=popularity == "even")
    rows = spine(past, n_rows)
    at = pa.array(rows["at"], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({**{key: rows[key] for key in _KEYS}, "event_timestamp": at}), folder / "spine.parquet")
    if when == "events":
        events = past["watch"]
        rows = Table({**{key: events[key] for key in _KEYS}, "offset": events["offset"] + 1, "at": events["arrived"]})
    out = as_of(WINDOWS, past, rows)
    at = pa.array(rows["at"], pa.timestamp("us", tz="UTC"))
    for key in _KEYS:
        mine = {name: out[name] for name in WINDOWS.names if f"_by_{key}_" in name}
        pq.write_table(pa.table({key: rows[key], "event_timestamp": at, **mine}), folder / f"{key}.parquet")
    return {"rows": len(rows)}


def agrees(joined: Path, folder: Path) -> int:
    """How many of Feast's values, over some of the rows, are not the newest of their key at that moment."""
    theirs = _columns(joined)
    picked = np.random.default_rng(4).choice(len(theirs["user"]), min(len(theirs["user"]), _SAMPLE), replace=False)
    lost = len(_columns(folder / "spine.parquet")["user"]) - len(theirs["user"])
    differing = lost * len(WINDOWS)
    for key in _KEYS:
        ours = _columns(folder / f"{key}.parquet")
        place = _newest(ours, theirs, key)[picked]
        for name in set(WINDOWS.names) & set(ours):
            expected = np.where(place < 0, np.nan, ours[name][place])
            found = theirs[name][picked].astype(np.float64)
            differing += int((~((found == expected) | (np.isnan(found) & np.isnan(expected)))).sum())
    return differing


def _newest(held: dict[str, Array], asked: dict[str, Array], key: str) -> Array:
    """The row of `held` that is the newest of the key at each moment asked for, or -1."""
    first = int(held["event_timestamp"].min()) - 1
    packed = (held[key] << 44) | (held["event_timestamp"] - first)
    order = np.argsort(packed)
    wanted = (asked[key] << 44) | np.maximum(asked["event_timestamp"] - first, 0)
    place = np.searchsorted(packed[order], wanted, "right") - 1
    row = order[np.maximum(place, 0)]
    return np.where((place >= 0) & (held[key][row] == asked[key]), row, -1)


def _columns(path: Path) -> dict[str, Array]:
    table = pq.read_table(path)
    stamps = table["event_timestamp"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    columns = {name: table[name].to_numpy() for name in table.column_names if name != "event_timestamp"}
    return columns | {"event_timestamp": stamps.to_numpy()}
