"""The batch evaluator gives what the oracle gives, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings

from sixfold.features.batch import as_of
from sixfold.testing.histories import EVERYTHING, Case, build, cases, draw
from sixfold.testing.oracle import differences, oracle


def check(case: Case) -> None:
    history, spine = build(case)
    assert differences(oracle(EVERYTHING, history, spine), as_of(EVERYTHING, history, spine)) == []


@settings(max_examples=100, deadline=None)
@given(cases())
def test_batch_equals_the_oracle_on_generated_histories(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("seed", range(20))
def test_batch_equals_the_oracle_on_drawn_histories(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(10):
        check(draw(rng, int(rng.integers(0, 60)), 8))
