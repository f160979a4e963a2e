"""Explanations: the values are those of as_of, and the events shown make them."""

import numpy as np
import pytest

from sixfold._core.errors import FeatureError
from sixfold._core.table import Table
from sixfold.features import FeatureSet, as_of
from sixfold.features.definitions import Aggregate
from sixfold.features.explain import Explained, explain
from sixfold.testing.histories import EVERYTHING, build, draw


def same(a: object, b: object) -> bool:
    """Equal, or missing both."""
    missing = b is None or (isinstance(b, float) and np.isnan(b))
    return missing if a is None else a == b


def explained(seed: int) -> list[tuple[dict[str, object], tuple[Explained, ...], Table]]:
    history, spine = build(draw(np.random.default_rng(seed), 80, 6))
    values = as_of(EVERYTHING, history, spine)
    return [
        (row, explain(EVERYTHING, history, row, newest=100), values.take([i])) for i, row in enumerate(spine.rows())
    ]


@pytest.mark.parametrize("seed", range(6))
def test_values_are_those_of_as_of(seed: int) -> None:
    for _, found, values in explained(seed):
        assert [one.name for one in found] == list(EVERYTHING.names)
        for one in found:
            expected = values[one.name][0]
            if isinstance(expected, np.ndarray):
                assert all(same(a, b) for a, b in zip(one.value, expected.tolist(), strict=True))
            else:
                assert same(one.value, expected), one


@pytest.mark.parametrize("seed", range(6))
def test_the_events_shown_make_the_value(seed: int) -> None:
    counted = 0
    for row, found, _ in explained(seed):
        for one in found:
            feature = EVERYTHING[one.name]
            assert len(one.newest) == one.events <= 100
            assert all(event.offset < row["offset"] for event in one.newest)
            assert sum(event.late for event in one.newest) == one.late
            if isinstance(feature, Aggregate):
                counted += 1
                assert sum(tile.events for tile in one.tiles) == one.events
                if feature.kind == "count":
                    assert one.value == one.events
                if feature.kind in ("min", "max") and one.events:
                    numbers = [float(event.value) for event in one.newest]
                    assert one.value == (min(numbers) if feature.kind == "min" else max(numbers))
                if one.window is not None and one.hop is not None:
                    assert all(one.window[0] <= event.at for event in one.newest)
                    assert one.window[0] % one.hop == 0 and one.window[1] == row["at"]
    assert counted > 20


def test_sequences_and_ages_come_from_their_newest_events() -> None:
    for row, found, _ in explained(1):
        by_name = {one.name: one for one in found}
        watched = by_name["sequence_watch_video_by_user"]
        values = [event.value for event in reversed(watched.newest)]
        assert watched.value == [-1] * (3 - len(values)) + values
        aged = by_name["age_meta"]
        assert (aged.value is None) == (aged.events == 0)
        if aged.newest:
            assert aged.value == (row["at"] - aged.newest[0].at) / 1e6


def test_expressions_show_their_parts() -> None:
    for _, found, _ in explained(2):
        lift = {one.name: one for one in found}["lift"]
        assert [part.kind for part in lift.parts] == ["count", "count"]
        hour, week = (part.value for part in lift.parts)
        assert same(lift.value, hour / week if week else None)


def test_the_key_is_shown_as_known_then() -> None:
    keys = [one.key for _, found, _ in explained(3) for one in found if one.name == "mean_watch_share_by_user_topic_1h"]
    assert all(set(key) == {"user", "meta.topic"} for key in keys)
    assert any(key["meta.topic"] is not None for key in keys)


def test_a_moment_without_a_key_is_refused() -> None:
    history, _ = build(draw(np.random.default_rng(0), 10, 1))
    with pytest.raises(FeatureError, match="names no 'video'"):
        explain(FeatureSet(EVERYTHING["age_meta"]), history, {"user": 1, "at": 0, "offset": 0})


def test_an_answer_by_declaration_is_told() -> None:
    watched = EVERYTHING["count_watch_by_user_7d"].absent(unknown=-1.0, stale=("1d", None))
    history, _ = build(draw(np.random.default_rng(4), 60, 1))
    newest = int(history["watch"]["at"].max())
    row = {"user": 12345, "at": newest, "offset": 60}
    (one,) = explain(FeatureSet(watched), history, row)
    assert (one.value, one.answered, one.events) == (-1.0, "unknown", 0)
    (one,) = explain(FeatureSet(watched), history, {**row, "at": newest + 10**12})
    assert (one.value, one.answered) == (None, "stale")
    (one,) = explain(FeatureSet(watched), history, {**row, "user": history["watch"].row(0)["user"]})
    assert one.value == one.events and one.answered == ""
