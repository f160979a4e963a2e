"""Marks, masks and pseudonyms; and that who was erased does not come back."""

import numpy as np
import pytest

from sixfold._core.errors import DefinitionError, InputError
from sixfold._core.hashing import fingerprint
from sixfold._core.table import Table, column
from sixfold.data import Contract, Events
from sixfold.data.ingest import Ingest
from sixfold.data.privacy import ERASURE, KEY, MASK, Erasure, Pseudonyms, Subjects, erasures, personal, pseudonymised
from sixfold.engines.memory.log import MemoryLog
from sixfold.engines.memory.quarantine import MemoryQuarantine
from sixfold.frame import Entity

SECRET = "a key that only tests know"
user, page = Entity("user"), Entity("page", str)
plain = Events("person", keys=(user,), fields={"email": str, "age": float, "plan": str})
person = Events("person", keys=(user,), fields=plain.fields, personal=("email", "age"))
visit = Events("visit", keys=(user, page), fields={"seconds": float})


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)


def tombstone(log: MemoryLog, entity: str, key: object, *, now: int) -> None:
    names = Pseudonyms(SECRET.encode())
    one = Erasure(-1, now, entity, names.of(entity, key), 0, 0, 1)
    log.append({ERASURE: one.row(f"{entity}-{now}", names)}, now=now)


def test_a_mark_changes_no_definition() -> None:
    assert fingerprint(plain.spec()) == fingerprint(person.spec())
    assert plain != person
    assert person.email.spec() == plain.email.spec()


def test_only_keys_and_fields_can_be_marked() -> None:
    with pytest.raises(DefinitionError, match="'phone' is marked personal"):
        Events("person", keys=(user,), fields={"email": str}, personal=("phone",))
    with pytest.raises(DefinitionError, match="reserved"):
        Events("person", keys=(user,), fields={"personal": str})


def test_a_key_that_is_personal_once_is_personal_everywhere() -> None:
    marked = Events("login", keys=(user,), personal=("user",))
    assert personal([person, marked, visit]) == {
        "person": {"email", "age", "user"},
        "login": {"user"},
        "visit": {"user"},
    }


def test_rejects_do_not_quote_personal_values() -> None:
    contract = Contract(person, {"age is possible": ~(person.age > 120)})
    gate = Ingest(MemoryLog(), quarantine := MemoryQuarantine(), [person], contracts=[contract])
    good = {"id": "a", "at": 1, "user": 7, "email": "jane@example.org", "age": 30, "plan": "gold"}
    rows = [
        {**good, "email": 5551234},
        {**good, "age": 777},
        {**good, "age": "seventy"},
        {**good, "plan": 12},
        "jane@example.org",
    ]
    said = [verdict.reason for verdict in gate.rows("person", rows, now=5)]
    assert said == [
        f"field 'email': expected a text, found {MASK}",
        f"contract: age is possible, found age = {MASK}",
        f"field 'age': expected a number, found {MASK}",
        "field 'plan': expected a text, found 12",
        f"expected an object of fields, found {MASK}",
    ]
    values = {name: np.array([good[name], good[name]], object) for name in good}
    values["email"] = np.array(["x@y.z", 5551234], object)
    table = Table({**values, "at": np.array([1, 2]), "user": np.array([7, 8]), "id": np.array(["b", "c"], object)})
    report = gate.chunk({"person": table}, now=9)
    assert report.quarantined == 1 and report.accepted == {"person": 1}
    assert not [one for one in quarantine.read(99) if "555" in one.found or "jane" in one.found or "777" in one.why]


def test_pseudonyms_need_a_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY)
    with pytest.raises(InputError, match=f"an export needs a key, and {KEY} is not set.*export {KEY}"):
        Pseudonyms.from_environment("an export")
    monkeypatch.setenv(KEY, "short")
    with pytest.raises(InputError, match="has 5 characters"):
        Pseudonyms.from_environment("an export")
    assert "a key" not in repr(Pseudonyms(b"a key"))


