"""A machine that appends, folds, asks, saves, seals and dies in any order, and compares with the oracle at every step.

`serving(make_place)` gives a hypothesis state machine over a real log and a store. What the log should hold is kept a
second time in memory, and never dies.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from sixfold._core.errors import FeatureError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY, HOUR, MINUTE
from sixfold.data.retraction import RETRACTION
from sixfold.engines.memory.log import MemoryLog
from sixfold.features.batch import as_of
from sixfold.features.online import OnlineFeatures
from sixfold.testing.compare import differences
from sixfold.testing.histories import EVERYTHING, START, STREAMS, Case, Fact, Moment, build, cases, draw
from sixfold.testing.oracle import oracle
from sixfold.testing.places import Place

__all__ = ["Serving", "serving"]

_FACTS = cases().map(lambda case: case.facts[:4])
_MOMENTS = cases().filter(lambda case: case.moments).map(lambda case: case.moments[0])
_WAITS = st.sampled_from((0, 0, 1, MINUTE, HOUR, DAY, 40 * DAY, -MINUTE, -HOUR, -12 * HOUR, -12 * DAY))
_SHARES = st.sampled_from((0.0, 0.3, 0.7, 1.0, 1.0))
_SEEDS = st.integers(0, 2**16)


class _Killed(BaseException):
    """The process ends here; not an error that anybody handles."""


class Serving(RuleBasedStateMachine):
    """The rules; `serving` says where."""

    make_place: Callable[[], Place]

    def __init__(self) -> None:
        super().__init__()
        self.place = type(self).make_place()
        self.log, self.truth = self.place.open_log(), MemoryLog()
        self.clock, self.n_made = START, 0
        self.arrivals: list[int] = []
        self.ids: list[list[str]] = [[] for _ in STREAMS]
        self.events: list[int] = []
        self.is_saved = False
        self.name = "state0"
        self.store = self.place.open_store(self.name)
        self.online = OnlineFeatures(EVERYTHING, self.store, read=self._read)

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.place.close()

    @rule(facts=_FACTS, live=st.booleans(), wait=_WAITS, moment=_MOMENTS)
    def append(self, facts: tuple[Fact, ...], live: bool, wait: int, moment: Moment) -> None:
        """A few events: on time, late, very late, at one instant, or sent a second time."""
        self._append(facts, live)
        self._check(moment, wait)

    @rule(seed=_SEEDS, live=st.booleans(), moment=_MOMENTS)
    def append_many(self, seed: int, live: bool, moment: Moment) -> None:
        """Enough for blocks of the store to grow, be compacted and forget; all of it is folded."""
        rng = np.random.default_rng(seed)
        for _ in range(3):
            self._append(draw(rng, 12, 0).facts, live)
            self._fold(1.0)
        self._check(moment, 0)

    @precondition(lambda self: self.events)
    @rule(places=st.lists(st.integers(0, 30), min_size=1, max_size=3), facts=_FACTS, wait=_WAITS, moment=_MOMENTS)
    def take_back(self, places: list[int], facts: tuple[Fact, ...], wait: int, moment: Moment) -> None:
        """Some events do not count any more, perhaps not for the first time; others may come in their place."""
        targets = [self.events[-1 - place % len(self.events)] for place in places]
        self._append(facts, True, targets)
        self._check(moment, wait)

    @rule(share=_SHARES, wait=_WAITS, moment=_MOMENTS)
    def fold(self, share: float, wait: int, moment: Moment) -> None:
        """Some or all of what the log holds beyond the state."""
        self._fold(share)
        self._check(moment, wait)

    @rule(share=_SHARES, moment=_MOMENTS)
    def seal(self, share: float, moment: Moment) -> None:
        """Move some of the log into immutable files; nothing changes."""
        self.log.seal(round(share * self.truth.end()[0]))
        self._check(moment, 0)

    @rule(moment=_MOMENTS)
    def save(self, moment: Moment) -> None:
        """Take a snapshot, which replaces the last one."""
        self.online.snapshot(self.place.folder / "snapshot")
        self.is_saved = True
        self._check(moment, 0)

    @rule(moment=_MOMENTS)
    def die_and_come_back(self, moment: Moment) -> None:
        """The serving process is gone; a new one opens the same store: what a durable one held, else nothing."""
        self._lose_store()
        self._check(moment, 0)

    @rule(calls=st.integers(0, 12), seed=_SEEDS, moment=_MOMENTS)
    def die_in_the_middle_of_a_fold(self, calls: int, seed: int, moment: Moment) -> None:
        """The serving process is gone after so many calls of the store; a new one finds no half of it."""
        self._append(draw(np.random.default_rng(seed), 6, 0).facts, True)
        before, left, fold = self.online.offset, [calls], self.store.fold

        def dying(*args: Any, **options: Any) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise _Killed
            fold(*args, **options)

        self.store.fold = dying  # type: ignore[method-assign]
        try:
            self._fold(1.0)
        except _Killed:
            self._lose_store()
            assert self.online.offset <= before, f"killed before the commit, but went on from {self.online.offset}"
        else:
            self.store.fold = fold  # type: ignore[method-assign]
        self._check(moment, 0)

    @precondition(lambda self: self.is_saved)
    @rule(fresh=st.booleans(), moment=_MOMENTS)
    def restore(self, fresh: bool, moment: Moment) -> None:
        """The last snapshot, into the store there is or into a new one."""
        if fresh:
            self.place.lose(self.store)
            self.name = f"state{int(self.name[5:]) + 1}"
            self.store = self.place.open_store(self.name)
            self.online = OnlineFeatures(EVERYTHING, self.store, read=self._read)
        self.online.restore(self.place.folder / "snapshot")
        self._check(moment, 0)

    @precondition(lambda self: not isinstance(self.log, MemoryLog))
    @rule(overlap=st.booleans(), moment=_MOMENTS)
    def reopen_the_log(self, overlap: bool, moment: Moment) -> None:
        """The log's process is gone and another opens it, perhaps while the old one is still there."""
        old = self.log
        if not overlap:
            self.place.lose(old)
        self.log = self.place.open_log()
        self._check(moment, 0)

    @rule(moment=_MOMENTS, seen=st.floats(0, 1))
    def ask_the_past(self, moment: Moment, seen: float) -> None:
        """A moment that is over, from the log as it is now; and the log itself."""
        end = self.truth.end()[0]
        history, expected = self.log.read(0, end), self.truth.read(0, end)
        assert set(history) == set(expected), f"the log holds the streams {set(history)}, not {set(expected)}"
        for stream, table in expected.items():
            assert differences(table, history[stream].select(table.names)) == [], f"the log differs in {stream}"
        spine = self._spine(moment, round(seen * end), moment.wait)
        assert differences(oracle(EVERYTHING, expected, spine), as_of(EVERYTHING, history, spine)) == []

    def _append(self, facts: Sequence[Fact], live: bool, taken_back: Sequence[int] = ()) -> None:
        history, _ = build(Case(tuple(replace(fact, again=False) for fact in facts), ()))
        shift, names = self.clock - START, self._names(facts)
        tables = {}
        for stream, table in history.items():
            columns = {"id": column([names[offset] for offset in table["offset"].tolist()], str)}
            columns |= {name: table[name] + shift for name in ("at", "arrived")}
            kept = [name for name in table if name not in ("id", "at", "arrived", "offset")]
            tables[stream] = table.select(kept).with_columns(columns)
        self.clock = max([self.clock, *(int(table["arrived"].max()) for table in tables.values())])
        if live:
            tables = {stream: table.select([n for n in table if n != "arrived"]) for stream, table in tables.items()}
        if taken_back:
            tables = {RETRACTION: _retractions(taken_back, self.clock), **tables}
        found, expected = (log.append(tables, now=self.clock) for log in (self.log, self.truth))
        for stream, part in expected.items():
            assert found[stream].offsets.tolist() == part.offsets.tolist(), f"{stream} was given other offsets"
            self.arrivals += part.arrived[part.offsets >= 0].tolist()
            self.events += [] if stream == RETRACTION else part.offsets[part.offsets >= 0].tolist()
        self.arrivals.sort()
        assert self.log.end() == self.truth.end(), f"the log ends at {self.log.end()}, not {self.truth.end()}"

    def _names(self, facts: Sequence[Fact]) -> list[str]:
        """An id for each fact: its own, or that of an event of its stream which is sent again."""
        names = []
        for fact in facts:
            known = self.ids[fact.stream]
            self.n_made += 1
            names.append(known[fact.user % len(known)] if fact.again and known else f"e{self.n_made}")
            known.append(names[-1])
        return names

    def _read(self, start: int, stop: int, streams: Iterable[str] | None = None) -> Mapping[str, Table]:
        return self.log.read(start, stop, streams)

    def _fold(self, share: float) -> None:
        stop = self.online.offset + round(share * (self.truth.end()[0] - self.online.offset))
        self.online.fold(self.log.read(self.online.offset, stop), stop)

    def _lose_store(self) -> None:
        self.place.lose(self.store)
        self.store = self.place.open_store(self.name)
        self.online = OnlineFeatures(EVERYTHING, self.store, read=self._read)

    def _spine(self, moment: Moment, offset: int, wait: int) -> Table:
        _, spine = build(Case((), (moment,)))
        at = (self.arrivals[offset - 1] if offset else START) + wait
        return spine.with_columns({"at": np.array([at]), "offset": np.array([offset])})

    def _check(self, moment: Moment, wait: int) -> None:
        """What is served now is what the oracle says; a moment before the last event may be refused, not wrong."""
        spine = self._spine(moment, self.online.offset, wait)
        row: dict[str, Any] = spine.row(0)
        try:
            found = self.online.now(EVERYTHING.names, row, {"video": np.array([row["video"]])}, row["at"])
        except FeatureError as error:
            assert wait < 0 and "cannot be read as of" in str(error), f"refused after the last event: {error}"
            return
        assert differences(oracle(EVERYTHING, self.truth.read(0, self.online.offset), spine), found) == []


def _retractions(targets: Sequence[int], at: int) -> Table:
    """As ingest writes them: that an event is taken back is one fact, however often it is said."""
    return Table(
        {
            "id": column([f"r{target}" for target in targets], str),
            "at": column([at] * len(targets), int),
            "target": column(targets, int),
        }
    )


def serving(make_place: Callable[[], Place]) -> type[Serving]:
    """The machine over new places; run it with `hypothesis.stateful.run_state_machine_as_test` or as a TestCase."""
    return type("Serving", (Serving,), {"make_place": staticmethod(make_place)})
