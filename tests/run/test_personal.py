"""What is marked personal is not shown to people: in the log, in explanations, in exports."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sixfold._core.errors import InputError
from sixfold.data.privacy import KEY, MASK
from sixfold.run.exports import export_stream, exports
from sixfold.run.features import explain_features
from sixfold.run.home import Home, open_home
from sixfold.run.ingest import ingest
from sixfold.run.inspect import view_log
from sixfold.system import System, load_system
from sixfold.worlds.shorts import Shorts, ShortsConfig

WORLD = Shorts(ShortsConfig(users=40, videos=30, requests=100))
VIDEO = Path(__file__).parents[2] / "src" / "sixfold" / "systems" / "video.py"


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> System:
    """The video system with a personal attribute and personal user ids."""
    file = tmp_path_factory.mktemp("marked") / "video.py"
    before = VIDEO.read_text()
    after = before.replace('"tenure": str, **segments})', '"tenure": str, **segments}, personal=("user", "activity"))')
    assert before != after
    file.write_text(after)
    return load_system(str(file))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, marked: System) -> Home:
    home = open_home(tmp_path_factory.mktemp("personal"), "video", WORLD.name)
    ingest(home, marked, WORLD)
    return home


def test_marks_are_no_part_of_a_system_s_version(marked: System) -> None:
    assert marked.fingerprint == load_system("video").fingerprint


def test_the_log_is_shown_without_personal_values(home: Home, marked: System) -> None:
    rows = view_log(home, marked, tail=200).tail
    assert {row["user"] for row in rows if "user" in row} == {MASK}
    assert all(isinstance(row["video"], int) for row in rows)
    people = view_log(home, marked, stream="user_meta").tail
    assert {row["activity"] for row in people} == {MASK} and MASK not in {row["tenure"] for row in people}
    plain = view_log(home, load_system("video"), stream="user_meta").tail
    assert MASK not in {row["activity"] for row in plain} and isinstance(plain[0]["user"], int)


def test_explanations_mask_what_came_from_personal_fields(home: Home, marked: System) -> None:
    given = {"user": "3", "video": "5"}
    found = {one.name: one for one in explain_features(home, marked, given).features}
    activity, tenure = found["activity"], found["tenure"]
    assert activity.value == MASK and {event.value for event in activity.newest} == {MASK}
    assert tenure.value != MASK and tenure.key == {"user": MASK}
    assert found["count_watch_by_user_7d"].value != MASK
    plain = explain_features(home, load_system("video"), given)
    assert MASK not in {one.value for one in plain.features if isinstance(one.value, str)}


def test_an_export_has_pseudonyms_that_join(
    home: Home, marked: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    with pytest.raises(InputError, match=f"an export with pseudonyms needs a key, and {KEY} is not set"):
        export_stream(home, marked, "user_meta", tmp_path / "people.parquet")
    monkeypatch.setenv(KEY, "a key that only tests know")
    made = export_stream(home, marked, "user_meta", tmp_path / "people.parquet")
    export_stream(home, marked, "watch", tmp_path / "watches.parquet")
    people, watches = (pq.read_table(tmp_path / f"{name}.parquet").to_pydict() for name in ("people", "watches"))
    assert made.masked == ("user", "activity") and made.rows == len(people["user"]) == len(set(people["user"]))
    assert set(watches["user"]) <= set(people["user"]) and len(people["user"][0]) == 32
    with home.log() as log:
        log_users = log.read(0, log.end()[0], ["watch"])["watch"]["user"]
    assert len(np.unique(log_users)) == len(set(watches["user"]))
    assert [one.kind for one in exports(home)] == ["stream user_meta", "stream watch"]
    with pytest.raises(InputError, match="exists"):
        export_stream(home, marked, "watch", tmp_path / "watches.parquet")
    with pytest.raises(InputError, match="no stream 'nothing'"):
        export_stream(home, marked, "nothing", tmp_path / "new.parquet")
    assert export_stream(home, load_system("video"), "video_meta", tmp_path / "videos.parquet").masked == ()
