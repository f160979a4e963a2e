"""Ingest: the one door into the log. Rows that keep the contract go in, the others to quarantine with the reason."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal

import msgspec
import numpy as np

from sixfold._core.errors import DefinitionError, InputError
from sixfold._core.table import Array, Table, column
from sixfold._core.times import duration, format_duration, instant
from sixfold.data.checks import Problem, Rule, row_problem, row_type, rules_of, short
from sixfold.data.contract import Contract
from sixfold.data.events import Events, Field
from sixfold.data.expr import leaves
from sixfold.data.log import Appended, Log
from sixfold.data.privacy import ERASURE, MASK, discreet, erased, personal
from sixfold.data.quarantine import Quarantine, Reject, reject
from sixfold.data.raw import typed
from sixfold.data.retraction import RETRACTION, RULES, resolved, retraction_id

__all__ = ["Future", "Ingest", "IngestReport", "Prepared", "Verdict"]

Future = Literal["quarantine", "clamp"]
"""What becomes of an event that claims to have happened after it arrived."""

_REINGEST_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one row; `reason` says why it was quarantined. A row about somebody erased is dropped."""

    status: Literal["accepted", "duplicate", "quarantined", "erased"]
    id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Checked rows of one stream: `table` is ready to append; its row i was row `places[i]` of those that came.

    The rows in `erased` are about subjects who were erased: they go nowhere.
    """

    stream: str
    table: Table
    places: Array
    rejects: Mapping[int, Reject]
    ids: Sequence[str]
    erased: frozenset[int] = frozenset()

    def verdicts(self, offsets: Array) -> list[Verdict]:
        """One verdict a row that came, from the offsets that appending `table` gave."""
        status = dict(zip(self.places.tolist(), (offsets >= 0).tolist(), strict=True))
        return [
            Verdict("quarantined", name, self.rejects[row].why)
            if row in self.rejects
            else Verdict("erased", name)
            if row in self.erased
            else Verdict("accepted" if status[row] else "duplicate", name)
            for row, name in enumerate(self.ids)
        ]

    def among(self, ids: Sequence[str], kept: Sequence[int]) -> "Prepared":
        """The same where these were only the rows `kept` of those that came, and the others were of erased subjects."""
        rejects = {kept[row]: reject for row, reject in self.rejects.items()}
        others = frozenset(range(len(ids))) - frozenset(kept)
        return Prepared(self.stream, self.table, np.array(kept, np.int64)[self.places], rejects, ids, others)


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of many rows: accepted and repeated by stream, quarantined by (stream, reason), erased by stream.

    `erased` rows were about subjects who were erased, and were dropped.
    """

    accepted: Mapping[str, int]
    repeated: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[tuple[str, str], int] = field(default_factory=dict)
    erased: Mapping[str, int] = field(default_factory=dict)

    @property
    def duplicates(self) -> int:
        """How many rows were in the log already."""
        return sum(self.repeated.values())

    @property
    def quarantined(self) -> int:
        """How many rows went to quarantine."""
        return sum(self.reasons.values())


@dataclass(frozen=True, slots=True)
class _Shape:
    """All that is known about the rows of one stream before any comes."""

    events: Events
    rules: Mapping[str, Rule]
    kinds: tuple[type, ...]
    rows: Any
    contracts: tuple[Contract, ...]
    personal: frozenset[str] = frozenset()


