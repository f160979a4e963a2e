"""Fairness gaps: against a naive reference, with intervals, as a measure that a limit can bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError, InputError
from sixfold._core.table import Table, column
from sixfold.data import Events, Label
from sixfold.evaluate.fairness import Fairness, equalised_odds_gap, parity_gap
from sixfold.evaluate.measures import OURS, Trial
from sixfold.features import attribute
from sixfold.frame import Entity

user, item = Entity("user"), Entity("item")
person = Events("person", keys=(user,), fields={"gender": str, "age": float})
shown = Events("shown", keys=(user, item))
click = Events("click", keys=(user, item), fields={"long": bool})
long = Label("long", click.long, of=shown, within="1h", matures="1h")


def naive(selected: list[bool], outcome: list[int], groups: list[int]) -> tuple[float, float]:
    def rate(rows: list[int]) -> float:
        return sum(selected[i] for i in rows) / len(rows)

    def largest(wanted: tuple[int, ...]) -> float:
        each = [[i for i, g in enumerate(groups) if g == name and outcome[i] in wanted] for name in sorted(set(groups))]
        rates = [rate(rows) for rows in each]
        return max(rates) - min(rates)

    return largest((0, 1)), max(largest((1,)), largest((0,)))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=30))
def test_gaps_are_those_of_a_loop(rows: list[tuple[bool, int, int]]) -> None:
    rows = rows + [(True, y, g) for y in (0, 1) for g in (0, 1, 2)]
    selected, outcome, groups = map(list, zip(*rows, strict=True))
    parity, odds = naive(selected, outcome, groups)
    arrays = np.array(selected), np.array(outcome), np.array(groups)
    assert parity_gap(arrays[0], arrays[2]) == pytest.approx(parity)
    assert equalised_odds_gap(*arrays) == pytest.approx(odds)
    twice = np.full((2, len(rows)), 2.0)
    assert equalised_odds_gap(*arrays, twice) == pytest.approx([odds, odds])


def trial(*, unfair: bool, n: int = 4_000) -> Trial:
    rng = np.random.default_rng(3)
    users = rng.integers(0, 800, n)
    gender = np.where(users % 2 == 0, "f", "m")
    quality = rng.normal(size=n)
    truth = (quality + 0.5 * rng.normal(size=n) > 1).astype(np.float64)
    score = quality + (1.0 * (gender == "m") if unfair else 0.0)
    at = np.full(n, 10**9)
    spine = Table({"user": users, "item": np.arange(n), "at": at, "offset": np.full(n, 900)})
    known = np.arange(800)
    people = Table({
        "id": column([f"p{i}" for i in known], str), "user": known, "at": known, "arrived": known, "offset": known,
        "gender": column([("f", "m")[i % 2] if i > 20 else None for i in known], str), "age": np.full(800, np.nan),
    })  # fmt: skip
    return Trial(
        spine, Table({}, n_rows=n), Table({"long": truth}), {OURS: Table({"long": score})}, {"person": people},
        start=10**9, people=users, decide=lambda _: pytest.fail(), request=lambda _: pytest.fail(), seed=1,
    )  # fmt: skip


def test_a_head_that_favours_a_group_is_found_out() -> None:
    measure = Fairness(long, by=attribute(person.gender))
    parity, odds = measure.metrics
    table, fair = measure.measure(trial(unfair=False))
    _, unfair = measure.measure(trial(unfair=True))
    assert float(fair[parity]) < 0.03 and fair[parity].low < 0.02  # type: ignore[union-attr]
    assert unfair[parity].low > 0.08 and unfair[odds].low > 0.1  # type: ignore[union-attr]
    assert [entry.name for entry in table.entries][-1] == "largest difference"
    assert "unknown" in table.note


def test_what_cannot_be_grouped_is_refused() -> None:
    with pytest.raises(InputError, match="must be text"):
        Fairness(long, by=attribute(person.age)).measure(trial(unfair=False))
    table, alone = Fairness(long, by=attribute(person.gender), least=1_000).measure(trial(unfair=False))
    assert "nothing to compare" in table.note and all(np.isnan(float(figure)) for figure in alone.values())
    with pytest.raises(DefinitionError, match="share must lie"):
        Fairness(long, by=attribute(person.gender), share=1.0)
