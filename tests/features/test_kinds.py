"""Each kind of aggregation on events few enough to check by hand, and the table that declares them."""

import math
import statistics
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold import features as f
from sixfold._core.errors import DefinitionError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY, HOUR, MINUTE
from sixfold.data.events import Events
from sixfold.features.definitions import Kind
from sixfold.features.kinds import KINDS
from sixfold.features.lanes import Lane, growth, prepare
from sixfold.frame import Entity

user = Entity("user")
watch = Events("watch", keys=(user,), fields={"share": float, "stars": int, "liked": bool, "tab": str})


def watches(*rows: tuple[int, int, float, int, bool, str | None]) -> dict[str, Table]:
    """Events of (hour, user, share, stars, liked, tab) in order of offset, none late."""
    hour, who, share, stars, liked, tab = zip(*rows, strict=True)
    at = column([100 * DAY + h * HOUR for h in hour], int)
    parts: dict[str, Any] = {"offset": np.arange(len(rows)), "at": at, "arrived": at, "user": column(who, int)}
    parts |= {"share": column(share, float), "stars": column(stars, int), "liked": column(liked, bool)}
    return {"watch": Table(parts | {"tab": column(tab, str)})}


PAST = watches(
    (0, 1, 1.0, 2, True, "a"),
    (1, 1, 3.0, 4, False, "b"),
    (2, 2, math.nan, 0, True, None),
    (3, 1, 8.0, 4, False, "a"),
)


def values(*features: Any, hour: int = 4, who: int = 1, past: dict[str, Table] = PAST) -> list[Any]:
    """The features of one user at an hour, after all events."""
    spine = Table({"user": np.array([who]), "at": np.array([100 * DAY + hour * HOUR]), "offset": np.array([99])})
    chosen = f.FeatureSet(*features)
    return [f.as_of(chosen, past, spine)[name].tolist()[0] for name in chosen.names]


def test_variance_is_that_of_all_values_and_one_value_has_none() -> None:
    assert values(f.var(watch.stars, by=user, over="1d")) == [8 / 9]
    assert values(f.std(watch.share, by=user, over="1d")) == [pytest.approx(statistics.pstdev([1, 3, 8]))]
    assert values(f.var(watch.stars, by=user, over="1d"), who=2) == [0]
    assert math.isnan(values(f.var(watch.share, by=user, over="1d"), who=2)[0])


def test_a_decayed_value_halves_with_each_half_life() -> None:
    count = f.decayed_count(watch, by=user, half_life="1h")
    assert values(count, hour=3) == [1 + 2**-2 + 2**-3]
    assert values(count, hour=5) == [(1 + 2**-2 + 2**-3) / 4]
    assert values(f.decayed_sum(watch.stars, by=user, half_life="1h"), hour=3) == [4 + 4 / 4 + 2 / 8]
    assert values(f.decayed_mean(watch.stars, by=user, half_life="1h"), hour=9) == [(4 + 4 / 4 + 2 / 8) / 1.375]


def test_what_has_decayed_for_twenty_half_lives_is_forgotten() -> None:
    count, mean = f.decayed_count(watch, by=user, half_life="1h"), f.decayed_mean(watch.stars, by=user, half_life="1h")
    assert values(count, mean, hour=22)[0] == pytest.approx(2**-19, rel=0.5)
    assert values(count, hour=23) == [0]
    assert math.isnan(values(mean, hour=23)[0])


@given(st.integers(-(2**60), 2**60), st.integers(1, 400 * DAY))
def test_growth_is_the_power_of_two_that_it_says(at: int, half_life: int) -> None:
    found = float(growth(np.array([at]), half_life)[0])
    assert found == pytest.approx(2.0 ** (at % half_life / half_life), rel=2**-20)
    assert 1 <= found < 2


@given(st.integers(-(2**63), 2**63 - 1))
def test_the_limbs_of_a_square_add_up(value: int) -> None:
    clipped = max(-(2**51), min(2**51, value))
    limbs = [int(prepare(Lane("square", watch.stars, i), np.array([value]), 1)[0]) for i in range(3)]
    assert sum(limb << 34 * i for i, limb in enumerate(limbs)) == clipped**2
    assert all(0 <= limb < 2**35 for limb in limbs)


