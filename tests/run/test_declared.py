"""A system takes what it declares of a source, and no more."""

from dataclasses import replace
from pathlib import Path

import pytest

from sixfold._core.errors import InputError
from sixfold.data import Events
from sixfold.features import FeatureSet, count
from sixfold.run.home import open_home
from sixfold.run.ingest import ingest
from sixfold.system import System, load_system
from sixfold.worlds.shorts import Shorts, ShortsConfig

WORLD = ShortsConfig(users=20, videos=20, requests=40)


def frugal(system: System, watch: Events) -> System:
    """The video system with one feature, over `watch`, and no user attributes."""
    return replace(system, features=FeatureSet(count(watch, by=system.problem.task.per, over="1d")))


def test_streams_and_columns_that_are_not_declared_are_left_out(tmp_path: Path) -> None:
    system = load_system("video")
    system = frugal(system, system.labels[0].outcome)
    home = open_home(tmp_path, "video", "shorts")
    assert "user_meta" not in [stream.name for stream in system.streams]
    found = ingest(home, system, Shorts(WORLD))
    assert "user_meta" not in found.by_stream and found.by_stream["watch"] > 0


def test_a_declared_column_that_the_source_lacks_is_refused_by_name(tmp_path: Path) -> None:
    system = load_system("video")
    task = system.problem.task
    mood = Events("video_meta", keys=(task.item,), fields={"mood": float})
    features = FeatureSet(count(mood, by=task.item, over="1d"))
    stages = replace(
        system.pipeline, sources=system.pipeline.sources[:1], select=replace(system.pipeline.select, cap=None)
    )
    odd = replace(system, features=features, pipeline=stages, contracts=())
    with pytest.raises(InputError, match="no column 'mood'; the table has"):
        ingest(open_home(tmp_path, "video", "shorts"), odd, Shorts(WORLD))
