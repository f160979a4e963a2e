"""The market: deterministic, in order, and with a truth that can be learnt."""

from functools import partial

import numpy as np
import pytest

from sixfold._core.table import Table
from sixfold._core.times import DAY, MINUTE
from sixfold.evaluate.ranking import auc
from sixfold.worlds import open_world
from sixfold.worlds.market import FLOOR, Market, MarketConfig

SMALL = MarketConfig(viewers=500, campaigns=10, auctions=4_000)
STREAMS = ("campaign_meta", "shown", "click")


def read(market: Market) -> dict[str, Table]:
    chunks = list(market.chunks())
    return {name: Table.concat([chunk[name] for chunk in chunks if name in chunk]) for name in STREAMS}


@pytest.fixture(scope="module")
def streams() -> dict[str, Table]:
    return read(Market(SMALL, seed=1))


def test_the_same_seed_gives_the_same_market(streams: dict[str, Table]) -> None:
    again, other = read(Market(SMALL, seed=1)), read(Market(SMALL, seed=2))
    assert all((again[name][c] == streams[name][c]).all() for name, c in (("shown", "price"), ("click", "clicked")))
    assert (other["shown"]["price"] != streams["shown"]["price"]).any()


def test_every_place_has_an_outcome_a_minute_later(streams: dict[str, Table]) -> None:
    assert len(streams["shown"]) == len(streams["click"]) == 3 * SMALL.auctions
    assert (streams["click"]["at"] - streams["shown"]["at"] == MINUTE).all()
    assert (streams["shown"]["price"] >= FLOOR).all()


def test_budgets_are_half_of_what_was_spent_in_a_day(streams: dict[str, Table]) -> None:
    shown, market = streams["shown"], Market(SMALL, seed=1)
    spent = np.bincount(shown["campaign"], shown["price"], minlength=SMALL.campaigns) / SMALL.days
    assert np.allclose(market.budgets(), spent / 2, atol=0.01)
    assert np.unique(streams["campaign_meta"]["at"] // DAY).size == SMALL.days + 1


def test_clicks_follow_the_true_chance(streams: dict[str, Table]) -> None:
    shown, clicked = streams["shown"], streams["click"]["clicked"].astype(np.float64)
    number = partial(np.array, dtype=np.int64)
    site, device = (number([int(text.split()[1]) for text in shown[name].tolist()]) for name in ("c1", "c2"))
    chance = Market(SMALL, seed=1).chance(shown["viewer"], shown["campaign"], site, device, shown["n1"])
    assert clicked.mean() == pytest.approx(chance.mean(), abs=4 * np.sqrt(chance.mean() / len(chance)))
    assert float(auc(clicked, chance)) > 0.7


def test_visitors_are_told_prices_and_react_the_same_way_again() -> None:
    market = open_world("market-tiny", 3)
    (visit,) = market.visits(1, seed=5, prefix="v")  # type: ignore[attr-defined]
    ask = visit.ask()
    assert (ask["id"], ask["context"]["floor"]) == ("v-0", FLOOR)
    item = {"id": 2, "position": 0, "detail": {"price": 1.5, "pace": 0.5, "bid": 2.0}}
    answer = {"decision": "v-0", "at": 7, "items": [item]}
    shown, click = visit.react(answer)
    assert (shown["price"], shown["pace"], shown["campaign"], shown["decision"]) == (1.5, 0.5, 2, "v-0")
    assert {k: v for k, v in click.items() if k != "clicked"} == {
        "stream": "click", "viewer": ask["viewer"], "campaign": 2, "at": 7, "id": "v-0-0",
    }  # fmt: skip
    assert visit.react(answer) == [shown, click]
    assert visit.react({**answer, "items": []}) == []
