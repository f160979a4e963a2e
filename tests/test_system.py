"""A system is checked as a whole: every contradiction at once, each with what to do."""

from dataclasses import replace
from pathlib import Path

import pytest

from sixfold._core.errors import DefinitionError, InputError
from sixfold.data import Events, Label, TimeSplit
from sixfold.features import FeatureSet, count
from sixfold.frame import Entity, Limit, Objective
from sixfold.models import DeepRanker
from sixfold.serve import Score
from sixfold.system import System, load_system, system_names


@pytest.fixture(scope="module")
def video() -> System:
    return load_system("video")


def problems(system: System, **changes: object) -> str:
    with pytest.raises(DefinitionError) as caught:
        replace(system, **changes)  # type: ignore[arg-type]
    return "\n".join(caught.value.problems)


def test_all_shipped_systems_are_sound_and_short() -> None:
    folder = Path(__file__).parents[1] / "src" / "sixfold" / "systems"
    for name in system_names():
        system = load_system(name)
        assert system.name == name
        assert len((folder / f"{name}.py").read_text().splitlines()) <= 100


def test_the_fingerprint_names_the_definition(video: System) -> None:
    assert replace(video).fingerprint == video.fingerprint
    assert replace(video, features=FeatureSet(*list(video.features)[1:])).fingerprint != video.fingerprint
    other = replace(video.pipeline, budget_ms=video.pipeline.budget_ms + 1)
    assert replace(video, pipeline=other).fingerprint != video.fingerprint


def test_a_gap_shorter_than_the_slowest_label_is_refused(video: System) -> None:
    plan = replace(video.plan, split=TimeSplit(train="11d", validate="1d", test="2d", gap="30m"))
    text = problems(video, plan=plan)
    assert "long_view" in text
    assert "make the gap at least 1h" in text


def test_a_limit_that_nobody_measures_is_refused(video: System) -> None:
    problem = replace(video.problem, limits=(Limit("joy", at_least=1),))
    assert "limit 'joy': nobody measures that; measured are" in problems(video, problem=problem)


def test_a_feature_that_a_request_cannot_know_is_refused(video: System) -> None:
    shop = Entity("shop")
    sale = Events("sale", keys=(shop,), fields={"price": float})
    features = FeatureSet(*video.features, count(sale, by=shop, over="1d"))
    assert "keyed by 'shop', which a request cannot know" in problems(video, features=features)


def test_an_outcome_that_nobody_predicts_is_refused(video: System) -> None:
    watch = video.labels[0].outcome
    hated = Label("hated", watch.hated, of=video.spine, within="30m", matures="1h")
    problem = replace(video.problem, objective=Objective({hated: -20.0}))
    assert "the objective values 'hated', which is not among the system's labels" in problems(video, problem=problem)
    scored = replace(video.pipeline, score=Score(DeepRanker(heads=video.labels[:1]), problem.objective))
    text = problems(video, labels=(*video.labels, hated), problem=problem, pipeline=scored)
    assert "'hated', which the ranker does not predict: add it to its heads" in text


def test_every_contradiction_is_reported_at_once(video: System) -> None:
    problem = replace(video.problem, limits=(Limit("joy", at_least=1), Limit("peace", at_least=1)))
    plan = replace(video.plan, split=TimeSplit(train="11d", validate="1d", test="2d", gap="1m"))
    text = problems(video, problem=problem, plan=plan)
    assert "joy" in text
    assert "peace" in text
    assert text.count("the split leaves a gap") == len(video.labels)


def test_two_streams_of_one_name_are_refused(video: System) -> None:
    twin = Events("watch", keys=video.spine.keys, fields={"clicked": bool})
    features = FeatureSet(*video.features, count(twin, by=twin.keys[0], over="1d").named("twin"))
    assert "two different streams are called 'watch'" in problems(video, features=features)


def test_two_features_of_one_name_are_refused(video: System) -> None:
    hidden = next(iter(video.pipeline.features)).name
    features = FeatureSet(*video.features, count(video.spine, by=video.spine.keys[0], over="9d").named(hidden))
    assert f"two different features are called {hidden!r}" in problems(video, features=features)


def test_systems_are_loaded_by_name_or_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"choose one of: .*movies, .*video"):
        load_system("vidoe")
    with pytest.raises(InputError, match="there is no system file"):
        load_system(str(tmp_path / "mine.py"))
    mine = tmp_path / "mine.py"
    mine.write_text("from sixfold.systems.video import system\n")
    assert load_system(str(mine)).name == "video"
    mine.write_text("1 / 0\n")
    with pytest.raises(DefinitionError, match="ZeroDivisionError"):
        load_system(str(mine))
    mine.write_text("x = 1\n")
    with pytest.raises(DefinitionError, match=r"defines no value `system = System\(...\)`"):
        load_system(str(mine))
