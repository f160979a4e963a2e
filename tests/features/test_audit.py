"""The audit finds what was planted, and nothing where serving was right."""

import numpy as np
import pytest

from sixfold._core.errors import FeatureError
from sixfold._core.table import Table
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import OnlineFeatures
from sixfold.features.audit import audit
from sixfold.testing.histories import EVERYTHING, Case, between, build, draw


def served() -> tuple[dict[str, Table], Table]:
    case = draw(np.random.default_rng(5), 60, 20)
    history, spine = build(Case(case.facts, tuple(sorted(case.moments, key=lambda moment: moment.seen))))
    online, parts = OnlineFeatures(EVERYTHING, MemoryStore()), []
    for row in spine.rows():
        online.fold(between(history, online.offset, row["offset"]), row["offset"])
        parts.append(online.now(EVERYTHING.names, row, {"video": np.array([row["video"]])}, row["at"]))
    logged = Table.concat(parts)
    return history, Table({name: spine[name] for name in spine} | {name: logged[name] for name in logged})


def test_what_was_served_online_is_what_the_log_says() -> None:
    report = audit(EVERYTHING, *served())
    assert report.compared == 20 * len(EVERYTHING)
    assert report.wrong == 0
    assert [row["name"] for row in report.rows()] == list(EVERYTHING.names)


def test_planted_faults_are_counted_by_kind() -> None:
    history, table = served()
    mean = table["mean_watch_share_by_user_topic_30d"].copy()
    known, unknown = np.flatnonzero(~np.isnan(mean)), np.flatnonzero(np.isnan(mean))
    mean[known[0]], mean[unknown[:2]] = np.nan, 7.0
    total = table["count_watch_by_user_lifetime"] + np.where(np.arange(20) == 4, 2.5, 0)
    planted = table.with_columns({"mean_watch_share_by_user_topic_30d": mean, "count_watch_by_user_lifetime": total})
    found = {feature.name: feature for feature in audit(EVERYTHING, history, planted).features}
    first = found["mean_watch_share_by_user_topic_30d"]
    assert (first.missing, first.extra, first.mismatching) == (1, 2, 0)
    second = found["count_watch_by_user_lifetime"]
    assert (second.missing, second.extra, second.mismatching, second.largest) == (0, 0, 1, 2.5)
    assert sum(feature.wrong for feature in found.values()) == 4


def test_texts_and_sequences_are_compared_too() -> None:
    history, table = served()
    topic, watched = table["topic"].copy(), table["sequence_watch_video_by_user"].copy()
    topic[:] = None
    row = int(np.flatnonzero((watched != -1).all(axis=1))[0])
    watched[row] = watched[row][::-1] + 1
    planted = table.with_columns({"topic": topic, "sequence_watch_video_by_user": watched})
    found = {feature.name: feature for feature in audit(EVERYTHING, history, planted).features}
    assert found["topic"].missing == sum(value is not None for value in table["topic"]) > 0
    assert found["sequence_watch_video_by_user"].mismatching == 1


def test_a_feature_that_was_not_logged_is_missing_and_a_wrong_shape_is_refused() -> None:
    history, table = served()
    names = [name for name in table if name != "count_watch_by_user_lifetime"]
    found = {feature.name: feature for feature in audit(EVERYTHING, history, table.select(names)).features}
    assert found["count_watch_by_user_lifetime"].missing == 20
    with pytest.raises(FeatureError, match="logged with shape"):
        audit(EVERYTHING, history, table.with_columns({"topic": np.zeros((20, 2), object)}))


def test_rows_answered_while_the_store_was_down_are_counted_and_not_compared() -> None:
    history, table = served()
    name = "count_watch_by_user_lifetime"
    down = np.arange(20) < 5
    planted = table.with_columns({name: np.where(down, -1.0, table[name])})
    found = {one.name: one for one in audit(EVERYTHING, history, planted, answered={name: down}).features}
    assert (found[name].compared, found[name].wrong, found[name].answered) == (15, 0, 5)
    assert audit(EVERYTHING, history, planted).wrong == 5


def test_reports_of_pieces_add_up_to_that_of_the_whole() -> None:
    history, table = served()
    planted = table.with_columns({"age_meta": np.where(np.arange(20) % 3 == 0, table["age_meta"] + 1.5, 9.0)})
    whole = audit(EVERYTHING, history, planted)
    parts = audit(EVERYTHING, history, planted.take(slice(7))) + audit(EVERYTHING, history, planted.take(slice(7, 20)))
    assert parts == whole and whole.wrong > 0
