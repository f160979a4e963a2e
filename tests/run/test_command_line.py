"""The command line over a real home: every step alone, what it says when things are wrong, and what it never loses."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from sixfold.run.home import Home, current_home
from sixfold.run.live import running_service

pytestmark = pytest.mark.slow
Sixfold = Callable[..., "subprocess.CompletedProcess[str]"]


def fails(done: "subprocess.CompletedProcess[str]", *words: str, code: int = 1) -> None:
    """It ends with a sentence that has the words, not with a traceback."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def place_of(home: Path) -> Home:
    return current_home(home)


def test_run_reports_every_phase(finished: tuple[Path, str]) -> None:
    home, said = finished
    for part in ("people find videos", "quarantine", "impressions", "recall@100", "static features", "release", "p99"):
        assert part in said
    page = place_of(home).report.read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://127.0.0.1", "").replace("http://www.w3.org", "")


def test_each_step_alone_gives_what_run_gives(finished: tuple[Path, str], sixfold: Sixfold, tmp_path: Path) -> None:
    assert sixfold("ingest", "video", "--data", "shorts-tiny", home=tmp_path).returncode == 0
    for step in ("train", "evaluate", "release"):
        done = sixfold(step, home=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    alone = {path.name for path in place_of(tmp_path).releases.iterdir()}
    assert alone == {path.name for path in place_of(finished[0]).releases.iterdir()}


def test_a_second_run_over_the_first_trains_nothing_again(home: Path, sixfold: Sixfold) -> None:
    done = sixfold("run", "video", "--data", "shorts-tiny", home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "were there already" in done.stdout
    assert "nothing has changed since the last training" in done.stdout
    assert "serves already" in done.stdout


def test_decide_replay_audit_monitor_and_log(home: Path, sixfold: Sixfold, tmp_path: Path) -> None:
    out = tmp_path / "answer.json"
    done = sixfold("decide", "--user", "7", "--n", "5", "--context", "tab=1", "--json", str(out), home=home)
    assert done.returncode == 0, done.stderr
    answer = json.loads(out.read_text())
    assert answer["complete"]
    assert len({item["id"] for item in answer["items"]}) == 5
    again = sixfold("replay", answer["decision"], home=home)
    assert "byte for byte" in again.stdout
    audited = sixfold("audit", home=home)
    assert audited.returncode == 0, audited.stdout
    assert ": 0 differ" in audited.stdout
    assert "psi" in sixfold("monitor", home=home).stdout
    log = sixfold("log", "--json", str(out), home=home)
    assert log.returncode == 0
    view = json.loads(out.read_text())
    assert sum(view["streams"].values()) == view["events"]
    assert sum(view["quarantined"].values()) > 0


def test_rows_in_quarantine_can_be_tried_again(home: Path, sixfold: Sixfold) -> None:
    done = sixfold("ingest", "video", "--quarantined", home=home)
    assert done.returncode == 0, done.stderr
    assert "rows in quarantine" in done.stdout


def test_mistakes_end_in_a_sentence(home: Path, sixfold: Sixfold, tmp_path: Path) -> None:
    fails(sixfold("run", "vidoe", home=tmp_path), "there is no system 'vidoe'", "movies, search, video")
    fails(sixfold("run", "video", "--data", "nowhere", home=tmp_path), "'nowhere'", "kuairand-pure")
    fails(
        sixfold("run", "video", "--data", "kuairand-pure", "--data-home", str(tmp_path), home=tmp_path), "kuairand-pure"
    )
    fails(sixfold("decide", "--user", "7", home=tmp_path / "empty"), "there is no home", "sixfold run")
    fails(sixfold("decide", "--user", "seven", home=home), "whole numbers", "'seven'")
    fails(sixfold("decide", "--user", "7", "--context", "colour=red", home=home), "colour=red", "tab")
    fails(sixfold("replay", "unknown", home=home), "there is no decision 'unknown'")
    fails(sixfold("log", "--stream", "nothing", home=home), "no 'nothing' events")
    fails(sixfold("release", "--promote", "0123456789abcdef", home=home), "there is no release")
    fails(sixfold("release", "--rollback", home=home), "no earlier release")
    fails(sixfold("train", home=tmp_path / "empty"), "there is no home")
    (tmp_path / "file").write_text("")
    fails(sixfold("ingest", "video", "--data", "shorts-tiny", home=tmp_path / "file"), "cannot be written")


def test_steps_out_of_order_say_which_comes_first(sixfold: Sixfold, tmp_path: Path) -> None:
    assert sixfold("ingest", "video", "--data", "shorts-tiny", home=tmp_path).returncode == 0
    fails(sixfold("evaluate", home=tmp_path), "sixfold train")
    fails(sixfold("release", home=tmp_path), "sixfold train")
    fails(sixfold("serve", home=tmp_path), "nothing has been released")
    fails(sixfold("decide", "--user", "1", home=tmp_path), "nothing has been released")
    fails(sixfold("monitor", home=tmp_path), "nothing has been released")


def test_a_corrupt_release_does_not_serve(home: Path, sixfold: Sixfold) -> None:
    place = place_of(home)
    release = next(place.releases.glob("[!.]*"))
    (release / "fallback.npz").write_bytes(b"damaged")
    fails(sixfold("decide", "--user", "7", home=home), "damaged", "fallback.npz")


def test_a_port_in_use_is_named(home: Path, sixfold: Sixfold) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        fails(sixfold("serve", "--port", port, home=home), port, "--port")


def test_ctrl_c_in_the_middle_loses_nothing(sixfold: Sixfold, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "sixfold", "run", "video", "--data", "shorts-tiny", "--home", str(tmp_path)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/candidate.new")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopped; run the same command again" in said
    assert "Traceback" not in said
    assert sixfold("train", home=tmp_path).returncode == 0


def test_the_service_process_has_no_torch(home: Path) -> None:
    place = place_of(home)
    with running_service(place, home) as url:
        assert httpx.get(f"{url}/readyz").status_code == 200
        pid = json.loads((place.folder / "service.json").read_text())["pid"]
        httpx.post(f"{url}/v1/decide", json={"user": 7}).raise_for_status()
        loaded = Path(f"/proc/{pid}/maps")
        if loaded.exists():
            assert "libtorch" not in loaded.read_text()


def test_kill_9_under_load_loses_nothing_acknowledged(home: Path) -> None:
    place = place_of(home)
    answers: list[bytes] = []
    accepted: list[str] = []
    with running_service(place, home) as url:
        pid = json.loads((place.folder / "service.json").read_text())["pid"]
        with httpx.Client(base_url=url, timeout=10) as client:
            for i in range(60):
                answer = client.post("/v1/decide", json={"user": i, "id": f"kill-{i}"}).raise_for_status()
                answers.append(answer.content)
                slate = answer.json()["items"]
                row = {"stream": "shown", "id": f"kill-{i}", "at": answer.json()["at"], "user": i, "position": 0}
                posted = client.post("/v1/events", json=[{**row, "video": slate[0]["id"], "decision": f"kill-{i}"}])
                assert posted.json()["accepted"] == 1, posted.text
                accepted.append(f"kill-{i}")
        os.kill(pid, signal.SIGKILL)
    with place.log() as log:
        logged = log.read(0, log.end()[0], ["shown", "decision"])
    for name in accepted:
        assert logged["shown"]["id"].tolist().count(name) == 1
        assert logged["decision"]["id"].tolist().count(name) == 1
    with running_service(place, home) as url, httpx.Client(base_url=url, timeout=60) as client:
        for i in (0, 30, 59):
            assert client.post(f"/v1/decisions/kill-{i}/replay").json() == {
                "decision": f"kill-{i}",
                "same": True,
                "expected": None,
                "got": None,
            }
            assert client.post("/v1/decide", json={"user": i, "id": f"kill-{i}"}).content == answers[i]


def test_a_decision_is_explained_as_of_its_own_moment(home: Path, sixfold: Sixfold, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert sixfold("decide", "--user", "7", "--context", "tab=1", "--json", str(out), home=home).returncode == 0
    answer = json.loads(out.read_text())
    words = ("features", "video", "--explain", f"decision={answer['decision']}", f"video={answer['items'][0]['id']}")
    done = sixfold(*words, "--json", str(out), home=home)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["moment"]["offset"] == answer["as_of"] and found["moment"]["at"] == answer["at"]
    assert {one["name"]: one["value"] for one in found["features"]}["tab"] == "1"
    fails(sixfold("features", "video", "--explain", "decision=unknown", home=home), "there is no decision")


def test_an_audit_covers_any_time_range_on_any_engine(home: Path, sixfold: Sixfold, tmp_path: Path) -> None:
    out = tmp_path / "audit.json"
    for words in ((), ("--last", "10"), ("--from", "2026-03-01"), ("--last", "10", "--engine", "duckdb")):
        done = sixfold("audit", *words, "--json", str(out), home=home)
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(out.read_text())
        assert report["decisions"] == 10 if "--last" in words else report["decisions"] > 300
        assert report["skipped"] == 0
        assert all(one["missing"] == one["extra"] == one["mismatching"] == 0 for one in report["features"])
    fails(sixfold("audit", "--to", "2026-03-01", home=home), "no ranked decisions")
    fails(sixfold("audit", "--from", "2026-03-02", "--to", "2026-03-01", home=home), "--from before --to")
    fails(sixfold("audit", "--engine", "oracle", home=home), "there is no engine 'oracle'")
