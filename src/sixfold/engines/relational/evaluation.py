"""One evaluation of a feature set: the plan's relations, run one after another, and where their rows go."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sixfold._core.table import Array
from sixfold.engines.relational import plan
from sixfold.engines.relational.answers import Answers, Scratch
from sixfold.engines.relational.events import EventWriter
from sixfold.engines.relational.layout import Keyed, Newest, key_column, value_column
from sixfold.engines.relational.questions import QuestionWriter
from sixfold.features.store import NEUTRAL
from sixfold.features.windows import hop_of

__all__ = ["Backend", "Evaluation"]

EXACT = 2.0**53
"""Sums of whole numbers below this are exact in float64, which backends add faster than wide integers."""


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

    def run(self) -> Answers:
        """Find everything."""
        if self.n_rows:
            self._load()
        for keyed in self.layout.keyed:
            self._sums(keyed)
            self._maxima(keyed)
            for newest in keyed.newest:
                self._newest(keyed, newest)
        return self.answers

    def _load(self) -> None:
        """Views of what was written, and the keys that are attributes of entities."""
        self._spine = base = self._relation(self._questions.sink.path)
        written = {name: self._relation(sink.path) for name, sink in self._writer.sinks.items() if sink.rows}
        for name, events in written.items():
            crosses = sorted(self.layout.streams[name].crosses)
            self._events[name] = self._crossed(events, "offset", "offset", crosses, written)
        crosses = sorted({cross for columns in self.layout.streams.values() for cross in columns.crosses})
        self._spine = self._crossed(base, "id", "stop", crosses, written)

    def _crossed(self, rows: Any, row: str, stop: str, crosses: Sequence[str], written: dict[str, Any]) -> Any:
        """The rows with the crossed fields of these streams as they were known at each row."""
        if not crosses:
            return rows
        out = rows.drop(*[c for name in crosses for c in self.layout.streams[name].fields if c in rows.columns])
        for name in crosses:
            columns = self.layout.streams[name]
            fields = list(columns.fields)
            if name not in written:
                out = out.mutate(**{field: plan.null() for field in fields})
                continue
            keys = [key_column(entity) for entity in columns.stream.keys]
            found = plan.newest_events(written[name], rows, keys, row=row, stop=stop, calm=name in self._writer.calm)
            found = plan.with_values(found, written[name], fields).drop("newest_at")
            out = plan.keyed_by(out, self._saved(found), row)
        return self._saved(out)

    def _sums(self, keyed: Keyed) -> None:
        """Adding lanes, and maxima for all time: running values at each row less those where its windows begin."""
        windows = [w for w in keyed.windows(adds=True) if w is not None]
        always = keyed.lanes_of(None, adds=False)
        adding = [name for name, lane in keyed.lanes.items() if lane.adds]
        names = [*adding, *always]
        if not names:
            return
        step = 1 + len(windows)
        running = {n: self._scratch.full((self.n_rows, step), keyed.lanes[n].neutral) for n in names}
        if self._is_asked(keyed):
            events, spine = self._events[keyed.stream.name], self._spine
            lanes = {n: expr for name in adding for n, expr in self._split(name, events[name])}
            asked = [(spine, spine["stop"], spine["id"] * step)]
            for i, window in enumerate(windows):
                start = f"from_{self.layout.windows[window]}"
                inside = spine.filter(spine[start] > 0)
                asked.append((inside, inside[start], inside["id"] * step + (i + 1)))
            both = {n: (expr, True) for n, expr in lanes.items()} | {n: (events[n], False) for n in always}
            for question, found in self._found(plan.running(events, asked, keyed.keys, both), self.n_rows * step):
                for name in names:
                    running[name].reshape(-1)[question] = self._joined(name, found)
            self._repair(keyed, windows, lanes, running)
        for name in names:
            at_end = running[name][:, 0]
            self.answers.lanes[keyed.name, None, name] = at_end
            for i, window in enumerate(windows):
                if name in adding:
                    self.answers.lanes[keyed.name, window, name] = at_end - running[name][:, i + 1]

    def _repair(self, keyed: Keyed, windows: Sequence[int], lanes: dict[str, Any], running: dict[str, Array]) -> None:
        events, spine, step = self._events[keyed.stream.name], self._spine, 1 + len(windows)
        for hop in dict.fromkeys(hop_of(window) for window in windows):
            assert hop is not None
            sink = self._writer.repairs[keyed.stream.name, hop]
            if not sink.rows:
                continue
            late = self._relation(sink.path)
            asking = [
                (spine, spine[f"low_{self.layout.windows[window]}"], spine["id"] * step + (i + 1))
                for i, window in enumerate(windows)
                if hop_of(window) == hop
            ]
            for level in sorted(self._writer.levels[keyed.stream.name, hop]):
                told = plan.repairs(events, late, asking, keyed.keys, level=level, lanes=lanes)
                for question, found in self._found(told, self.n_rows * step):
                    for name, lane in keyed.lanes.items():
                        if lane.adds:
                            running[name].reshape(-1)[question] -= self._joined(name, found)

    def _maxima(self, keyed: Keyed) -> None:
        """Other lanes over windows: ranges of offsets for the events on time, a plain join for the others."""
        for window in keyed.windows(adds=False):
            if window is None:
                continue
            hop, lanes = hop_of(window), keyed.lanes_of(window, adds=False)
            assert hop is not None
            merged = {name: self._scratch.full((self.n_rows,), NEUTRAL) for name in lanes}
            for name in lanes:
                self.answers.lanes[keyed.name, window, name] = merged[name]
            if not self._is_asked(keyed):
                continue
            events, spine, called = self._events[keyed.stream.name], self._spine, self.layout.windows[window]
            told = []
            if levels := sorted(self._questions.levels[window]):
                on_time = {name: plan.unless(events[f"late_{hop}"], events[name]) for name in lanes}
                told.append(plan.range_maxima(events, spine, called, keyed.keys, levels=levels, lanes=on_time))
            if (sink := self._writer.late[keyed.stream.name, hop]).rows:
                late = self._relation(sink.path)
                told.append(plan.late_maxima(events, late, spine, f"low_{called}", keyed.keys, lanes=lanes))
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
        held = events if newest.where is None else events.filter(events[newest.where] == 1)
        calm = keyed.stream.name in self._writer.calm
        if newest.n == 1:
            told = plan.newest_events(held, self._spine, keyed.keys, row="id", stop="stop", calm=calm)
            told = plan.with_values(told, events, values).mutate(place=0)
        else:
            told = plan.newest_rows(held, self._spine, keyed.keys, n=newest.n, values=values)
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
