"""Attribution of outcomes to impressions, against the sentence that defines it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Table, column
from sixfold.data.events import Events
from sixfold.data.labels import Label, attribute, label_values
from sixfold.frame import Entity

user, page = Entity("user"), Entity("page", str)
shown = Events("shown", keys=(user, page), fields={})
view = Events("view", keys=(user, page), fields={"seconds": float, "liked": bool, "weight": float})
absent = Events("absent", keys=(user, page), fields={"done": bool})
other = Events("other", keys=(user,), fields={"seconds": float})

events = st.fixed_dictionaries(
    {
        "user": st.integers(0, 2),
        "page": st.sampled_from(["a", "b"]),
        "at": st.integers(0, 12),
        "seconds": st.sampled_from([0.0, 1.5, 2.0, float("nan"), -1.0]),
        "liked": st.booleans(),
        "weight": st.sampled_from([1.0, 3.0, float("nan")]),
    }
)
histories = st.lists(events, max_size=12)


def table_of(rows: list[dict[str, Any]]) -> Table:
    kinds = {"user": int, "page": str, "at": int, "seconds": float, "liked": bool, "weight": float}
    return Table({name: column([row[name] for row in rows], kind) for name, kind in kinds.items()})


def naive_row(impressions: list[dict[str, Any]], outcome: dict[str, Any], within: int) -> int:
    """The latest impression of the same keys at or before the outcome (of equals the last), if it is recent enough."""
    best = -1
    for row, impression in enumerate(impressions):
        same = impression["user"] == outcome["user"] and impression["page"] == outcome["page"]
        if same and impression["at"] <= outcome["at"] and (best < 0 or impression["at"] >= impressions[best]["at"]):
            best = row
    return best if best >= 0 and outcome["at"] - impressions[best]["at"] < within else -1


@given(histories, histories, st.integers(1, 14))
def test_attribution(impressions: list[dict[str, Any]], outcomes: list[dict[str, Any]], within: int) -> None:
    found = attribute(table_of(impressions), table_of(outcomes), ["user", "page"], within)
    assert found.tolist() == [naive_row(impressions, outcome, within) for outcome in outcomes]
    assert found.dtype == np.int64


@given(histories, histories)
def test_values_and_weights(impressions: list[dict[str, Any]], outcomes: list[dict[str, Any]]) -> None:
    span = {"within": "5us", "matures": "5us"}
    total = Label("total", view.seconds * 2, shown, **span, weight=view.weight)
    liked = Label("liked", view.liked, shown, **span)
    sums, hits, weights = [0.0] * len(impressions), [0.0] * len(impressions), [1.0] * len(impressions)
    for outcome in outcomes:
        row = naive_row(impressions, outcome, 5)
        if row < 0:
            continue
        hits[row] = max(hits[row], float(outcome["liked"]))
        if not np.isnan(outcome["seconds"]):
            sums[row] += outcome["seconds"] * 2
        if not np.isnan(outcome["weight"]):
            weights[row] = outcome["weight"]
    values, given_weights = total.values(table_of(impressions), table_of(outcomes))
    assert values.tolist() == sums and given_weights.tolist() == weights
    values, given_weights = liked.values(table_of(impressions), table_of(outcomes))
    assert values.tolist() == hits and given_weights.tolist() == [1.0] * len(impressions)
    assert values.dtype == given_weights.dtype == np.float64


@given(histories, histories)
def test_labels_together_are_as_each_alone(impressions: list[dict[str, Any]], outcomes: list[dict[str, Any]]) -> None:
    labels = [
        Label("total", view.seconds * 2, shown, within="5us", matures="5us", weight=view.weight),
        Label("liked", view.liked, shown, within="5us", matures="9us"),
        Label("soon", view.liked, shown, within="2us", matures="5us"),
        Label("never", absent.done, shown, within="5us", matures="5us"),
    ]
    shows, views = table_of(impressions), table_of(outcomes)
    values, weights = label_values(labels, shows, {"view": views, "shown": shows})
    assert values.names == weights.names == ("total", "liked", "soon", "never")
    for label in labels[:3]:
        alone = label.values(shows, views)
        assert (values[label.name].tolist(), weights[label.name].tolist()) == (alone[0].tolist(), alone[1].tolist())
    assert values["never"].tolist() == [0.0] * len(shows) and weights["never"].tolist() == [1.0] * len(shows)


def test_an_outcome_at_the_end_of_the_window_comes_too_late() -> None:
    impression = [{"user": 1, "page": "a", "at": 10, "seconds": 0.0, "liked": False, "weight": 1.0}]
    outcome = [{**impression[0], "at": 15, "liked": True}]
    within = Label("liked", view.liked, shown, within="6us", matures="6us")
    without = Label("liked", view.liked, shown, within="5us", matures="6us")
    tables = table_of(impression), table_of(outcome)
    assert (within.values(*tables)[0].tolist(), without.values(*tables)[0].tolist()) == ([1.0], [0.0])


def test_kind_and_maturity() -> None:
    liked = Label("liked", view.liked, shown, within="30m", matures="1h")
    seconds = Label("seconds", view.seconds, shown, within="30m", matures="1h")
    assert liked.binary and not seconds.binary
    assert liked.maturity == 3_600_000_000 and liked.outcome == view
    assert liked.spec() == ["label", "liked", ["field", "view", "liked"], "shown", ["30m", "1h"], None]


@pytest.mark.parametrize(
    ("expr", "options", "problem"),
    [
        (other.seconds > 1, {}, "lacks the keys"),
        (view.liked, {"matures": "10m"}, "give matures >= 30m"),
        (view.liked, {"within": "0s"}, "nothing can happen"),
        (view.liked, {"weight": other.seconds}, "the weight is over 'other'"),
    ],
)
def test_contradictions_are_refused(expr: Any, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        Label("liked", expr, shown, **{"within": "30m", "matures": "1h", **options})
