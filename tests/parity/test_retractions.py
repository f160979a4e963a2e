"""Oracle = batch = online on histories in which events are retracted."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold._core.errors import FeatureError
from sixfold._core.times import DAY
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import FeatureSet, OnlineFeatures, as_of
from sixfold.testing.compare import differences
from sixfold.testing.histories import EVERYTHING, Case, Fact, between, build, cases, draw, draw_features
from sixfold.testing.oracle import oracle
from sixfold.testing.replay import asked_online


def check(features: FeatureSet, case: Case, rng: np.random.Generator) -> None:
    history, spine = build(case)
    expected = oracle(features, history, spine)
    assert differences(expected, as_of(features, history, spine)) == []
    if len(spine):
        online = asked_online(features, history, spine, make_store=MemoryStore, rng=rng, restarts=0.05)
        assert differences(expected, online) == []


def check_many(seed: int, n: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    for i in range(n):
        features = EVERYTHING if i % 3 else draw_features(rng, 10)
        share = float(rng.choice([0.05, 0.2, 0.5]))
        check(features, draw(rng, int(rng.integers(0, most)), int(rng.integers(1, 5)), retractions=share), rng)


@settings(max_examples=40, deadline=None)
@given(cases(retractions=True), st.integers(0, 2**32))
def test_generated_histories(case: Case, seed: int) -> None:
    check(EVERYTHING, case, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(3))
def test_drawn_histories(seed: int) -> None:
    check_many(seed, 25, 40)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 210))
def test_thousands_of_histories(seed: int) -> None:
    check_many(seed, 300, 24)


@pytest.mark.slow
def test_long_histories_with_crowded_keys() -> None:
    check_many(9, 20, 500)


@pytest.mark.parametrize("seed", range(2))
def test_crowded_keys_and_moments_before_what_is_known(seed: int) -> None:
    rng = np.random.default_rng(seed)
    history, spine = build(draw(rng, 250, 12, retractions=0.1))
    earlier = spine.with_columns({"at": spine["at"] - rng.integers(0, 40 * DAY, len(spine))})
    assert differences(oracle(EVERYTHING, history, earlier), as_of(EVERYTHING, history, earlier)) == []


def test_without_the_log_nothing_is_taken_back_and_the_state_says_so() -> None:
    plain = Fact(1, 0, 0, 0, 0, 0.5, 1, True, "a")
    history, _ = build(Case((plain, Fact(1, 0, 0, 0, 0, 0.5, 1, True, "a", undoes=1)), ()))
    online = OnlineFeatures(EVERYTHING, MemoryStore())
    with pytest.raises(FeatureError, match="needs the log"):
        online.fold(history, 2)
    assert online.offset == 0
    online.fold(between(history, 0, 1), 1)
    again = OnlineFeatures(EVERYTHING, MemoryStore(), read=partial(between, history))
    again.fold(history, 2)
    assert again.offset == 2
