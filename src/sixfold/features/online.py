"""Features as of now: state that events are folded into as they arrive, read for one request at a time."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import DataError, FeatureError
from sixfold._core.table import Array, Table
from sixfold.data.retraction import RETRACTION
from sixfold.features.asking import Asked, Route, widen
from sixfold.features.columns import request_column
from sixfold.features.featureset import FeatureSet
from sixfold.features.folding import Batch, chunks
from sixfold.features.freshness import Guard, Notes
from sixfold.features.grouping import Schema
from sixfold.features.journal import Journal
from sixfold.features.plan import Plan
from sixfold.features.reading import NewestReader, Reader, TileReader, readers_of
from sixfold.features.snapshot import Snapshot, read_snapshot, write_snapshot
from sixfold.features.store import Distant, Store
from sixfold.features.undoing import Read, Undoing

__all__ = ["OnlineFeatures"]

_CHUNK = 65_536


class OnlineFeatures:
    """The features of a set, from the events with offset < `offset`: a fold of the log into a store.

    Equal prefixes give equal values, however the log is cut into folds, and however often state is saved and restored
    in between. With a durable store, it goes on from the offset that the store holds. Not for use by several threads
    at once.

    An event that is retracted is taken back, for which the log is read again: `read` is `log.read`. Where all of a
    group's aggregates are sums and counts that costs no more than the event did; where one is an extreme, or the
    newest events of a key change, time grows with the log.
    """

    def __init__(self, features: FeatureSet, store: Store, *, read: Read | None = None) -> None:
        self.features = features
        self._log = read
        self.offset = 0
        self._last_arrival = 0
        self._store = store
        self._distant = store if isinstance(store, Distant) else None
        self._guard = Guard(features)
        self._plan = Plan(self._guard.features)
        self._streams = set(features.follows)
        self._lay_out()
        if (clock := self._journal.resume()) is None:
            self._store.open(self._schema.shapes())
        else:
            self._set(clock)

    @property
    def declares(self) -> bool:
        """Whether any feature declares what it answers when it cannot be known."""
        return bool(self._guard.rules)

    def _open(self) -> None:
        self._lay_out()
        self._store.open(self._schema.shapes())
        self.offset, self._last_arrival = 0, 0

    def _lay_out(self) -> None:
        self._schema = Schema(self._plan)
        self._readers = readers_of(self._schema, self._store)
        self._newest = {r.group.name: r for r in self._readers if isinstance(r, NewestReader)}
        self._routes: dict[tuple[str, ...], Route] = {}
        self._known: dict[str, tuple[Any, Array, Array]] = {}
        self._journal = Journal(self.features.fingerprint, self._schema, self._readers, self._store)

    def fold(self, history: Mapping[str, Table], stop: int) -> None:
        """Take in the events with self.offset <= offset < stop, as the log gives them; other streams are ignored.

        `history` has the streams of `features.follows`, retractions among them. Raises FeatureError, before any
        effect, if an event lies outside that range, or if one is retracted and there is no log to read.
        """
        tables = {name: table for name, table in history.items() if name in self._streams and table}
        for name, table in tables.items():
            first, last = int(table["offset"][0]), int(table["offset"][-1])
            if first < self.offset or last >= stop:
                raise FeatureError(
                    f"expected events of {name!r} with {self.offset} <= offset < {stop}, found {first} to {last}",
                    hint="fold what log.read(online.offset, stop) gives",
                )
        if stop < self.offset:
            raise FeatureError(f"events below {self.offset} are folded already; cannot fold up to {stop}")
        if RETRACTION in tables and self._log is None:
            raise FeatureError(
                "an event is retracted, and taking it back needs the log",
                hint="make the state with OnlineFeatures(features, store, read=log.read)",
            )
        if tables:
            for part, end in chunks(tables, _CHUNK, stop):
                self._take_in(part, end)
                self._advance(end)
        elif stop > self.offset:
            self._advance(stop)

    def _advance(self, offset: int) -> None:
        self._journal.commit({"offset": offset, "last_arrival": self._last_arrival})
        self.offset = offset

    def _take_in(self, tables: Mapping[str, Table], stop: int) -> None:
        retractions = tables.get(RETRACTION)
        events = {name: table for name, table in tables.items() if name != RETRACTION}
        undoing = None
        if retractions is not None and self._log is not None:
            undoing = Undoing(self._schema, self._log, retractions, start=self.offset, stop=stop)
        if events:
            self._fold(
                Batch(self._schema, events, self._newest, undoing.number if undoing and undoing.restates else None),
                events,
            )
        if undoing:
            undoing.apply(self._readers, self._store)

    def _fold(self, batch: Batch, tables: Mapping[str, Table]) -> None:
        readers = [reader for reader in self._readers if reader.group.stream.name in tables]
        made = [batch.contributions(reader.group) for reader in readers]
        self._last_arrival = max(self._last_arrival, *(int(table["arrived"][-1]) for table in tables.values()))
        if self._distant is not None:
            self._distant.expect({reader.group.name: rows for reader, (rows, _, _) in zip(readers, made, strict=True)})
        for reader, (rows, order, lanes) in zip(readers, made, strict=True):
            keep_from = reader.tail.keep_from(self._last_arrival) if isinstance(reader, TileReader) else 0
            if len(rows):
                kept = reader.sift(rows, order, lanes)
                if len(kept[0]):
                    self._store.fold(reader.group.name, kept[0], order=kept[1], lanes=kept[2], keep_from=keep_from)
                reader.touch(rows)

    def now(
        self,
        names: Iterable[str],
        request: Mapping[str, Any],
        candidates: Mapping[str, Array],
        at: int,
        notes: Notes | None = None,
    ) -> Table:
        """The named features at the instant `at`, a row for each candidate (one row if there are none).

        `request` gives the keys of entities and the request fields that all rows share, `candidates` those that
        differ. `notes` takes note of what was answered by declaration. Raises FeatureError if the key of an entity is
        not given, or a feature refuses to answer.
        """
        if not self._guard.rules:
            return self._read(tuple(names), request, candidates, at)
        n_rows = len(next(iter(candidates.values()))) if candidates else 1
        read = partial(self._read, request=request, candidates=candidates, at=at)
        return self._guard.now(tuple(names), read, n_rows, notes or Notes())

    def _read(
        self, names: tuple[str, ...], request: Mapping[str, Any], candidates: Mapping[str, Array], at: int
    ) -> Table:
        n_rows = len(next(iter(candidates.values()))) if candidates else 1
        route = self._route(names)
        asked = Asked(self._schema, self._newest, request, candidates)
        columns: list[Any] = [None] * self._plan.n_slots
        for feature, slot in route.requests:
            given = candidates.get(feature.name, request.get(feature.name))
            columns[slot] = request_column(feature, given, len(given) if isinstance(given, np.ndarray) else 1)
        if self._distant is not None:
            self._distant.expect(route.stale(asked, at))
        route.fill(columns, asked, at)
        for function, slot in route.computed:
            columns[slot] = np.atleast_1d(function(columns)).astype(np.float64, copy=False)
        made = [columns[slot] for _, slot in route.outputs]
        widen(made, n_rows)
        return Table(dict(zip(names, made, strict=True)), n_rows=n_rows)

    def _route(self, names: tuple[str, ...]) -> Route:
        if names not in self._routes:
            self._routes[names] = Route.to(names, self._plan, self._readers)
        return self._routes[names]

    def known(self, name: str, at: int, notes: Notes | None = None) -> tuple[Array, Array]:
        """All keys that the feature has had an event of, in order of their first, and their values at `at`.

        The feature must be keyed by one entity. The arrays are kept until something changes: do not write into them.
        """
        reader, slot = self._listed(name)
        token = reader.token(at)
        if name not in self._known or self._known[name][0] != token:
            rows = reader.rows.seen
            values = reader.columns(rows, at)[reader.slots.index(slot)]
            self._known[name] = (token, reader.group.path.rows.values[rows], values)
        keys, values = self._known[name][1:]
        if self._is_stale(name, at):
            values = self._guard.stale(name, values, notes or Notes())
        return keys, values

    def _is_stale(self, name: str, at: int) -> bool:
        return name in self._guard.rules and self._guard.is_stale(name, lambda ages: self._read(ages, {}, {}, at))

    def standing(self, name: str, at: int) -> Any:
        """As long as this is equal, the values of `known` keep their order: ages grow, but all alike."""
        return self._listed(name)[0].standing(at), self._is_stale(name, at)

    def _listed(self, name: str) -> tuple[Reader, int]:
        ((_, slot),) = self._route((name,)).outputs
        reader = next((reader for reader in self._readers if slot in reader.slots), None)
        if reader is None or reader.group.path.entity is None:
            raise FeatureError(
                f"feature {name!r} is not keyed by one entity, so its keys cannot be listed",
                hint="ask for an aggregate, an attribute or an age by a single entity",
            )
        return reader, slot

    def snapshot(self, folder: Path) -> None:
        """Write all state below `folder`, which then replaces the snapshot that was there; atomic and durable."""
        seen = {reader.group.name: reader.rows.seen for reader in self._readers}
        clock = {"offset": self.offset, "last_arrival": self._last_arrival}
        state = Snapshot(self.features.fingerprint, clock, self._schema.spaces, seen)
        write_snapshot(folder, state, self._store)

    def restore(self, folder: Path) -> None:
        """Replace all state by that of the last complete snapshot in `folder`; then fold the log from `offset` on.

        Raises FeatureError if there is none, if it is of another feature set, or if it is damaged; state is then as
        it was, or empty if the damage lies in the store's part.
        """
        path, state = read_snapshot(folder, self.features.fingerprint)
        self._open()
        try:
            self._store.load(path / "store")
        except (DataError, OSError, ValueError, KeyError) as error:
            self._open()
            raise FeatureError(f"the snapshot {path} is damaged: {error}", hint="delete it and fold the log") from error
        for name, numbers in state.spaces.items():
            self._schema.spaces[name].restore(numbers)
        for reader in self._readers:
            reader.rows.seen = state.seen[reader.group.name]
        self._journal.commit(state.clock)
        self._set(state.clock)

    def _set(self, clock: Mapping[str, int]) -> None:
        self.offset, self._last_arrival = clock["offset"], clock["last_arrival"]
        for reader in self._readers:
            if isinstance(reader, TileReader):
                reader.tail.keep_from(self._last_arrival)
