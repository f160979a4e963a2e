import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import InputError
from sixfold.models.blend import Query, standardised, tune_weights


def queries(n: int, *, noise: tuple[float, ...], seed: int = 0) -> list[Query]:
    """Sources that see the truth through noise of these sizes, each with gaps; the five best of 60 are relevant."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        truth = rng.normal(size=60)
        scores = np.stack([truth + size * rng.normal(size=60) for size in noise])
        scores[rng.random(scores.shape) < 0.1] = np.nan
        found.append(Query(scores, np.argsort(np.argsort(-truth)) < 5, 6))
    return found


def test_what_carries_no_signal_loses_its_weight() -> None:
    weights, recall = tune_weights(("good", "alike", "useless"), queries(400, noise=(1.0, 1.0, 50.0)), k=10)
    assert weights["good"] == 1.0
    assert 0.45 <= weights["alike"] <= 1.7
    assert weights["useless"] <= 0.2
    assert recall > tune_weights(("good",), queries(400, noise=(1.0,)), k=10)[1]


def test_the_recall_is_that_of_the_weights() -> None:
    data = queries(50, noise=(1.0, 2.0))
    weights, recall = tune_weights(("a", "b"), data, k=10)
    expected = []
    for query in data:
        blend = np.array(list(weights.values())) @ standardised(query.scores)
        expected.append(query.relevant[np.argsort(-blend)[:10]].sum() / query.n_relevant)
    assert recall == pytest.approx(np.mean(expected), abs=1e-6)


def test_lists_of_different_lengths_are_compared_fairly() -> None:
    short = Query(np.array([[1.0, 2.0]]), np.array([True, False]), 1)
    long = Query(np.array([[1.0, 2.0, 3.0]]), np.array([False, False, True]), 1)
    assert tune_weights(("only",), [short, long], k=1)[1] == 0.5
    assert tune_weights(("only",), [short, long], k=2)[1] == 1.0


def test_refuses_to_tune_on_nothing() -> None:
    with pytest.raises(InputError):
        tune_weights(("a",), [Query(np.ones((1, 3)), np.zeros(3, np.bool_), 0)])


def test_scores_that_are_all_alike_say_nothing_whatever_the_rounding() -> None:
    assert standardised(np.full((1, 3), 0.1)).tolist() == [[0, 0, 0]]


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(np.nan)), min_size=1, max_size=20))
def test_standardised_scores_are_finite_with_mean_0_and_keep_the_order(values: list[float]) -> None:
    scores = np.array([values])
    z = standardised(scores)[0]
    assert np.isfinite(z).all()
    assert abs(z.mean()) < 1e-3
    known = np.isfinite(scores[0])
    order = np.argsort(scores[0][known], kind="stable")
    assert (np.diff(z[known][order]) >= 0).all()
    assert (z[~known] <= z[known].min(initial=0.0) + 1e-12).all()
