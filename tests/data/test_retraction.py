"""How retractions come in: what is checked, and what each sender is told."""

import numpy as np
import pytest

from sixfold._core.errors import DefinitionError, InputError
from sixfold._core.table import Table, column
from sixfold.data.events import Events
from sixfold.data.ingest import Ingest
from sixfold.data.labels import Label, label_values
from sixfold.data.retraction import RETRACTION, living
from sixfold.engines.memory.log import MemoryLog
from sixfold.engines.memory.quarantine import MemoryQuarantine
from sixfold.frame import Entity

user = Entity("user")
shown = Events("shown", keys=(user,), fields={})
watch = Events("watch", keys=(user,), fields={"long": bool})


def gate() -> tuple[Ingest, MemoryLog, MemoryQuarantine]:
    log, quarantine = MemoryLog(), MemoryQuarantine()
    return Ingest(log, quarantine, [shown, watch]), log, quarantine


def watched(name: str, at: int = 5) -> dict[str, object]:
    return {"id": name, "at": at, "user": 7, "long": True}


def test_a_retraction_names_an_event_and_is_logged_with_its_offset() -> None:
    ingest, log, _ = gate()
    ingest.rows("watch", [watched("a"), watched("b")], now=10)
    [verdict] = ingest.rows(RETRACTION, [{"of": "watch", "event": "b", "at": 11}], now=12)
    assert (verdict.status, verdict.id) == ("accepted", "watch:b")
    row = log.read(0, 9)[RETRACTION].row(0)
    assert {name: row[name] for name in ("at", "arrived", "of", "event", "target")} == {
        "at": 11,
        "arrived": 12,
        "of": "watch",
        "event": "b",
        "target": 1,
    }
    assert living(log.read(0, 9), log.read(0, 9)["watch"])["id"].tolist() == ["a"]
    assert living(log.read(0, 9), log.read(0, 9)["watch"], 2)["id"].tolist() == ["a", "b"]


def test_saying_it_twice_is_one_fact() -> None:
    ingest, log, _ = gate()
    ingest.rows("watch", [watched("a")], now=10)
    first = ingest.rows(RETRACTION, [{"of": "watch", "event": "a"}, {"of": "watch", "event": "a", "at": 3}], now=12)
    again = ingest.rows(RETRACTION, [{"of": "watch", "event": "a"}], now=13)
    assert [verdict.status for verdict in (*first, *again)] == ["accepted", "duplicate", "duplicate"]
    assert log.end()[0] == 2


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"of": "watch", "event": "zzz"}, "is in the log, found 'zzz'"),
        ({"of": "wotch", "event": "a"}, "expected a stream of the system, found 'wotch'"),
        ({"of": "retraction", "event": "watch:a"}, "cannot be retracted: send the event again under a new id"),
        ({"event": "a"}, "field 'of': expected a text of 1 to 256 characters, found nothing"),
        ({"of": "watch", "event": "a", "id": "r1"}, "field 'id' is not declared"),
        ({"of": "watch", "event": 7}, "field 'event': expected a text"),
        ("a", "expected an object"),
    ],
)
def test_what_cannot_be_retracted_waits_in_quarantine_with_the_reason(row: object, why: str) -> None:
    ingest, log, quarantine = gate()
    ingest.rows("watch", [watched("a")], now=10)
    [verdict] = ingest.rows(RETRACTION, [row], now=12)
    assert verdict.status == "quarantined"
    assert why in verdict.reason
    assert log.end()[0] == 1
    assert [refused.stream for refused in quarantine.read(9)] == [RETRACTION]


def test_a_retraction_that_came_before_its_event_is_taken_up_again() -> None:
    ingest, log, quarantine = gate()
    assert ingest.rows(RETRACTION, [{"of": "watch", "event": "a"}], now=3)[0].status == "quarantined"
    ingest.rows("watch", [watched("a")], now=10)
    assert ingest.reingest(now=11).accepted == {RETRACTION: 1}
    assert not quarantine.count()
    assert log.read(0, 9)[RETRACTION]["target"].tolist() == [0]


def test_a_backfill_may_retract_what_comes_with_it() -> None:
    ingest, log, quarantine = gate()
    events = {name: column([row[name] for row in (watched("a"), watched("b"))], kind) for name, kind in KINDS.items()}
    retractions = Table(
        {"of": column(["watch", "watch"], str), "event": column(["b", "x"], str), "at": np.array([6, 7])}
    )
    report = ingest.chunk({"watch": Table({**events, "arrived": np.array([5, 9])}), RETRACTION: retractions}, now=0)
    assert (report.accepted, report.quarantined) == ({"watch": 2, RETRACTION: 1}, 1)
    assert log.read(0, 9)[RETRACTION].row(0)["arrived"] == 9
    assert (
        quarantine.count()[RETRACTION, "field 'event': expected the id of an event of 'watch' that is in the log"] == 1
    )
    later = retractions.take([0]).with_columns({"event": column(["a"], str), "arrived": np.array([20])})
    assert ingest.chunk({RETRACTION: later}, now=0).accepted == {RETRACTION: 1}
    assert log.end()[1] == 20
    with pytest.raises(InputError, match="no columns"):
        ingest.chunk({RETRACTION: retractions.with_columns({"why": retractions["of"]})}, now=0)


KINDS = {"id": str, "at": int, "user": int, "long": bool}


def test_the_name_of_the_stream_is_taken() -> None:
    with pytest.raises(DefinitionError, match="cannot be called 'retraction'"):
        Ingest(MemoryLog(), MemoryQuarantine(), [Events(RETRACTION, keys=(user,), fields={})])


def test_a_retracted_outcome_makes_no_label() -> None:
    ingest, log, _ = gate()
    label = Label("long_view", watch.long, of=shown, within="30m", matures="1h")
    ingest.rows("shown", [{"id": "s", "at": 4, "user": 7}], now=10)
    ingest.rows("watch", [watched("a")], now=10)
    history = log.read(0, 9)
    assert label_values([label], history["shown"], history)[0]["long_view"].tolist() == [1]
    ingest.rows(RETRACTION, [{"of": "watch", "event": "a"}], now=12)
    assert label_values([label], history["shown"], log.read(0, 9))[0]["long_view"].tolist() == [0]
