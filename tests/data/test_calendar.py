"""The spine of a forecast and its labels, against loops over series, origins, steps and events."""

from datetime import UTC, date, datetime, timedelta
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY, HOUR, SECOND, instant
from sixfold.data import Calendar, Events, Label
from sixfold.data.labels import label_values
from sixfold.data.retraction import RETRACTION
from sixfold.features import offsets_as_known
from sixfold.frame import Entity

PRODUCT = Entity("product", str)
SALE = Events("sale", keys=(PRODUCT,), fields={"quantity": float})

events = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 12 * 24 - 1),  # hours at which it happened
        st.integers(0, 40),  # hours until it arrived
        st.integers(-2, 5),
        st.booleans(),  # whether it is taken back, a day after it arrived
    ),
    max_size=25,
)


def history_of(rows: list[tuple[str, int, int, int, bool]]) -> dict[str, Table]:
    """A log of the rows and their retractions, in order of arrival."""
    facts = [(at * HOUR + late * HOUR, "sale", i) for i, (_, at, late, _, _) in enumerate(rows)]
    facts += [(at * HOUR + late * HOUR + DAY, "gone", i) for i, (_, at, late, _, gone) in enumerate(rows) if gone]
    facts.sort()
    offset = {(kind, i): n for n, (_, kind, i) in enumerate(facts)}
    mine = [i for _, kind, i in facts if kind == "sale"]
    taken = [i for _, kind, i in facts if kind == "gone"]
    sale = {
        "product": column([rows[i][0] for i in mine], str),
        "at": column([rows[i][1] * HOUR for i in mine], int),
        "arrived": column([(rows[i][1] + rows[i][2]) * HOUR for i in mine], int),
        "offset": column([offset["sale", i] for i in mine], int),
        "quantity": column([rows[i][3] for i in mine], float),
    }
    gone = {
        "offset": column([offset["gone", i] for i in taken], int),
        "target": column([offset["sale", i] for i in taken], int),
        "arrived": column([(rows[i][1] + rows[i][2] + 24) * HOUR for i in taken], int),
    }
    return {"sale": Table(sale), RETRACTION: Table(gone)}


@settings(max_examples=60, deadline=None)
@given(
    events,
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.integers(1, 2)),
    st.sampled_from([None, 1, 4]),
    st.integers(-12, 14),
)
def test_rows_and_labels_are_those_of_the_naive_loop(
    facts: list[tuple[str, int, int, int, bool]], shape: tuple[int, ...], over: int | None, shift: int
) -> None:
    history, offset_s = history_of(facts), shift * 3600
    steps, every, apart, least = shape
    calendar = Calendar(
        SALE, per=PRODUCT, steps=steps, every=f"{every}d", apart=f"{apart}d", at_least=least,
        over=None if over is None else f"{over}d",
    )  # fmt: skip
    origins = calendar.origins((0, 14 * DAY), offset_s)
    found = calendar.rows(history, origins, offsets_as_known(history, origins, lag="0s"), utc_offset_s=offset_s)
    label = Label("sold", SALE.quantity, of=calendar, within=f"{every}d", matures=f"{steps * every}d")
    sold = label_values([label], found, history)[0]["sold"]
    expected = []
    for origin in range(-20 * DAY, 14 * DAY, HOUR):
        local = origin + offset_s * SECOND
        if not 0 <= origin < 14 * DAY or local % (apart * DAY):
            continue
        for product in "abc":
            known = [
                at
                for key, at, late, _, gone in facts
                if key == product and (at + late) * HOUR < origin and not (gone and (at + late + 24) * HOUR < origin)
            ]
            near = [at for at in known if at * HOUR < origin and (over is None or at * HOUR >= origin - over * DAY)]
            if len(near) < least:
                continue
            for step in range(1, steps + 1):
                begin = origin + (step - 1) * every * DAY
                units = sum(
                    quantity
                    for key, at, _, quantity, gone in facts
                    if key == product and begin <= at * HOUR < begin + every * DAY and not gone
                )
                expected.append((origin, product, step, units))
    got = zip(found["at"].tolist(), found["product"].tolist(), found["step"].tolist(), sold.tolist(), strict=True)
    assert list(got) == expected


