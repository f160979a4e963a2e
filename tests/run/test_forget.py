"""Somebody is forgotten: nothing in any file, nothing of anybody else lost, whatever was killed when."""

import json
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from sixfold._core.errors import InputError, LogError, ServiceError
from sixfold._core.table import Table, column
from sixfold.data.privacy import ERASURE, KEY, Pseudonyms, erasures
from sixfold.data.quarantine import reject
from sixfold.engines.memory.log import MemoryLog
from sixfold.engines.sqlite.ids import digests
from sixfold.engines.sqlite.quarantine import SqliteQuarantine
from sixfold.operate.releases import build_release, promote
from sixfold.run.certificate import Certificate, verify
from sixfold.run.erasure import survey
from sixfold.run.exports import export_stream, remember_export
from sixfold.run.forget import forget, resume
from sixfold.run.home import Home, current_home, open_home, write_json
from sixfold.run.ingest import ingest, make_ingest
from sixfold.run.scan import Sought
from sixfold.run.serve import state_at, take_snapshot
from sixfold.system import load_system, system_names
from sixfold.testing.system_kit import tiny_world
from sixfold.worlds.shorts import Shorts, ShortsConfig

SYSTEM = load_system("video")
WORLD = Shorts(ShortsConfig(users=60, videos=50, requests=250))
SECRET = "a key that only tests know"
NOW = 1_900_000_000_000_000
CHILD = """
import os, signal, sys
from pathlib import Path
from sixfold.run.forget import forget
from sixfold.run.home import current_home
from sixfold.system import load_system

left = int(sys.argv[2])

def step(what, share):
    global left
    left -= 1
    if left < 0:
        print(what, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

forget(current_home(Path(sys.argv[1])), load_system("video"), sys.argv[3], clock=lambda: 1, progress=step)
"""


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)


def decision(name: str, user: int, as_of: int, shows: list[int]) -> Table:
    response = {"decision": name, "subject": user, "items": [{"position": i, "id": v} for i, v in enumerate(shows)]}
    texts = {
        "id": name,
        "release": "r",
        "rungs": "",
        "request": json.dumps({"subject": user, "id": name, "context": {}, "n": 5, "at": 1}),
        "response": json.dumps(response),
        "record": json.dumps({"ids": shows, "features": {}, "took_ns": {"all": 5}}),
    }
    numbers = {"at": WORLD_END, "user": user, "as_of": as_of, "seed": 1}
    columns = {name: column([text], str) for name, text in texts.items()}
    return Table({**columns, **{name: np.array([number]) for name, number in numbers.items()}})


WORLD_END = 1_772_400_000_000_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with events sealed and live, decisions, retractions, a quarantine, a snapshot, a candidate, releases."""
    root = tmp_path_factory.mktemp("filled")
    home = open_home(root, "video", WORLD.name)
    ingest(home, SYSTEM, WORLD)
    with home.log() as log, SqliteQuarantine(log.path) as quarantine:
        end, last = log.end()
        for i in range(12):
            log.append({"decision": decision(f"decision-{i}", i, end, [3, 5, 20 + i])}, now=last + i)
        live = {"at": np.full(12, last), "user": np.arange(12), "video": np.arange(12), "position": np.zeros(12, int)}
        texts = {
            "id": [f"live-event-{i}" for i in range(12)],
            "tab": ["home"] * 12,
            "decision": [f"decision-{i}" for i in range(12)],
        }
        log.append({"shown": Table({**live, **{n: column(v, str) for n, v in texts.items()}})}, now=last + 20)
        make_ingest(SYSTEM, log, quarantine).rows(
            "retraction", [{"of": "shown", "event": "live-event-7"}], now=last + 30
        )
        bad = {"id": "bad-one", "at": 1, "video": 2, "watched_ms": "x"}
        quarantine.put(reject("watch", ("damaged", "x"), {**bad, "user": u}, now=1) for u in (7, "7", 8))
        content = root / "content"
        (content / "models").mkdir(parents=True)
        np.savez(content / "fallback.npz", keys=np.arange(50))
        made = build_release(home.releases, content, {"seed": 0})
        promote(log, made.id, "a test", now=last + 40)
        take_snapshot(home, state_at(home, SYSTEM, log, log.end()[0]))
    shutil.copytree(content, home.candidate / "content")
    write_json(home.candidate / "train.json", {"until": last})
    home.report.write_text("a report")
    return root


@pytest.fixture
def home(filled: Path, tmp_path: Path) -> Home:
    shutil.copytree(filled, tmp_path / "home")
    return current_home(tmp_path / "home")


def everything(home: Home) -> dict[str, Table]:
    with home.log() as log:
        return dict(log.read(0, log.end()[0]))


def others(before: dict[str, Table], name: str, key: int) -> dict[str, list[dict[str, Any]]]:
    """What must stay of the streams that have such a key: all events of others, their offsets with them."""
    kept = {}
    for stream, table in before.items():
        rows = table.take(table[name] != key) if name in table else table
        kept[stream] = [repr(row) for row in rows.rows()]
    return kept


def bytes_left(home: Home, before: dict[str, Table], user: int) -> list[str]:
    """The ids of the user's events and their hashes in the raw bytes of any file."""
    ids = {
        (stream, name) for stream, t in before.items() if "user" in t for name in t["id"][t["user"] == user].tolist()
    }
    kept = {name for t in before.values() if "user" in t for name in t["id"][t["user"] != user].tolist()}
    needles = [name.encode() for _, name in ids if name not in kept and len(name) > 9]
    needles += [digest for stream, name in ids for digest in digests(stream, [name])]
    halves = [digest[:8] for digest in needles if len(digest) == 16 and not digest.isascii()]
    found = []
    for path in home.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found += [f"{path.name}: {needle!r}" for needle in (*needles, *halves) if needle in data]
    return found


