"""Features of steps ahead, against sums over the events of the day that is meant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY, HOUR
from sixfold.data import Calendar, Events
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import FeatureSet, OnlineFeatures, as_of, beforehand, offsets_as_known, season
from sixfold.frame import Entity

PRODUCT = Entity("product", str)
SALE = Events("sale", keys=(PRODUCT,), fields={"quantity": float})
START = 100 * DAY


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 27), st.integers(0, 23), st.integers(0, 9)), max_size=30), st.integers(1, 20))
def test_a_season_ago_is_the_same_day_of_the_last_known_weeks(sales: list[tuple[int, int, int]], steps: int) -> None:
    sales = sorted(sales)
    at = column([START + day * DAY + hour * HOUR for day, hour, _ in sales], int)
    columns = {"at": at, "arrived": at, "offset": np.arange(len(at)), "product": column(["a"] * len(at), str)}
    history = {"sale": Table({**columns, "quantity": column([units for _, _, units in sales], float)})}
    calendar = Calendar(SALE, per=PRODUCT, steps=steps)
    backs: tuple[int | tuple[int, ...], ...] = (1, 2, (1, 2, 3))
    features = FeatureSet(*(season(SALE.quantity, calendar, back=back) for back in backs), beforehand(calendar, "step"))
    origin = START + 28 * DAY
    spine = calendar.ahead(origin, 0).with_columns(
        {"product": column(["a"] * steps, str), "at": np.full(steps, origin), "offset": np.full(steps, len(at))}
    )
    found = as_of(features, history, spine)

    def sold(day: int) -> float:
        return sum(units for d, _, units in sales if d == day)

    for step in range(1, steps + 1):
        last = 28 + step - 1 - 7 * -(-step // 7)
        weeks = [sold(last - 7 * back) for back in range(3)]
        row = found.row(step - 1)
        assert [row["season_quantity_1"], row["season_quantity_2"]] == weeks[:2]
        assert np.isclose(row["season_quantity_1_2_3"], np.mean(weeks))
    online = OnlineFeatures(features, MemoryStore())
    online.fold(history if len(at) else {}, len(at))
    ahead = dict(calendar.ahead(origin, 0))
    now = online.now(features.names, {"product": "a"}, ahead, origin)
    assert all(now[name].tobytes() == found[name].tobytes() for name in features.names)


def test_the_future_of_the_log_changes_no_row() -> None:
    """Point-in-time by construction: what comes after an origin leaves its features as they were."""
    rng = np.random.default_rng(0)
    at = np.sort(rng.integers(START, START + 60 * DAY, 400))
    columns = {"at": at, "arrived": at, "offset": np.arange(400), "quantity": rng.poisson(3, 400).astype(float)}
    whole = {"sale": Table({**columns, "product": column(rng.choice(["a", "b"], 400).tolist(), str)})}
    calendar = Calendar(SALE, per=PRODUCT, steps=14, apart="7d")
    features = FeatureSet(season(SALE.quantity, calendar, back=(1, 2)), beforehand(calendar))
    origins = calendar.origins((START, START + 60 * DAY), 0)
    for origin in origins.tolist():
        cut = {"sale": whole["sale"].take(at < origin)}
        one = np.array([origin])
        tables = []
        for history in (whole, cut):
            rows = calendar.rows(history, one, offsets_as_known(history, one, lag="0s"), utc_offset_s=0)
            tables.append(as_of(features, history, rows).with_columns(dict(rows.select(["product", "at", "offset"]))))
        assert tables[0].rows() == tables[1].rows() and len(tables[0]) > 0


def test_contradictions_are_found() -> None:
    calendar = Calendar(SALE, per=PRODUCT, steps=7)
    with pytest.raises(DefinitionError, match="knows no \\['moon'\\]"):
        beforehand(calendar, "moon")
    with pytest.raises(DefinitionError, match="at least 1"):
        season(SALE.quantity, calendar, back=0)