def test_an_origin_knows_what_arrived_strictly_before_it() -> None:
    facts = [("a", 1, 0, 1, False), ("a", 20, 4, 1, False), ("a", 30, 0, 1, False)]  # the second arrives at midnight
    history = history_of(facts)
    calendar = Calendar(SALE, per=PRODUCT, steps=1)
    origins = np.array([DAY, 2 * DAY])
    rows = calendar.rows(history, origins, offsets_as_known(history, origins, lag="0s"), utc_offset_s=0)
    assert rows["offset"].tolist() == [1, 3]


def test_what_is_known_of_a_day() -> None:
    calendar = Calendar(SALE, per=PRODUCT, steps=21, holidays=("12-25", "2010-12-14"))
    origin = calendar.origin(instant("2010-12-10T17:00:00Z"), -5 * 3600)
    assert datetime.fromtimestamp(origin / SECOND, UTC).isoformat() == "2010-12-11T05:00:00+00:00"
    ahead = calendar.ahead(origin, -5 * 3600)
    for i in range(21):
        day, row = date(2010, 12, 11) + timedelta(days=i), ahead.row(i)
        assert (row["step"], row["weekday"], row["day"], row["month"]) == (i + 1, day.weekday(), day.day, day.month)
        assert row["year_end"] == (date(day.year, 12, 31) - day).days
        gaps = [(other - day).days for other in (date(2010, 12, 14), date(2010, 12, 25))]
        assert row["holiday"] == (0 in gaps)
        assert row["to_holiday"] == min([gap for gap in gaps if gap >= 0] + [14])
        assert row["since_holiday"] == min([-gap for gap in gaps if gap <= 0] + [14])


@pytest.mark.parametrize("shift", [-5 * 3600, 0, 5 * 3600 + 1800])
def test_a_forecast_begins_at_the_next_midnight(shift: int) -> None:
    calendar = Calendar(SALE, per=PRODUCT, steps=1)
    midnight = 400 * DAY - shift * SECOND
    assert calendar.origin(midnight, shift) == midnight
    assert calendar.origin(midnight + 1, shift) == calendar.origin(midnight + DAY, shift) == midnight + DAY


def test_origins_do_not_depend_on_the_range_they_are_asked_for() -> None:
    calendar = Calendar(SALE, per=PRODUCT, steps=1, apart="5d")
    whole = calendar.origins((0, 100 * DAY), 3600).tolist()
    parts = [calendar.origins((a * DAY, (a + 10) * DAY), 3600).tolist() for a in range(0, 100, 10)]
    assert whole == list(chain.from_iterable(parts)) and len(whole) == 20


def test_nothing_is_known_before_the_first_event() -> None:
    calendar = Calendar(SALE, per=PRODUCT, steps=2)
    origins = np.array([DAY])
    for history in ({}, history_of([("a", 30, 0, 1, False)])):
        rows = calendar.rows(history, origins, np.zeros(1, np.int64), utc_offset_s=0)
        assert len(rows) == 0 and set(rows.names) == {"product", "at", "offset", *calendar.known}


def test_contradictions_are_found() -> None:
    with pytest.raises(DefinitionError) as found:
        Calendar(SALE, per=Entity("shop"), steps=0, every="5h", apart="0d", holidays=("Easter",))
    text = str(found.value)
    for part in ("do not name the 'shop'", "steps and at_least", "every is 5h", "apart is 0d", "not 'Easter'"):
        assert part in text
    calendar = Calendar(SALE, per=PRODUCT, steps=3)
    with pytest.raises(DefinitionError, match='give within="1d" and matures="3d"'):
        Label("sold", SALE.quantity, of=calendar, within="1d", matures="2d")
    with pytest.raises(DefinitionError, match="no weights of their own"):
        Label("sold", SALE.quantity, of=calendar, within="1d", matures="3d", weight=SALE.quantity)


def test_a_binary_label_says_whether_anything_came() -> None:
    history = history_of([("a", 1, 0, 2, False), ("a", 50, 0, 3, False)])
    calendar = Calendar(SALE, per=PRODUCT, steps=2)
    origins = np.array([DAY])
    rows = calendar.rows(history, origins, offsets_as_known(history, origins, lag="0s"), utc_offset_s=0)
    label = Label("any", SALE.quantity > 2, of=calendar, within="1d", matures="2d")
    assert label_values([label], rows, history)[0]["any"].tolist() == [0.0, 1.0]
