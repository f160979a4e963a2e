"""The bank: as declared, deterministic, and with frauds that can be found in the ways that it says."""

import numpy as np
import pytest

from sixfold._core.errors import InputError
from sixfold._core.hashing import fingerprint
from sixfold._core.table import Table
from sixfold._core.times import DAY
from sixfold.worlds.cards import Cards, CardsConfig

SMALL = CardsConfig(customers=60, terminals=40, days=57, terminal_share=0.004, customer_share=0.004)
STREAMS = ("card", "verdict", "transaction")


def read(world: Cards) -> dict[str, Table]:
    chunks = list(world.chunks())
    assert all(list(chunk) == [name for name in STREAMS if name in chunk] for chunk in chunks)
    return {name: Table.concat([chunk[name] for chunk in chunks if name in chunk]) for name in STREAMS}


@pytest.fixture(scope="module")
def streams() -> dict[str, Table]:
    return read(Cards(SMALL, seed=3))


def test_the_same_seed_is_the_same_bank(streams: dict[str, Table]) -> None:
    assert fingerprint(*streams.values()) == fingerprint(*read(Cards(SMALL, seed=3)).values())
    assert fingerprint(*streams.values()) != fingerprint(*read(Cards(SMALL, seed=4)).values())


def test_every_payment_is_judged_a_week_later(streams: dict[str, Table]) -> None:
    paid, verdict = streams["transaction"], streams["verdict"]
    assert (verdict["arrived"] == verdict["at"] + 7 * DAY).all()
    assert (paid["arrived"] == paid["at"]).all()
    named = {name[12:] for name in paid["id"].tolist()}
    late = set(paid["id"][paid["at"] >= Cards(SMALL).end - 7 * DAY].tolist())
    assert named - {name[12:] for name in late} == {name[8:] for name in verdict["id"].tolist()}
    assert (paid["amount"] >= 0).all()
    assert int(paid["at"].max()) < Cards(SMALL).end


def test_frauds_are_of_the_three_kinds(streams: dict[str, Table]) -> None:
    order = {name[12:]: i for i, name in enumerate(streams["transaction"]["id"].tolist())}
    rows = [order[name[8:]] for name in streams["verdict"]["id"].tolist()]
    amount, fraud = streams["transaction"]["amount"][rows], streams["verdict"]["fraud"]
    assert fraud[amount > 220].all()
    customer = streams["transaction"]["customer"][rows]
    usual = np.array([np.median(amount[customer == key]) for key in range(SMALL.customers)])
    much = amount > 4 * usual[customer]
    assert fraud[much].mean() > 0.9
    terminal, day = streams["transaction"]["terminal"][rows], (streams["verdict"]["at"] - Cards(SMALL).start) // DAY
    plain = fraud & ~much & (amount < 220)
    place, days = terminal[plain], day[plain]
    spans = [np.ptp(days[place == key]) for key in np.unique(place).tolist()]
    assert 0 < len(spans) < SMALL.terminals
    assert np.median(spans) < 28


def test_a_card_is_known_from_a_midnight_after_its_first_fraud_verdict(streams: dict[str, Table]) -> None:
    verdict = streams["verdict"]
    for row in streams["card"].rows():
        bad = verdict["fraud"] & (verdict["customer"] == row["customer"])
        first = int(verdict["arrived"][bad].min())
        assert row["at"] % DAY == 0
        assert 0 < row["at"] - first <= DAY
        assert row["compromised"]


def test_visitors_pay_and_report_what_is_to_be_looked_at() -> None:
    world = Cards(SMALL, seed=1)
    first, again = (world.visits(5, seed=7, prefix="live") for _ in range(2))
    assert [visit.ask() for visit in first] == [visit.ask() for visit in again]
    asked = first[0].ask()
    assert set(asked["context"]) == {"terminal", "amount", "night", "weekend"}
    answer = {"decision": "d", "at": 5, "items": [{"id": "review"}]}
    assert [row["stream"] for row in first[0].react(answer)] == ["transaction", "alert"]
    answer["items"] = [{"id": "approve"}]
    rows = first[0].react(answer)
    assert [(row["stream"], row["decision"], row["amount"]) for row in rows] == [
        ("transaction", "d", asked["context"]["amount"])
    ]


def test_a_bank_without_customers_is_refused() -> None:
    with pytest.raises(InputError, match="needs customers"):
        CardsConfig(customers=0)
