"""The service over HTTP: a real server on a free port, a real log, real features."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from sixfold._core.errors import OverloadedError, ServiceError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY, ManualClock
from sixfold.data.log import Log
from sixfold.engines.memory.log import MemoryLog
from sixfold.engines.memory.quarantine import MemoryQuarantine
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.serve.bound import BoundPipeline
from sixfold.serve.server import RunningService
from sixfold.serve.service import Service
from sixfold.testing.small_service import SmallSystem, small_deployment, small_events

NOW = 2 * DAY


def filled(log: Log) -> Log:
    log.append(small_events(SmallSystem()), now=NOW - 1)
    return log


def served(log: Log, releases: tuple[str, ...] = ("a",)) -> RunningService:
    deployment = small_deployment(SmallSystem(), log, MemoryQuarantine(), clock=ManualClock(NOW), releases=releases)
    return RunningService(deployment)


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with served(filled(MemoryLog())) as running, httpx.Client(base_url=running.url, timeout=30) as client:
        yield client


def watched(id_: str, video: int, user: int = 1, **more: object) -> dict[str, object]:
    return {"id": id_, "at": NOW - 1, "user": user, "video": video, "share": 0.9, "long": True, **more}


def decide(http: httpx.Client, **body: object) -> dict:
    answer = http.post("/v1/decide", json={"user": 1, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_decision_is_answered_and_can_be_read_and_replayed(http: httpx.Client) -> None:
    answer = decide(http, n=7, context={"tab": "1", "hour": 9})
    assert answer["complete"] and len(answer["items"]) == 7 and answer["release"] == "a"
    logged = http.get(f"/v1/decisions/{answer['decision']}").json()
    assert logged["response"] == answer
    assert logged["request"]["context"] == {"tab": "1", "hour": 9}
    assert logged["offset"] >= answer["as_of"]
    http.post("/v1/events", json={"stream": "watch", "events": [watched(f"later{i}", i) for i in range(30)]})
    assert http.post(f"/v1/decisions/{answer['decision']}/replay").json()["same"] is True


def test_the_same_id_gets_the_same_answer(http: httpx.Client) -> None:
    first = http.post("/v1/decide", json={"user": 1, "id": "mine", "n": 5})
    http.post("/v1/events", json={"stream": "watch", "events": [watched("between", 3)]})
    assert http.post("/v1/decide", json={"user": 1, "id": "mine", "n": 5}).content == first.content
    other = http.post("/v1/decide", json={"user": 2, "id": "mine", "n": 5})
    assert other.status_code == 409 and "was made for subject 1, not 2" in other.json()["error"]


def test_events_count_in_the_next_decision(http: httpx.Client) -> None:
    before = decide(http, user=77, n=10)
    ids = [item["id"] for item in before["items"]]
    rows = [{"id": f"s{i}", "at": NOW, "user": 77, "video": i, "tab": "1", "decision": before["decision"]} for i in ids]
    verdicts = http.post("/v1/events", json={"stream": "shown", "events": rows}).json()
    assert verdicts["accepted"] == 10
    after = decide(http, user=77, n=10)
    assert after["as_of"] >= before["as_of"] + 10
    assert not set(ids) & {item["id"] for item in after["items"]}


def test_each_event_gets_a_verdict_in_order(http: httpx.Client) -> None:
    rows = [watched("v1", 1), watched("v1", 1), {"id": "v2"}, "not a row", watched("v3", 2, share="much")]
    answer = http.post("/v1/events", json={"stream": "watch", "events": rows}).json()
    assert [v["status"] for v in answer["verdicts"]] == ["accepted", "duplicate"] + ["quarantined"] * 3
    assert (answer["accepted"], answer["duplicates"], answer["quarantined"]) == (1, 1, 3)
    assert "share" in answer["verdicts"][4]["reason"] and answer["verdicts"][0]["id"] == "v1"
    again = http.post("/v1/events", json={"stream": "watch", "events": rows[:1]}).json()
    assert again["duplicates"] == 1


def test_events_of_several_streams_come_in_one_list(http: httpx.Client) -> None:
    rows = [
        {"stream": "video_meta", "id": "mm1", "at": NOW, "video": 900, "topic": "t1"},
        {"stream": "watch", **watched("mm2", 900)},
        {"stream": "video_meta", "id": "mm3", "at": NOW, "video": -1},
    ]
    answer = http.post("/v1/events", json=rows).json()
    assert [v["status"] for v in answer["verdicts"]] == ["accepted", "accepted", "quarantined"]


BAD_EVENTS = {
    b"": "the body is empty",
    b"{": "cannot be used",
    b"\xff\xfe": "cannot be used",
    b"null": "cannot be used",
    b"[1, 2]": "cannot be used",
    b'{"stream": "watch"}': "events",
    b'{"stream": "nope", "events": [{}]}': "there is no stream 'nope'",
    b'{"stream": "watch", "events": {}}': "events",
    b'{"stream": "watch", "events": [], "more": 1}': "more",
    b'[{"id": "x"}]': "names no stream",
    b'[{"stream": 7}]': "names no stream",
    b'{"stream": "watch", "events": ' + b"[" * 100_000: "nested too deeply",
}


@pytest.mark.parametrize("body", BAD_EVENTS, ids=lambda body: repr(body[:40]))
def test_malformed_events_end_in_a_sentence(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/v1/events", content=body)
    assert answer.status_code == 400, answer.text
    assert BAD_EVENTS[body] in answer.json()["error"]


BAD_ASKS = {
    b"": "the body is empty",
    b"[]": "cannot be used",
    b"{}": "user",
    b'{"user": "seven"}': "user",
    b'{"user": -1}': "user",
    b'{"user": 99999999999999999999}': "user",
    b'{"user": 1, "n": 0}': ">= 1",
    b'{"user": 1, "n": 201}': "<= 200",
    b'{"user": 1, "n": 2.5}': "n",
    b'{"user": 1, "contxt": {}}': "contxt",
    b'{"user": 1, "context": {"tab": 1}}': "context 'tab' must be text, found 1",
    b'{"user": 1, "context": {"hour": "noon"}}': "context 'hour' must be a number",
    b'{"user": 1, "context": {"video": 1}}': "names an entity",
    b'{"user": 1, "context": {"x": [1]}}': "context",
    b'{"user": 1, "context": {"x": "' + b"y" * 1100 + b'"}}': "1024",
    b'{"user": 1, "id": "a b"}': "id",
    b'{"user": 1, "context": ' + json.dumps({f"k{i}": 1 for i in range(80)}).encode() + b"}": "64",
}


@pytest.mark.parametrize("body", BAD_ASKS, ids=lambda body: repr(body[:50]))
def test_malformed_requests_end_in_a_sentence(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/v1/decide", content=body)
    assert answer.status_code == 400, answer.text
    assert BAD_ASKS[body] in answer.json()["error"]


def test_what_is_too_large_is_refused(http: httpx.Client) -> None:
    assert http.post("/v1/events", content=b" " * (1 << 20) + b"[]").status_code == 413
    rows = ",".join(['{"stream":"watch"}'] * 10_001)
    answer = http.post("/v1/events", content=f"[{rows}]".encode())
    assert answer.status_code == 413 and "10001 events" in answer.json()["error"]


def test_unknown_paths_and_ids_are_not_found(http: httpx.Client) -> None:
    assert http.get("/v1/decisions/nope").status_code == 404
    assert "no decision 'nope'" in http.post("/v1/decisions/nope/replay").json()["error"]
    assert http.get("/nope").json()["error"] == "Not Found"
    assert http.get("/v1/decide").status_code == 405


def test_operators_find_what_they_look_for(http: httpx.Client) -> None:
    decide(http)
    assert http.get("/healthz").json() == {"status": "ok"}
    ready = http.get("/readyz").json()
    assert ready["ready"] and ready["release"] == "a" and ready["problems"] == []
    text = http.get("/metrics").text
    assert 'sixfold_stage_seconds_bucket{le="0.001",stage="score"}' in text and "sixfold_state_offset" in text
    assert http.get("/").json()["system"] == "small"


def test_the_api_page_needs_no_other_host(http: httpx.Client) -> None:
    page = http.get("/docs").text
    parts = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)""", page)
    assert "/openapi.json" in parts and len(parts) >= 3, parts
    for part in parts:
        assert re.match(r"/(?!/)", part), f"{part} is not of this service"
        assert http.get(part).status_code == 200
    assert set(re.findall(r"\w+://[^\s\"'<]*", page)) == set()