def test_pseudonyms_join_streams_and_hide_values() -> None:
    names = Pseudonyms.from_environment("a test")
    one = Table({"user": np.array([7, 8, 7]), "age": np.array([1.0, np.nan, 2.5])})
    other = Table({"user": column(["7", "9", None], str)})
    left, right = (pseudonymised(table, {"user", "age"}, names) for table in (one, other))
    assert left["user"][0] == left["user"][2] == right["user"][0] != left["user"][1]
    assert right["user"][2] is None and left["age"][1] is None and len(left["user"][0]) == 32
    other_key = Pseudonyms(b"another key, as long as need be")
    assert other_key.of("user", 7) != names.of("user", 7)


def test_subjects_are_found_in_columns_and_in_json() -> None:
    names = Pseudonyms.from_environment("a test")
    subjects = Subjects({"user": [names.of("user", 7)]}, names)
    for value in (7, "7", 7.0, np.int64(7)):
        assert subjects.has("user", value)
    assert not subjects.has("page", 7) and not subjects.has("user", None) and not subjects.has("user", [7])
    table = Table({"user": np.array([7, 8]), "page": column(["7", "x"], str)})
    assert subjects.rows(table, 2).tolist() == [True, False]
    assert subjects.named({"row": [{"user": "7"}]}) and not subjects.named({"row": [{"page": "7", "n": 7}]})


def test_who_was_erased_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    log, quarantine = MemoryLog(), MemoryQuarantine()
    tombstone(log, "user", 7, now=1)
    assert [(one.entity, one.since, one.events) for one in erasures(log)] == [("user", 0, 1)]
    gate = Ingest(log, quarantine, [visit])
    row = {"id": "a", "at": 1, "user": 7, "page": "home"}
    rows = [row, {**row, "id": "b", "user": 8}, {**row, "id": "c", "user": "7"}, {**row, "id": "d", "user": -1}]
    verdicts = gate.rows("visit", rows, now=5)
    assert [(one.status, one.id) for one in verdicts] == [
        ("erased", "a"),
        ("accepted", "b"),
        ("erased", "c"),
        ("quarantined", "d"),
    ]
    table = Table(
        {
            "id": column(["e", "f"], str),
            "at": np.array([1, 1]),
            "user": np.array([7, 9]),
            "page": column(["x", "y"], str),
        }
    )
    report = gate.chunk({"visit": table}, now=6)
    assert report.erased == {"visit": 1} and report.accepted == {"visit": 1} and report.quarantined == 0
    assert log.read(0, 99)["visit"]["user"].tolist() == [8, 9]
    sent = [{"of": "visit", "event": name} for name in ("a", "b", "e")]
    assert [one.status for one in gate.rows("retraction", sent, now=7)] == ["erased", "accepted", "erased"]
    raw = {name: column([row[name] for row in sent], str) for name in ("of", "event")}
    report = gate.chunk({"retraction": Table({**raw, "at": np.array([6, 6, 6])})}, now=8)
    assert report.erased == {"retraction": 2} and not report.quarantined and report.repeated["retraction"] == 1
    assert gate.is_erased("user", 7) and not gate.is_erased("user", 8)
    monkeypatch.setenv(KEY, "another key, just as long")
    with pytest.raises(InputError, match="is not the key that somebody was erased with"):
        Ingest(log, quarantine, [visit])
    monkeypatch.delenv(KEY)
    with pytest.raises(InputError, match="to keep them out needs a key"):
        Ingest(log, quarantine, [visit])


def test_rows_in_quarantine_of_somebody_erased_leave_it_when_tried_again() -> None:
    log, quarantine = MemoryLog(), MemoryQuarantine()
    bad = {"id": "a", "at": 1, "user": "7", "page": "home"}
    assert Ingest(log, quarantine, [visit]).rows("visit", [bad], now=5)[0].status == "quarantined"
    tombstone(log, "user", 7, now=6)
    report = Ingest(log, quarantine, [visit]).reingest(now=7)
    assert report.erased == {"visit": 1} and not quarantine.read(9)
