"""The service as a process: how it starts, ends, and comes back after being killed."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sixfold._core.times import system_clock
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.serve.decision import replay
from sixfold.testing.small_service import SmallSystem, state_of


@contextmanager
def process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    (folder / "url").unlink(missing_ok=True)
    command = [sys.executable, "-m", "sixfold.testing.small_service", str(folder), "0"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(600):
            if (folder / "url").exists() and (url := (folder / "url").read_text()):
                break
            assert running.poll() is None, running.communicate()[1]
            time.sleep(0.05)
        yield running, url
    finally:
        running.kill()
        running.wait()
        assert running.stderr is not None
        running.stderr.close()


def test_a_stop_that_was_asked_for_ends_with_code_0(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with process(tmp_path) as (running, url):
            assert httpx.get(f"{url}/readyz").status_code == 200
            running.send_signal(number)
            assert running.wait(timeout=20) == 0
            assert "Traceback" not in running.communicate()[1]


def test_serving_imports_no_torch() -> None:
    code = (
        "import sys, sixfold.serve.server, sixfold.models.registry, sixfold.engines.sqlite.log\n"
        "print(sorted({'torch', 'catboost', 'matplotlib', 'pandas'} & {name.split('.')[0] for name in sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


class Visitor(threading.Thread):
    """Asks for decisions and reports watching, until the service is gone; remembers what was acknowledged."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__()
        self.url, self.number = url, number
        self.decisions: dict[str, bytes] = {}
        self.events: set[str] = set()
        self.tried: set[str] = set()

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=10) as client:
            for turn in range(100_000):
                try:
                    self.visit(client, turn)
                except httpx.HTTPError:
                    return

    def visit(self, client: httpx.Client, turn: int) -> None:
        user = self.number * 1000 + turn % 7
        answer = client.post("/v1/decide", json={"user": user, "n": 5, "context": {"tab": "1"}})
        assert answer.status_code == 200, answer.text
        decision = answer.json()
        self.decisions[decision["decision"]] = answer.content
        base = {"at": system_clock(), "user": user}
        rows: list[dict[str, object]] = []
        for item in decision["items"]:
            event = f"{decision['decision']}-{item['id']}"
            key = {**base, "id": event, "video": item["id"]}
            rows.append({"stream": "shown", **key, "tab": "1", "decision": decision["decision"]})
            rows.append({"stream": "watch", **key, "share": 0.5, "long": item["position"] % 2 == 0})
        self.tried |= {str(row["id"]) for row in rows}
        posted = client.post("/v1/events", json=rows)
        assert posted.json()["quarantined"] == 0, posted.text
        self.events |= {str(row["id"]) for row in rows}


@pytest.mark.slow
def test_after_kill_9_nothing_is_lost_counted_twice_or_decided_differently(tmp_path: Path) -> None:
    decisions: dict[str, bytes] = {}
    events: set[str] = set()
    tried: set[str] = set()
    for _ in range(3):
        with process(tmp_path) as (running, url):
            visitors = [Visitor(url, number) for number in range(4)]
            for visitor in visitors:
                visitor.start()
            time.sleep(3)
            running.kill()
            for visitor in visitors:
                visitor.join()
                decisions |= visitor.decisions
                events |= visitor.events
                tried |= visitor.tried
    assert len(decisions) > 100 and len(events) > 500
    system = SmallSystem()
    with process(tmp_path) as (_, url), SqliteLog(tmp_path / "log.db") as log, httpx.Client(base_url=url) as client:
        end, _ = log.end()
        history = log.read(0, end)
        for stream in ("shown", "watch"):
            logged = [name for name in history[stream]["id"].tolist() if "-" in name]
            assert len(logged) == len(set(logged)) and events <= set(logged) <= tried
        answers = dict(zip(history["decision"]["id"].tolist(), history["decision"]["response"].tolist(), strict=True))
        assert all(answers[name].encode() == answer for name, answer in decisions.items())
        assert client.get("/readyz").json()["offset"] == end
        count = state_of(system, log).now(["count_watch_by_user_7d"], {"user": 1001}, {}, system_clock())
        watched = history["watch"]
        assert count["count_watch_by_user_7d"][0] == (watched["user"] == 1001).sum()
        for name in list(decisions)[:: max(len(decisions) // 60, 1)]:
            row = log.find("decision", name)
            assert row is not None
            result = replay(row, lambda release, offset: system.bind(release, state_of(system, log, offset)))
            assert result.same, (result.expected, result.got)
        sample = next(iter(decisions))
        assert client.post(f"/v1/decisions/{sample}/replay").json() == {
            "decision": sample, "same": True, "expected": None, "got": None
        }  # fmt: skip
        again = json.loads(decisions[sample])
        body = {"user": again["subject"], "n": 5, "context": {"tab": "1"}, "id": sample}
        assert client.post("/v1/decide", json=body).content == decisions[sample]
