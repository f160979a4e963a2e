"""Online features: folds, reads, known keys, snapshots."""

from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import FeatureError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY, HOUR, MINUTE
from sixfold.data.events import Events
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import FeatureSet, OnlineFeatures, age, as_of, attribute, computed, count, mean, request, sequence
from sixfold.frame import Entity
from sixfold.testing.histories import EVERYTHING, between, build, draw

user, video = Entity("user"), Entity("video")
meta = Events("meta", keys=(video,), fields={"topic": str})
watch = Events("watch", keys=(user, video), fields={"share": float})


def table(offsets: list[int], at: list[int], **columns: list[object]) -> Table:
    kinds = {"user": int, "video": int, "share": float, "topic": str}
    made = {name: column(values, kinds[name]) for name, values in columns.items()}
    return Table({"offset": column(offsets, int), "at": column(at, int), "arrived": column(at, int), **made})


def opened(*features: object) -> OnlineFeatures:
    return OnlineFeatures(FeatureSet(*features), MemoryStore())


HISTORY = {
    "meta": table([0, 1, 4], [DAY, DAY, DAY + HOUR], video=[5, 6, 5], topic=["cats", "dogs", "cars"]),
    "watch": table(
        [2, 3, 5], [DAY, DAY + MINUTE, DAY + 2 * HOUR], user=[1, 1, 1], video=[5, 6, 5], share=[0.5, 1.0, 0.25]
    ),
}


def test_candidates_and_the_request_are_read_together() -> None:
    seen = count(watch, by=user, over="1d")
    online = opened(
        seen,
        count(watch, by=(user, meta.topic), over="1d"),
        attribute(meta.topic),
        request("tab", str),
        computed("double", seen * 2 + count(watch, by=video, over="lifetime")),
        sequence(watch, by=user, of=video, last=2),
    )
    online.fold(HISTORY, 6)
    found = online.now(
        online.features.names, {"user": 1, "tab": "home"}, {"video": np.array([5, 6, 7])}, DAY + 2 * HOUR
    )
    assert found["count_watch_by_user_1d"].tolist() == [3, 3, 3]
    assert found["count_watch_by_user_topic_1d"].tolist() == [1, 1, 0]
    assert found["topic"].tolist() == ["cars", "dogs", None]
    assert found["tab"].tolist() == ["home"] * 3
    assert found["double"].tolist() == [8, 7, 6]
    assert found["sequence_watch_video_by_user"].tolist() == [[6, 5]] * 3


def test_a_topic_that_changes_within_one_fold_counts_for_the_events_after_it() -> None:
    features = FeatureSet(count(watch, by=meta.topic, over="lifetime"))
    online = OnlineFeatures(features, MemoryStore())
    online.fold(HISTORY, 6)
    assert online.now(features.names, {"video": 5}, {}, 2 * DAY)["count_watch_by_topic_lifetime"].tolist() == [1]
    spine = Table({"video": np.array([5, 6]), "at": np.full(2, 2 * DAY), "offset": np.array([4, 6])})
    assert as_of(features, HISTORY, spine)["count_watch_by_topic_lifetime"].tolist() == [1, 1]


def test_known_keys_come_in_order_of_their_first_event_however_the_log_is_cut() -> None:
    views = count(watch, by=video, over="1h")
    whole, cut = opened(views, age(meta)), opened(views, age(meta))
    whole.fold(HISTORY, 6)
    for stop in range(1, 7):
        cut.fold(between(HISTORY, stop - 1, stop), stop)
    for online in (whole, cut):
        keys, values = online.known("count_watch_by_video_1h", DAY + 2 * HOUR)
        assert (keys.tolist(), values.tolist()) == ([5, 6], [1, 0])
        keys, values = online.known("age_meta", DAY + 2 * HOUR)
        assert (keys.tolist(), values.tolist()) == ([5, 6], [3600, 7200])


def test_known_follows_new_events_and_the_moving_window() -> None:
    online = opened(count(watch, by=video, over="1h"))
    assert online.known("count_watch_by_video_1h", DAY)[0].tolist() == []
    online.fold(between(HISTORY, 0, 3), 3)
    assert online.known("count_watch_by_video_1h", DAY)[1].tolist() == [1]
    online.fold(between(HISTORY, 3, 4), 4)
    assert online.known("count_watch_by_video_1h", DAY)[1].tolist() == [1, 1]
    assert online.known("count_watch_by_video_1h", DAY + 2 * HOUR)[1].tolist() == [0, 0]


def test_known_needs_a_feature_of_one_entity() -> None:
    online = opened(count(watch, by=(user, video), over="1h"), count(watch, by=meta.topic, over="1h"))
    for name in online.features.names:
        with pytest.raises(FeatureError, match="not keyed by one entity"):
            online.known(name, DAY)
    with pytest.raises(FeatureError, match="no features"):
        online.known("nothing", DAY)


