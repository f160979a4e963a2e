import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import InputError
from sixfold._core.table import column
from sixfold.models.catalogue import Catalogue, top_rows


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 45))
def test_top_rows_is_a_stable_sort_cut_off(values: list[int], k: int) -> None:
    scores = np.array(values, np.float32)
    assert top_rows(scores, k).tolist() == sorted(range(len(values)), key=lambda row: (-values[row], row))[:k]


@given(st.lists(st.integers(0, 50), unique=True), st.lists(st.integers(-1, 60)))
def test_rows_of_keys_are_the_same_for_numbers_and_text(keys: list[int], asked: list[int]) -> None:
    expected = [keys.index(key) if key in keys else -1 for key in asked]
    assert Catalogue(np.array(keys, np.int64)).rows(np.array(asked, np.int64)).tolist() == expected
    texts = Catalogue(column([f"k{key}" for key in keys], str))
    assert texts.rows(column([None if key == -1 else f"k{key}" for key in asked], str)).tolist() == expected


def test_refuses_keys_named_twice_and_text_among_numbers() -> None:
    with pytest.raises(InputError, match="unique"):
        Catalogue(np.array([1, 2, 1]))
    with pytest.raises(InputError, match="text"):
        Catalogue(np.array([1, 2])).rows(column(["a"], str))