def test_a_user_is_gone_and_nobody_else(home: Home) -> None:
    before = everything(home)
    assert bytes_left(home, before, 7), "the search must find what is there"
    made = forget(home, SYSTEM, "user:7", clock=lambda: NOW)
    after = everything(home)
    left = others(before, "user", 7)
    gone = left.pop("retraction")
    assert len(gone) == 1 and "retraction" not in after
    assert {stream: [repr(row) for row in after[stream].rows()] for stream in left} == left
    assert not bytes_left(home, before, 7)
    found = made.body["found"]
    assert found["events"] == {
        **{s: int((t["user"] == 7).sum()) for s, t in before.items() if "user" in t and s != ERASURE},
        "retraction": 1,
    }
    assert found["rows in quarantine"] == 2 and found["snapshots"] == 1 and found["candidate"]
    assert made.clean and made.body["asked"]["at"].startswith("2030-03-17")
    assert [one["serves"] for one in made.releases] == [True] and made.must_retrain
    assert not home.snapshots.exists() and not home.candidate.exists() and not home.report.exists()
    assert not home.erasing.exists()
    text = Path(made.file).read_text()
    assert "user-7" not in text and "live-event-7" not in text
    with home.log() as log:
        (fact,) = erasures(log)
        assert fact.events == sum(found["events"].values()) and fact.subject == made.body["asked"]["subject"]
        assert log.find("user_meta", "user-7") is None and log.find("user_meta", "user-8") is not None
    assert verify(home, SYSTEM, Path(made.file), at=NOW).confirmed


def test_an_item_is_gone_from_the_decisions_that_showed_it(home: Home) -> None:
    before = everything(home)
    made = forget(home, SYSTEM, "video:5", clock=lambda: NOW)
    after = everything(home)
    assert not (after["watch"]["video"] == 5).any() and not (after["video_meta"]["video"] == 5).any()
    assert len(after["decision"]) == len(before["decision"]) == 12
    for row in after["decision"].rows():
        assert 5 not in [item["id"] for item in json.loads(row["response"])["items"]]
        assert json.loads(row["record"]) == {"erased": True, "took_ns": {"all": 5}}
    assert made.body["found"]["decisions that showed it"] == 12
    assert {one["file"].split("/")[0] for one in made.body["verification"]["found"]} == {"releases"}
    checked = verify(home, SYSTEM, Path(made.file), at=NOW)
    assert not checked.confirmed and checked.scanned.found[0].where == "array keys"


def test_who_was_forgotten_does_not_come_back(home: Home) -> None:
    forget(home, SYSTEM, "user:7", clock=lambda: NOW)
    facts = {k: v for k, v in home.facts().items() if k != "ingested"}
    (home.folder / "home.json").unlink()
    home.remember(**facts)
    again = ingest(home, SYSTEM, WORLD)
    assert sum(again.erased.values()) > 10 and again.accepted == 0
    assert not any((table["user"] == 7).any() for table in everything(home).values() if "user" in table)
    again = forget(home, SYSTEM, "user:7", clock=lambda: NOW + 1)
    assert not again.body["found"]["events"] and again.must_retrain
    with home.log() as log:
        assert len(erasures(log)) == 1