class Ingest:
    """Checks events and appends them to a log.

    An event may claim to have happened up to `max_future` after it arrived (clocks differ): it is then taken to have
    happened when it arrived. Beyond that, `future` decides between quarantine and the same correction.

    Rows of the stream `retraction`, {"of": stream, "event": id}, take events back that the log holds. To correct an
    event, send its retraction and the event as it should have been, under an id of its own, at once.

    Rows about subjects who were erased from the log are dropped. What is wrong with a personal column is said without
    its value. Raises InputError if somebody was erased and there is no key to know them by.
    """

    def __init__(
        self,
        log: Log,
        quarantine: Quarantine,
        events: Iterable[Events],
        *,
        contracts: Iterable[Contract] = (),
        max_rows: int = 10_000,
        max_future: str = "1s",
        future: Future = "quarantine",
    ) -> None:
        self._log, self._quarantine, self._max_rows = log, quarantine, max_rows
        self._max_future, self._clamp = duration(max_future), future == "clamp"
        contracts, events = tuple(contracts), tuple(events)
        if any(stream.name == RETRACTION for stream in events):
            raise DefinitionError([f"a stream cannot be called {RETRACTION!r}: that is where events are taken back"])
        if any(stream.name == ERASURE for stream in events):
            raise DefinitionError([f"a stream cannot be called {ERASURE!r}: it says that somebody was erased"])
        marked = personal(events)
        self._shapes = {s.name: replace(_shape(s, contracts), personal=marked[s.name]) for s in events}
        self._erased = erased(log)
        self._dropped: set[tuple[str, str]] = set()
        if lost := sorted({contract.stream.name for contract in contracts} - set(self._shapes)):
            raise DefinitionError([f"there is a contract for {name!r}, but no such stream" for name in lost])

    @property
    def personal(self) -> frozenset[str]:
        """The names of all columns that are personal in some stream."""
        return frozenset().union(*(shape.personal for shape in self._shapes.values()))

    def is_erased(self, entity: str, key: Any) -> bool:
        """Whether that subject was erased: nothing about them is taken in any more."""
        return self._erased is not None and self._erased.has(entity, key)

    def rows(self, stream: str, rows: Sequence[Any], *, now: int) -> list[Verdict]:
        """Check rows of JSON values, append the good ones durably, and say what became of each."""
        prepared = self.prepare(stream, rows, now=now)
        self.set_aside([prepared])
        return prepared.verdicts(self._log.append({stream: prepared.table}, now=now)[stream].offsets)

    def prepare(self, stream: str, rows: Sequence[Any], *, now: int) -> Prepared:
        """Check rows of JSON values without any effect.

        Each row is an object with `id`, `at` (microseconds or ISO 8601), the keys and the fields of the stream; float
        and str fields may be left out. Raises InputError for an unknown stream or more than `max_rows` rows.
        """
        if len(rows) > self._max_rows:
            raise InputError(f"{len(rows)} rows at once, at most {self._max_rows} are taken", hint="send them in parts")
        if stream == RETRACTION:
            return self._retractions(rows, now)
        if self._erased is not None:
            kept = [place for place, row in enumerate(rows) if not self._erased.named(row)]
            if len(kept) < len(rows):
                ids = [_id(row) for row in rows]
                self._dropped |= {(stream, name) for name in ids} - {(stream, ids[place]) for place in kept}
                return self._prepared(stream, [rows[place] for place in kept], now).among(ids, kept)
        return self._prepared(stream, rows, now)

    def _prepared(self, stream: str, rows: Sequence[Any], now: int) -> Prepared:
        shape = self._shape(stream)
        table, problems = _from_json(shape, rows)
        places = np.array([row for row in range(len(rows)) if row not in problems], np.int64)
        ids = [_id(row) for row in rows] if problems else table["id"].tolist()
        late, table = self._late_problems(shape, table, np.full(table.n_rows, now))
        problems |= {int(places[row]): problem for row, problem in late.items()}
        if late:
            good = np.array([row not in problems for row in places.tolist()], np.bool_)
            table, places = table.take(good), places[good]
        problems = {row: discreet(problem, shape.personal) for row, problem in problems.items()}
        rejects = {row: reject(stream, problem, rows[row], now=now) for row, problem in problems.items()}
        return Prepared(stream, table, places, rejects, ids)

    def _retractions(self, rows: Sequence[Any], now: int) -> Prepared:
        """Look up the events that rows take back; those of events that were dropped are dropped, too."""
        if self._dropped:
            kept = [place for place, row in enumerate(rows) if _taken_back(row) not in self._dropped]
            if len(kept) < len(rows):
                some = self._looked_up([rows[place] for place in kept], now)
                return some.among([retraction_id(row) for row in rows], kept)
        return self._looked_up(rows, now)

    def _looked_up(self, rows: Sequence[Any], now: int) -> Prepared:
        table, problems = resolved(rows, self._shapes, self._log, now=now)
        places = np.array([row for row in range(len(rows)) if row not in problems], np.int64)
        rejects = {row: reject(RETRACTION, problem, rows[row], now=now) for row, problem in problems.items()}
        return Prepared(RETRACTION, table, places, rejects, [retraction_id(row) for row in rows])

    def set_aside(self, prepared: Iterable[Prepared]) -> None:
        """Keep the rejects of prepared rows in quarantine. Do this before the append: nothing is then ever lost."""
        rejects = [reject for part in prepared for reject in part.rejects.values()]
        if rejects:
            self._quarantine.put(rejects)

    def chunk(self, events: Mapping[str, Table], *, now: int) -> IngestReport:
        """Check raw tables of a source and append the good rows: for backfills.

        Columns may have any dtype: a row with a value that does not fit goes to quarantine, the others stay. A column
        `arrived` is taken at its word, save for retractions, which arrive after the last of the chunk: the events they
        take back may be in it. Raises InputError before any effect if a stream or column is not declared.
        """
        retractions = events.get(RETRACTION, Table({}))
        if extra := [name for name in retractions if name not in (*RULES, "id", "arrived")]:
            raise InputError(f"retractions have no columns {extra}", hint=f"they have {', '.join(RULES)}")
        events = {stream: table for stream, table in events.items() if stream != RETRACTION}
        good: dict[str, Table] = {}
        rejects: list[Reject] = []
        dropped: Counter[str] = Counter()
        for stream, raw in events.items():
            table = self._without_erased(stream, raw)
            dropped[stream] += len(raw) - len(table)
            good[stream], refused = self._checked(self._shape(stream), table, now)
            rejects += refused
        if rejects:
            self._quarantine.put(rejects)
        appended = self._log.append(good, now=now)
        if retractions:
            more, prepared = self._take_back(retractions, now)
            appended = {**appended, **more}
            rejects += prepared.rejects.values()
            dropped[RETRACTION] += len(prepared.erased)
        accepted = {stream: len(part.offsets) - part.duplicates for stream, part in appended.items()}
        repeated = {stream: part.duplicates for stream, part in appended.items()}
        reasons = Counter((refused.stream, refused.reason) for refused in rejects)
        return IngestReport(accepted, repeated, reasons, dict(+dropped))

    def _without_erased(self, stream: str, table: Table) -> Table:
        if self._erased is None:
            return table
        gone = self._erased.rows(table, len(table))
        self._dropped |= {(stream, str(name)) for name in table.take(gone)["id"].tolist()} if "id" in table else set()
        return table.take(~gone) if gone.any() else table

    def _take_back(self, retractions: Table, now: int) -> tuple[Mapping[str, Appended], Prepared]:
        """Append the retractions of a chunk after its events; what became of them."""
        rows = [_as_json({name: row[name] for name in RULES if name in row}, RULES) for row in retractions.rows()]
        prepared = self._retractions(rows, max(now, self._log.end()[1]))
        self.set_aside([prepared])
        table = prepared.table
        if "arrived" in retractions and retractions["arrived"].dtype == np.int64:
            table = table.with_columns({"arrived": retractions["arrived"][prepared.places]})
        return self._log.append({RETRACTION: table}, now=now), prepared

    def reingest(self, *, now: int) -> IngestReport:
        """Try everything in quarantine again, once the cause is repaired; what fails again stays, with its new reason.

        A row leaves quarantine only after it is in the log; if this is cut short, a repetition brings in the rest.
        Rows of streams that are no longer declared stay as they are.
        """
        accepted: Counter[str] = Counter()
        reasons: Counter[tuple[str, str]] = Counter()
        repeated: Counter[str] = Counter()
        dropped: Counter[str] = Counter()
        after = ""
        while rejects := self._quarantine.read(min(_REINGEST_ROWS, self._max_rows), after=after):
            after = rejects[-1].id
            rejects.sort(key=lambda refused: refused.stream)
            for stream, group in groupby(rejects, key=lambda refused: refused.stream):
                waiting = list(group)
                if stream not in self._shapes and stream != RETRACTION:
                    reasons.update((stream, refused.reason) for refused in waiting)
                    continue
                prepared = self.prepare(stream, [_as_sent(refused.value) for refused in waiting], now=now)
                again = prepared.rejects
                self._quarantine.put(
                    Reject(stream, failed.reason, failed.found, waiting[row].row, now) for row, failed in again.items()
                )
                offsets = self._log.append({stream: prepared.table}, now=now)[stream].offsets
                self._quarantine.take(waiting[row].id for row in (*prepared.places.tolist(), *prepared.erased))
                dropped[stream] += len(prepared.erased)
                accepted[stream] += int((offsets >= 0).sum())
                repeated[stream] += int((offsets < 0).sum())
                reasons.update((stream, failed.reason) for failed in again.values())
        return IngestReport(dict(accepted), dict(repeated), dict(reasons), dict(+dropped))

    def _shape(self, stream: str) -> _Shape:
        try:
            return self._shapes[stream]
        except KeyError:
            raise InputError(
                f"there is no stream {stream!r}", hint=f"the streams are {', '.join(self._shapes) or 'none'}"
            ) from None

    def _checked(self, shape: _Shape, raw: Table, now: int) -> tuple[Table, list[Reject]]:
        rules = {**shape.rules, "arrived": "time"} if "arrived" in raw else shape.rules
        table, problems = typed(shape.events.name, raw, rules)
        arrived = table["arrived"] if "arrived" in raw else np.full(table.n_rows, now)
        late, table = self._late_problems(shape, table, arrived)
        problems = late | problems
        if not problems:
            return table, []
        rejects = [
            reject(shape.events.name, discreet(problems[i], shape.personal), _as_json(raw.row(i), rules), now=now)
            for i in sorted(problems)
        ]
        good = np.ones(table.n_rows, np.bool_)
        good[list(problems)] = False
        return table.take(good), rejects

    def _late_problems(self, shape: _Shape, table: Table, arrived: Array) -> tuple[dict[int, Problem], Table]:
        """What is wrong with rows whose values all fit: their time, then the contract; and the table with times set."""
        problems: dict[int, Problem] = {}
        ahead = table["at"] - arrived
        if (ahead > 0).any():
            if not self._clamp:
                for row in np.flatnonzero(ahead > self._max_future).tolist():
                    problems[row] = (
                        "field 'at': expected a time before its arrival",
                        f"{format_duration(int(ahead[row]))} after it",
                    )
            table = table.with_columns({"at": np.minimum(table["at"], arrived)})
        for contract in shape.contracts:
            for name, broken in contract.broken(table).items():
                for row in np.flatnonzero(broken).tolist():
                    problems.setdefault(
                        row, (f"contract: {name}", _shown(contract, name, shape.personal, table.take([row])))
                    )
        return problems, table


