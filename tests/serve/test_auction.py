"""Second prices against a sentence-by-sentence oracle, truthfulness, and auctions within a real pipeline."""

from dataclasses import replace
from functools import partial

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY
from sixfold.engines.memory.log import MemoryLog
from sixfold.features import attribute, computed, count, request
from sixfold.features.definitions import Feature
from sixfold.serve import Auction, Decision, DecisionRequest, Pace
from sixfold.serve.auction import second_prices
from sixfold.serve.bound import BoundPipeline
from sixfold.serve.decision import replay
from sixfold.testing.small_service import SmallSystem, meta, small_events, state_of, user, video, watch
from sixfold.testing.stage_kit import check_stage

money = st.floats(0, 100) | st.integers(0, 6).map(float)
strange = st.sampled_from([np.nan, np.inf, -np.inf, -1.0])


def oracle(bids: list[float], reserve: float, slots: int) -> list[tuple[int, float]]:
    """Each place goes to the best bid that is left, at the best bid that is left after that."""
    left = [row for row, bid in enumerate(bids) if 0 < bid < np.inf and bid >= reserve]
    sold = []
    for _ in range(slots):
        if left:
            winner = max(left, key=lambda row: (bids[row], -row))
            left.remove(winner)
            sold.append((winner, max([reserve, *(bids[row] for row in left)])))
    return sold


@given(st.lists(money | strange, max_size=8), money, st.integers(1, 5))
def test_second_prices_are_what_the_oracle_says(bids: list[float], reserve: float, slots: int) -> None:
    rows, prices = second_prices(np.array(bids, np.float64), reserve=reserve, slots=slots)
    assert list(zip(rows.tolist(), prices.tolist(), strict=True)) == oracle(bids, reserve, slots)


@given(money, money, st.lists(money, max_size=6), money)
def test_nobody_gains_by_bidding_anything_but_the_worth(
    worth: float, lie: float, others: list[float], reserve: float
) -> None:
    def gain(bid: float) -> float:
        rows, prices = second_prices(np.array([bid, *others]), reserve=reserve)
        return worth - float(prices[0]) if rows.tolist() == [0] else 0.0

    assert gain(worth) >= max(gain(lie), 0.0)


@given(st.lists(money, min_size=1, max_size=6), money, st.integers(1, 4))
def test_nobody_pays_more_than_the_bid_or_less_than_the_reserve(bids: list[float], reserve: float, slots: int) -> None:
    rows, prices = second_prices(np.array(bids), reserve=reserve, slots=slots)
    assert (prices <= np.array(bids)[rows]).all()
    assert (prices >= reserve).all()
    assert (np.diff(prices) <= 0).all()


LENGTH = attribute(meta.duration_ms).named("length")
SPENT = count(watch, by=video, over="today")
TWO = computed("two", 2 * count(meta, by=video, over="lifetime"))
REQUEST = DecisionRequest("r", 3, 2, 2 * DAY + DAY // 2, {"tab": "1", "floor": 0.0})


def bound(auction: Auction, features: tuple[Feature, ...] = ()) -> BoundPipeline:
    system = SmallSystem(select=auction)  # type: ignore[arg-type]
    log = MemoryLog()
    log.append(small_events(system), now=2 * DAY)
    return system.bind("a", state_of(system, log))


def shown(decision: Decision) -> list[dict[str, float]]:
    return [item | item.get("detail", {}) for item in msgspec.json.decode(decision.response)["items"]]


def test_an_auction_passes_the_kit_of_stages() -> None:
    auction = Auction(LENGTH, slots=2)
    check_stage(auction, bound(auction), REQUEST)


def test_the_answer_says_bids_and_prices() -> None:
    first, second = shown(bound(Auction(LENGTH, slots=2)).decide(REQUEST))
    assert first["bid"] >= first["price"] == second["bid"] >= second["price"] > 0
    assert "pace" not in first


def test_a_place_below_the_reserve_is_not_sold_and_not_filled() -> None:
    some = shown(bound(Auction(LENGTH, slots=2)).decide(REQUEST))
    between = (some[0]["bid"] + some[1]["bid"]) / 2
    filling = bound(Auction(LENGTH, reserve=between, slots=2))
    assert len(shown(filling.decide(REQUEST))) == 2
    alone = replace(filling.pipeline, fallback=None)
    decision = alone.bind(filling.content, filling.features, task=filling.task).decide(REQUEST)
    (only,) = shown(decision)
    assert (only["id"], only["price"]) == (some[0]["id"], between)
    assert "no other bid reaches the reserve" in msgspec.json.decode(decision.response)["why"]


def test_the_reserve_may_come_with_the_request() -> None:
    pipeline = bound(Auction(LENGTH, reserve=request("floor"), slots=1))
    (free,) = shown(pipeline.decide(DecisionRequest("r", 3, 1, REQUEST.at, {"tab": "1"})))
    floor = (free["price"] + free["bid"]) / 2
    (dear,) = shown(pipeline.decide(DecisionRequest("r", 3, 1, REQUEST.at, {"tab": "1", "floor": floor})))
    assert (dear["id"], dear["price"]) == (free["id"], floor)


def test_who_has_spent_the_budget_takes_no_part_and_decisions_replay() -> None:
    pace = Pace(SPENT, TWO)
    system = SmallSystem(select=Auction(LENGTH, slots=1, pace=pace))  # type: ignore[arg-type]
    log = MemoryLog()
    log.append(small_events(system), now=2 * DAY)
    rebuild = partial(rebuilt, system, log)
    decisions = []
    for i in range(4):
        decisions.append(rebuild("a", log.end()[0]).decide(DecisionRequest(f"r{i}", 3, 1, REQUEST.at, {"tab": "1"})))
        (item,) = shown(decisions[-1])
        # Every day each video may be watched twice; a watch is half of its budget, which noon is the time for.
        watch_row = {"id": f"new{i}", "at": REQUEST.at, "user": 3, "video": item["id"], "share": 0.5, "long": True}
        log.append({"watch": Table({k: column([v], type(v)) for k, v in watch_row.items()})}, now=REQUEST.at + i)
    ids = [shown(decision)[0]["id"] for decision in decisions]
    assert max(map(ids.count, ids)) == 2
    assert all(shown(decision)[0]["pace"] == 1.0 for decision in decisions)
    for decision in decisions:
        assert replay(decision.row(user), rebuild).same


def rebuilt(system: SmallSystem, log: MemoryLog, release: str, offset: int) -> BoundPipeline:
    return system.bind(release, state_of(system, log, offset))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Auction(LENGTH, slots=0), "slots must be at least 1"),
        (lambda: Auction(LENGTH, reserve=-1.0), "the reserve is a price"),
        (lambda: Pace(SPENT, LENGTH, gain=0.0), "gain must be positive"),
        (lambda: Pace(SPENT, LENGTH, most=0.0), "most must be positive"),
        (lambda: Pace(SPENT, LENGTH, curve=(0.0, -1.0)), "must not be negative"),
    ],
)
def test_a_contradiction_says_what_is_wrong(make: object, why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        make()  # type: ignore[operator]
