"""Batch features on histories small enough to check by hand."""

import numpy as np
import pytest

from sixfold._core.errors import FeatureError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY, HOUR, MINUTE
from sixfold.data.events import Events
from sixfold.features import FeatureSet, age, as_of, attribute, computed, count, mean, request, sequence
from sixfold.frame import Entity
from sixfold.testing.compare import differences
from sixfold.testing.histories import EVERYTHING, build, draw

user, video = Entity("user"), Entity("video")
meta = Events("meta", keys=(video,), fields={"topic": str})
watch = Events("watch", keys=(user, video), fields={"share": float})


def watches(*rows: tuple[int, int, int, float]) -> Table:
    offset, at, who, share = zip(*rows, strict=True)
    return Table(
        {
            "offset": column(offset, int),
            "at": column(at, int),
            "arrived": column(at, int),
            "user": column(who, int),
            "video": column([5] * len(rows), int),
            "share": column(share, float),
        }
    )


def spine(*rows: tuple[int, int, int]) -> Table:
    at, offset, who = zip(*rows, strict=True)
    return Table(
        {
            "at": column(at, int),
            "offset": column(offset, int),
            "user": column(who, int),
            "video": column([5] * len(rows), int),
        }
    )


def test_a_row_sees_the_events_before_its_offset_and_the_tail_moves_in_hops() -> None:
    history = {"watch": watches((0, DAY, 1, 0.5), (1, DAY + MINUTE, 1, 1.0), (2, DAY + HOUR, 2, 0.1))}
    asked = spine((DAY + MINUTE, 0, 1), (DAY + MINUTE, 1, 1), (DAY + HOUR, 2, 1), (DAY + HOUR + 5 * MINUTE, 3, 1))
    table = as_of(FeatureSet(count(watch, by=user, over="1h"), mean(watch.share, by=user, over="1d")), history, asked)
    assert table["count_watch_by_user_1h"].tolist() == [0, 1, 2, 0]
    assert np.array_equal(table["mean_watch_share_by_user_1d"], [np.nan, 0.5, 0.75, 0.75], equal_nan=True)


def test_a_late_event_counts_in_the_hop_in_which_it_happened() -> None:
    history = {"watch": watches((0, DAY, 1, 0.5), (1, DAY - 2 * HOUR, 1, 0.5), (2, DAY, 1, 0.5))}
    assert as_of(FeatureSet(count(watch, by=user, over="1h")), history, spine((DAY, 3, 1)))[
        "count_watch_by_user_1h"
    ].tolist() == [2]


def test_sequences_follow_the_time_of_events_and_ties_their_offset() -> None:
    history = {"watch": watches((0, DAY, 1, 0.1), (1, DAY - 1, 1, 0.2), (2, DAY, 1, 0.3))}
    table = as_of(
        FeatureSet(sequence(watch, by=user, of=watch.share, last=2)), history, spine((DAY, 2, 1), (DAY, 3, 1))
    )
    assert table["sequence_watch_share_by_user"].tolist() == [[0.2, 0.1], [0.1, 0.3]]


def test_what_is_not_known_is_missing_and_a_stream_that_is_not_there_is_empty() -> None:
    features = FeatureSet(
        count(watch, by=(user, meta.topic), over="1h"), attribute(meta.topic), age(meta), request("tab", str)
    )
    row = as_of(features, {}, spine((DAY, 0, 1))).row(0)
    assert row["count_watch_by_user_topic_1h"] == 0
    assert row["topic"] is None
    assert np.isnan(row["age_meta"])
    assert row["tab"] is None


def test_an_expression_over_expressions_is_evaluated_once_its_parts_are() -> None:
    seen = count(watch, by=user, over="1h")
    twice = computed("twice", seen * 2)
    table = as_of(
        FeatureSet(computed("four", twice * 2)), {"watch": watches((0, DAY, 1, 0.5))}, spine((DAY, 1, 1), (DAY, 1, 2))
    )
    assert table["four"].tolist() == [4, 0]


def test_a_spine_without_a_needed_column_is_refused() -> None:
    with pytest.raises(FeatureError, match=r"lacks the columns \['user'\]"):
        as_of(FeatureSet(count(watch, by=user, over="1h")), {}, Table({"at": np.array([1]), "offset": np.array([0])}))


def test_threads_change_no_value() -> None:
    rng = np.random.default_rng(8)
    for n_facts in (0, 30, 300):
        history, moments = build(draw(rng, n_facts, 40))
        alone = as_of(EVERYTHING, history, moments)
        assert differences(alone, as_of(EVERYTHING, history, moments, threads=3)) == []
