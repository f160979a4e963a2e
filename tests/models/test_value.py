import numpy as np
import pytest

from sixfold._core.errors import ModelError
from sixfold._core.table import Table
from sixfold.frame import Objective
from sixfold.models.value import expected_value
from sixfold.testing.model_kit import example_heads


def test_adds_up_what_the_outcomes_are_worth() -> None:
    liked, seconds = example_heads()
    heads = Table({"seconds": np.array([10.0, 0.0]), "liked": np.array([0.5, 1.0]), "other": np.array([9.0, 9.0])})
    assert expected_value(Objective({liked: 2.0, seconds: -0.1}), heads).tolist() == [0.0, 2.0]


def test_an_outcome_nobody_predicts_is_an_error() -> None:
    liked, _ = example_heads()
    with pytest.raises(ModelError, match="liked"):
        expected_value(Objective({liked: 2.0}), Table({"seconds": np.ones(1)}))