def _shape(events: Events, contracts: Sequence[Contract]) -> _Shape:
    rules = rules_of(events)
    kinds = (str, int, *events.columns.values())
    own = tuple(contract for contract in contracts if contract.stream == events)
    return _Shape(events, rules, kinds, list[row_type(rules)], own)  # type: ignore[misc]


def _from_json(shape: _Shape, rows: Sequence[Any]) -> tuple[Table, dict[int, Problem]]:
    """The good rows as a table, and what is wrong with each of the others."""
    try:
        return _columns(shape, rows), {}
    except (msgspec.ValidationError, InputError, UnicodeEncodeError, OverflowError):
        found = {row: row_problem(shape.rules, value) for row, value in enumerate(rows)}
        problems = {row: problem for row, problem in found.items() if problem is not None}
        return _columns(shape, [value for row, value in enumerate(rows) if row not in problems]), problems


def _columns(shape: _Shape, rows: Sequence[Any]) -> Table:
    structs = msgspec.convert(rows, shape.rows)
    lists: list[Sequence[Any]] = list(zip(*map(msgspec.structs.astuple, structs), strict=True))
    if not lists:
        lists = [()] * len(shape.kinds)
    if str in map(type, lists[1]):
        lists[1] = [instant(at) if isinstance(at, str) else at for at in lists[1]]
        if lists[1] and not 0 <= min(lists[1]) <= max(lists[1]) < 2**63:
            raise InputError("a time lies before 1970")
    for kind, values in zip(shape.kinds, lists, strict=True):
        if kind is str:
            "".join(filter(None, values)).encode()
    return Table({n: column(v, k) for n, k, v in zip(shape.rules, shape.kinds, lists, strict=True)})


