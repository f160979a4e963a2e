"""What features answer when they cannot be known: the same in batch and online, and taken note of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sixfold._core.errors import DefinitionError, FeatureError
from sixfold._core.table import Array, Table
from sixfold._core.times import HOUR
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import REFUSE, FeatureSet, OnlineFeatures, as_of, computed, count, last, mean, request, sequence
from sixfold.features.freshness import Notes
from sixfold.testing.compare import differences
from sixfold.testing.everything import meta, search, user, video, watch
from sixfold.testing.histories import between, build, draw
from sixfold.testing.servers import has_redis, redis_server

WATCHED = count(watch, by=user, over="7d")
LAST_TAB = last(watch.tab, by=user)
DECLARED = FeatureSet(
    WATCHED.absent(unknown=-1.0),
    LAST_TAB.absent(unknown="nobody", stale=("1h", "old")),
    mean(watch.share, by=(user, meta.topic), over="30d").absent(unknown=0.5, stale=("3d", None)),
    sequence(watch, by=user, of=video, last=3).absent(stale=("6h", None)),
    computed("lift", WATCHED / count(search, by=user, over="7d")).absent(unknown=-2.0, stale=("1d", -3.0)),
    count(watch, by=video, over="1h").absent(unknown=None),
    count(watch, by=video, over="7d"),
    request("tab", str).absent(down=None),
)
PLAIN = FeatureSet(*(type(f)(**{n: getattr(f, n) for n in f.__dataclass_fields__ if n != "absence"}) for f in DECLARED))


def moments(seed: int) -> tuple[dict[str, Table], Table]:
    return build(draw(np.random.default_rng(seed), 60, 12))


@pytest.mark.parametrize("seed", range(8))
def test_both_evaluators_answer_alike(seed: int) -> None:
    history, spine = moments(seed)
    expected = as_of(DECLARED, history, spine)
    for i, row in enumerate(spine.rows()):
        online = OnlineFeatures(DECLARED, MemoryStore())
        online.fold(between(history, 0, row["offset"]), row["offset"])
        keys = {"video": np.array([row["video"]])}
        assert differences(expected.take([i]), online.now(DECLARED.names, row, keys, row["at"])) == []


@pytest.mark.parametrize("seed", range(8))
def test_answers_stand_where_a_plain_scan_says_and_nowhere_else(seed: int) -> None:
    history, spine = moments(seed)
    found, plain = as_of(DECLARED, history, spine), as_of(PLAIN, history, spine)
    tab = LAST_TAB.name
    for i, row in enumerate(spine.rows()):
        events = history.get("watch", Table({}))
        rows = [e for e in events.rows() if e["offset"] < row["offset"]] if events else []
        mine = [e for e in rows if e["user"] == row["user"]]
        assert found[WATCHED.name][i] == (plain[WATCHED.name][i] if mine else -1.0)
        is_old = not rows or row["at"] - max(e["at"] for e in rows) > HOUR
        assert found[tab][i] == ("old" if is_old else plain[tab][i] if mine else "nobody")
    assert differences(plain.select(["count_watch_by_video_7d"]), found.select(["count_watch_by_video_7d"])) == []


def test_answers_are_part_of_the_definition() -> None:
    one = FeatureSet(WATCHED.absent(unknown=0.0))
    assert FeatureSet(WATCHED).fingerprint != one.fingerprint
    assert one.fingerprint != FeatureSet(WATCHED.absent(unknown=None)).fingerprint
    assert one.fingerprint == FeatureSet(WATCHED.named(WATCHED.name).absent(unknown=0.0)).fingerprint


def test_impossible_answers_are_refused_by_name() -> None:
    with pytest.raises(DefinitionError, match="declares nothing"):
        WATCHED.absent()
    with pytest.raises(DefinitionError, match="'count_watch_by_user_7d' is a number"):
        as_of(FeatureSet(WATCHED.absent(unknown="none")), *moments(0))
    with pytest.raises(DefinitionError, match="is text"):
        OnlineFeatures(FeatureSet(LAST_TAB.absent(unknown=1.0)), MemoryStore())
    with pytest.raises(DefinitionError, match="is a sequence"):
        OnlineFeatures(FeatureSet(sequence(watch, by=user, of=video, last=3).absent(unknown=1.0)), MemoryStore())


class Moody(MemoryStore):
    """A store that cannot be read while it is `down`."""

    down = False

    def read(self, group: str, rows: Array, lowest: Any) -> Array:
        if self.down:
            raise ConnectionError("nobody answers")
        return super().read(group, rows, lowest)


ROBUST = FeatureSet(
    WATCHED.absent(down=0.0),
    LAST_TAB.absent(down=None, unknown="nobody"),
    sequence(watch, by=user, of=video, last=2).absent(down=None),
    request("tab", str),
)


def state(features: FeatureSet) -> tuple[OnlineFeatures, Moody, dict[str, Any]]:
    history, spine = moments(5)
    row = spine.rows()[int(np.argmax(spine["offset"]))]
    store = Moody()
    online = OnlineFeatures(features, store)
    online.fold(between(history, 0, row["offset"]), row["offset"])
    return online, store, {**row, "user": history["watch"].row(0)["user"]}


def test_a_store_that_is_down_is_answered_for() -> None:
    online, store, row = state(ROBUST)
    store.down = True
    notes, seen = Notes(), []
    notes.went_down = seen.append
    keys = {"video": np.array([1, 2, 3])}
    found = online.now(ROBUST.names, {**row, "tab": "x"}, keys, row["at"], notes)
    assert found[WATCHED.name].tolist() == [0.0] * 3 and found[LAST_TAB.name].tolist() == [None] * 3
    assert found["sequence_watch_video_by_user"].tolist() == [[-1, -1]] * 3
    assert found["tab"].tolist() == ["x"] * 3
    assert notes.answered == {name: {"down": 3} for name in ROBUST.names if name != "tab"}
    assert [type(error) for error in seen] == [ConnectionError]
    store.down = False
    again = online.now(ROBUST.names, {**row, "tab": "x"}, keys, row["at"], Notes())
    assert again[LAST_TAB.name].tolist() != [None] * 3
    told = online.now(ROBUST.names, {**row, "tab": "x"}, keys, row["at"], Notes(is_down=lambda: True))
    assert differences(found, told) == []


def test_a_store_that_is_down_is_an_error_where_nothing_is_declared() -> None:
    online, store, row = state(FeatureSet(ROBUST, count(watch, by=user, over="1h")))
    store.down = True
    with pytest.raises(FeatureError, match="count_watch_by_user_1h declare no answer"):
        online.now(online.features.names, row, {}, row["at"])
    with pytest.raises(ConnectionError):
        online.now(["count_watch_by_user_1h"], row, {}, row["at"])


def test_a_refusal_is_an_error_online_and_a_missing_value_in_the_past() -> None:
    features = FeatureSet(LAST_TAB.absent(unknown=REFUSE), WATCHED.absent(stale=("1h", REFUSE)))
    online, _, row = state(features)
    with pytest.raises(FeatureError, match="never seen"):
        online.now([LAST_TAB.name], {"user": 999}, {}, row["at"])
    with pytest.raises(FeatureError, match="nothing newer than 1h"):
        online.now([WATCHED.name], row, {}, row["at"] + 500 * HOUR)
    history, _ = moments(5)
    one = {"user": np.array([999]), "at": np.array([row["at"] + 500 * HOUR]), "offset": np.array([row["offset"]])}
    values = as_of(features, history, Table(one))
    assert values[LAST_TAB.name].tolist() == [None] and np.isnan(values[WATCHED.name]).all()


def test_known_keys_of_a_stream_that_is_too_old_are_answered_for() -> None:
    online, _, _ = state(FeatureSet(count(watch, by=video, over="lifetime").absent(stale=("1h", 7.0))))
    (name,) = online.features.names
    newest = int(between(moments(5)[0], 0, online.offset)["watch"]["at"].max())
    fresh, later = newest, newest + 100 * HOUR
    notes = Notes()
    keys, values = online.known(name, later, notes)
    assert len(keys) and set(values.tolist()) == {7.0} and notes.answered == {name: {"stale": len(keys)}}
    before = online.standing(name, fresh)
    assert set(online.known(name, fresh)[1].tolist()) != {7.0} and before != online.standing(name, later)


def test_nothing_more_is_kept_or_read_where_nothing_is_declared() -> None:
    class Counting(MemoryStore):
        shapes: Mapping[str, Any] = {}

        def open(self, shapes: Mapping[str, Any]) -> None:
            self.shapes = shapes
            super().open(shapes)

    plain, declared = Counting(), Counting()
    OnlineFeatures(PLAIN, plain), OnlineFeatures(FeatureSet(*PLAIN), declared)
    assert plain.shapes == declared.shapes
    OnlineFeatures(FeatureSet(*(f.absent(down=0.0) for f in PLAIN if f.name == WATCHED.name)), declared)
    only = Counting()
    OnlineFeatures(FeatureSet(WATCHED), only)
    assert declared.shapes == only.shapes


def test_state_with_answers_survives_a_restart(tmp_path: Path) -> None:
    online, _, row = state(DECLARED)
    keys = {"video": np.array([0, 1, 77])}
    before = online.now(DECLARED.names, row, keys, row["at"])
    online.snapshot(tmp_path)
    again = OnlineFeatures(DECLARED, MemoryStore())
    again.restore(tmp_path)
    assert differences(before, again.now(DECLARED.names, row, keys, row["at"])) == []


@pytest.mark.parametrize("seed", range(3))
def test_the_relational_engine_answers_alike(seed: int) -> None:
    pytest.importorskip("duckdb", reason="the DuckDB engine is an extra")
    from sixfold.engines.relational import DuckDbEngine

    history, spine = moments(seed)
    assert differences(as_of(DECLARED, history, spine), DuckDbEngine().as_of(DECLARED, history, spine)) == []


@pytest.mark.skipif(not has_redis(), reason="redis-server is not installed: apt-get install redis-server")
def test_a_server_that_died_is_answered_for(tmp_path: Path) -> None:
    from sixfold.engines.redis.store import RedisStore

    history, _ = moments(5)
    keys = {"video": np.array([1, 2])}
    with redis_server(tmp_path) as url:
        store = RedisStore(url, cache_bytes=0)
        online = OnlineFeatures(ROBUST, store)
        online.fold(between(history, 0, 60), 60)
        row = {"user": history["watch"].row(0)["user"], "tab": "x"}
        at = int(history["watch"]["arrived"][-1])
    notes, errors = Notes(), []
    notes.went_down = errors.append
    found = online.now(ROBUST.names, row, keys, at, notes)
    assert found[WATCHED.name].tolist() == [0.0, 0.0] and found["tab"].tolist() == ["x", "x"]
    assert "does not answer" in str(errors[0])
    store.close()
