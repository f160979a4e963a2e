import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.features.interned import Chained, Interned
from sixfold.features.numbered import DenseNumbers, HashedNumbers

LOW, HIGH = -(2**63), 2**63 - 1
keys = st.lists(st.one_of(st.integers(-3, 30), st.sampled_from([LOW, HIGH, 0]), st.integers(LOW, HIGH)), max_size=60)


@given(st.lists(keys, max_size=6), keys)
def test_numbers_are_those_of_a_dictionary(batches: list[list[int]], asked: list[int]) -> None:
    table, plain = HashedNumbers(), dict[int, int]()
    for batch in batches:
        expected = [plain.setdefault(key, len(plain) + 1) for key in batch]
        assert table.add(np.array(batch, np.int64)).tolist() == expected
    assert table.values.tolist() == [-1, *plain]
    assert table.find(np.array(asked, np.int64)).tolist() == [plain.get(key, 0) for key in asked]
    assert [table.find_one(key) for key in asked] == [plain.get(key, 0) for key in asked]


def test_many_keys_of_few_buckets_are_found() -> None:
    rng = np.random.default_rng(0)
    stride = rng.permutation(50_000) << 40
    table = HashedNumbers()
    for part in np.array_split(stride, 7):
        table.add(part)
    assert np.array_equal(table.find(stride), np.arange(1, 50_001))
    assert not table.find(stride + 1).any()


@pytest.mark.parametrize("keys", [[5, 5, 0, 70_000], [5, -1, 5], [0, 10**9, 0, 5]])
def test_whole_numbers_keep_their_numbers_when_a_table_would_be_too_sparse(keys: list[int]) -> None:
    space, plain = Interned(int), dict[int, int]()
    for key in keys:
        assert space.add(np.array([key])).tolist() == [plain.setdefault(key, len(plain) + 1)]
    assert space.find(np.array(keys)).tolist() == [plain[key] for key in keys]
    again = Interned(int)
    again.restore(space.values[1:])
    assert again.values.tolist() == space.values.tolist()
    assert again.find(np.array([*keys, 8])).tolist() == [*(plain[key] for key in keys), 0]


def test_values_of_other_types_are_no_whole_numbers() -> None:
    space = Interned(int)
    space.add(np.array([7]))
    assert [int(space.find_one(value)[0]) for value in (7, 7.0, 7.5, None, "7", float("nan"))] == [1, 1, 0, 0, 0, 0]
    assert space.find(np.array([7.0, np.nan, 8.0])).tolist() == [1, 0, 0]


def test_a_pair_with_an_unknown_part_is_unknown() -> None:
    pairs = Chained()
    assert pairs.add_pairs(np.array([0, 2, 2]), np.array([3, 0, 3])).tolist() == [0, 0, 1]
    for left, right, expected in ((2, [3, 0, 1, 3], [1, 0, 0, 1]), (0, [3, 0], [0, 0]), (2, [2**21, 3], [0, 1])):
        numbers, places = pairs.find_pairs(np.array([left]), np.array(right))
        assert (numbers if places is None else numbers[places]).tolist() == expected


def test_pairs_are_found_alike_by_chain_and_by_hash() -> None:
    rng = np.random.default_rng(0)
    pairs, known = Chained(), {}
    for step in range(60):
        n = int(rng.choice([1, 3, 200]))
        left, right = rng.integers(0, 40, n), rng.integers(0, 120, n)
        for pair, number in zip(
            zip(left.tolist(), right.tolist(), strict=True), pairs.add_pairs(left, right), strict=True
        ):
            assert known.setdefault(pair, int(number)) == number
        if step % 20 == 19:
            again = Chained()
            again.restore(pairs.values[1:])
            pairs = again
        for mine in range(45):
            wanted = rng.integers(0, 140, 50)
            numbers, places = pairs.find_pairs(np.array([mine]), wanted)
            found = numbers if places is None else numbers[places]
            assert found.tolist() == [known.get((mine, other), 0) for other in wanted.tolist()]


def test_small_keys_have_a_table_of_their_own() -> None:
    table = DenseNumbers()
    assert table.takes(np.array([0, 60_000])) and not table.takes(np.array([-1])) and not table.takes(np.array([10**6]))
