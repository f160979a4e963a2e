"""The laws of a pipeline, on a real log, real features and real stages."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pytest

from sixfold._core.errors import DefinitionError, ModelError
from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY
from sixfold.engines.memory.log import MemoryLog
from sixfold.serve.bound import BoundPipeline, Content
from sixfold.serve.decision import Answer, Decision, unpack
from sixfold.serve.scoring import Score
from sixfold.serve.selection import Cap, TopK
from sixfold.serve.stages import DecisionRequest, Proposal, View
from sixfold.testing.small_service import Named, SmallSystem, meta, small_events, state_of

NOW = 2 * DAY


def bound(
    system: SmallSystem | None = None, release: str = "a", events: dict[str, Table] | None = None
) -> BoundPipeline:
    system = system or SmallSystem()
    log = MemoryLog()
    log.append(small_events(system) if events is None else events, now=NOW)
    return system.bind(release, state_of(system, log))


def ask(n: int = 10, id_: str = "r1", user: int = 3, **context: object) -> DecisionRequest:
    return DecisionRequest(id_, user, n, NOW, {"tab": "1", "hour": 12.0, **context})


def answer(decision: Decision) -> Answer:
    return msgspec.json.decode(decision.response, type=Answer)


def test_a_slate_is_complete_unique_and_ordered_by_value() -> None:
    found = answer(bound().decide(ask()))
    assert found.complete and found.why == "" and found.rungs == []
    assert len({item.id for item in found.items}) == 10
    assert [item.position for item in found.items] == list(range(10))
    values = [item.value for item in found.items if not item.explored]
    assert values == sorted(values, reverse=True)


def test_every_item_says_which_sources_proposed_it() -> None:
    found = answer(bound().decide(ask()))
    for item in found.items:
        assert item.reasons and {reason.source for reason in item.reasons} <= {"near", "far", "popular", "fresh"}
        assert all(0 <= reason.rank < 30 for reason in item.reasons)


def test_the_same_prefix_release_and_request_give_the_same_bytes() -> None:
    assert bound().decide(ask()).response == bound().decide(ask()).response
    assert bound().decide(ask()).response != bound().decide(ask(id_="r2")).response
    assert bound().decide(ask()).response != bound(release="b").decide(ask()).response
    pipeline = bound()
    first = pipeline.decide(ask())
    pipeline.decide(ask(user=5, id_="other"))
    assert pipeline.decide(ask()).response == first.response


def test_what_was_shown_is_not_shown_again() -> None:
    system = SmallSystem()
    events = small_events(system)
    seen = np.arange(10, 35)
    events["shown"] = Table(
        {
            "id": column([f"s{i}" for i in seen], str),
            "at": np.full(len(seen), NOW - 5),
            "user": np.full(len(seen), 3),
            "video": seen,
            "tab": column(["1"] * len(seen), str),
            "decision": column([None] * len(seen), str),
        }
    )
    decision = bound(system, events=events).decide(ask(n=20))
    assert not {item.id for item in answer(decision).items} & set(seen.tolist())
    assert decision.record["removed"]["seen"] > 0


def test_a_slate_is_refilled_from_the_fallback_and_says_so_when_even_that_runs_out() -> None:
    few = SmallSystem(n_items=60)
    full = answer(bound(few).decide(ask(n=55)))
    assert full.complete and any(item.reasons[0].source == "fallback" for item in full.items)
    short = answer(bound(few).decide(ask(n=80)))
    assert not short.complete and len(short.items) == 60
    assert "only 60 of 80 items" in short.why


def test_items_beyond_what_is_ranked_fill_before_the_fallback() -> None:
    system = SmallSystem(select=TopK(5))
    pipeline = bound(system)
    found = answer(pipeline.decide(ask(n=58)))
    kinds = ["ranked" if i.value is not None else "rest" for i in found.items]
    assert kinds == sorted(kinds) and kinds.count("ranked") == min(50, pipeline.decide(ask()).record["candidates"])


def test_the_cap_holds_and_is_given_up_rather_than_an_incomplete_slate() -> None:
    capped = SmallSystem(select=TopK(10, cap=Cap(meta.topic, 2)))
    topics = Counter(item.id % 5 for item in answer(bound(capped).decide(ask())).items)
    assert set(topics.values()) == {2}
    relaxed = answer(bound(capped).decide(ask(n=15)))
    assert relaxed.complete and relaxed.why == "5 shown past the cap of 2"
    assert len({item.id for item in relaxed.items}) == 15


def test_exploration_respects_the_cap() -> None:
    pipeline = bound(SmallSystem(select=TopK(10, cap=Cap(meta.topic, 3), explore=2)))
    for i in range(200):
        topics = Counter(item.id % 5 for item in answer(pipeline.decide(ask(id_=f"r{i}"))).items)
        assert max(topics.values()) <= 3


def test_propensities_are_the_frequencies_of_exploration() -> None:
    pipeline = bound(SmallSystem(select=TopK(10, explore=2)))
    n = 3_000
    shown: Counter[int] = Counter()
    said: dict[int, float] = {}
    slots: Counter[int] = Counter()
    for i in range(n):
        for item in answer(pipeline.decide(ask(id_=f"r{i}"))).items:
            shown[int(item.id)] += 1
            said[int(item.id)] = item.propensity
            slots[item.position] += item.explored
    certain = [id_ for id_, chance in said.items() if chance == 1.0]
    assert len(certain) == 8 and all(shown[id_] == n for id_ in certain)
    assert sum(said.values()) == pytest.approx(10)
    # The frequency of each of m drawn items is binomial: 5 standard deviations hold for all but 1 in 30,000 suites.
    for id_, chance in said.items():
        assert abs(shown[id_] - n * chance) <= 5 * np.sqrt(n * chance * (1 - chance)) + 1e-9
    for position in range(10):
        assert abs(slots[position] - n * 0.2) <= 5 * np.sqrt(n * 0.2 * 0.8)


@dataclass(frozen=True)
class Failing:
    """A stage that breaks."""

    name: str = "failing"
    features: tuple[()] = ()

    def propose(self, view: View) -> Proposal:
        raise RuntimeError("no connection")

    def keep(self, view: View, keys: Array) -> Array:
        raise RuntimeError("no connection")

    def score(self, view: View, features: Table) -> tuple[Array, Table]:
        raise RuntimeError("no connection")


def rebind(change: Callable[..., object], timer: Callable[[], int] | None = None) -> BoundPipeline:
    base = bound()
    pipeline = change(base.pipeline)
    return BoundPipeline(pipeline, base.content, base.features, task=base.task, timer=timer or base._timer)


def test_a_failing_source_is_left_out() -> None:
    pipeline = rebind(lambda p: replace(p, sources=(Failing("broken"), *p.sources)))
    decision = pipeline.decide(ask())
    assert decision.rungs == ("no_source:broken",) and answer(decision).complete
    assert decision.record["causes"] == {"no_source:broken": "RuntimeError: no connection"}


def test_a_failing_filter_is_left_out() -> None:
    decision = rebind(lambda p: replace(p, filters=(Failing("broken"),))).decide(ask())
    assert decision.rungs == ("no_filter:broken",) and answer(decision).complete


def test_a_failing_ranker_leaves_the_order_of_the_blend() -> None:
    @dataclass(frozen=True)
    class Scorer(Failing):
        ranker: object = Named("ranker")
        objective: object = SmallSystem().pipeline.score.objective

    decision = rebind(lambda p: replace(p, score=Scorer(), select=TopK(10))).decide(ask())
    assert decision.rungs == ("no_rank",)
    assert all(item.value is None and item.reasons for item in answer(decision).items)


def test_failing_features_leave_the_fallback() -> None:
    pipeline = bound()
    pipeline._subject = ["no such feature"]
    decision = pipeline.decide(ask())
    assert decision.rungs == ("fallback",)
    assert [item.id for item in answer(decision).items] == list(range(59, 49, -1))


def test_over_budget_the_ranker_is_left_out_and_tried_again_later() -> None:
    now = [0]

    @dataclass(frozen=True)
    class Slow:
        inner: Score

        def score(self, view: View, features: Table) -> tuple[Array, Table]:
            now[0] += 40_000_000
            return self.inner.score(view, features)

        ranker = Named("ranker")
        objective = SmallSystem().pipeline.score.objective

    pipeline = rebind(lambda p: replace(p, score=Slow(p.score), budget_ms=30.0), timer=lambda: now[0])
    seen = [pipeline.decide(ask(id_=f"r{i}")).rungs for i in range(40)]
    assert seen[0] == () and set(seen) == {(), ("no_rank",)}
    first = seen.index(("no_rank",))
    assert () in seen[first:]


def test_a_replay_takes_the_recorded_rungs_and_no_others() -> None:
    slow = iter(range(0, 10**15, 30_000_000))
    pipeline = rebind(lambda p: replace(p, budget_ms=100.0), timer=lambda: next(slow))
    degraded = pipeline.decide(ask())
    assert degraded.rungs
    assert bound().decide(ask(), rungs=degraded.rungs).response == degraded.response
    assert bound().decide(ask(), rungs=()).response == bound().decide(ask()).response


def test_what_is_not_a_number_sinks() -> None:
    from sixfold.serve.candidates import Blend, best_first

    assert best_first(np.array([1.0, np.nan, 3.0, -np.inf])).tolist() == [2, 0, 1, 3]
    merged = Blend({}).merge(
        {"a": (np.array([1, 2, 3]), np.array([1.0, np.nan, np.inf])), "b": (np.array([4]), np.array([0.0]))}
    )
    assert merged.keys.tolist()[0] == 1 and np.isfinite(merged.blend).all()


def test_the_record_holds_what_was_ranked_to_the_bit() -> None:
    pipeline = bound()
    decision = pipeline.decide(ask())
    again = msgspec.json.decode(decision.row(pipeline.task.per)["record"][0])
    table = unpack(again["features"])
    ids = np.array(again["ids"])
    fresh = pipeline.features.now(list(table.names), {"user": 3, "tab": "1", "hour": 12.0}, {"video": ids}, NOW)
    for name in table:
        assert table[name].tolist() == fresh[name].tolist() or table[name].tobytes() == fresh[name].tobytes()
    assert ids.tolist() == [item.id for item in answer(decision).items]
    assert set(unpack(again["heads"]).names) == {"long_view", "watched"}


def test_an_unknown_person_gets_a_complete_slate() -> None:
    found = answer(bound().decide(ask(user=10**9)))
    assert found.complete and found.rungs == []


def test_an_empty_log_still_answers() -> None:
    found = answer(bound(events={}).decide(ask()))
    assert found.complete and found.as_of == 0


def test_binding_refuses_a_release_without_its_models() -> None:
    base = bound()
    with pytest.raises(ModelError, match="lacks the models"):
        base.pipeline.bind(Content("x", {}, ()), base.features, task=base.task)


def test_definitions_report_every_mistake() -> None:
    base = SmallSystem().pipeline
    with pytest.raises(DefinitionError) as caught:
        replace(
            base,
            sources=(*base.sources, base.sources[0]),
            blend=replace(base.blend, weights={"nope": 1.0}),
            budget_ms=0,
        )
    assert len(caught.value.problems) == 3
