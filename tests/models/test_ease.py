from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError, ModelError
from sixfold.models.ease import EASE, ease_weights
from sixfold.testing.model_kit import check_retriever, consumed_keys, example_interactions


def test_keeps_the_contract() -> None:
    check_retriever(lambda: EASE(l2=20.0))


@given(st.integers(2, 8), st.integers(1, 30), st.floats(0.5, 50), st.integers(0, 2**32 - 1))
def test_solves_the_constrained_ridge_regression(n_items: int, n_users: int, l2: float, seed: int) -> None:
    x = (np.random.default_rng(seed).random((n_users, n_items)) < 0.4).astype(np.float64)
    b = ease_weights((x.T @ x).astype(np.float32), l2).astype(np.float64)
    assert (np.diag(b) == 0).all()
    # Column j of the optimum is the ridge regression of item j on the others: the normal equations leave nothing over.
    left = x.T @ (x @ b - x) + l2 * b
    left[np.diag_indices(n_items)] = 0
    assert np.abs(left).max() < 1e-4 * max(1.0, np.abs(x.T @ x).max())


def test_agrees_with_a_numerical_minimiser() -> None:
    x = (np.random.default_rng(3).random((40, 4)) < 0.5).astype(np.float64)

    def loss(free: np.ndarray) -> float:
        b = np.zeros((4, 4))
        b[~np.eye(4, dtype=bool)] = free
        return float(((x - x @ b) ** 2).sum() + 5.0 * (b**2).sum())

    found = scipy.optimize.minimize(loss, np.zeros(12), tol=1e-10).x
    assert ease_weights((x.T @ x).astype(np.float32), 5.0)[~np.eye(4, dtype=bool)] == pytest.approx(found, abs=1e-4)


def test_the_unit_of_the_weights_changes_nothing() -> None:
    data = example_interactions(100)
    tenfold = replace(data, events=data.events.with_columns({"weight": data.events["weight"] * 10}))
    one, two = (EASE(l2=20.0).fit(d, seed=1).scores(consumed_keys(data, slice(20))) for d in (data, tenfold))
    assert one == pytest.approx(two, abs=1e-5)


def test_a_large_catalogue_is_cut_to_the_items_consumed_most() -> None:
    data = example_interactions(100)
    fitted = EASE(l2=20.0, max_items=10).fit(data, seed=1)
    counts = {key: int((data.events["item"] == key).sum()) for key in data.catalog["item"].tolist()}
    assert len(fitted.items) == 10
    assert min(counts[key] for key in fitted.items.tolist()) >= sorted(counts.values())[-10]


def test_says_when_the_equations_cannot_be_solved() -> None:
    with pytest.raises(ModelError, match="larger l2"):
        ease_weights(np.full((3, 3), -5.0, np.float32), 1.0)


@pytest.mark.parametrize("bad", [{"l2": 0.0}, {"keep": 0}, {"max_items": 0}])
def test_refuses_settings_without_a_meaning(bad: dict[str, float]) -> None:
    with pytest.raises(DefinitionError):
        EASE(**bad)  # type: ignore[arg-type]