def test_exports_are_remembered_and_removed(home: Home, tmp_path: Path) -> None:
    export_stream(home, SYSTEM, "user_meta", tmp_path / "people.parquet")
    (tmp_path / "set.txt").write_text("a training set")
    remember_export(home, "training set", 10**6, [tmp_path / "set.txt"])
    (tmp_path / "mine.txt").write_text("an export")
    remember_export(home, "training set", 10**6, [tmp_path / "mine.txt"])
    (tmp_path / "mine.txt").write_text("not theirs any more")
    made = forget(home, SYSTEM, "user:7", clock=lambda: NOW)
    said = {Path(one["file"]).name: one["what"] for one in made.body["exports"]}
    assert said == {"people.parquet": "removed", "set.txt": "removed", "mine.txt": "left: it has changed since"}
    assert not (tmp_path / "people.parquet").exists() and (tmp_path / "mine.txt").exists()
    assert verify(home, SYSTEM, Path(made.file), at=NOW).problems == (f"{tmp_path / 'mine.txt'} is still there",)


@pytest.mark.parametrize("where", ["live row", "quarantine", "parquet", "json", "array", "write-ahead log", "id"])
def test_a_search_finds_whatever_is_left_anywhere(home: Home, where: str) -> None:
    before = everything(home)
    made = forget(home, SYSTEM, "user:7", clock=lambda: NOW)
    assert verify(home, SYSTEM, Path(made.file), at=NOW).confirmed
    row = before["shown"].take(before["shown"]["user"] == 7).take([0])
    if where == "live row":
        with home.log() as log:
            log.append({"shown": row.select(n for n in row if n != "offset")}, now=NOW)
    elif where == "quarantine":
        with SqliteQuarantine(home.folder / "log.db") as quarantine:
            quarantine.put([reject("shown", ("bad", ""), {"user": "7"}, now=1)])
    elif where == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"row_user": [1, 7]}), home.folder / "left.parquet")
    elif where == "json":
        (home.folder / "left.json").write_text('{"people": [{"user": [1, 7]}]}')
    elif where == "array":
        np.savez(home.folder / "left.npz", **{"space:user": np.array([3, 7])})
    elif where == "write-ahead log":
        (home.folder / "log.db-old").write_bytes(b"\x00\xacuser-70\xa6user-7\x00live-event-7\x01")
    else:
        with home.log() as log:
            row = row.select(n for n in row if n != "offset").with_columns({"id": column(["a new id"], str)})
            log.append({"shown": row.with_columns({"user": np.array([8])})}, now=NOW)
        connection = __import__("sqlite3").connect(home.folder / "log.db")
        connection.execute("UPDATE batches SET hashes = ? WHERE first = (SELECT max(first) FROM batches)", (b"x" * 32,))
        connection.execute("UPDATE batches SET stop = stop + 1 WHERE first = (SELECT max(first) FROM batches)")
        connection.commit()
        connection.close()
    checked = verify(home, SYSTEM, Path(made.file), at=NOW)
    assert not checked.confirmed and checked.scanned.found, checked


def test_a_certificate_that_was_changed_is_not_confirmed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made = forget(home, SYSTEM, "user:7", clock=lambda: NOW)
    path = Path(made.file)
    body = json.loads(path.read_text())
    body["log"]["events"] += 1
    path.write_text(json.dumps(body))
    assert "signature" in verify(home, SYSTEM, path, at=NOW).problems[0]
    (home.folder / "other.json").write_text("{}")
    with pytest.raises(InputError, match="is no certificate"):
        verify(home, SYSTEM, home.folder / "other.json", at=NOW)
    monkeypatch.delenv(KEY)
    with pytest.raises(InputError, match="checking a certificate needs a key"):
        verify(home, SYSTEM, path, at=NOW)


