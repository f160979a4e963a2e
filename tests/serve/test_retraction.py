"""Events are taken back and corrected over HTTP, and what was decided before stays replayable."""

from pathlib import Path

import httpx
import numpy as np

from sixfold._core.times import DAY, ManualClock
from sixfold.engines.memory.store import MemoryStore
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.engines.sqlite.quarantine import SqliteQuarantine
from sixfold.features.online import OnlineFeatures
from sixfold.serve.server import RunningService
from sixfold.testing.small_service import SmallSystem, small_deployment, small_events

NOW = 2 * DAY


def watched(name: str, share: float) -> dict[str, object]:
    return {"id": name, "at": NOW - 1, "user": 1, "video": 3, "share": share, "long": share > 0.6}


def seen(features: OnlineFeatures) -> list[object]:
    names = ["count_watch_by_user_1h", "mean_watch_share_by_user_topic_7d"]
    now = features.now(names, {"user": 1}, {"video": np.array([3])}, NOW)
    return [now[name][0] for name in names]


def test_a_retraction_takes_an_event_out_of_the_state_and_a_correction_replaces_it(tmp_path: Path) -> None:
    with SqliteLog(tmp_path / "log.db") as log, SqliteQuarantine(tmp_path / "log.db") as quarantine:
        log.append(small_events(SmallSystem(), n_watches=30), now=NOW - 1)
        deployment = small_deployment(SmallSystem(), log, quarantine, clock=ManualClock(NOW))
        features = deployment.features
        with RunningService(deployment) as running, httpx.Client(base_url=running.url, timeout=30) as http:

            def send(*rows: dict[str, object]) -> list[dict[str, str]]:
                answer = http.post("/v1/events", json=list(rows))
                assert answer.status_code == 200, answer.text
                return answer.json()["verdicts"]

            taken_back = {"stream": "retraction", "of": "watch", "event": "mine"}
            assert send(taken_back)[0]["status"] == "quarantined"
            before = seen(features)
            send({"stream": "watch", **watched("mine", 0.125)})
            wrong = seen(features)
            decided = http.post("/v1/decide", json={"user": 1, "id": "d"}).json()
            assert send(taken_back, taken_back) == [
                {"status": "accepted", "id": "watch:mine", "reason": ""},
                {"status": "duplicate", "id": "watch:mine", "reason": ""},
            ]
            assert str(seen(features)) == str(before) != str(wrong)
            send({"stream": "watch", **watched("mine2", 0.25)})
            once = seen(features)
            corrected = send({**taken_back, "event": "mine2"}, {"stream": "watch", **watched("mine3", 0.5)})
            assert [verdict["status"] for verdict in corrected] == ["accepted", "accepted"]
            assert seen(features)[0] == once[0]
            assert seen(features) != once
            assert http.post("/v1/decisions/d/replay").json()["same"]
            assert http.post("/v1/decide", json={"user": 1, "id": "d"}).json() == decided
        state = OnlineFeatures(features.features, MemoryStore(), read=log.read)
        end = log.end()[0]
        state.fold(log.read(0, end, state.features.follows), end)
        assert seen(state) == seen(features)