def _id(row: Any) -> str:
    found = row.get("id") if isinstance(row, dict) else None
    return found if isinstance(found, str) else ""


def _taken_back(row: Any) -> tuple[Any, Any]:
    """The stream and the id of the event that a row takes back, whatever came."""
    found = (row.get("of"), row.get("event")) if isinstance(row, dict) else (None, None)
    return found if all(isinstance(part, str) for part in found) else (None, None)


def _as_json(row: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """A row of a raw table as it would be sent as JSON: a missing number is null, and a whole one has no fraction."""
    sent = dict(row)
    for name, value in row.items():
        if isinstance(value, float) and np.isnan(value):
            sent[name] = None
        elif isinstance(value, float) and value.is_integer() and rules[name] in ("int", "int key", "time"):
            sent[name] = int(value)
    return sent


def _as_sent(row: Any) -> Any:
    """A row as if it came now: when it first arrived it was not taken in."""
    return {name: value for name, value in row.items() if name != "arrived"} if isinstance(row, dict) else row


def _shown(contract: Contract, check: str, personal: frozenset[str], table: Table) -> str:
    names = dict.fromkeys(leaf.name for leaf in leaves(contract.checks[check]) if isinstance(leaf, Field))
    return ", ".join(f"{n} = {MASK if n in personal else short(table[n].tolist()[0])}" for n in names)
