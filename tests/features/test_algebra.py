"""The algebra: lanes merge in any order and grouping, and say the same as plain arithmetic."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold import features as f
from sixfold._core.errors import DefinitionError
from sixfold.data.events import Events
from sixfold.features import FeatureSet
from sixfold.features.algebra import Lane, finalize, fixed, lanes_of, order_image, order_value, prepare
from sixfold.features.definitions import Aggregate
from sixfold.features.store import NEUTRAL
from sixfold.frame import Entity

user = Entity("user")
watch = Events("watch", keys=(user,), fields={"share": float, "stars": int, "tab": str})
FLOATS = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=12)
KINDS = (f.sum, f.mean, f.min, f.max)


def merged(lane: Lane, values: np.ndarray) -> np.ndarray:
    """All contributions merged into one."""
    merge = np.add if lane.adds else np.maximum
    return np.array([merge.reduce(values, initial=lane.neutral)])


@given(FLOATS, st.integers(0, 12), st.randoms(use_true_random=False))
def test_merging_in_any_order_and_grouping_is_the_same(values: list[float], cut: int, random: object) -> None:
    column = np.array(values, np.float64)
    shuffled = column.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for feature in (kind(watch.share, by=user, over="1h") for kind in KINDS):
        for lane in lanes_of(feature):
            parts = prepare(lane, column, len(column))
            halves = np.concatenate([merged(lane, parts[:cut]), merged(lane, parts[cut:])])
            assert merged(lane, parts) == merged(lane, halves)
            assert merged(lane, parts) == merged(lane, prepare(lane, shuffled, len(column)))


@given(FLOATS)
def test_taking_an_event_away_undoes_adding_it(values: list[float]) -> None:
    column = np.array([*values, 0.3])
    parts = fixed(column)
    assert parts.sum() - parts[-1] == parts[:-1].sum()


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_the_image_of_floats_keeps_their_order_and_comes_back(values: list[float]) -> None:
    column = np.array(values) + 0.0
    image = order_image(column)
    assert np.array_equal(column[np.argsort(image, kind="stable")], np.sort(column))
    assert np.array_equal(order_value(image), column)
    assert NEUTRAL not in image
    assert np.isnan(order_value(np.array([NEUTRAL, ~NEUTRAL]))).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_fixed_point_is_as_near_as_it_says(values: list[float]) -> None:
    feature = f.mean(watch.share, by=user, over="1h")
    lanes = [merged(lane, prepare(lane, np.array(values), len(values))) for lane in lanes_of(feature)]
    assert finalize(feature, lanes)[0] == pytest.approx(math.fsum(values) / len(values), abs=2.0**-21 + 1e-9)


def test_values_of_nothing() -> None:
    def empty(feature: Aggregate) -> float:
        return float(finalize(feature, [np.array([lane.neutral]) for lane in lanes_of(feature)])[0])

    assert empty(f.count(watch, by=user, over="1h")) == 0
    assert empty(f.sum(watch.share, by=user, over="1h")) == 0
    assert empty(f.rate(watch.share > 0, by=user, over="1h", prior=(1, 4))) == 0.25
    assert np.isnan(empty(f.rate(watch.share > 0, by=user, over="1h")))
    for kind in (f.mean, f.min, f.max):
        assert np.isnan(empty(kind(watch.share, by=user, over="1h")))


def test_sums_wrap_at_64_bits_and_say_so_by_agreeing() -> None:
    assert fixed(np.array([2**63 - 1, 1])).sum() == -(2**63)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: f.sum(watch.tab, by=user, over="1h"), "is text"),
        (lambda: f.count(watch, by=user, over="1h", where=watch.share), "must be boolean"),
        (lambda: f.rate(watch.share, by=user, over="1h"), "boolean"),
        (lambda: f.computed("x", f.sequence(watch, by=user, of=watch.share, last=3) + 1), "one number per row"),
        (lambda: f.sequence(watch, by=user, of=Events("o", keys=(user,), fields={"a": int}).a, last=3), "not a field"),
        (lambda: FeatureSet(f.attribute(watch.share), f.attribute(watch.share)), "two features are called"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_defined(make: object, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()  # type: ignore[operator]