def test_the_openapi_describes_the_hot_routes(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    body = paths["/v1/decide"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["user"] and body["properties"]["user"]["minimum"] == 0
    answer = paths["/v1/decide"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert "items" in answer["properties"]
    assert {"200", "400", "413", "503"} <= set(paths["/v1/events"]["post"]["responses"])


def move(log: Log, release: str, action: str = "promote") -> None:
    row = {"id": f"{action}-{release}-{log.end()[0]}", "release": release, "action": action, "why": "test"}
    log.append({"release": Table({"at": np.array([NOW]), **{k: column([v], str) for k, v in row.items()}})}, now=NOW)


def wait_for(http: httpx.Client, release: str, problem: str = "") -> dict:
    for _ in range(200):
        found = http.get("/readyz").json()
        if found["release"] == release and any(problem in text for text in found["problems"] or [""]):
            return found
        threading.Event().wait(0.02)
    raise AssertionError(found)


def test_releases_swap_under_load_without_a_failed_request(tmp_path: Path) -> None:
    statuses: list[int] = []
    releases: list[str] = []
    stop = threading.Event()
    log = filled(SqliteLog(tmp_path / "log.db"))
    with served(log) as running, httpx.Client(base_url=running.url, timeout=30) as client:

        def load() -> None:
            with httpx.Client(base_url=running.url, timeout=30) as mine:
                while not stop.is_set():
                    answer = mine.post("/v1/decide", json={"user": 1})
                    statuses.append(answer.status_code)
                    releases.append(answer.json()["release"])

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            move(log, "b")
            wait_for(client, "b")
            move(log, "broken")
            assert wait_for(client, "b", "release broken was refused")["ready"]
            move(log, "a", "rollback")
            wait_for(client, "a")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert set(statuses) == {200} and set(releases) == {"a", "b"}


def test_a_service_without_a_release_takes_events_and_says_why_it_does_not_decide() -> None:
    with served(filled(MemoryLog()), releases=("broken",)) as running, httpx.Client(base_url=running.url) as client:
        refused = client.post("/v1/decide", json={"user": 1})
        assert refused.status_code == 503 and "no release" in refused.json()["error"]
        assert refused.headers["retry-after"] == "1"
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        events = client.post("/v1/events", json={"stream": "watch", "events": [watched("w", 1)]})
        assert events.json()["accepted"] == 1


def test_a_refused_first_release_gives_way_to_the_one_before() -> None:
    with served(filled(MemoryLog()), releases=("broken", "b")) as running, httpx.Client(base_url=running.url) as client:
        assert client.post("/v1/decide", json={"user": 1}).json()["release"] == "b"


def test_a_release_that_breaks_in_an_unforeseen_way_is_refused_too(tmp_path: Path) -> None:
    log = filled(SqliteLog(tmp_path / "log.db"))
    deployment = small_deployment(SmallSystem(), log, MemoryQuarantine(), clock=ManualClock(NOW))

    def load(release: str) -> BoundPipeline:
        return deployment.load(release) if release == "a" else Path(tmp_path / "gone").read_text() and None

    with RunningService(replace(deployment, load=load)) as running, httpx.Client(base_url=running.url) as client:
        move(log, "gone")
        assert wait_for(client, "a", "No such file")["ready"]
        assert client.post("/v1/decide", json={"user": 1}).status_code == 200


def test_what_another_process_appends_is_followed(tmp_path: Path) -> None:
    log = filled(SqliteLog(tmp_path / "log.db"))
    with served(log) as running, httpx.Client(base_url=running.url) as client:
        before = client.get("/readyz").json()["offset"]
        with SqliteLog(tmp_path / "log.db") as other:
            move(other, "b")
        wait_for(client, "b")
        assert client.get("/readyz").json()["offset"] == before + 1


def test_a_port_in_use_is_a_clear_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        deployment = small_deployment(SmallSystem(), MemoryLog(), MemoryQuarantine())
        with pytest.raises(ServiceError, match="cannot be listened on: Address already in use"):
            RunningService(deployment, port=taken.getsockname()[1])


def test_too_many_at_once_are_told_to_come_back() -> None:
    async def main() -> None:
        deployment = small_deployment(SmallSystem(), filled(MemoryLog()), MemoryQuarantine())
        service = Service(deployment, most_at_once=3)
        await service.start()
        asked = [service.decide(user, 5, {}, None) for user in range(5)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(answer, OverloadedError) for answer in found] == [False] * 3 + [True] * 2
        await service.stop()

    asyncio.run(main())


def test_the_state_is_saved_at_rest_when_the_service_stops() -> None:
    offsets = []
    log = filled(MemoryLog())
    deployment = small_deployment(SmallSystem(), log, MemoryQuarantine(), clock=ManualClock(NOW))
    deployment = replace(deployment, snapshot=lambda: offsets.append(deployment.features.offset))
    with RunningService(deployment) as running, httpx.Client(base_url=running.url) as client:
        client.post("/v1/events", json={"stream": "watch", "events": [watched("w", 1)]})
    assert offsets == [log.end()[0]]
