"""A service over a log that somebody was erased from: who comes back is refused, and a replay says what happened."""

from pathlib import Path

import httpx
import numpy as np
import pytest

from sixfold._core.times import DAY, HOUR, ManualClock
from sixfold.data.privacy import ERASURE, KEY, Erasure, Pseudonyms
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.engines.sqlite.quarantine import SqliteQuarantine
from sixfold.serve.server import RunningService
from sixfold.testing.small_service import SmallSystem, small_deployment, small_events

SECRET = "a key that only tests know"
NOW = DAY + 12 * HOUR


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)


def erase(log: SqliteLog, user: int) -> None:
    """Take a user's watching out of the log, and say so in it."""
    end, last = log.end()
    watched = log.read(0, end)["watch"]
    gone = watched["offset"][watched["user"] == user]
    names = Pseudonyms(SECRET.encode())
    fact = Erasure(-1, last, "user", names.of("user", user), int(gone[0]), 0, len(gone))
    log.append({ERASURE: fact.row("1", names)}, now=last)
    log.rewrite(gone, {})


def test_a_service_keeps_out_who_was_erased_and_says_what_cannot_be_replayed(tmp_path: Path) -> None:
    system = SmallSystem()
    with SqliteLog(tmp_path / "log.db") as log, SqliteQuarantine(log.path) as quarantine:
        log.append(small_events(system), now=NOW)
        with RunningService(small_deployment(system, log, quarantine, clock=ManualClock(NOW))) as service:
            body = {"user": 3, "id": "before"}
            httpx.post(f"{service.url}/v1/decide", json=body, trust_env=False).raise_for_status()
            before = httpx.post(f"{service.url}/v1/decisions/before/replay", trust_env=False).json()
            assert before == {"decision": "before", "same": True, "expected": None, "got": None}
        watched = log.read(0, log.end()[0])["watch"]["user"]
        erased = int(np.argmax(np.bincount(watched[watched != 3])))
        erase(log, erased)
        with RunningService(small_deployment(system, log, quarantine, clock=ManualClock(NOW + HOUR))) as service:
            client = httpx.Client(base_url=service.url, trust_env=False)
            found = client.post("/v1/decisions/before/replay").json()
            assert not found["same"] and found["rewritten"] is True
            refused = client.post("/v1/decide", json={"user": erased})
            assert refused.status_code == 400 and refused.json()["error"] == "that user was erased"
            rows = [
                {"id": f"new-{u}", "at": NOW, "user": u, "video": 1, "share": 0.5, "long": True} for u in (erased, 3)
            ]
            said = client.post("/v1/events", json={"stream": "watch", "events": rows}).json()
            assert (said["accepted"], said["erased"]) == (1, 1)
            assert [one["status"] for one in said["verdicts"]] == ["erased", "accepted"]
            client.post("/v1/decide", json={"user": 3, "id": "after"}).raise_for_status()
            assert client.post("/v1/decisions/after/replay").json()["same"]
            client.close()
