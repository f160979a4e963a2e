"""Every stage passes the kit, and the kit catches stages that break its rules."""

from dataclasses import dataclass

import numpy as np
import pytest

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array
from sixfold._core.times import DAY
from sixfold.engines.memory.log import MemoryLog
from sixfold.features import count, rate
from sixfold.serve import Cap, DecisionRequest, Fresh, Popular, Retrieve, Seen, TopK
from sixfold.serve.bound import BoundPipeline
from sixfold.serve.stages import Proposal, View
from sixfold.testing.small_service import Named, SmallSystem, meta, small_events, state_of, user, video, watch
from sixfold.testing.stage_kit import check_stage

REQUEST = DecisionRequest("r", 3, 10, 2 * DAY, {"tab": "1"})


@pytest.fixture(scope="module")
def pipeline() -> BoundPipeline:
    system = SmallSystem()
    log = MemoryLog()
    log.append(small_events(system), now=2 * DAY)
    return system.bind("a", state_of(system, log))


def test_every_stage_passes_the_kit(pipeline: BoundPipeline) -> None:
    config = pipeline.pipeline
    for stage in (*config.sources, *config.filters, config.select, TopK(10), TopK(5, explore=3), config.fallback):
        check_stage(stage, pipeline, REQUEST)


@dataclass(frozen=True)
class Twice:
    name: str = "twice"
    features: tuple[()] = ()

    def propose(self, view: View) -> Proposal:
        return Proposal(np.array([1, 1]), np.array([2.0, 1.0]))


@dataclass(frozen=True)
class ByPlace:
    name: str = "by_place"
    features: tuple[()] = ()

    def keep(self, view: View, keys: Array) -> Array:
        return np.arange(len(keys)) > 0


@pytest.mark.parametrize(("stage", "why"), [(Twice(), "twice"), (ByPlace(), "place"), (object(), "exactly one")])
def test_the_kit_catches_what_breaks_the_rules(pipeline: BoundPipeline, stage: object, why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        check_stage(stage, pipeline, REQUEST)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Retrieve(Named("x"), 0, count(watch, by=user, over="1h")), "k must be at least 1"),
        (lambda: Retrieve(Named("x"), 5, count(watch, by=user, over="1h")), "history must be a sequence"),
        (lambda: Popular(rate(watch.long, by=(user, video), over="1h"), 5), "of the item alone"),
        (lambda: Fresh(watch, 5), "about the item alone"),
        (lambda: Seen(meta), "keys must be the subject and the item"),
        (lambda: Cap(meta.topic, 0), "at_most must be at least 1"),
        (lambda: TopK(3, explore=3), "explore must be 0 to n - 1"),
    ],
)
def test_a_contradicting_stage_says_what_is_wrong(make: object, why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        make()  # type: ignore[operator]
