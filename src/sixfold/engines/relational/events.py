"""The pass over the history: events as int64 columns in Parquet, and the clock that windows are cut by.

The clock at an offset is the latest arrival up to there, so it never falls. An event whose own tile is that of the
clock is on time: of all such events a window holds those from one offset on, which is the same for every key. The
others are written once more, with the tiles where that rule would be wrong about them.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array, Table
from sixfold.data.events import field_values
from sixfold.data.retraction import RETRACTION
from sixfold.engines.relational.encoding import Masked, Sink, Texts, kind_of
from sixfold.engines.relational.layout import Layout, StreamColumns
from sixfold.features.algebra import prepare, value_kind
from sixfold.features.windows import tile_of

__all__ = ["Clock", "EventWriter", "dyadic"]

ORIGIN = 1 << 40
"""Added to tiles, so that they are positive and can be cut into blocks by shifting."""


class Clock:
    """For each hop, the offset at which each tile began."""

    def __init__(self, hops: set[int]) -> None:
        self._now = int(np.iinfo(np.int64).min)
        self._began: dict[int, list[tuple[Array, Array]]] = {hop: [] for hop in hops}
        self._last: dict[int, int] = {}
        self.end = 0

    def advance(self, offsets: Array, arrived: Array) -> Array:
        """The clock at each of these events, which come in order of offset, after those before."""
        clock = np.maximum(np.maximum.accumulate(arrived), self._now)
        for hop, began in self._began.items():
            tiles = tile_of(clock, hop)
            first = np.flatnonzero(np.diff(tiles, prepend=self._last.get(hop, int(tiles[0]) - 1)))
            began.append((tiles[first], offsets[first]))
            self._last[hop] = int(tiles[-1])
        self._now, self.end = int(clock[-1]), int(offsets[-1]) + 1
        return clock

    def first_offset(self, lowest: Array, hop: int | None) -> Array:
        """The first offset at which the clock's tile is at least `lowest`; the end if it never is."""
        if hop is None or not self._began[hop]:
            return np.zeros(len(lowest), np.int64)
        tiles, offsets = (np.concatenate(parts) for parts in zip(*self._began[hop], strict=True))
        return np.append(offsets, self.end)[np.searchsorted(tiles, lowest)]