def test_a_histogram_counts_the_declared_values_only() -> None:
    tabs = f.histogram(watch.tab, by=user, over="1d", categories=("b", "a", "z"))
    stars = f.histogram(watch.stars, by=(), over="1d", categories=(4, 0))
    assert values(tabs, stars) == [[1, 2, 0], [2, 1]]
    assert tabs.width == 3


def test_values_are_counted_one_by_one() -> None:
    assert values(f.distinct(watch, of=watch.tab, by=user, over="1d"), who=1) == [2]
    assert values(f.distinct(watch, of=watch.tab, by=user, over="1d"), who=2) == [0]
    assert values(f.distinct(watch, of=user, by=(), over="2h"), hour=4) == [2]
    assert values(f.top_k(watch, of=watch.tab, k=3, by=user, over="1d")) == [["a", "b", None]]
    assert values(f.top_k(watch, of=watch.stars, k=1, by=user, over="1d"), who=9) == [[-1]]
    assert values(f.top_k(watch, of=watch.stars > 1, k=2, by=(), over="1d")) == [[1, 0]]


def test_of_equally_frequent_values_the_least_comes_first() -> None:
    past = watches(*((0, 1, x, 1, True, tab) for x, tab in ((2.0, "b"), (-1.0, "ab"), (0.0, "a"), (-0.0, "b"))))
    assert values(f.top_k(watch, of=watch.tab, k=3, by=user, over="1d"), past=past) == [["b", "a", "ab"]]
    found = values(f.top_k(watch, of=watch.share, k=3, by=user, over="1d"), past=past)[0]
    assert (found, math.copysign(1, found[0])) == ([0, -1, 2], 1)


def test_quantiles_of_small_whole_numbers_are_exact() -> None:
    past = watches(*((0, 1, 0.0, stars, True, "a") for stars in (256, 1, 3, 200, 2)))
    asked = [f.quantile(watch.stars, q, by=user, over="1d") for q in (0, 0.2, 0.21, 0.5, 0.99, 1)]
    assert values(*asked, past=past) == [1, 1, 2, 3, 256, 256]
    assert [feature.name for feature in asked][2] == "quantile_watch_stars_p21_by_user_1d"
    assert math.isnan(values(asked[0], who=5, past=past)[0])


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40), st.floats(0, 1))
def test_a_quantile_is_within_its_error_of_the_exact_one(shares: list[float], q: float) -> None:
    past = watches(*((0, 1, share, 1, True, "a") for share in shares))
    found = values(f.quantile(watch.share, q, by=user, over="1d"), past=past)[0]
    exact = sorted(shares)[max(1, math.ceil(q * len(shares))) - 1]
    assert found == pytest.approx(exact, rel=2**-8, abs=1e-300)


