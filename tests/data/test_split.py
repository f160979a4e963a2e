"""Splits in time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError
from sixfold._core.times import DAY, HOUR, duration, instant
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.data.split import TimeSplit
from sixfold.frame import Entity

SPLIT = TimeSplit(train="11d", validate="1d", test="2d", gap="1h")


def test_bounds_of_the_protocol_of_kuairand() -> None:
    bounds = SPLIT.bounds(instant("2022-05-08T23:52:10.564+08:00"), 8 * 3600)
    assert bounds.train == (instant("2022-04-25T00:00+08:00"), instant("2022-05-05T23:00+08:00"))
    assert bounds.validate == (instant("2022-05-06T00:00+08:00"), instant("2022-05-06T23:00+08:00"))
    assert bounds.test == (instant("2022-05-07T00:00+08:00"), instant("2022-05-09T00:00+08:00"))


@given(end=st.integers(0, 2**51), offset_h=st.integers(-12, 14), days=st.tuples(*[st.integers(1, 30)] * 3))
def test_spans_are_whole_local_days_in_order(end: int, offset_h: int, days: tuple[int, int, int]) -> None:
    split = TimeSplit(*(f"{n}d" for n in days), gap="90m")
    bounds = split.bounds(end, offset_h * 3600)
    assert abs(bounds.test[1] - end) <= DAY // 2
    assert bounds.train[1] + duration("90m") == bounds.validate[0]
    assert bounds.validate[1] + duration("90m") == bounds.test[0]
    for span, length in zip((bounds.train, bounds.validate, bounds.test), days, strict=True):
        assert (span[0] + offset_h * HOUR) % DAY == 0
        assert 0 <= length * DAY - (span[1] - span[0]) <= duration("90m")


@given(end=st.integers(0, 2**51), days=st.tuples(*[st.integers(3, 30)] * 3))
def test_validate_may_come_first_and_only_the_test_waits_for_labels(end: int, days: tuple[int, int, int]) -> None:
    bounds = TimeSplit(*(f"{n}d" for n in days), gap="2d", newest="train").bounds(end, 0)
    assert bounds.start == bounds.validate[0] < bounds.validate[1] == bounds.train[0]
    assert bounds.train[1] + duration("2d") == bounds.test[0]
    assert bounds.validate[1] - bounds.validate[0] == days[1] * DAY
    assert bounds.train[1] - bounds.train[0] == (days[0] - 2) * DAY


@given(end=st.integers(2**40, 2**51), rest=st.integers(0, 40))
def test_the_rest_is_left_out_at_the_end(end: int, rest: int) -> None:
    settings = {"train": "5d", "validate": "3d", "test": "2d", "gap": "2d"}
    whole, short = TimeSplit(**settings).bounds(end, 3600), TimeSplit(**settings, rest=f"{rest}d").bounds(end, 3600)
    for name in ("train", "validate", "test"):
        first, second = getattr(whole, name), getattr(short, name)
        assert (second[0], second[1]) == (first[0] - rest * DAY, first[1] - rest * DAY)


def test_the_order_is_part_of_the_definition() -> None:
    assert SPLIT.spec() == ["split", "11d", "1d", "2d", "1h"]
    other = TimeSplit(train="11d", validate="1d", test="2d", gap="1h", newest="train")
    assert other.spec() != SPLIT.spec()
    assert TimeSplit(train="11d", validate="1d", test="2d", gap="1h", rest="2d").spec() != SPLIT.spec()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"train": "36h"}, "whole days"),
        ({"test": "0d"}, "at least one"),
        ({"rest": "5h"}, "whole days"),
        ({"gap": "soon"}, "not a duration"),
        ({"gap": "1d"}, "leaves nothing of validate"),
    ],
)
def test_a_split_that_cannot_be_is_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        TimeSplit(**{"train": "11d", "validate": "1d", "test": "2d", "gap": "1h", **settings})


def test_a_gap_shorter_than_a_maturity_is_a_problem() -> None:
    user = Entity("user")
    shown, watch = Events("shown", keys=(user,)), Events("watch", keys=(user,), fields={"long": bool})
    quick = Label("quick", watch.long, of=shown, within="30m", matures="1h")
    slow = Label("slow", watch.long, of=shown, within="30m", matures="2d")
    problems = SPLIT.problems([quick, slow])
    assert len(problems) == 1
    assert "'slow'" in problems[0]
    assert "at least 2d" in problems[0]