class EventWriter:
    """Writes the events of a history, chunk after chunk; `sinks` has a file for each stream.

    `late` has files by (stream, hop) where there are events off time, `repairs` by stream; `levels` are the (hop, size)
    of the blocks in them; `retractions` are what ends the life of which event; `totals` bounds every sum over a
    lane; `calm` are the streams whose `at` never falls.
    """

    def __init__(self, layout: Layout, folder: Path, texts: Texts) -> None:
        self.layout, self.texts = layout, texts
        self.clock = Clock({hop for columns in layout.streams.values() for hop in columns.hops})
        self.sinks = {name: Sink(folder / f"events_{name}.parquet") for name in layout.streams}
        places = [(name, hop) for name, columns in layout.streams.items() for hop in sorted(columns.hops)]
        self.late = {(name, hop): Sink(folder / f"late_{name}_{hop}.parquet") for name, hop in places}
        self.repairs = {name: Sink(folder / f"repairs_{name}.parquet") for name in layout.streams}
        self.retractions = Sink(folder / "retractions.parquet")
        self.levels: dict[str, set[tuple[int, int]]] = {name: set() for name in layout.streams}
        self.totals: dict[str, float] = {}
        self.calm = set(layout.streams)
        self._newest: dict[str, int] = {}

    def write(self, history: Mapping[str, Table]) -> None:
        """Add a chunk; raises FeatureError if it does not come after the chunks before."""
        if retracted := history.get(RETRACTION):
            self.retractions.write({"target": retracted["target"], "until": retracted["offset"]})
        tables = {name: history[name] for name in self.layout.streams if history.get(name)}
        if not tables:
            return
        offsets = np.concatenate([table["offset"] for table in tables.values()])
        arrived = np.concatenate([table.get("arrived", table["at"]) for table in tables.values()])
        order = np.argsort(offsets, kind="stable")
        offsets = offsets[order]
        if offsets[0] < self.clock.end or (len(offsets) > 1 and np.diff(offsets).min() <= 0):
            raise FeatureError(
                f"the history is not in order: offset {offsets[0]} after {self.clock.end - 1}, or one offset twice",
                hint="give the chunks in order of offset, as log.read returns them",
            )
        clock = np.empty(len(offsets), np.int64)
        clock[order] = self.clock.advance(offsets, arrived[order])
        start = 0
        for name, table in tables.items():
            self._write(self.layout.streams[name], table, clock[start : start + len(table)])
            start += len(table)

    def _write(self, columns: StreamColumns, table: Table, clock: Array) -> None:
        name = columns.stream.name
        at, kept = table["at"], {}
        if at[0] < self._newest.get(name, at[0]) or (len(at) > 1 and np.diff(at).min() < 0):
            self.calm.discard(name)
        self._newest[name] = int(at[-1])
        late = {hop: self._write_late(name, hop, table, clock) for hop in sorted(columns.hops)}
        out: dict[str, Array | Masked] = {"offset": table["offset"], "at": at}
        for column, key in (columns.keys | columns.fields).items():
            out[column] = self.texts.keys(table[key.name], kind_of(key), grow=True)
        for column, value in columns.values.items():
            out[column] = self.texts.values(table[value.name], kind_of(value))
        for column, item in columns.items.items():
            out[column] = self.texts.keys(field_values(item, table), value_kind(item), grow=True)
        for column, flag in columns.wheres.items():
            out[column] = field_values(flag, table).astype(np.bool_).astype(np.int64)
        for column, (where, lane) in columns.lanes.items():
            lane_values = None if lane.value is None else field_values(lane.value, table)
            values = prepare(lane, lane_values, len(table), at)
            if where is not None:
                if where not in kept:
                    kept[where] = field_values(where, table).astype(np.bool_)
                values = np.where(kept[where], values, lane.neutral)
            out[column] = values
            if lane.adds:
                total = float(np.abs(values.astype(np.float64)).sum())
                self.totals[column] = self.totals.get(column, 0.0) + total
        for hop, is_late in late.items():
            out[f"late_{hop}"] = is_late.astype(np.int64)
        self.sinks[name].write(out)

    def _write_late(self, name: str, hop: int, table: Table, clock: Array) -> Array:
        tile, now = tile_of(table["at"], hop) + ORIGIN, tile_of(clock, hop) + ORIGIN
        is_late = tile != now
        rows = np.flatnonzero(is_late)
        if len(rows):
            offset, tile, now = table["offset"][rows], tile[rows], now[rows]
            self.late[name, hop].write({"offset": offset, "tile": tile})
            which, level, block = dyadic(np.minimum(tile, now) + 1, np.maximum(tile, now) + 1)
            self.levels[name].update((hop, size) for size in np.unique(level).tolist())
            repairs = {"offset": offset[which], "hop": np.full(len(which), hop), "level": level, "block": block}
            self.repairs[name].write(repairs | {"sign": np.where(tile > now, 1, -1)[which]})
        return np.asarray(is_late)

    def close(self) -> None:
        """Finish the files; a stream without events gets none."""
        for sink in (self.retractions, *self.sinks.values(), *self.late.values(), *self.repairs.values()):
            sink.close()


def dyadic(first: Array, end: Array) -> tuple[Array, Array, Array]:
    """The ranges [first, end) cut into blocks [b * 2**level, (b + 1) * 2**level): (range, level, b) of each block.

    >>> [part.tolist() for part in dyadic(np.array([3]), np.array([9]))]
    [[0, 0, 0], [0, 0, 2], [3, 8, 1]]
    """
    rows, first, end, level = np.arange(len(first)), first.copy(), end.copy(), 0
    found: list[tuple[Array, Array, Array]] = []
    while len(rows):
        for is_first in (True, False):
            side = first if is_first else end
            odd = np.flatnonzero((side & 1 == 1) & (first < end))
            side[odd] += 1 if is_first else -1
            block = side[odd] - 1 if is_first else side[odd]
            found.append((rows[odd], np.full(len(odd), level), block))
        inside = first < end
        rows, first, end, level = rows[inside], first[inside] >> 1, end[inside] >> 1, level + 1
    parts = [np.concatenate(part) for part in zip(*found, strict=True)]
    return parts[0], parts[1], parts[2]
