"""One evaluation of a feature set: the plan's relations, run one after another, and where their rows go."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sixfold._core.table import Array
from sixfold.engines.relational import maxima, relations, sums
from sixfold.engines.relational.answers import Answers, Scratch
from sixfold.engines.relational.encoding import Sink
from sixfold.engines.relational.events import EventWriter
from sixfold.engines.relational.layout import EVERYTHING, Keyed, Newest, key_column, value_column
from sixfold.engines.relational.newest import (
    newest_events,
    newest_rows,
    oldest_events,
    with_alive,
    with_values,
)
from sixfold.engines.relational.questions import QuestionWriter, step_of
from sixfold.features.store import NEUTRAL
from sixfold.features.windows import Cut
from sixfold.frame import Entity

__all__ = ["Backend", "Evaluation"]

EXACT = 2.0**53
"""Sums of whole numbers below this are exact in float64, which backends add faster than wide integers."""

_MANY_ROWS = 2_000_000
"""Events times levels that are put into one relation: more would be sorted as a whole, out of memory."""


class Backend(Protocol):
    """A database that runs the SQL which Ibis renders. All columns are numbers, and null."""

    @property
    def dialect(self) -> str:
        """Ibis's name for its SQL."""
        ...

    def view(self, name: str, path: Path) -> None:
        """Make Parquet known under a name."""
        ...

    def save(self, sql: str, path: Path) -> None:
        """Write the rows of a query as Parquet: int64, or null."""
        ...

    def batches(self, sql: str) -> Iterator[dict[str, Array]]:
        """The rows of a query, none null, as int64 columns, some rows at a time."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class Evaluation:
    """Runs the plan over what the two passes wrote."""

    def __init__(
        self, events: EventWriter, questions: QuestionWriter, backend: Backend, scratch: Scratch, folder: Path
    ) -> None:
        self.layout, self.n_rows = events.layout, questions.sink.rows
        self.answers = Answers(events.layout, events.texts)
        self._writer, self._questions, self._backend = events, questions, backend
        self._scratch, self._folder, self._views = scratch, folder, 0
        self._spine: Any = None
        self._events: dict[str, Any] = {}
        self._dead: dict[str, Any] = {}
        self._made: dict[str, Any] = {}

    def run(self) -> Answers:
        """Find everything."""
        if self.n_rows:
            self._load()
        for keyed in self.layout.keyed:
            if keyed.item is not None:
                for cuts in keyed.passes():
                    self._counts(keyed, keyed.item[0], cuts)
                continue
            for cuts in keyed.passes():
                self._sums(keyed, cuts)
            for cut in keyed.cuts(adds=False):
                self._maxima(keyed, cut)
            for newest in keyed.newest:
                self._newest(keyed, newest)
        return self.answers

    def _load(self) -> None:
        """Views of what was written, and the keys that are attributes of entities."""
        self._spine = base = self._relation(self._questions.sink.path)
        written = {name: self._relation(sink.path) for name, sink in self._writer.sinks.items() if sink.rows}
        if (sink := self._writer.retractions).rows:
            over = self._relation(sink.path)
            written = {name: self._saved(sums.with_ends(events, over)) for name, events in written.items()}
        for name, events in written.items():
            crosses = sorted(self.layout.streams[name].crosses)
            self._events[name] = self._crossed(events, "offset", "offset", crosses, written)
        crosses = sorted({cross for columns in self.layout.streams.values() for cross in columns.crosses})
        self._spine = self._crossed(base, "id", "stop", crosses, written)
        if any(not keyed.by for keyed in self.layout.keyed):
            everything = {EVERYTHING: relations.number(0)}
            self._spine = self._spine.mutate(**everything)
            self._events = {name: events.mutate(**everything) for name, events in self._events.items()}
        for name, events in self._events.items():
            self._events[name], dead = _lives(events)
            if dead is not None:
                self._dead[name] = dead

    def _crossed(self, rows: Any, row: str, stop: str, crosses: Sequence[str], written: dict[str, Any]) -> Any:
        """The rows with the crossed fields of these streams as they were known at each row."""
        if not crosses:
            return rows
        out = rows.drop(*[c for name in crosses for c in self.layout.streams[name].fields if c in rows.columns])
        for name in crosses:
            columns = self.layout.streams[name]
            fields = list(columns.fields)
            if name not in written:
                out = out.mutate(**{field: relations.null() for field in fields})
                continue
            keys = [key_column(entity) for entity in columns.stream.keys]
            living, dead = _lives(written[name])
            found = newest_events(living, rows, keys, row=row, stop=stop, calm=name in self._writer.calm)
            found = with_values(found, living, fields)
            if dead is not None:
                found = with_alive(found, dead, (rows, row, stop), keys, n=1, oldest=False)
            out = sums.keyed_by(out, self._saved(found.select("question", *fields)), row, "question")
        return self._saved(out)

    def _sums(self, keyed: Keyed, cuts: tuple[Cut, ...]) -> None:
        """Adding lanes, and maxima for all time: running values at each row less those where its cuts begin."""
        windows = [cut for cut in cuts if cut.hop is not None]
        adding, always = keyed.lanes_of(cuts, adds=True), keyed.lanes_of([Cut(None)], adds=False)
        names = [*adding, *always] if Cut(None) in cuts else adding
        if not names:
            return
        step = step_of(cuts)
        running = {n: self._scratch.full((self.n_rows, step), keyed.lanes[n].neutral) for n in names}
        if self._is_asked(keyed):
            events, asks = self._events[keyed.stream.name], self._asks(keyed, cuts)
            lanes = {n: expr for name in adding for n, expr in self._split(name, events[name])}
            both = {n: (expr, True) for n, expr in lanes.items()} | {
                n: (events[n], False) for n in names if n in always
            }
            for question, found in self._found(sums.running(events, asks, keyed.keys, both), self.n_rows * step):
                for name in names:
                    running[name].reshape(-1)[question] = self._joined(name, found)
            if windows and (off_time := self._off_time(keyed)):
                told = sums.repairs(events, off_time, asks, keyed.keys, lanes)
                for question, found in self._found(told, self.n_rows * step):
                    for name in adding:
                        running[name].reshape(-1)[question] -= self._joined(name, found)
            if (dead := self._dead.get(keyed.stream.name)) is not None:
                both = {n: (expr, True) for name in adding for n, expr in self._split(name, dead[name])}
                both |= {n: (dead[n], False) for n in names if n in always}
                told = sums.while_alive(dead, asks, keyed.keys, both, carry=())
                for question, found in self._found(told, self.n_rows * step):
                    for name in names:
                        merged, more = running[name].reshape(-1), self._joined(name, found)
                        merged[question] = (
                            merged[question] + more if name in adding else np.maximum(merged[question], more)
                        )
        for name, merged in running.items():
            self.answers.lanes[keyed.name, Cut(None), name] = merged[:, 0]
            for i, cut in enumerate(windows):
                if name in adding:
                    self.answers.lanes[keyed.name, cut, name] = merged[:, 0] - merged[:, i + 1]

    def _asks(self, keyed: Keyed, cuts: tuple[Cut, ...]) -> Any:
        """The questions of a pass with their keys, of which some may be attributes that were found for the spine."""
        asks = self._relation(self._questions.asks[cuts].path)
        if crossed := [key_column(part) for part in keyed.by if not isinstance(part, Entity)]:
            asks = sums.keyed_by(asks, self._spine.select(*crossed, owner="id"), "id", "owner")
        return asks if keyed.by else asks.mutate(**{EVERYTHING: relations.number(0)})

    def _off_time(self, keyed: Keyed) -> tuple[Any, Any] | None:
        """The repairs of a stream, with the hops and levels of their blocks; None if all its events are on time."""
        stream = keyed.stream.name
        if not (sink := self._writer.repairs[stream]).rows:
            return None
        if stream not in self._made:
            hops, levels = np.array(sorted(self._writer.levels[stream])).T
            self._made[stream] = self._table(f"levels_{stream}", {"hop": hops, "level": levels})
        return self._relation(sink.path), self._made[stream]

    def _counts(self, keyed: Keyed, item: str, cuts: tuple[Cut, ...]) -> None:
        """How often each item occurs."""
        if not self._is_asked(keyed):
            return
        [lane] = keyed.lanes
        events, asks = self._events[keyed.stream.name], self._asks(keyed, cuts)
        off_time = None if cuts == (Cut(None),) else self._off_time(keyed)
        dead = self._dead.get(keyed.stream.name)
        told = sums.occurrences(events, off_time, asks, keyed.keys, item=item, lane=lane, dead=dead)
        path = self._folder / f"counts_{self._views}"
        self._backend.save(self._sql(told), path)
        self.answers.counts[keyed.name, cuts[0]] = path

    def _table(self, name: str, columns: dict[str, Array]) -> Any:
        sink = Sink(self._folder / f"{name}.parquet")
        sink.write(columns)
        sink.close()
        return self._relation(sink.path)

    def _maxima(self, keyed: Keyed, cut: Cut) -> None:
        """Other lanes over a window: ranges of offsets for the events on time, blocks of the others."""
        lanes, called = keyed.lanes_of([cut], adds=False), self.layout.maxima[cut]
        assert cut.hop is not None
        merged = {name: self._scratch.full((self.n_rows,), NEUTRAL) for name in lanes}
        for name in lanes:
            self.answers.lanes[keyed.name, cut, name] = merged[name]
        if not self._is_asked(keyed):
            return
        events, spine, told = self._events[keyed.stream.name], self._spine, []
        on_time = {name: relations.unless(events[f"late_{cut.hop}"], events[name]) for name in lanes}
        used = sorted(self._questions.levels[cut])
        at_once = max(1, _MANY_ROWS // self._writer.sinks[keyed.stream.name].rows)
        for i in range(0, len(used), at_once):
            levels = self._table(f"levels_{self._views}", {"level": np.array(used[i : i + at_once])})
            told.append(maxima.range_maxima(events, levels, spine, called, keyed.keys, lanes=on_time))
        if (sink := self._writer.late[keyed.stream.name, cut.hop]).rows:
            levels = self._table(f"levels_{self._views}", {"level": np.arange(sink.rows.bit_length())})
            late, asking = self._relation(sink.path), (spine, f"low_{called}")
            told.append(maxima.late_maxima(events, late, levels, asking, keyed.keys, lanes=lanes))
        if (dead := self._dead.get(keyed.stream.name)) is not None:
            told.append(maxima.alive_maxima(dead, spine, f"since_{called}", keyed.keys, lanes=lanes))
        for relation in told:
            for question, found in self._found(relation, self.n_rows):
                for name in lanes:
                    np.maximum.at(merged[name], question, found[name])

    def _newest(self, keyed: Keyed, newest: Newest) -> None:
        values = [value_column(value) for value in newest.values]
        out = {name: self._scratch.full((self.n_rows, newest.n), 0) for name in ("known", "newest_at", *values)}
        for name, array in out.items():
            self.answers.newest[newest.name, name] = array
        if not self._is_asked(keyed):
            return
        events = self._events[keyed.stream.name]
        held, dead = (_where(part, newest.where) for part in (events, self._dead.get(keyed.stream.name)))
        calm = keyed.stream.name in self._writer.calm
        if newest.oldest:
            told = with_values(oldest_events(held, self._spine, keyed.keys), events, values)
        elif newest.n == 1:
            told = newest_events(held, self._spine, keyed.keys, row="id", stop="stop", calm=calm)
            told = with_values(told, events, values)
        else:
            told = newest_rows(held, self._spine, keyed.keys, n=newest.n, values=values)
        if dead is not None:
            asking = (self._spine, "id", "stop")
            told = with_alive(told, dead, asking, keyed.keys, n=newest.n, oldest=newest.oldest)
        elif newest.n == 1:
            told = told.mutate(place=relations.number(0))
        for question, found in self._found(told, self.n_rows * newest.n):
            place = question * newest.n + (newest.n - 1 - found["place"])
            out["known"].reshape(-1)[place] = 1
            for name in ("newest_at", *values):
                out[name].reshape(-1)[place] = found[name]

    def _is_asked(self, keyed: Keyed) -> bool:
        """Whether there are rows that ask, and events under a key that may be known."""
        return bool(self.n_rows) and keyed.stream.name in self._events

    def _split(self, name: str, lane: Any) -> list[tuple[str, Any]]:
        """A lane as numbers whose sums cannot overflow: itself, or its high and low halves."""
        if self._writer.totals.get(name, 0.0) < EXACT:
            return [(name, lane.cast("float64"))]
        return [(f"{name}_high", lane >> 32), (f"{name}_low", lane & 0xFFFFFFFF)]

    def _joined(self, name: str, found: dict[str, Array]) -> Array:
        if name in found:
            return found[name]
        return (found[f"{name}_high"] << 32) + found[f"{name}_low"]

    def _relation(self, path: Path) -> Any:
        import ibis
        import pyarrow.dataset

        self._views += 1
        name = f"relation_{self._views}"
        self._backend.view(name, path)
        columns = pyarrow.dataset.dataset(path).schema.names
        return ibis.table(dict.fromkeys(columns, "int64"), name=name)

    def _saved(self, relation: Any) -> Any:
        path = self._folder / f"saved_{self._views}"
        self._backend.save(self._sql(relation), path)
        return self._relation(path)

    def _found(self, relation: Any, size: int) -> Iterator[tuple[Array, dict[str, Array]]]:
        """The rows of a relation by the number of their question; in order, if they go into a file."""
        if self._scratch.is_large(size):
            relation = relation.order_by("question")
        for batch in self._backend.batches(self._sql(relation)):
            yield batch.pop("question"), batch

    def _sql(self, relation: Any) -> str:
        import ibis

        return str(ibis.to_sql(relation, dialect=self._backend.dialect))


def _lives(events: Any) -> tuple[Any, Any]:
    """The events that are never retracted, and the others (None if no event is)."""
    if "until" not in events.columns:
        return events, None
    return events.filter(events["until"].isnull()).drop("until"), events.filter(events["until"].notnull())


def _where(events: Any, flag: str | None) -> Any:
    return events if events is None or flag is None else events.filter(events[flag] == 1)
