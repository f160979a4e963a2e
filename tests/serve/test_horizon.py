"""A forecast as it is served: all steps in order from the next midnight on, on real features of a real log."""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from sixfold._core.table import Table, column
from sixfold._core.times import DAY, HOUR, SECOND, instant
from sixfold.data import Calendar, Events
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import FeatureSet, OnlineFeatures, beforehand, season
from sixfold.features import sum as total
from sixfold.frame import Entity, Forecast
from sixfold.serve import DecisionRequest, Horizon, Pipeline, Score
from sixfold.serve.bound import BoundPipeline, Content
from sixfold.serve.decision import Answer, unpack

PRODUCT = Entity("product", str)
SALE = Events("sale", keys=(PRODUCT,), fields={"quantity": float})
CALENDAR = Calendar(SALE, per=PRODUCT, steps=9, holidays=("03-05",))
FEATURES = FeatureSet(
    total(SALE.quantity, by=PRODUCT, over="7d").named("week"),
    season(SALE.quantity, CALENDAR).named("last"),
    beforehand(CALENDAR, "step", "weekday", "holiday"),
)
MIDNIGHT = instant("2026-03-02T00:00:00Z")


@dataclass(frozen=True)
class LastWeek:
    """Last week's day is the median; the tails are one and two units off."""

    name: str = "last week"
    heads: tuple[str, ...] = ("sold",)

    def predict(self, features: Table) -> Table:
        last = features["last"]
        return Table({"sold": last, "sold p10": last - 1, "sold p90": last + 2})


def bound(utc_offset_s: int = 0) -> BoundPipeline:
    """Every day of the week before, at noon local time, one unit more was sold; a unit again that first morning."""
    at = MIDNIGHT - utc_offset_s * SECOND + (np.arange(8) - 7) * DAY + 12 * HOUR
    at[-1] -= 3 * HOUR
    units = np.array([1.0, 2, 3, 4, 5, 6, 7, 100])
    table = {"product": column(["a"] * 8, str), "quantity": units, "at": at, "arrived": at, "offset": np.arange(8)}
    features = OnlineFeatures(FEATURES, MemoryStore())
    features.fold({"sale": Table(table).take(slice(0, 7))}, 7)
    pipeline = Pipeline(score=Score(LastWeek()), select=Horizon(CALENDAR, utc_offset_s))
    content = Content("r", {"last week": LastWeek()}, FEATURES.names)
    return pipeline.bind(content, features, task=Forecast(per=PRODUCT, steps=9))


def asked(at: int, *, n: int = 3, utc_offset_s: int = 0) -> tuple[Answer, Table]:
    decision = bound(utc_offset_s).decide(DecisionRequest("d", "a", n, at, {}))
    return msgspec.json.decode(decision.response, type=Answer), unpack(decision.record["features"])


def test_every_step_comes_in_order_with_its_day_and_quantiles() -> None:
    answer, features = asked(MIDNIGHT)
    assert answer.complete and answer.rungs == [] and answer.at == MIDNIGHT
    assert [(item.position, item.id) for item in answer.items] == [(i, i + 1) for i in range(9)]
    assert [item.value for item in answer.items] == [1, 2, 3, 4, 5, 6, 7, 1, 2]
    assert answer.items[0].detail == {"day": "2026-03-02", "p10": 0.0, "p90": 3.0}
    assert answer.items[8].detail["day"] == "2026-03-10"
    assert features["weekday"].tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert features["holiday"].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert features["week"].tolist() == [28.0] * 9


@pytest.mark.parametrize("hours", [5, 23])
def test_who_asks_during_a_day_is_told_of_the_next(hours: int) -> None:
    early, at_midnight = asked(MIDNIGHT - hours * HOUR), asked(MIDNIGHT)
    assert early[0].items == at_midnight[0].items
    assert early[1].rows() == at_midnight[1].rows()


@pytest.mark.parametrize("shift", [-5 * 3600, 3600])
def test_days_are_those_of_local_time(shift: int) -> None:
    begin = MIDNIGHT - shift * SECOND
    answer, features = asked(begin - HOUR, utc_offset_s=shift)
    assert datetime.fromtimestamp((begin + shift * SECOND) / SECOND, UTC).hour == 0
    assert answer.items[0].detail["day"] == "2026-03-02" and features["weekday"][0] == 0
    assert [item.value for item in answer.items[:7]] == [1, 2, 3, 4, 5, 6, 7]


def test_a_series_that_nobody_knows_has_no_season() -> None:
    decision = bound().decide(DecisionRequest("d", "nothing", 3, MIDNIGHT, {}))
    answer = msgspec.json.decode(decision.response, type=Answer)
    assert len(answer.items) == 9 and {item.value for item in answer.items} == {0.0}