def test_what_cannot_be_done_is_said_before_anything_is(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(home)
    for words, said in {
        "user": "a subject is an entity and a key",
        "person:7": "'person' is no entity.*",
        "user:x": "user keys are whole numbers",
    }.items():
        with pytest.raises(InputError, match=said):
            forget(home, SYSTEM, words, clock=lambda: NOW)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        write_json(home.folder / "service.json", {"url": url, "pid": 1})
        with pytest.raises(ServiceError, match="stop the service first"):
            forget(home, SYSTEM, "user:7", clock=lambda: NOW)
    (home.folder / "service.json").unlink()
    with home.log(), pytest.raises(ServiceError, match=r"has .*log.db open.*stop the service"):
        forget(home, SYSTEM, "user:7", clock=lambda: NOW)
    monkeypatch.delenv(KEY)
    with pytest.raises(InputError, match="erasing somebody needs a key"):
        forget(home, SYSTEM, "user:7", clock=lambda: NOW)
    assert {s: len(t) for s, t in everything(home).items()} == {s: len(t) for s, t in before.items()}
    monkeypatch.setenv(KEY, SECRET)
    forget(home, SYSTEM, "user:7", clock=lambda: NOW)
    monkeypatch.setenv(KEY, "another key, just as long")
    with pytest.raises(InputError, match="not the key that somebody was erased with"):
        forget(home, SYSTEM, "user:8", clock=lambda: NOW)


def killed(root: Path, step: int, subject: str = "user:7") -> tuple[int, str]:
    command = [sys.executable, "-c", CHILD, str(root), str(step), subject]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, done.stdout.strip()


@pytest.mark.slow
def test_killed_at_each_step_it_is_finished_by_whoever_comes_next(filled: Path, tmp_path: Path) -> None:
    steps = []
    for step in range(40):
        root = Path(shutil.copytree(filled, tmp_path / str(step)))
        home = current_home(root)
        before = everything(home)
        code, what = killed(root, step)
        if code == 0:
            break
        steps.append(what)
        with pytest.raises(LogError, match="run `sixfold forget` to finish it"):
            home.log()
        made: Certificate | None = (
            resume(home, SYSTEM) if step % 2 else forget(home, SYSTEM, "user:7", clock=lambda: NOW)
        )
        assert made is not None and made.clean, what
        assert made.body["found"]["events"]["user_meta"] == 1, what
        assert made.body["found"]["rows in quarantine"] == 2, what
        assert not bytes_left(home, before, 7), what
        left = others(before, "user", 7)
        left.pop("retraction")
        after = everything(home)
        assert {stream: [repr(row) for row in after[stream].rows()] for stream in left} == left, what
        with home.log() as log:
            assert len(erasures(log)) == 1, what
        assert verify(home, SYSTEM, Path(made.file), at=NOW).confirmed, what
        shutil.rmtree(root)
    assert code == 0 and len(steps) > 10, steps


def test_one_that_was_cut_short_is_finished_before_the_next(home: Home) -> None:
    code, what = killed(home.folder.parent, 6)
    assert code == -signal.SIGKILL and what
    made = forget(home, SYSTEM, "user:8", clock=lambda: NOW)
    assert made.clean and len(list(home.certificates.iterdir())) == 2
    after = everything(home)
    assert not np.isin(after["user_meta"]["user"], [7, 8]).any()
    assert resume(home, SYSTEM) is None


def test_who_is_named_in_the_context_of_others_decisions_goes_from_it() -> None:
    fraud = load_system("fraud")
    names = Pseudonyms(SECRET.encode())
    sought = Sought.of("terminal", names.of("terminal", 3), names, (), is_item=False)
    rows = []
    for terminal in (3, 4):
        request = {"subject": 7, "id": "d", "context": {"terminal": terminal, "amount": 12.5}, "n": 1, "at": 1}
        rows.append([f"d{terminal}", json.dumps(request), '{"items":[]}', '{"features":{}}'])
    texts = zip(("id", "request", "response", "record"), zip(*rows, strict=True), strict=True)
    columns = {name: column(list(values), str) for name, values in texts}
    log = MemoryLog()
    log.append({"decision": Table({**columns, "at": np.array([1, 1]), "customer": np.array([7, 7])})}, now=1)
    found = survey(log, fraud, sought, progress=lambda what, share: None)
    assert not found.offsets
    (row,) = found.replaced()["decision"].rows()
    assert row["offset"] == 0 and json.loads(row["request"])["context"] == {"amount": 12.5}
    assert json.loads(row["record"]) == {"erased": True}


@pytest.mark.slow
@pytest.mark.parametrize("name", system_names())
def test_anybody_of_any_system_can_be_forgotten(name: str, tmp_path: Path) -> None:
    system = load_system(name)
    home = open_home(tmp_path, name, "tiny")
    ingest(home, system, tiny_world(system))
    for entity in {key.name for stream in system.streams for key in stream.keys}:
        key = next(table[entity][0] for table in everything(home).values() if entity in table)
        made = forget(home, system, f"{entity}:{key}", clock=lambda: NOW)
        assert sum(made.body["found"]["events"].values()) and verify(home, system, Path(made.file), at=NOW).confirmed
        assert not any((table[entity] == key).any() for table in everything(home).values() if entity in table)


def test_records_are_json_still(home: Home) -> None:
    forget(home, SYSTEM, "video:5", clock=lambda: NOW)
    table = everything(home)["decision"]
    assert all(msgspec.json.decode(text) for name in ("request", "response", "record") for text in table[name].tolist())
