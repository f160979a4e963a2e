"""The door into the log: what is let in, what is turned away and why, and that nothing is lost."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError, InputError, LogError
from sixfold._core.table import Table
from sixfold._core.times import HOUR, SECOND, iso
from sixfold.data.checks import row_problem, row_type, rules_of
from sixfold.data.contract import Contract
from sixfold.data.events import Events
from sixfold.data.ingest import Ingest
from sixfold.data.log import Log
from sixfold.data.quarantine import Quarantine
from sixfold.engines.memory.log import MemoryLog
from sixfold.engines.memory.quarantine import MemoryQuarantine
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.engines.sqlite.quarantine import SqliteQuarantine
from sixfold.frame import Entity

user, page = Entity("user"), Entity("page", str)
FIELDS = {"seconds": float, "liked": bool, "rank": int, "tab": str}
view = Events("view", keys=(user, page), fields=FIELDS)
other = Events("other", keys=(user,), fields={"note": str})
contract = Contract(view, {"seconds are not negative": ~(view.seconds < 0)})
NOW = 1_000 * HOUR


@pytest.fixture(params=["memory", "sqlite"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Log, Quarantine]]:
    if request.param == "memory":
        yield MemoryLog(), MemoryQuarantine()
    else:
        with SqliteLog(tmp_path / "log.db") as log, SqliteQuarantine(tmp_path / "log.db") as quarantine:
            yield log, quarantine


def door(stores: tuple[Log, Quarantine] | None = None, **options: Any) -> Ingest:
    log, quarantine = stores or (MemoryLog(), MemoryQuarantine())
    return Ingest(log, quarantine, (view, other), **{"contracts": (contract,), **options})


def row(**changes: Any) -> dict[str, Any]:
    good = {"id": "v1", "at": NOW - 5, "user": 7, "page": "home", "seconds": 1.5, "liked": True, "rank": -3, "tab": "a"}
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def raw(rows: list[dict[str, Any]], **columns: Any) -> Table:
    """Columns of objects, as from a file with damaged values."""
    names = list(rows[0])
    made = {name: np.array([*[r[name] for r in rows], None], object)[:-1] for name in names}
    return Table({**made, **columns})


GOOD = [
    {},
    {"at": iso(NOW - 5)},
    {"at": "1970-01-02T00:00:00+02:00", "seconds": 3},
    {"seconds": None, "tab": None},
    {"seconds": ..., "tab": ...},
    {"seconds": 1.7976931348623157e308, "rank": 2**63 - 1, "user": 0, "page": ""},
    {"tab": "x" * 4_096, "id": "i" * 256, "page": "ü 🎬 \x00"},
]

BAD = [
    ({"seconds": "abc"}, "field 'seconds': expected a number, found 'abc'"),
    ({"seconds": True}, "field 'seconds': expected a number, found True"),
    ({"seconds": math.nan}, "field 'seconds': expected a finite number, found nan"),
    ({"seconds": math.inf}, "field 'seconds': expected a finite number, found inf"),
    ({"seconds": 10**400}, "field 'seconds': expected a number within 1.8e308, found one of 1329 bits"),
    ({"liked": 1}, "field 'liked': expected true or false, found 1"),
    ({"liked": None}, "field 'liked': expected true or false, found nothing"),
    ({"liked": ...}, "field 'liked': expected true or false, found nothing"),
    ({"rank": 1.0}, "field 'rank': expected a whole number, found 1.0"),
    ({"rank": True}, "field 'rank': expected a whole number, found True"),
    ({"rank": 2**63}, "field 'rank': expected a whole number of at most 64 bits, found 9223372036854775808"),
    ({"user": -1}, "field 'user': expected a whole number from 0 on, found -1"),
    ({"user": "7"}, "field 'user': expected a whole number from 0 on, found '7'"),
    ({"page": None}, "field 'page': expected a text, found nothing"),
    ({"page": 3}, "field 'page': expected a text, found 3"),
    ({"tab": 5}, "field 'tab': expected a text, found 5"),
    ({"tab": ["a"]}, "field 'tab': expected a text, found ['a']"),
    ({"tab": "x" * 32_769}, "field 'tab': expected at most 32768 characters, found 32769"),
    ({"tab": "\ud800"}, "field 'tab': expected valid Unicode, found '\\ud800'"),
    ({"page": "\ud800"}, "field 'page': expected valid Unicode, found '\\ud800'"),
    ({"id": "\ud800"}, "field 'id': expected valid Unicode, found '\\ud800'"),
    ({"id": ""}, "field 'id': expected a text of 1 to 256 characters, found ''"),
    ({"id": "i" * 257}, "field 'id': expected at most 256 characters, found 257"),
    ({"id": ...}, "field 'id': expected a text of 1 to 256 characters, found nothing"),
    ({"id": 5}, "field 'id': expected a text of 1 to 256 characters, found 5"),
    ({"at": "yesterday"}, "field 'at': expected microseconds since 1970 or an ISO 8601 text, found 'yesterday'"),
    ({"at": -1}, "field 'at': expected microseconds since 1970 or an ISO 8601 text, found -1"),
    ({"at": 1.5}, "field 'at': expected microseconds since 1970 or an ISO 8601 text, found 1.5"),
    ({"at": "1969-12-31"}, "field 'at': expected a time from 1970 on, found '1969-12-31'"),
    ({"at": ...}, "field 'at': expected microseconds since 1970 or an ISO 8601 text, found nothing"),
    ({"at": NOW + 2 * HOUR}, "field 'at': expected a time before its arrival, found 2h after it"),
    ({"colour": "red"}, "field 'colour' is not declared"),
    ({"arrived": 5}, "field 'arrived' is not declared"),
    ({"seconds": -1.0}, "contract: seconds are not negative, found seconds = -1.0"),
]


@pytest.mark.parametrize("changes", GOOD)
def test_good_rows_go_in_as_they_are(changes: dict[str, Any]) -> None:
    log = MemoryLog()
    gate = door((log, MemoryQuarantine()))
    assert [v.status for v in gate.rows("view", [row(**changes)], now=NOW)] == ["accepted"]
    held = log.read(0, 1)["view"].row(0)
    sent = row(**changes)
    assert held["user"] == sent["user"] and held["page"] == sent["page"] and held["tab"] == sent.get("tab")
    assert held["seconds"] == sent.get("seconds") or math.isnan(held["seconds"])


@pytest.mark.parametrize(("changes", "reason"), BAD, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("among", [0, 3])
def test_bad_rows_are_turned_away_alone(changes: dict[str, Any], reason: str, among: int) -> None:
    log, quarantine = MemoryLog(), MemoryQuarantine()
    others = [row(id=f"fine{i}") for i in range(among)]
    verdicts = door((log, quarantine)).rows("view", [*others, row(**changes)], now=NOW)
    assert [v.status for v in verdicts] == ["accepted"] * among + ["quarantined"]
    assert verdicts[-1].reason == reason
    assert log.end()[0] == among
    (kept,) = quarantine.read(10)
    assert kept.why == reason and kept.stream == "view" and kept.at == NOW
    assert repr(kept.value) == repr(dict(sorted(row(**changes).items()))), "the row is kept as it came"


@pytest.mark.parametrize("stranger", [5, None, "x", [], 1.5])
def test_rows_that_are_no_objects(stranger: Any) -> None:
    verdicts = door().rows("view", [stranger, row()], now=NOW)
    assert [v.status for v in verdicts] == ["quarantined", "accepted"]
    assert verdicts[0].reason == f"expected an object of fields, found {stranger!r}"


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=5)
    | st.sampled_from(["2020-01-01", "x" * 5_000, NOW, 7, 2**63, -(2**63), [], {}])
)


@given(st.dictionaries(st.sampled_from(["id", "at", "user", "page", *FIELDS, "odd"]), values))
def test_the_plain_check_and_the_compiled_one_agree(changes: dict[str, Any]) -> None:
    sent = row(**changes)
    rules = rules_of(view)
    problem = row_problem(rules, sent)
    try:
        msgspec.convert(sent, row_type(rules))
        compiled = True
    except msgspec.ValidationError:
        compiled = False
    left_to_caller = problem is not None and ("Unicode" in problem[0] or "field 'at'" in problem[0])
    assert compiled == (problem is None) or (compiled and left_to_caller)
    verdict = door(contracts=()).rows("view", [sent], now=2**62)[0]
    assert (verdict.status == "accepted") == (problem is None)


def test_duplicates_within_and_across_requests(stores: tuple[Log, Quarantine]) -> None:
    gate = door(stores)
    first = gate.rows("view", [row(), row(), row(id="v2")], now=NOW)
    again = gate.rows("view", [row(id="v3"), row(id="v2", seconds=9.0)], now=NOW)
    assert [v.status for v in first] == ["accepted", "duplicate", "accepted"]
    assert [(v.status, v.id) for v in again] == [("accepted", "v3"), ("duplicate", "v2")]
    assert stores[0].find("view", "v2").row(0)["seconds"] == 1.5  # type: ignore[union-attr]


def test_calls_that_cannot_be_meant_have_no_effect() -> None:
    log = MemoryLog()
    gate = door((log, MemoryQuarantine()), max_rows=3)
    with pytest.raises(InputError, match=r"no stream 'views'.*the streams are view, other"):
        gate.rows("views", [row()], now=NOW)
    with pytest.raises(InputError, match="4 rows at once, at most 3"):
        gate.rows("view", [row()] * 4, now=NOW)
    with pytest.raises(InputError, match=r"columns \['colour'\] are not declared"):
        gate.chunk({"view": raw([row(colour="red")])}, now=NOW)
    with pytest.raises(InputError, match=r"lacks the columns \['liked'\]"):
        gate.chunk({"view": raw([row(liked=...)])}, now=NOW)
    with pytest.raises(InputError, match="no stream 'views'"):
        gate.chunk({"view": raw([row()]), "views": raw([row()])}, now=NOW)
    assert log.end() == (0, 0)


def test_a_contract_needs_its_stream() -> None:
    with pytest.raises(DefinitionError, match="no such stream"):
        Ingest(MemoryLog(), MemoryQuarantine(), (other,), contracts=(contract,))


def test_clocks_that_run_ahead() -> None:
    log = MemoryLog()
    sent = [row(id="a", at=NOW + SECOND), row(id="b", at=NOW + SECOND + 1), row(id="c", at=NOW)]
    assert [v.status for v in door((log, MemoryQuarantine())).rows("view", sent, now=NOW)] == [
        "accepted",
        "quarantined",
        "accepted",
    ]
    clamped = MemoryLog()
    gate = door((clamped, MemoryQuarantine()), future="clamp")
    assert [v.status for v in gate.rows("view", sent, now=NOW)] == ["accepted"] * 3
    assert log.read(0, 9)["view"]["at"].tolist() == [NOW] * 2
    assert clamped.read(0, 9)["view"]["at"].tolist() == [NOW] * 3


def test_requests_share_an_append(stores: tuple[Log, Quarantine]) -> None:
    gate = door(stores)
    one = gate.prepare("view", [row(id="a"), row(id="b", liked=0)], now=NOW)
    two = gate.prepare("view", [row(id="a"), row(id="c")], now=NOW)
    assert stores[0].end()[0] == 0 and not stores[1].read(9), "preparing has no effect"
    gate.set_aside([one, two])
    offsets = stores[0].append({"view": Table.concat([one.table, two.table])}, now=NOW)["view"].offsets
    found = [one.verdicts(offsets[: len(one.table)]), two.verdicts(offsets[len(one.table) :])]
    assert [[v.status for v in part] for part in found] == [["accepted", "quarantined"], ["duplicate", "accepted"]]


def test_empty_requests() -> None:
    gate = door()
    assert gate.rows("view", [], now=NOW) == []
    assert gate.chunk({}, now=NOW).accepted == {}


@pytest.mark.parametrize("changes", [c for c in GOOD if ... not in c.values()])
def test_chunks_take_what_rows_take(changes: dict[str, Any]) -> None:
    log = MemoryLog()
    report = door((log, MemoryQuarantine())).chunk({"view": raw([row(**changes), row(id="z")])}, now=NOW)
    assert report.accepted == {"view": 2} and report.quarantined == 0
    twin = MemoryLog()
    door((twin, MemoryQuarantine())).rows("view", [row(**changes), row(id="z")], now=NOW)
    assert repr(log.read(0, 9)["view"].rows()) == repr(twin.read(0, 9)["view"].rows())


IN_CHUNKS = {
    "field 'seconds': expected a finite number, found nan": None,  # a table's NaN is a missing value
    "field 'rank': expected a whole number, found 1.0": None,  # and its whole floats are whole numbers
}


@pytest.mark.parametrize(
    ("changes", "reason"), [(c, r) for c, r in BAD if ... not in c.values()], ids=lambda v: str(v)[:40]
)
def test_chunks_refuse_what_rows_refuse(changes: dict[str, Any], reason: str) -> None:
    if "not declared" in reason:
        return
    log, quarantine = MemoryLog(), MemoryQuarantine()
    rows = [row(id="a"), row(**changes), row(id="c")]
    report = door((log, quarantine)).chunk(
        {"view": raw(rows), "other": raw([{"id": "o", "at": 5, "user": 1}])}, now=NOW
    )
    expected = IN_CHUNKS.get(reason, reason)
    assert report.accepted == {"view": 2 if expected else 3, "other": 1}
    assert [kept.why for kept in quarantine.read(9)] == ([expected] if expected else [])
    assert report.quarantined == sum(quarantine.count().values())


def test_typed_chunks_are_checked_as_columns() -> None:
    log, quarantine = MemoryLog(), MemoryQuarantine()
    table = Table(
        {
            "id": np.array(list("abcdefg")),
            "at": np.array([5.0, 5.0, 5.0, np.nan, 5.5, 5.0, 5.0]),
            "user": np.array([1.0, -1.0, 2.0, 2.0, 2.0, 2.0, 2.0**63]),
            "page": np.array(list("ABCDEFG"), object),
            "seconds": np.array([1, 2, 3, 4, 5, 6, 7], np.float32),
            "liked": np.ones(7, np.bool_),
            "rank": np.arange(7, dtype=np.uint8),
        }
    ).with_columns({"seconds": np.array([1, 2, np.inf, 4, 5, np.nan, 7], np.float32)})
    report = door((log, quarantine)).chunk({"view": table}, now=NOW)
    held = log.read(0, 9)["view"]
    assert held["id"].tolist() == ["a", "f"] and held["user"].dtype == held["rank"].dtype == np.int64
    assert held["tab"].tolist() == [None, None] and np.isnan(held["seconds"][1])
    assert report.reasons == {
        ("view", "field 'user': expected a whole number from 0 on"): 1,
        ("view", "field 'seconds': expected a finite number"): 1,
        ("view", "field 'at': expected microseconds since 1970 or an ISO 8601 text"): 2,
        ("view", "field 'user': expected a whole number of at most 64 bits"): 1,
    }
    again = door((log, MemoryQuarantine())).chunk({"view": table}, now=NOW)
    assert (again.accepted, again.duplicates) == ({"view": 0}, 2)


def test_a_chunk_arrives_when_it_says() -> None:
    log = MemoryLog()
    at = np.array([10, 20, 40])
    table = raw([row(id=i) for i in "abc"], at=at, arrived=np.array([10, 15, 40]))
    report = door((log, MemoryQuarantine()), max_future="4us").chunk({"view": table}, now=5)
    held = log.read(0, 9)["view"]
    assert held["arrived"].tolist() == [10, 40] and report.quarantined == 1
    within = door((log, MemoryQuarantine()), max_future="5us").chunk({"view": table}, now=5)
    assert within.accepted == {"view": 1} and log.find("view", "b").row(0)["at"] == 15  # type: ignore[union-attr]


def test_bools_are_not_numbers_in_columns_either() -> None:
    report = door().chunk({"view": raw([row()], rank=np.array([True]), liked=np.array([1]))}, now=NOW)
    assert report.reasons == {("view", "field 'liked': expected true or false"): 1}
    report = door().chunk({"view": raw([row()], rank=np.array([True]))}, now=NOW)
    assert report.reasons == {("view", "field 'rank': expected a whole number"): 1}


def test_reingest_after_the_cause_is_repaired(stores: tuple[Log, Quarantine]) -> None:
    log, quarantine = stores
    strict = door(stores)
    strict.rows("view", [row(id="a", seconds=-1.0), row(id="b", liked=1), row(id="c"), 5], now=NOW)
    chunk = raw(
        [row(id="d", seconds=-2.0, tab=np.nan), row(id="c", seconds=-1.0)],
        arrived=np.array([NOW - 3] * 2),
        user=np.array([7.0, 8.0]),
    )
    strict.chunk({"view": chunk}, now=NOW)
    assert sum(quarantine.count().values()) == 5
    assert strict.reingest(now=NOW + 1).accepted == {"view": 0} and sum(quarantine.count().values()) == 5
    report = door(stores, contracts=()).reingest(now=NOW + 2)
    assert report.accepted == {"view": 2} and report.duplicates == 1
    assert report.reasons == quarantine.count()
    assert quarantine.count() == {
        ("view", "expected an object of fields"): 1,
        ("view", "field 'liked': expected true or false"): 1,
    }
    assert sorted(log.read(0, 99)["view"]["id"].tolist()) == ["a", "c", "d"]
    assert log.read(0, 99)["view"]["arrived"].tolist()[1:] == [NOW + 2] * 2
    assert door(stores, contracts=()).reingest(now=NOW + 3).accepted == {"view": 0}


def test_reingest_pages_through_everything_and_leaves_unknown_streams() -> None:
    log, quarantine = MemoryLog(), MemoryQuarantine()
    door((log, quarantine)).chunk({"view": raw([row(id=f"v{i}", seconds=-1.0) for i in range(2_500)])}, now=NOW)
    door((log, quarantine)).rows("other", [{"id": "o"}], now=NOW)
    report = Ingest(log, quarantine, (view,), max_rows=700).reingest(now=NOW)
    assert report.accepted == {"view": 2_500} and report.quarantined == 1
    assert list(quarantine.count()) == [("other", "field 'at': expected microseconds since 1970 or an ISO 8601 text")]


def test_a_crash_between_any_two_steps_loses_nothing() -> None:
    class CrashError(Exception):
        pass

    class Failing(MemoryLog):
        def append(self, events: Any, *, now: int) -> Any:
            raise CrashError

    class Keeping(MemoryQuarantine):
        def take(self, ids: Any) -> int:
            raise CrashError

    log, quarantine = MemoryLog(), Keeping()
    door((log, quarantine)).rows("view", [row(id="a", seconds=-1.0)], now=NOW)
    for broken in (Failing(), log):  # before the append, and between the append and the removal
        with pytest.raises(CrashError):
            door((broken, quarantine), contracts=()).reingest(now=NOW)
        assert len(quarantine.read(9)) == 1
    assert log.find("view", "a") is not None
    with pytest.raises(CrashError):
        door((Failing(), quarantine)).rows("view", [row(id="b", seconds=-1.0), row(id="c")], now=NOW)
    assert len(quarantine.read(9)) == 2, "the bad rows are kept before the good ones go in"


def test_the_same_bad_row_counts_once(stores: tuple[Log, Quarantine]) -> None:
    for _ in range(3):
        door(stores).rows("view", [row(liked=1), {**row(liked=1)}], now=NOW)
    assert sum(stores[1].count().values()) == 1


def test_rows_that_cannot_even_be_kept_are_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InputError, match="is not JSON"):
        door().rows("view", [row(tab=endless)], now=NOW)


def test_sqlite_quarantine_says_when_it_is_closed(tmp_path: Path) -> None:
    quarantine = SqliteQuarantine(tmp_path / "log.db")
    quarantine.close()
    with pytest.raises(LogError, match="open it again"):
        quarantine.count()


def test_paging_is_in_order_of_id(stores: tuple[Log, Quarantine]) -> None:
    door(stores).rows("view", [row(id=f"v{i}", liked=1) for i in range(25)], now=NOW)
    quarantine, after, seen = stores[1], "", []
    while page_ := quarantine.read(10, after=after):
        seen += [kept.id for kept in page_]
        after = seen[-1]
    assert len(seen) == 25 and seen == sorted(seen)
    assert quarantine.take([*seen[:3], "unknown"]) == 3 and len(quarantine.read(99)) == 22
    assert json.loads(quarantine.read(1)[0].row)["liked"] == 1
