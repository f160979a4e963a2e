"""Linear models: the contract of rankers, and the optimum that Newton's method finds as well."""

from dataclasses import replace

import numpy as np

from sixfold._core.table import Table
from sixfold.models.linear_ranker import LinearRanker
from sixfold.testing.model_kit import check_ranker, example_dataset, example_heads


def test_keeps_the_contract() -> None:
    check_ranker(lambda heads: LinearRanker(heads, categorical=("author",)))


def test_the_optimum_is_that_of_newtons_method() -> None:
    train = example_dataset(1_000, 1)
    x = np.nan_to_num(train.features["quality"])
    train = replace(train, features=Table({"quality": x}))
    fitted = LinearRanker(example_heads()[:1], l2=2.0).fit(train, train, seed=0)
    rows = np.stack([np.ones(len(x)), (x - x.mean()) / x.std()], axis=1)
    theta, y = np.zeros(2), train.labels["liked"]
    for _ in range(30):
        p = 1 / (1 + np.exp(-rows @ theta))
        hessian = (rows * (p * (1 - p))[:, None]).T @ rows + np.diag([0.0, 2.0])
        theta -= np.linalg.solve(hessian, rows.T @ (p - y) + np.array([0.0, 2.0]) * theta)
    expected = 1 / (1 + np.exp(-rows @ theta))
    assert np.allclose(fitted.predict(train.features)["liked"], expected, atol=2e-5)


def test_a_number_is_taken_no_further_than_training_saw_it() -> None:
    train = example_dataset(500, 1)
    fitted = LinearRanker(example_heads()).fit(train, train, seed=0)
    top = float(np.nanmax(train.features["quality"]))
    some = train.features.take(slice(0, 2)).with_columns({"quality": np.array([top, 1e9])})
    same = {name: np.repeat(some[name][:1], 2, axis=0) for name in some.names if name != "quality"}
    liked = fitted.predict(some.with_columns(same))["liked"]
    assert liked[0] == liked[1]
