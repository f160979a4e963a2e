"""Gates and slices: what passes, what does not, and what a person is told."""

import numpy as np
import pytest

from sixfold._core.errors import InputError
from sixfold._core.table import Table, column
from sixfold.evaluate.bootstrap import Estimate, mean
from sixfold.evaluate.gates import judge, passed
from sixfold.evaluate.slices import by_category, by_count, measure_slices
from sixfold.frame import Limit

ECE = Limit("ece", at_most=0.01)


def test_a_calibrated_release_that_beats_popularity_ships() -> None:
    verdicts = judge(
        {"ece": Estimate(0.008, 0.005, 0.011, 100)},
        [ECE],
        primary="recall@100",
        beat={"popular": Estimate(0.1, 0.08, 0.12, 9)},
    )
    assert passed(verdicts)
    assert [verdict.name for verdict in verdicts] == ["ece", "beats popular"]
    assert verdicts[1].why == "It beats popular by +0.1000 in recall@100 [+0.0800, +0.1200]."


@pytest.mark.parametrize(
    ("difference", "says"),
    [
        (Estimate(0.01, -0.01, 0.03, 9), "does not surely beat popular"),
        (Estimate(0.0, 0.0, 0.0, 9), "does not surely beat popular"),
        (Estimate(-0.02, -0.03, -0.01, 9), "worse than popular"),
        (Estimate(np.nan, np.nan, np.nan, 0), "was not compared on recall@100"),
        (None, "was not compared on recall@100"),
    ],
)
def test_a_release_that_does_not_beat_a_baseline_is_refused(difference: Estimate | None, says: str) -> None:
    (verdict,) = judge({}, [], primary="recall@100", beat={"popular": difference})
    assert not verdict.passed
    assert says in verdict.why


@pytest.mark.parametrize(
    ("limit", "measured", "says"),
    [
        (ECE, {"ece": 0.02}, "ece is 0.02, above the limit of 0.01."),
        (ECE, {"ece": Estimate(0.02, 0.01, 0.03, 9)}, "ece is 0.02 (95 % interval 0.01 to 0.03), above"),
        (ECE, {}, "ece has a limit (≤ 0.01) but nobody measured it"),
        (ECE, {"ece": np.nan}, "could not be computed"),
        (Limit("recall@100", at_least=0.3), {"recall@100": 0.25}, "below the limit of 0.3"),
        (Limit("freshness", at_most="1m"), {"freshness": 90e6}, "freshness is 90s, above the limit of 1m."),
    ],
)
def test_a_broken_limit_is_refused_in_plain_words(limit: Limit, measured: dict, says: str) -> None:
    (verdict,) = judge(measured, [limit])
    assert not verdict.passed
    assert says in verdict.why


def test_a_limit_is_inclusive() -> None:
    assert passed(judge({"ece": 0.01}, [ECE]))
    (verdict,) = judge({"ratio": 1.0}, [Limit("ratio", at_least=0.95, at_most=1.05)])
    assert verdict.bound == "≥ 0.95 and ≤ 1.05"


def test_slices_measure_their_own_rows_only() -> None:
    rows = Table({"value": np.array([1.0, 2.0, 3.0, 10.0]), "tab": column(["a", "b", "a", None], str)})
    users = np.array([1, 1, 2, 3])
    slices = (
        by_category("tab", rows["tab"])
        | by_count("events", np.array([0, 9, 0, 9]), (5,))
        | {"nobody": np.zeros(4, np.bool_)}
    )
    found = {
        part.name: part
        for part in measure_slices(rows, slices, {"mean": lambda t, w: mean(t["value"], w)}, users=users, seed=1)
    }
    assert {name: part.metrics["mean"].value for name, part in found.items() if name != "nobody"} == {
        "all": 4.0,
        "tab = a": 2.0,
        "tab = b": 2.0,
        "tab missing": 10.0,
        "events < 5": 2.0,
        "events ≥ 5": 6.0,
    }
    assert (found["all"].n_rows, found["all"].n_users) == (4, 3)
    assert np.isnan(found["nobody"].metrics["mean"].value)


def test_slices_of_numbers_and_of_others() -> None:
    masks = by_category("kind", np.array([1.0, np.nan, 2.0, 2.0, 3.0]), top=1)
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "kind = 2.0": [False, False, True, True, False],
        "kind = others": [True, False, False, False, True],
        "kind missing": [False, True, False, False, False],
    }
    assert list(by_count("n", np.arange(3), (1, 2))) == ["n < 1", "n 1 to 1", "n ≥ 2"]
    with pytest.raises(InputError, match="must rise"):
        by_count("n", np.arange(3), (2, 1))
    with pytest.raises(InputError, match="the table has 2 rows"):
        measure_slices(Table({"a": np.ones(2)}), {"x": np.ones(3, np.bool_)}, {}, users=np.arange(2), seed=1)


def test_a_personal_value_is_named_only_where_twenty_people_share_it() -> None:
    values = np.array(["common"] * 30 + ["one person's"] * 40 + ["rare"] * 10, object)
    people = np.concatenate([np.arange(30), np.full(40, 99), np.arange(100, 110)])
    assert list(by_category("town", values, people=people)) == ["town = common", "town = others"]
    assert list(by_category("town", values))[:2] == ["town = one person's", "town = common"]