def test_events_out_of_turn_are_refused_before_any_effect() -> None:
    online = opened(count(watch, by=user, over="1d"))
    online.fold(between(HISTORY, 0, 4), 4)
    with pytest.raises(FeatureError, match="expected events of 'watch' with 4 <= offset < 6, found 2 to 5"):
        online.fold(HISTORY, 6)
    assert online.offset == 4
    assert online.now(online.features.names, {"user": 1}, {}, DAY)["count_watch_by_user_1d"].tolist() == [2]


def test_a_moment_whose_tiles_are_forgotten_is_refused_not_guessed() -> None:
    online = opened(count(watch, by=user, over=("1h", "7d")), count(watch, by=user, over="lifetime"))
    online.fold(HISTORY, 6)
    names = ("count_watch_by_user_1h",)
    assert online.now(names, {"user": 1}, {}, DAY + HOUR + MINUTE)[names[0]].tolist() == [3]
    with pytest.raises(FeatureError, match="cannot be read as of"):
        online.now(names, {"user": 1}, {}, DAY + HOUR - 1)
    assert online.now(("count_watch_by_user_7d",), {"user": 1}, {}, DAY)["count_watch_by_user_7d"].tolist() == [3]


def test_a_request_without_a_needed_key_or_with_a_wrong_type_is_refused() -> None:
    online = opened(count(watch, by=user, over="1d"), request("tab", str))
    with pytest.raises(FeatureError, match="names no 'user'"):
        online.now(online.features.names, {}, {"video": np.array([1])}, DAY)
    with pytest.raises(FeatureError, match="declared str"):
        online.now(("tab",), {"tab": 3}, {}, DAY)
    assert online.now(online.features.names, {"user": None}, {}, DAY)["count_watch_by_user_1d"].tolist() == [0]


def test_a_snapshot_is_replaced_and_restored_whole(tmp_path: Path) -> None:
    features = FeatureSet(count(watch, by=(user, meta.topic), over="1d"), mean(watch.share, by=video, over="lifetime"))
    online = OnlineFeatures(features, MemoryStore())
    online.fold(between(HISTORY, 0, 3), 3)
    online.snapshot(tmp_path)
    online.fold(between(HISTORY, 3, 5), 5)
    online.snapshot(tmp_path)
    online.snapshot(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["000000000000005"]
    again = OnlineFeatures(features, MemoryStore())
    again.restore(tmp_path)
    assert again.offset == 5
    for each in (online, again):
        each.fold(between(HISTORY, 5, 6), 6)
    read = [
        each.now(features.names, {"user": 1}, {"video": np.array([5, 6])}, 2 * DAY).rows() for each in (online, again)
    ]
    assert read[0] == read[1]
    assert again.known("mean_watch_share_by_video_lifetime", 2 * DAY)[0].tolist() == [5, 6]


def test_a_snapshot_of_another_set_a_missing_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    online = opened(count(watch, by=user, over="1d"))
    with pytest.raises(FeatureError, match="no snapshot"):
        online.restore(tmp_path / "nowhere")
    online.fold(HISTORY, 6)
    online.snapshot(tmp_path)
    with pytest.raises(FeatureError, match="definitions have changed"):
        opened(count(watch, by=user, over="2d")).restore(tmp_path)
    for name in ("state.json", "arrays.npz", "store/state.npz"):
        file = tmp_path / "000000000000006" / name
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(FeatureError, match="damaged"):
            opened(count(watch, by=user, over="1d")).restore(tmp_path)
        file.write_bytes(whole)
    online.restore(tmp_path)
    assert online.offset == 6


def test_no_candidates_give_no_rows() -> None:
    features = FeatureSet(EVERYTHING)
    online = OnlineFeatures(features, MemoryStore())
    table = online.now(features.names, {"user": 1, "term": "a", "tab": "a"}, {"video": np.empty(0, np.int64)}, DAY)
    assert len(table) == 0
    assert all(len(column) == 0 for column in table.values())


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_large_folds_are_cut_without_a_trace(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    history, _ = build(draw(np.random.default_rng(3), 200, 1))
    end = max(int(part["offset"][-1]) for part in history.values()) + 1
    whole, cut = (OnlineFeatures(EVERYTHING, MemoryStore()) for _ in range(2))
    whole.fold(history, end)
    monkeypatch.setattr("sixfold.features.online._CHUNK", size)
    cut.fold(history, end)
    at = int(max(part["arrived"][-1] for part in history.values()))
    asked = {"user": 1, "term": "a"}, {"video": np.arange(4)}, at
    assert repr(whole.now(EVERYTHING.names, *asked).rows()) == repr(cut.now(EVERYTHING.names, *asked).rows())
