"""Decisions on features that cannot be known: declared answers are used, recorded, replayed and audited."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from sixfold._core.table import Array
from sixfold._core.times import DAY, HOUR
from sixfold.engines.memory.log import MemoryLog
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import REFUSE, FeatureSet, OnlineFeatures, attribute, count, mean, rate, request
from sixfold.serve.bound import BoundPipeline
from sixfold.serve.decision import Decision, unpack
from sixfold.serve.selection import TopK
from sixfold.serve.stages import DecisionRequest, View
from sixfold.testing.small_service import SmallSystem, long_view, meta, small_events, user, video, watch

NOW = 2 * DAY
WATCHED = count(watch, by=user, over="7d")
RATE = rate(long_view, by=video, over="7d", prior=(1, 4))
REST = (attribute(meta.duration_ms).absent(down=None), request("hour"))
TASTE = mean(watch.share, by=(user, meta.topic), over="7d")


class Moody(MemoryStore):
    """A store that cannot be read while it is `down`."""

    down = False

    def read(self, group: str, rows: Array, lowest: Any) -> Array:
        if self.down:
            raise ConnectionError("nobody answers")
        return super().read(group, rows, lowest)


@dataclass(frozen=True)
class Breaks:
    """A filter that removes nothing, and after which the store is down."""

    store: Moody
    name: str = "breaks"
    features: tuple[()] = ()

    def keep(self, view: View, keys: Array) -> Array:
        self.store.down = True
        return np.ones(len(keys), np.bool_)


def bound(features: FeatureSet, *, breaks: bool = False) -> BoundPipeline:
    system = SmallSystem(features=features, select=TopK(10))
    log, store = MemoryLog(), Moody()
    log.append(small_events(system), now=NOW)
    state = OnlineFeatures(system.online, store)
    state.fold(log.read(0, log.end()[0]), log.end()[0])
    made = system.bind("a", state)
    filters = (*made.pipeline.filters, Breaks(store if breaks else Moody()))
    pipeline = replace(made.pipeline, filters=filters)
    return BoundPipeline(pipeline, made.content, state, task=system.task, timer=made._timer)


def ask(user: int = 3, at: int = NOW) -> DecisionRequest:
    return DecisionRequest("r1", user, 10, at, {"tab": "1", "hour": 12.0})


def shown(decision: Decision, name: str) -> list[Any]:
    values: list[Any] = unpack(decision.record["features"])[name].tolist()
    return values


def test_an_unknown_key_gets_the_declared_value_and_the_record_says_so() -> None:
    features = FeatureSet(WATCHED.absent(unknown=-1.0), RATE, *REST)
    decision = bound(features).decide(ask(user=777))
    assert shown(decision, WATCHED.name) == [-1.0] * 10 and decision.rungs == ()
    assert decision.record["absent"] == {WATCHED.name: {"unknown": decision.record["candidates"]}}
    again = bound(features).decide(ask(user=777), rungs=decision.rungs)
    assert (again.response, again.record["absent"]) == (decision.response, decision.record["absent"])
    assert "absent" not in bound(features).decide(ask()).record
    assert "absent" not in bound(FeatureSet(WATCHED, RATE, *REST)).decide(ask(user=777)).record


def test_a_stream_that_has_stopped_is_answered_for_or_refused() -> None:
    later = NOW + 12 * HOUR
    answered = bound(FeatureSet(WATCHED, RATE.absent(stale=("6h", 0.5)), *REST)).decide(ask(at=later))
    assert shown(answered, RATE.name) == [0.5] * 10
    assert set(answered.record["absent"][RATE.name]) == {"stale"}
    refusing = FeatureSet(WATCHED, RATE.absent(stale=("6h", REFUSE)), *REST)
    refused = bound(refusing).decide(ask(at=later))
    assert refused.rungs == ("no_rank",) and "nothing newer than 6h" in refused.record["causes"]["no_rank"]
    assert bound(refusing).decide(ask(at=later), rungs=refused.rungs).response == refused.response


def test_a_store_that_goes_down_is_a_rung_that_replays_byte_for_byte() -> None:
    features = FeatureSet(WATCHED.absent(down=0.0), RATE.absent(down=0.25), TASTE.absent(down=None), *REST)
    decision = bound(features, breaks=True).decide(ask())
    assert decision.rungs == ("no_store:hydrate",)
    assert "ConnectionError" in decision.record["causes"]["no_store:hydrate"]
    assert shown(decision, RATE.name) == [0.25] * 10 and np.isnan(shown(decision, TASTE.name)).all()
    assert set(decision.record["absent"]) == {WATCHED.name, RATE.name, TASTE.name, "duration_ms"}
    healthy = bound(features)
    again = healthy.decide(ask(), rungs=decision.rungs)
    assert again.response == decision.response
    assert again.record["features"] == decision.record["features"]
    assert healthy.decide(ask()).response != decision.response


def test_a_store_that_goes_down_leaves_ranking_out_where_a_feature_declares_nothing_for_it() -> None:
    features = FeatureSet(WATCHED.absent(down=0.0), RATE, *REST)
    decision = bound(features, breaks=True).decide(ask())
    assert decision.rungs == ("no_rank",) and RATE.name in decision.record["causes"]["no_rank"]
    assert bound(features).decide(ask(), rungs=decision.rungs).response == decision.response


def test_a_store_that_is_down_in_a_replay_is_an_error_of_the_replay() -> None:
    features = FeatureSet(WATCHED.absent(down=0.0), RATE.absent(down=0.25), *REST)
    calm = bound(features).decide(ask())
    with pytest.raises(ConnectionError):
        bound(features, breaks=True).decide(ask(), rungs=calm.rungs)
