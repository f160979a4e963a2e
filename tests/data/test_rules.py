"""Labels by rule: the label model finds the truth that generated the votes, and no test row decides what is true."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold._core.errors import DataError, DefinitionError
from sixfold._core.table import Table
from sixfold.data.events import Events
from sixfold.data.labels import Label, label_values
from sixfold.data.rules import Rule, RuleLabel, RuleModel, fit_rules, rule_label, weighed
from sixfold.frame import Entity

user, video = Entity("user"), Entity("video")
shown = Events("shown", keys=(user, video))
watch = Events("watch", keys=(user, video), fields={"share": float, "liked": bool, "seconds": float})
RULES = (
    Rule("finished", watch.share >= 0.9),
    Rule("liked", watch.liked),
    Rule("left", watch.share < 0.1, means=False),
)
good = rule_label("good", *RULES, of=shown, within="1h", matures="1h")


def voted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truths, and rules that fire by them: a sharp one, a rare one, a dull one, and one against."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.3
    chances = np.where(truth[:, None], [0.8, 0.2, 0.5, 0.05], [0.1, 0.01, 0.4, 0.6])
    return truth, rng.random((n, 4)) < chances


def test_the_model_finds_what_generated_the_votes() -> None:
    truth, fired = voted(200_000, seed=1)
    model = fit_rules(fired, [True, True, True, False])
    assert model.prior == pytest.approx(0.3, abs=0.02)
    assert model.if_true == pytest.approx((0.8, 0.2, 0.5, 0.05), abs=0.02)
    assert model.if_false == pytest.approx((0.1, 0.01, 0.4, 0.6), abs=0.02)
    p = model.probability(fired)
    votes = fired[:, :3].sum(axis=1) > fired[:, 3]
    assert ((p >= 0.5) == truth).mean() > (votes == truth).mean() + 0.02
    for low in (0.0, 0.25, 0.5, 0.75):
        rows = (p >= low) & (p < low + 0.25)
        assert not rows.any() or truth[rows].mean() == pytest.approx(p[rows].mean(), abs=0.03)


def test_the_probability_is_bayes_rule() -> None:
    model = RuleModel(0.25, (0.9, 0.4), (0.2, 0.1))
    both, none = model.probability(np.array([[True, True], [False, False]]))
    assert both == pytest.approx(0.25 * 0.9 * 0.4 / (0.25 * 0.9 * 0.4 + 0.75 * 0.2 * 0.1))
    assert none == pytest.approx(0.25 * 0.1 * 0.6 / (0.25 * 0.1 * 0.6 + 0.75 * 0.8 * 0.9))


@settings(deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=20))
def test_any_votes_give_probabilities(rows: list[list[bool]]) -> None:
    p = fit_rules(np.array(rows), [True, True, False]).probability(np.array(rows))
    assert np.isfinite(p).all() and (p >= 0).all() and (p <= 1).all()


def history(n: int = 3_000) -> tuple[Table, dict[str, Table]]:
    rng = np.random.default_rng(2)
    at = np.sort(rng.integers(0, 10**10, n))
    keys = {"user": rng.integers(0, 50, n), "video": np.arange(n)}
    impressions = Table({**keys, "at": at, "offset": np.arange(n)})
    truth = rng.random(n) < 0.4
    share = np.where(truth, rng.random(n) ** 0.2, rng.random(n) ** 3)
    liked = rng.random(n) < np.where(truth, 0.3, 0.02)
    outcomes = Table({**keys, "at": at + 5, "offset": n + np.arange(n), "share": share, "liked": liked})
    return impressions, {"shown": impressions, "watch": outcomes.with_columns({"seconds": share})}


def test_a_weighed_label_says_how_sure_it_is() -> None:
    impressions, log = history()
    plain, _ = label_values([good], impressions, log)
    fitted = weighed(good, impressions.take(slice(0, 2_000)), log)
    assert isinstance(fitted, RuleLabel) and fitted.model is not None and fitted.spec() == good.spec()
    values, weights = label_values([fitted], impressions, log)
    fired = fitted.fired(impressions, log["watch"])
    assert values["good"].tolist() == (fitted.model.probability(fired) >= 0.5).tolist()
    assert 0 <= weights["good"].min() < weights["good"].max() <= 1
    by_hand = (fired[:, 0] | fired[:, 1]) & ~fired[:, 2]
    assert plain["good"].tolist() == by_hand.tolist()


def test_later_rows_do_not_decide_what_is_true() -> None:
    impressions, log = history()
    early = impressions.take(impressions["at"] < 5 * 10**9)
    cut = {"shown": early, "watch": log["watch"].take(log["watch"]["at"] < 5 * 10**9 + 10)}
    assert weighed(good, early, log).model == weighed(good, early, cut).model  # type: ignore[attr-defined]
    other = Label("other", watch.liked, of=shown, within="1h", matures="1h")
    assert weighed(other, early, log) is other


def test_rules_that_cannot_be_weighed_are_refused() -> None:
    def refused(*rules: Rule) -> str:
        with pytest.raises(DefinitionError) as caught:
            rule_label("good", *rules, of=shown, within="1h", matures="1h")
        return "\n".join(caught.value.problems)

    assert "fewer than three rules" in refused(*RULES[:2])
    assert "two rules are called 'liked'" in refused(*RULES, RULES[1])
    assert "must be true or false" in refused(*RULES, Rule("long", watch.seconds))
    other = Events("other", keys=(user, video), fields={"done": bool})
    assert "of one stream" in refused(*RULES, Rule("done", other.done))
    with pytest.raises(DataError, match="no rows to weigh"):
        fit_rules(np.zeros((0, 3), np.bool_), [True, True, False])
