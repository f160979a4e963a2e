"""The handbook's transactions as events: its windows, its delay and its test week come out of the declarations."""

from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import DataError
from sixfold._core.table import Array, Table
from sixfold._core.times import DAY, HOUR, instant
from sixfold.data.events import Events
from sixfold.data.labels import label_values
from sixfold.datasets import open_source
from sixfold.datasets.fraud import Transactions
from sixfold.features import FeatureSet, as_of, count, mean, rate
from sixfold.frame import Entity
from sixfold.system import load_system
from sixfold.testing.samples import write_transactions

STREAMS = ("card", "verdict", "transaction")
DELAY = 7 * DAY
customer, terminal = Entity("customer"), Entity("terminal")
transaction = Events("transaction", keys=(customer, terminal), fields={"amount": float})
verdict = Events("verdict", keys=(customer, terminal), fields={"fraud": bool})


def read(source: Transactions) -> dict[str, Table]:
    """All events, numbered in the order in which they come."""
    parts: dict[str, list[Table]] = {}
    begin = 0
    for chunk in source.chunks():
        assert list(chunk) == [name for name in STREAMS if name in chunk]
        order = np.argsort(np.concatenate([table["arrived"] for table in chunk.values()]), kind="stable")
        offsets = np.empty(len(order), np.int64)
        offsets[order] = np.arange(begin, begin + len(order))
        begin += len(order)
        ends = np.cumsum([len(table) for table in chunk.values()])
        for (name, table), mine in zip(chunk.items(), np.split(offsets, ends[:-1]), strict=True):
            parts.setdefault(name, []).append(table.with_columns({"offset": mine}))
    return {name: Table.concat(tables) for name, tables in parts.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_transactions(tmp_path)
    return tmp_path


def seen_by(events: Table, key: str, row: dict[str, int], late: int) -> Array:
    """Which events with the row's key were known, `late` after they happened, when the row was decided; a mask."""
    before = (events["at"] + late == row["at"]) & (events["offset"] < row["offset"])
    return (events[key] == row[key]) & ((events["at"] + late < row["at"]) | before)


def test_the_windows_of_the_handbook_come_out_of_the_delay(folder: Path) -> None:
    """Risk over 1, 7 and 30 days behind 7 days of delay is the rate over 8, 14 and 37 days as known."""
    history = read(Transactions(folder, whole=False))
    paid, seen = history["transaction"], history["verdict"]
    spine = paid.take(slice(1_500, None, 9))
    features = FeatureSet(
        *rate(verdict.fraud, by=terminal, over=("8d", "14d", "37d")),
        *count(transaction, by=customer, over=("1d", "7d", "30d")),
        *mean(transaction.amount, by=customer, over=("1d", "7d", "30d")),
    )
    values = as_of(features, history, spine)
    sharp = 0
    for i, row in enumerate(spine.rows()):
        known, past = seen_by(seen, "terminal", row, DELAY), seen_by(paid, "customer", row, 0)
        for days in (1, 7, 30):
            hop = HOUR if days == 1 else DAY  # of 8, 14 and 37 days
            start = row["at"] - DELAY - days * DAY
            fraud = seen["fraud"][known & (seen["at"] >= start // hop * hop)]
            risk = values[f"rate_verdict_fraud_by_terminal_{days + 7}d"][i]
            assert risk == pytest.approx(fraud.mean() if len(fraud) else np.nan, nan_ok=True)
            handbook = known & (seen["at"] > start)  # without the rest of the hop
            if handbook.sum() == len(fraud):
                sharp += 1
                assert np.nan_to_num(risk) == pytest.approx(seen["fraud"][handbook].mean() if len(fraud) else 0.0)
            hop = DAY if days == 30 else HOUR
            amounts = paid["amount"][past & (paid["at"] >= (row["at"] - days * DAY) // hop * hop)]
            assert values[f"count_transaction_by_customer_{days}d"][i] == len(amounts)
            usual = values[f"mean_transaction_amount_by_customer_{days}d"][i]
            assert usual == pytest.approx(amounts.mean() if len(amounts) else np.nan, abs=1e-6, nan_ok=True)
    assert sharp > 1.5 * len(spine)  # of three windows a row


def test_every_verdict_finds_its_transaction(folder: Path) -> None:
    history = read(Transactions(folder, whole=False))
    fraud = load_system("fraud").labels
    values, _ = label_values(fraud, history["transaction"], history)
    seen = history["verdict"]["fraud"].tolist()
    assert values["fraud"].tolist()[: len(seen)] == seen
    assert not values["fraud"][len(seen) :].any()  # nobody knows yet
    assert history["verdict"]["at"].max() < instant("2018-08-15") <= history["transaction"]["at"].max()


def test_cards_are_known_as_the_handbook_counts_them(folder: Path) -> None:
    history = read(Transactions(folder, whole=False))
    seen, known = history["verdict"], history["card"]
    since = instant("2018-07-25")
    frauds = seen.take(seen["fraud"] & (seen["at"] >= since))
    for day in (instant("2018-08-08"), instant("2018-08-14")):
        # "All frauds known at test day - delay": of the training week, and of the days up to the eighth before.
        handbook = set(frauds["customer"][frauds["at"] < day - DELAY].tolist())
        assert set(known["customer"][known["arrived"] <= day].tolist()) == handbook


def test_the_clock_is_that_of_the_handbook(folder: Path) -> None:
    paid = read(Transactions(folder, whole=False))["transaction"]
    first = paid.row(0)
    assert first["at"] >= instant("2018-04-01") and first["weekend"]  # a Sunday
    assert (paid["night"] == (paid["at"] % DAY // HOUR <= 6)).all()
    weekday = (paid["at"] - instant("2018-04-02")) // DAY % 7
    assert (paid["weekend"] == (weekday >= 5)).all()
    assert set(paid["decision"].tolist()) == {None}


def test_what_is_told_can_be_cut(folder: Path) -> None:
    source = Transactions(folder, whole=False, start="2018-06-01", end="2018-06-08")
    at = read(source)["transaction"]["at"]
    assert instant("2018-06-01") <= at.min() and at.max() < instant("2018-06-08")
    with pytest.raises(DataError, match="no transaction from 2019-01-01"):
        next(Transactions(folder, whole=False, start="2019-01-01", end="2019-02-01").chunks())
    with pytest.raises(DataError, match=r"has 3,000 rows; expected 1,754,155"):
        next(Transactions(folder).chunks())


def test_the_real_week_is_the_published_one(data_home: Path) -> None:
    name = "fraud-handbook-simulated"
    if not (data_home / name).is_dir():
        pytest.skip(f"no {name} among the real data")
    source = open_source(name, home=data_home)
    assert isinstance(source, Transactions) and source.notes == ()
    system = load_system("fraud")
    history = read(source)
    paid = history["transaction"]
    bounds = system.plan.split.bounds(int(paid["at"].max()), source.utc_offset_s)
    rows = {}
    for part in ("train", "test"):
        start, stop = getattr(bounds, part)
        rows[part] = paid.take((paid["at"] >= start) & (paid["at"] < stop))
    assert system.plan.only is not None
    good = as_of(FeatureSet(system.plan.only), history, rows["test"])[system.plan.only.name] > 0
    rows["test"] = rows["test"].take(good)
    frauds = {part: int(label_values(system.labels, spine, history)[0]["fraud"].sum()) for part, spine in rows.items()}
    assert {part: len(spine) for part, spine in rows.items()} == {"train": 67_240, "test": 58_264}
    assert frauds == {"train": 598, "test": 385}
