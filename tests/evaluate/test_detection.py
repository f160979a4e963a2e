"""Average precision and card precision against naive references, and the table of a trial."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError, InputError
from sixfold._core.table import Array, Table
from sixfold._core.times import DAY
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.evaluate.detection import PERFECT, Detection, average_precision, card_precision
from sixfold.evaluate.measures import OURS, Trial
from sixfold.frame import Entity

CUSTOMER, TERMINAL = Entity("customer"), Entity("terminal")
PAID = Events("paid", keys=(CUSTOMER, TERMINAL))
SEEN = Events("seen", keys=(CUSTOMER, TERMINAL), fields={"bad": bool, "cost": float})
BAD = Label("bad", SEEN.bad, of=PAID, within="1d", matures="1d")


def naive_average_precision(y: Array, s: Array, w: Array) -> float:
    area = recall_before = 0.0
    for threshold in sorted(set(s.tolist()), reverse=True):
        taken = s >= threshold
        if w[taken].sum() > 0:
            recall = (w * y)[taken].sum() / (w * y).sum()
            area += (recall - recall_before) * (w * y)[taken].sum() / w[taken].sum()
            recall_before = recall
    return area


def naive_card_precision(y: Array, s: Array, cards: Array, days: Array, k: int) -> float:
    """The handbook's own loop, for scores without ties."""
    found: set[int] = set()
    precisions = []
    for day in sorted(set(days.tolist())):
        best: dict[int, tuple[float, int]] = {}
        for row in np.flatnonzero(days == day).tolist():
            card = int(cards[row])
            if card not in found:
                score, true = best.get(card, (-np.inf, 0))
                best[card] = max(score, float(s[row])), max(true, int(y[row]))
        top = sorted(best, key=lambda card: -best[card][0])[:k]
        hits = {card for card in top if best[card][1]}
        found |= hits
        precisions.append(len(hits) / k)
    return float(np.mean(precisions))


rows = st.integers(1, 60)


@given(n=rows, seed=st.integers(0, 10**6), levels=st.integers(1, 20))
def test_average_precision_is_the_area_step_by_step(n: int, seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    y, s = rng.random(n) < 0.4, rng.integers(0, levels, n) / levels
    w = rng.integers(0, 3, (4, n)).astype(float)
    got = average_precision(y, s, w)
    assert got.shape == (4,)
    for value, weights in zip(got, w, strict=True):
        if (weights * y).sum() == 0:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(naive_average_precision(y, s, weights))


@given(n=rows, seed=st.integers(0, 10**6), k=st.integers(1, 6))
def test_card_precision_is_the_handbooks_loop(n: int, seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    y, s = rng.random(n) < 0.4, rng.permutation(n) / n
    cards, days = rng.integers(0, 9, n), rng.integers(0, 4, n)
    expected = naive_card_precision(y, s, cards, days, k)
    assert float(card_precision(y, s, cards, days, k=k)) == pytest.approx(expected)


@given(n=rows, seed=st.integers(0, 10**6), k=st.integers(1, 6))
def test_a_card_of_weight_two_is_two_cards(n: int, seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    y, s = rng.random(n) < 0.4, rng.integers(0, 10, n) / 10
    cards, days = rng.integers(0, 9, n), rng.integers(0, 4, n)
    times = rng.integers(0, 3, 9)
    copies = [(times[cards] > i, 100 * i) for i in range(2)]
    doubled = [np.concatenate([column[held] for held, _ in copies]) for column in (y, s, days)]
    named = np.concatenate([cards[held] + add for held, add in copies])
    got = float(card_precision(y, s, cards, days, k=k, weights=times[cards].astype(float)))
    if len(set(doubled[2].tolist())) == len(set(days.tolist())):
        assert got == pytest.approx(float(card_precision(*doubled[:2], named, doubled[2], k=k)))


def test_equal_scores_share_the_looks_that_are_left() -> None:
    y, s = np.array([1, 0, 0]), np.array([0.9, 0.5, 0.5])
    days = np.zeros(3, np.int64)
    assert float(card_precision(y, s, np.array([1, 2, 3]), days, k=2)) == 0.5
    assert float(card_precision(1 - y, s, np.array([1, 2, 3]), days, k=2)) == 0.5
    assert np.isnan(card_precision(y[:0], s[:0], days[:0], days[:0], k=2))
    with pytest.raises(InputError, match="k >= 1"):
        card_precision(y, s, days, days, k=0)


def test_the_table_has_every_model_and_what_could_be_reached() -> None:
    rng = np.random.default_rng(0)
    n = 400
    truth = (rng.random(n) < 0.1).astype(float)
    good, bad = truth + rng.normal(0, 0.4, n), rng.random(n)
    days = np.sort(rng.integers(0, 3, n))
    spine = Table({"customer": rng.integers(0, 50, n), "at": days * DAY + 7})
    predictions = {OURS: Table({"bad": good}), "chance": Table({"bad": bad})}
    features = Table({}, n_rows=n)
    trial = Trial(spine, features, Table({"bad": truth}), predictions, {}, spine["customer"], 0, _never, _never, 1)
    table, figures = Detection(BAD, per=CUSTOMER, k=5).measure(trial)
    assert [entry.name for entry in table.entries] == [OURS, "chance", PERFECT]
    assert set(figures) == set(Detection(BAD, per=CUSTOMER, k=5).metrics)
    assert float(figures["average_precision"]) == pytest.approx(float(average_precision(truth, good)))
    ours, chance, perfect = (entry.metrics["card precision@5"] for entry in table.entries)
    assert chance.value < ours.low
    assert ours.value <= perfect.value
    assert "ahead in average precision" in table.entries[1].note
    assert "3 days" in table.note


def test_detection_is_of_what_happens_or_does_not() -> None:
    cost = Label("cost", SEEN.cost, of=PAID, within="1d", matures="1d")
    with pytest.raises(DefinitionError, match="binary"):
        Detection(cost, per=CUSTOMER)


def _never(request: object) -> None:
    raise AssertionError(request)
