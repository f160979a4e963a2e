"""Oracle = batch on histories in which events are retracted."""

import numpy as np
import pytest
from hypothesis import given, settings

from sixfold._core.times import DAY
from sixfold.features import FeatureSet, as_of
from sixfold.testing.compare import differences
from sixfold.testing.histories import EVERYTHING, Case, build, cases, draw, draw_features
from sixfold.testing.oracle import oracle


def check(features: FeatureSet, case: Case) -> None:
    history, spine = build(case)
    assert differences(oracle(features, history, spine), as_of(features, history, spine)) == []


@settings(max_examples=100, deadline=None)
@given(cases(retractions=True))
def test_generated_histories(case: Case) -> None:
    check(EVERYTHING, case)


@pytest.mark.parametrize("seed", range(4))
def test_drawn_histories(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for i in range(60):
        features = EVERYTHING if i % 3 else draw_features(rng, 10)
        share = float(rng.choice([0.05, 0.2, 0.5]))
        check(features, draw(rng, int(rng.integers(0, 40)), int(rng.integers(1, 5)), retractions=share))


@pytest.mark.parametrize("seed", range(3))
def test_crowded_keys_and_moments_before_what_is_known(seed: int) -> None:
    rng = np.random.default_rng(seed)
    history, spine = build(draw(rng, 300, 12, retractions=0.1))
    earlier = spine.with_columns({"at": spine["at"] - rng.integers(0, 40 * DAY, len(spine))})
    assert differences(oracle(EVERYTHING, history, earlier), as_of(EVERYTHING, history, earlier)) == []
