"""Taking events back online: what retractions change in a state that has the events folded in.

Lanes that add have an inverse: the event is folded once more, negated, under the key that it had at its own offset.
What has none (a maximum, the newest events) is recomputed from the log for the touched tiles or rows, and replaced.
That reads the log up to the retraction: the work grows with the log, as often as a fold brings such a retraction.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.data.events import Events, Field
from sixfold.data.retraction import RETRACTION
from sixfold.features.folding import Batch
from sixfold.features.grouping import KeyPath, NewestGroup, Schema, TileGroup
from sixfold.features.lives import stated
from sixfold.features.reading import NewestReader, Reader, TileReader
from sixfold.features.store import NEUTRAL, Store
from sixfold.frame import Entity

__all__ = ["Read", "Undoing"]

Read = Callable[[int, int, Iterable[str]], Mapping[str, Table]]
"""Events of the log by offsets [start, stop) and streams, as `Log.read` gives them."""

_PIECE = 200_000
_SINGLY = 64


class Undoing:
    """What the retractions with start <= offset < stop change; `retractions` is that part of their stream."""

    def __init__(self, schema: Schema, read: Read, retractions: Table, *, start: int, stop: int) -> None:
        self._schema, self._read, self._stop = schema, read, stop
        self._streams = {g.stream.name for groups in (schema.tiles, schema.newest.values()) for g in groups}
        earlier = read(0, start, [RETRACTION]).get(RETRACTION)
        known = np.empty(0, np.int64) if earlier is None else earlier["target"]
        target = retractions["target"][retractions["target"] < retractions["offset"]]
        self._dead = np.union1d(known, target)
        self._gone = self._events(np.setdiff1d(target, known))
        self._sources: Mapping[str, Table] | None = None

    def __bool__(self) -> bool:
        return bool(self._gone)

    @property
    def restates(self) -> bool:
        """Whether an event that is part of other events' keys is taken back."""
        sources = {group.stream.name for group, _ in self._schema.attributes.values()}
        return not sources.isdisjoint(self._gone)

    def _events(self, offsets: Array) -> dict[str, Table]:
        """The events at these offsets, of the streams that matter."""
        found: dict[str, list[Table]] = {}
        spans = [(o, o + 1) for o in offsets.tolist()]
        if len(offsets) > _SINGLY:
            low, high = int(offsets[0]), int(offsets[-1]) + 1
            spans = [(a, min(a + _PIECE, high)) for a in range(low, high, _PIECE)]
        for span in spans:
            for name, table in self._read(*span, self._streams).items():
                mine = table.take(np.isin(table["offset"], offsets))
                if name in self._streams and mine:
                    found.setdefault(name, []).append(mine)
        return {name: Table.concat(parts) for name, parts in found.items()}

    def number(self, field: Field, events: Table) -> Array:
        """The number of the attribute that each event's key is made of, as of its own offset."""
        if self._sources is None:
            names = {group.stream.name for group, _ in self._schema.attributes.values()}
            self._sources = self._read(0, self._stop, [*names, RETRACTION])
        found = stated(field.events, self._sources, events)
        out = np.zeros(len(events), np.int64)
        known = found >= 0
        if known.any():
            values = self._sources[field.events.name][field.name][found[known]]
            out[known] = self._schema.numbers(field).add(values)
        return out

    def apply(self, readers: Sequence[Reader], store: Store) -> None:
        """Change the state, in which all events below `stop` have been folded as if nothing were taken back."""
        batch = Batch(self._schema, self._gone, {}, self.number)
        for reader in readers:
            if reader.group.stream.name not in self._gone:
                continue
            rows, order, lanes = batch.contributions(reader.group)
            if len(rows) == 0:
                continue
            if isinstance(reader, NewestReader):
                self._replace_rows(reader, store, rows, order)
            elif reader.group.shape.width == len([lane for lane in reader.group.lanes if lane.adds]):
                store.fold(reader.group.name, rows, order=order, lanes=-lanes, keep_from=reader.tail.kept_from)
            else:
                self._replace_tiles(reader, store, rows, order)
            reader.touch(rows)

    def _replace_rows(self, reader: NewestReader, store: Store, rows: Array, order: Array) -> None:
        """Rows whose newest events may be among those taken back: older ones are not kept, and not missed."""
        oldest = store.read(reader.group.name, rows, ())[0, :, 0]
        touched = np.unique(rows[order >= oldest])
        if len(touched) == 0:
            return
        found = self._remaining(reader.group, lambda rows, order: np.isin(rows, touched), None)
        if reader.group.oldest:
            found = [part[..., ::-1] for part in found]  # of equal ones the first folded counts
        rows, order, lanes = _newest(found, reader.group.n)
        empty = np.setdiff1d(touched, rows)
        rows, order = np.append(rows, empty), np.append(order, np.full(len(empty), NEUTRAL))
        lanes = np.append(lanes, np.zeros((len(lanes), len(empty)), np.int64), axis=1)
        store.fold(reader.group.name, rows, order=order, lanes=lanes, keep_from=0, replace=True)

    def _replace_tiles(self, reader: TileReader, store: Store, rows: Array, order: Array) -> None:
        read_still = order >= reader.tail.kept_from
        touched = np.unique(np.stack([rows, order])[:, read_still], axis=1)
        if touched.shape[1] == 0:
            return
        pairs, low = _Pairs(touched), int(touched[1].min())
        bounds = (
            None
            if reader.group.hop is None
            else (low * reader.group.hop, (int(touched[1].max()) + 1) * reader.group.hop)
        )
        rows, order, lanes = self._remaining(reader.group, pairs.has, bounds)
        nothing = np.repeat(np.array([[lane.neutral] for lane in reader.group.lanes]), touched.shape[1], axis=1)
        rows, order = np.append(touched[0], rows), np.append(touched[1], order)
        lanes = np.append(nothing, lanes, axis=1)
        name, keep_from = reader.group.name, reader.tail.kept_from
        store.fold(name, rows, order=order, lanes=lanes, keep_from=keep_from, replace=True)

    def _remaining(
        self,
        group: TileGroup | NewestGroup,
        wanted: Callable[[Array, Array], Array],
        bounds: tuple[int, int] | None,
    ) -> list[Array]:
        """Rows, order and lanes of all events of a group that count still and are wanted, in order of offset."""
        parts = []
        for events in self._living(group.stream, group.path, bounds):
            made = Batch(self._schema, {group.stream.name: events}, {}, self.number).contributions(group)
            chosen = wanted(made[0], made[1])
            parts.append([part[..., chosen] for part in made])
        if not parts:
            nothing = np.empty(0, np.int64)
            return [nothing, nothing, np.empty((len(group.lanes), 0), np.int64)]
        return [np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)]

    def _living(self, stream: Events, path: KeyPath, bounds: tuple[int, int] | None) -> Iterator[Table]:
        """The events that count still, of the keys that any event taken back names, `at` within bounds; by pieces."""
        gone = self._gone[stream.name]
        named = {part.key.name for part in path.parts if isinstance(part.key, Entity)}
        for start in range(0, self._stop, _PIECE):
            table = self._read(start, min(start + _PIECE, self._stop), [stream.name]).get(stream.name)
            if not table:
                continue
            keep = ~np.isin(table["offset"], self._dead)
            if bounds is not None:
                keep &= (table["at"] >= bounds[0]) & (table["at"] < bounds[1])
            for name in named:
                keep &= np.isin(table[name], gone[name])
            if keep.any():
                yield table.take(keep)


