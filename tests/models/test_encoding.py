import json

import numpy as np
import pytest

from sixfold._core.errors import InputError, ModelError
from sixfold._core.table import Table
from sixfold.models.encoding import Encoder


def text(*values: str | None) -> np.ndarray:
    return np.array(values, object)


def test_codes_are_by_frequency_and_zero_is_everything_else() -> None:
    table = Table({"kind": text("b", "a", "a", None, "b", "a", "c")})
    encoder = Encoder.fit(table, min_count=2)
    assert encoder.codes(table)[:, 0].tolist() == [2, 1, 1, 0, 2, 1, 0]
    assert encoder.sizes == (3,)


def test_numeric_columns_are_categories_only_when_declared() -> None:
    table = Table({"author": np.array([7.0, 7.0, np.nan, 3.0, 9.0]), "age": np.arange(5.0)})
    encoder = Encoder.fit(table, categorical=("author",), min_count=1)
    assert (encoder.numeric, encoder.categorical) == (("age",), ("author",))
    new = Table({"author": np.array([3.0, 8.0, np.nan, -1.0, 1e300]), "age": np.zeros(5)})
    assert encoder.codes(new)[:, 0].tolist() == [2, 0, 0, 0, 0]
    assert encoder.codes(table)[:, 0].tolist() == [1, 1, 0, 2, 3]


def test_only_the_most_frequent_values_are_kept() -> None:
    table = Table({"author": np.array([1, 1, 1, 2, 2, 3])})
    assert Encoder.fit(table, categorical=("author",), max_values=2, min_count=1).sizes == (3,)


def test_gaps_stay_nan_and_whole_numbers_and_truths_become_numbers() -> None:
    table = Table({"a": np.array([1.5, np.nan]), "b": np.array([1, 2]), "c": np.array([True, False])})
    numbers = Encoder.fit(table).numbers(table)
    assert numbers.dtype == np.float32
    np.testing.assert_array_equal(numbers, np.array([[1.5, 1, 1], [np.nan, 2, 0]], np.float32))


def test_sequences_are_left_alone() -> None:
    encoder = Encoder.fit(Table({"recent": np.zeros((3, 4)), "age": np.zeros(3)}))
    assert (encoder.numeric, encoder.categorical) == (("age",), ())
    with pytest.raises(ModelError, match="recent"):
        Encoder.fit(Table({"recent": np.zeros((3, 4))}), categorical=("recent",))


def test_a_column_of_gaps_has_no_categories() -> None:
    table = Table({"kind": text(None, None), "author": np.array([np.nan, np.nan])})
    encoder = Encoder.fit(table, categorical=("author",), min_count=1)
    assert encoder.codes(table).tolist() == [[0, 0], [0, 0]]
    assert Encoder.from_spec(encoder.spec()).codes(table).tolist() == [[0, 0], [0, 0]]


def test_comes_back_from_json_with_the_same_columns_in_the_same_order() -> None:
    table = Table({"z": text("x", "y", "y"), "a": text("p", "p", "q"), "n": np.array([5.0, 5.0, 2.0]), "m": np.ones(3)})
    encoder = Encoder.fit(table, categorical=("n",), min_count=1)
    again = Encoder.from_spec(json.loads(json.dumps(encoder.spec(), sort_keys=True)))
    assert (again.numeric, again.categorical) == (encoder.numeric, encoder.categorical)
    assert again.codes(table).tolist() == encoder.codes(table).tolist()


def test_a_broadcast_column_reads_like_any_other() -> None:
    table = Table({"kind": text("a", "b", "b"), "author": np.array([1.0, 2.0, 2.0])})
    encoder = Encoder.fit(table, categorical=("author",), min_count=1)
    same = Table({name: np.broadcast_to(values[1], (4,)) for name, values in table.items()})
    assert encoder.codes(same).tolist() == [[1, 1]] * 4


def test_a_missing_column_is_named() -> None:
    encoder = Encoder.fit(Table({"age": np.zeros(2)}))
    with pytest.raises(InputError, match="age"):
        encoder.numbers(Table({"size": np.zeros(2)}))