def test_memory_of_counting_by_value_is_bounded_by_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    past = watches(*((i // 9, i % 5, 0.0, int(rng.integers(9)), True, "a") for i in range(300)))
    n = 50
    asked = {
        "user": rng.integers(0, 6, n),
        "at": rng.integers(100 * DAY, 102 * DAY, n),
        "offset": rng.integers(0, 300, n),
    }
    chosen = f.FeatureSet(
        f.distinct(watch, of=watch.stars, by=user, over="1h"), f.quantile(watch.stars, 0.5, by=(), over="1d")
    )
    whole = f.as_of(chosen, past, Table(asked))
    monkeypatch.setattr("sixfold.features.occurrences._PAIRS", 10)
    cut = f.as_of(chosen, past, Table(asked))
    assert all(whole[name].tobytes() == cut[name].tobytes() for name in chosen.names)


def test_the_first_value_is_that_of_the_oldest_event_however_late_it_came() -> None:
    assert values(f.first(watch.tab, by=user), f.first(watch.stars, by=(), where=watch.share > 1)) == ["a", 4]
    late = watches((5, 1, 1.0, 2, True, "a"), (4, 1, 3.0, 4, False, "b"), (4, 1, 3.0, 4, False, "c"))
    assert values(f.first(watch.tab, by=user), past=late) == ["b"]
    assert values(f.first(watch.tab, by=user), who=7) == [None]


def test_no_key_is_the_key_of_everything() -> None:
    assert values(f.count(watch, by=(), over="1d"), f.count(watch, by=(), over="1h"), who=77) == [4, 1]
    assert f.count(watch, by=(), over="1d").name == "count_watch_overall_1d"


def test_ages_of_a_sequence_stand_beside_it() -> None:
    stars, ages = f.sequence(watch, by=user, of=watch.stars, last=4, times=True)
    found = values(stars, ages)
    assert found[0] == [-1, 2, 4, 4]
    assert found[1][1:] == [4 * 3600, 3 * 3600, 3600]
    assert math.isnan(found[1][0])


def test_time_since_last_looks_only_at_what_satisfies_its_condition() -> None:
    assert values(f.time_since_last(watch, by=user, where=watch.liked), f.age(watch, by=())) == [4 * 3600, 3600]


def test_rate_among_those_that_satisfy_a_condition() -> None:
    assert values(f.rate(watch.liked, by=user, over="1d", where=watch.tab.equals("a"))) == [0.5]


def test_recipes_are_expressions_over_aggregates() -> None:
    assert values(f.burstiness(watch, by=user, short="1h", long="1d")) == [1 / 3 * 24]
    own, among = 10 / 3, 2.5
    found = values(f.zscore(watch.stars, by=user, against=(), over="1d"))
    assert found == [pytest.approx((own - among) / statistics.pstdev([2, 4, 0, 4]))]


def test_every_kind_is_declared_and_says_rightly_whether_it_has_an_inverse() -> None:
    assert set(get_args(Kind)) == set(KINDS)
    assert [name for name, kind in KINDS.items() if kind.finalize is None] == ["distinct", "top_k", "quantile"]
    made = [
        *(kind(watch.share, by=user, over="1d") for kind in (f.sum, f.mean, f.min, f.max, f.var, f.std)),
        f.count(watch, by=user, over="1d"),
        f.rate(watch.liked, by=user, over="1d"),
        f.decayed_count(watch, by=user, half_life="1d"),
        f.decayed_sum(watch.share, by=user, half_life="1d"),
        f.decayed_mean(watch.share, by=user, half_life="1d"),
        f.histogram(watch.tab, by=user, over="1d", categories=("a",)),
    ]
    for feature in made:
        kind = KINDS[feature.kind]
        assert kind.lanes is not None
        assert kind.inverse == all(lane.adds for lane in kind.lanes(feature))
        assert all((kind.column, kind.empty, kind.error, kind.algebra))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: f.decayed_count(watch, by=user, half_life="lifetime"), "no half-life"),
        (lambda: f.decayed_sum(watch.share, by=user, half_life="0s"), "no half-life"),
        (lambda: f.histogram(watch.tab, by=user, over="1d", categories=()), "each once"),
        (lambda: f.histogram(watch.tab, by=user, over="1d", categories=(1,)), "not values"),
        (lambda: f.quantile(watch.share, 1.5, by=user, over="1d"), "share from 0 to 1"),
        (lambda: f.quantile(watch.tab, 0.5, by=user, over="1d"), "is text"),
        (lambda: f.top_k(watch, of=watch.tab, k=0, by=user, over="1d"), "at least 1"),
        (lambda: f.distinct(watch, of=Entity("video"), by=user, over="1d"), "do not name"),
        (lambda: f.distinct(watch, of=Events("o", (user,), {"a": int}).a, by=user, over="1d"), "not of its events"),
        (lambda: f.std(watch.tab, by=user, over="1d"), "is text"),
        (lambda: f.computed("x", f.histogram(watch.tab, by=user, over="1d", categories=("a",)) + 1), "one number"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


def test_today_begins_anew_at_midnight() -> None:
    ones = [(hour, 1, float(2**i), 0, False, None) for i, hour in enumerate((20, 23, 25, 26))]
    asked = 100 * DAY + np.array([DAY - 1, DAY, DAY + 90 * MINUTE, 2 * DAY - 1, 2 * DAY])
    past = watches(*ones)
    seen = np.searchsorted(past["watch"]["at"], asked)
    spine = Table({"user": np.ones(5, np.int64), "at": asked, "offset": seen})
    values = f.as_of(f.FeatureSet(f.sum(watch.share, by=user, over=("today", "1d"))), past, spine)
    assert values["sum_watch_share_by_user_today"].tolist() == [3.0, 0.0, 4.0, 12.0, 0.0]
    assert values["sum_watch_share_by_user_1d"].tolist() == [3.0, 3.0, 7.0, 14.0, 12.0]
