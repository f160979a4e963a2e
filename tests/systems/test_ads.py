"""Advertising as a whole: the laws of every system, and a day of the real pipeline that spends its budgets evenly."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY
from sixfold.run.home import open_home
from sixfold.run.ingest import ingest
from sixfold.run.prepare import fold_until, prepare
from sixfold.run.serve import bind_content
from sixfold.run.train import train
from sixfold.serve import DecisionRequest
from sixfold.serve.bound import BoundPipeline
from sixfold.system import System, load_system
from sixfold.testing.system_kit import check_system
from sixfold.worlds.market import FLOOR, Market, MarketConfig

MARKET = Market(MarketConfig(viewers=300, campaigns=8, auctions=1_500))
AUCTIONS = 1_500


@pytest.fixture(scope="module")
def system() -> System:
    return load_system("ads")


def test_keeps_the_laws_of_systems(system: System) -> None:
    checked = check_system(system, source=MARKET)
    assert checked.decisions > 0


@pytest.fixture(scope="module")
def pipeline(system: System, tmp_path_factory: pytest.TempPathFactory) -> BoundPipeline:
    """The pipeline after training, over the state at the end of the history."""
    home = open_home(tmp_path_factory.mktemp("home"), system.name, MARKET.name)
    ingest(home, system, MARKET)
    prepared = prepare(home, system)
    train(home, system, seed=0, prepared=prepared)
    features = fold_until(system, prepared, MARKET.end + 1)
    return bind_content(system, home.candidate / "content", features, release="candidate")


def told(pipeline: BoundPipeline, system: System, events: list[dict[str, Any]]) -> None:
    """The events as a log would hand them to the state."""
    at = pipeline.features.offset
    streams = {stream.name: stream for stream in system.streams}
    for i, event in enumerate(events):
        stream = streams[event["stream"]]
        row = {
            name: column([event.get(name, np.nan if kind is float else None)], kind)
            for name, kind in stream.columns.items()
        }
        moment = {"offset": np.array([at + i]), "at": np.array([event["at"]]), "arrived": np.array([event["at"]])}
        pipeline.features.fold({stream.name: Table({**row, **moment})}, at + i + 1)


def a_day(pipeline: BoundPipeline, system: System) -> Iterator[tuple[float, dict[str, Any]]]:
    """The share of the day that has passed, and the item sold then, with what the answer says of it."""
    for i, visit in enumerate(MARKET.visits(AUCTIONS, seed=1, prefix="day")):
        ask = visit.ask()
        at = MARKET.end + (i * DAY) // AUCTIONS + 1
        decision = pipeline.decide(DecisionRequest(ask["id"], ask["viewer"], 1, at, ask["context"]))
        answer = msgspec.json.decode(decision.response)
        told(pipeline, system, visit.react(answer))
        for item in answer["items"]:
            yield i / AUCTIONS, item


def test_a_day_of_decisions_spends_the_budgets_evenly_and_no_more(pipeline: BoundPipeline, system: System) -> None:
    budgets = MARKET.budgets()
    spent = np.zeros((len(budgets), 4))
    highest = 0.0
    for passed, item in a_day(pipeline, system):
        detail = item["detail"]
        assert FLOOR <= detail["price"] <= detail["bid"]
        spent[item["id"], int(4 * passed)] += detail["price"]
        highest = max(highest, detail["price"])
    share = spent.sum(axis=1) / budgets
    assert (spent.sum(axis=1) <= budgets + highest).all()
    assert spent.sum() > 0.95 * budgets.sum(), share
    quarters: Array = spent.sum(axis=0) / budgets.sum()
    assert np.abs(quarters - 0.25).max() < 0.04, quarters