class _Pairs:
    """Pairs of a row and a tile, (2, n), sorted."""

    def __init__(self, pairs: Array) -> None:
        self._rows, row = np.unique(pairs[0], return_inverse=True)
        self._tiles, tile = np.unique(pairs[1], return_inverse=True)
        self._codes = row * len(self._tiles) + tile

    def has(self, rows: Array, tiles: Array) -> Array:
        """Which of other pairs are among these."""
        row = np.minimum(np.searchsorted(self._rows, rows), len(self._rows) - 1)
        tile = np.minimum(np.searchsorted(self._tiles, tiles), len(self._tiles) - 1)
        known = (self._rows[row] == rows) & (self._tiles[tile] == tiles)
        return np.asarray(known & np.isin(row * len(self._tiles) + tile, self._codes))


def _newest(events: Sequence[Array], n: int) -> tuple[Array, Array, Array]:
    """Of each row the last n of events (rows, order, lanes) by order, of equal ones those that come later."""
    rows, order, lanes = events
    by_row = np.lexsort((np.arange(len(rows)), order, rows))
    rows, order, lanes = rows[by_row], order[by_row], lanes[:, by_row]
    stop = np.searchsorted(rows, rows, "right")
    kept = stop - np.arange(len(rows)) <= n
    return rows[kept], order[kept], lanes[:, kept]
