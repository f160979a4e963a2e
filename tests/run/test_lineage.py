"""Lineage of a system: what feeds what, what a change invalidates; a changed feature is never served silently."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sixfold._core.errors import DefinitionError, InputError, ReleaseError
from sixfold.cli import app
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import FeatureSet, OnlineFeatures, count
from sixfold.operate.releases import build_release, open_release
from sixfold.run.home import Home, open_home
from sixfold.run.lineage import Graph, compare_lineage, definitions, trace
from sixfold.run.serve import bind
from sixfold.system import System, load_system
from sixfold.testing.small_service import SmallSystem, video, watch

CHANGED = "count_watch_by_user_1h"
FILE = f"""
from dataclasses import replace
from sixfold.features import FeatureSet, count
from sixfold.systems.video import system as video, user, watch

other = count(watch, by=user, over="2h").named("{CHANGED}")
features = FeatureSet([other if feature.name == other.name else feature for feature in video.features])
system = replace(video, features=features)
"""


@pytest.fixture
def other(tmp_path: Path) -> tuple[str, System]:
    """The video system with one window changed under the same name."""
    path = tmp_path / "other.py"
    path.write_text(FILE)
    return str(path), load_system(str(path))


def released(root: Path, system: System) -> tuple[Home, str]:
    home = open_home(root, system.name, "shorts")
    content = root / "content"
    content.mkdir()
    (content / "blend.json").write_text("{}")
    about = {"system": system.fingerprint, "definitions": definitions(system)}
    return home, build_release(home.releases, content, about).id


def test_everything_hangs_together() -> None:
    graph = Graph(load_system("video"))
    assert all(need in graph.nodes for node in graph.nodes.values() for need in node.needs)
    assert set(graph.downstream(["stream user_meta"])) > {"feature tenure", "model ranker", "stage select"}
    assert "model two_tower" in graph.downstream(["stream video_meta"])
    assert "model ranker" not in graph.downstream(["feature loved"])
    assert set(graph.upstream(["feature loved"])) == {"field watch.long", "stream watch"}
    assert {"label long_view", "stream shown"} <= set(graph.upstream(["model ease"]))


def test_one_thing_is_found_by_name(tmp_path: Path) -> None:
    system = load_system("video")
    home, release = released(tmp_path, system)
    found = trace(system, "watch.share", home=home)
    assert found.upstream == ("stream watch",)
    assert found.downstream[-1] == f"release {release}" and "model ranker" in found.downstream
    with pytest.raises(InputError, match="nothing called 'wach'"):
        trace(system, "wach")


def test_what_a_change_invalidates(tmp_path: Path, other: tuple[str, System]) -> None:
    file, changed = other
    system = load_system("video")
    home, release = released(tmp_path, system)
    for found in (compare_lineage(changed, "video", home=home), compare_lineage(changed, release, home=home)):
        assert [(change.id, change.what) for change in found.changed] == [(f"feature {CHANGED}", "changed")]
        assert set(found.invalid) == {"model ranker", "stage score", "stage select", f"release {release}"}
    assert compare_lineage(system, release, home=home).changed == ()
    assert compare_lineage(system, "video", home=home).invalid == {}
    assert file in compare_lineage(system, file, home=home).before
    with pytest.raises(InputError, match="is not known"):
        compare_lineage(system, "0123456789abcdef", home=home)


def test_fields_and_settings_are_told_from_what_they_feed() -> None:
    system = load_system("video")
    graph = Graph(system)
    ranker = replace(system.pipeline.score.ranker, name="other")
    pipeline = replace(system.pipeline, score=replace(system.pipeline.score, ranker=ranker))
    changed = Graph(replace(system, pipeline=pipeline))
    moved = {id_ for id_, node in changed.nodes.items() if graph.nodes.get(id_) is None}
    assert moved == {"model other"}


def test_a_changed_feature_is_not_served_silently(tmp_path: Path, other: tuple[str, System]) -> None:
    system = load_system("video")
    home, release = released(tmp_path, system)
    state = OnlineFeatures(other[1].online_features, MemoryStore())
    with pytest.raises(ReleaseError, match=rf"feature changed: {CHANGED}@[0-9a-f]+ is now {CHANGED}@[0-9a-f]+"):
        bind(other[1], open_release(home.releases, release), state)


def test_a_pipeline_is_not_bound_to_a_state_of_other_definitions() -> None:
    system = SmallSystem()
    other = count(watch, by=video, over="1d", where=watch.long).named("long_views")
    features = [other if feature.name == other.name else feature for feature in system.online]
    with pytest.raises(DefinitionError, match=r"reads long_views@[0-9a-f]+, but the state has long_views@[0-9a-f]+"):
        system.bind("a", OnlineFeatures(FeatureSet(features), MemoryStore()))
    answering = [feature.absent(unknown=0.0) if feature.name == other.name else feature for feature in system.online]
    with pytest.raises(DefinitionError, match="reads long_views@"):
        system.bind("a", OnlineFeatures(FeatureSet(answering), MemoryStore()))


def test_the_command_shows_it(tmp_path: Path, other: tuple[str, System]) -> None:
    def said(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["lineage", *words, "--home", str(tmp_path)])
        assert done.exit_code == code, done.output + str(done.exception)
        return " ".join(done.output.split())

    assert "model ranker" in said("video") and "feature loved" in said("video")
    assert "feeds into model ranker stage score stage select" in said("video", CHANGED)
    assert f"model ranker feature {CHANGED} changed" in said("video", "--against", other[0])
    assert "nothing changed" in said("video", "--against", "video")
    said("video", "nothing", code=1)
