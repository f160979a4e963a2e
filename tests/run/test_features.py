"""Features on the command line, over a home of a few hundred events."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sixfold.cli import app
from sixfold.features.dataset import open_dataset
from sixfold.run.home import Home, open_home
from sixfold.run.ingest import ingest
from sixfold.system import load_system
from sixfold.worlds.shorts import Shorts, ShortsConfig

WORLD = ShortsConfig(name="shorts", users=30, videos=30, requests=60)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = open_home(tmp_path_factory.mktemp("root"), "video", "shorts")
    home.remember(definition="video")
    ingest(home, load_system("video"), Shorts(WORLD))
    return home


def call(place: Home, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, [*words, "--home", str(place.folder.parent)])
    assert done.exit_code == code, done.output + str(done.exception)
    return " ".join(done.output.split())


def test_a_training_set_is_written_once(place: Home, tmp_path: Path) -> None:
    folder, out = tmp_path / "set", tmp_path / "out.json"
    assert "rows of 88 columns, written in" in call(place, "dataset", str(folder), "--json", str(out))
    stored, said = open_dataset(folder), json.loads(out.read_text())
    assert (said["fingerprint"], said["rows"]) == (stored.fingerprint, stored.rows)
    system = load_system("video")
    (table,) = stored.batches()
    assert set(table) > {*system.features.names, "label_long_view", "weight_watched", "row_user", "row_at"}
    assert "was there already" in call(place, "dataset", str(folder))
    middle = "2026-02-22"
    part = tmp_path / "part"
    call(place, "dataset", str(part), "--from", middle)
    assert 0 < open_dataset(part).rows < stored.rows
    call(place, "dataset", str(part), "--to", middle, code=1)


def test_the_features_of_a_system_are_listed_with_their_lineage(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = CliRunner().invoke(app, ["features", "video", "--json", str(out)])
    assert done.exit_code == 0, done.output
    listed = json.loads(out.read_text())
    assert len(listed["ranker"]) + len(listed["stages"]) == len(load_system("video").online_features)
    lines = {line["name"]: line for line in listed["ranker"]}
    crossed = lines["rate_watch_long_by_user_topic_lifetime"]
    assert (crossed["kind"], crossed["window"]) == ("rate", "lifetime")
    assert crossed["key"] == ["user", "video_meta.topic"] and crossed["streams"] == ["watch", "video_meta"]
    assert "rate_watch_long_by_user_topic_lifetime" in done.output


def test_a_value_is_explained_by_its_events(place: Home, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = ("features", "video", "--explain", "user=7", "video=3", "tab=1", "--json", str(out))
    said = call(place, *words)
    assert "s later" in said and "user=7, video=3, tab=1 at 2026-03-01" in said
    found = {one["name"]: one for one in json.loads(out.read_text())["features"]}
    assert found["count_watch_by_user_7d"]["value"] == found["count_watch_by_user_7d"]["events"]
    assert found["tab"]["value"] == "1"
    call(place, *words, "--at", "2026-02-20", "--only", "count_watch")
    before = json.loads(out.read_text())
    assert {one["name"] for one in before["features"]} >= {"count_watch_by_user_7d"}
    assert all(one["kind"] == "count" for one in before["features"])
    assert before["moment"]["offset"] < 500
    call(place, "features", "video", "--explain", "colour=7", code=1)
    call(place, "features", "video", "--explain", "user=seven", code=1)
    call(place, "features", "video", "user=7", code=1)
