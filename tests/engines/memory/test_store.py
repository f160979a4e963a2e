"""The memory store: arrays that grow, shrink and forget without a change of value."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import DataError
from sixfold.engines.memory.store import MemoryStore
from sixfold.features.store import NEUTRAL, Newest, Tiles


def opened() -> MemoryStore:
    store = MemoryStore()
    store.open({"tiles": Tiles(adds=1, maxima=1), "newest": Newest(n=3, width=1)})
    return store


def test_tiles_equal_a_dictionary_under_random_folds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    store, truth = opened(), defaultdict(lambda: [0, NEUTRAL])
    for step in range(300):
        n = int(rng.integers(1, 60))
        rows, tiles = rng.integers(1, 200, n), step // 3 - rng.geometric(0.5, n)
        lanes = rng.integers(-(2**62), 2**62, (2, n))
        store.fold("tiles", rows, order=tiles, lanes=lanes, keep_from=step // 3 - 20)
        for row, tile, add, top in zip(rows.tolist(), tiles.tolist(), *lanes.tolist(), strict=True):
            state = truth[row, tile]
            state[0], state[1] = (state[0] + add + 2**63) % 2**64 - 2**63, max(state[1], top)
        if step % 50 == 49:
            store.save(tmp_path)
            store = opened()
            store.load(tmp_path)
            lowest = [step // 3 - 20, step // 3 - 2, step]
            found = store.read("tiles", np.arange(250), lowest)
            for w, low in enumerate(lowest):
                for row in range(250):
                    inside = [state for (r, tile), state in truth.items() if r == row and tile >= low]
                    total = (sum(state[0] for state in inside) + 2**63) % 2**64 - 2**63
                    assert found[w, :, row].tolist() == [total, max((state[1] for state in inside), default=NEUTRAL)]


def test_state_does_not_grow_with_time(tmp_path: Path) -> None:
    store = opened()
    sizes = []
    for tile in range(4000):
        store.fold(
            "tiles", np.array([1, 2]), order=np.array([tile, tile]), lanes=np.ones((2, 2), int), keep_from=tile - 12
        )
        if tile % 1000 == 999:
            store.save(tmp_path)
            sizes.append((tmp_path / "state.npz").stat().st_size)
    assert max(sizes) - min(sizes) < 2048
    assert store.read("tiles", np.array([1]), [3990])[0, 0].tolist() == [10]


def test_newest_equal_a_sort_under_random_folds() -> None:
    rng = np.random.default_rng(1)
    store, truth = opened(), defaultdict(list)
    for step in range(200):
        n = int(rng.integers(1, 30))
        rows, at = rng.integers(1, 20, n), step + rng.integers(-3, 3, n)
        values = rng.integers(0, 100, (1, n))
        store.fold("newest", rows, order=at, lanes=values, keep_from=0)
        for row, instant, value in zip(rows.tolist(), at.tolist(), values[0].tolist(), strict=True):
            truth[row].append((instant, len(truth[row]), value))
        found = store.read("newest", np.arange(30), ())
        for row in range(30):
            newest = sorted(truth[row])[-3:]
            pad = [NEUTRAL] * (3 - len(newest))
            assert found[0, row].tolist() == pad + [instant for instant, _, _ in newest]
            assert found[1, row, len(pad) :].tolist() == [value for _, _, value in newest]


def test_replacing_empties_the_tiles_and_rows_it_names_and_no_others() -> None:
    store = opened()
    rows, order, lanes = np.array([1, 1, 2]), np.array([10, 11, 10]), np.array([[5, 6, 7], [5, 6, 7]])
    store.fold("tiles", rows, order=order, lanes=lanes, keep_from=0)
    store.fold("newest", rows, order=order, lanes=lanes[:1], keep_from=0)
    again, empty = np.array([1, 1, 9]), np.array([[2, 3, 0], [2, 3, NEUTRAL]])
    store.fold("tiles", again, order=np.array([10, 10, 10]), lanes=empty, keep_from=0, replace=True)
    assert store.read("tiles", np.array([1, 2, 9]), [10])[0].tolist() == [[11, 7, 0], [6, 7, NEUTRAL]]
    instants = np.array([30, 20, NEUTRAL])
    store.fold("newest", again, order=instants, lanes=empty[:1], keep_from=0, replace=True)
    found = store.read("newest", np.array([1, 2, 9]), ())
    assert found[0].tolist() == [[NEUTRAL, 20, 30], [NEUTRAL, NEUTRAL, 10], [NEUTRAL] * 3]
    store.fold("newest", np.array([2]), order=np.array([NEUTRAL]), lanes=np.array([[0]]), keep_from=0, replace=True)
    store.fold("newest", np.array([2]), order=np.array([4]), lanes=np.array([[8]]), keep_from=0)
    assert store.read("newest", np.array([2]), ())[:, 0, 2].tolist() == [4, 8]


def test_what_was_never_folded_is_empty_and_damage_is_told(tmp_path: Path) -> None:
    store = opened()
    assert store.read("tiles", np.array([0, 5]), [0]).tolist() == [[[0, 0], [NEUTRAL, NEUTRAL]]]
    assert store.read("newest", np.array([5]), ())[0].tolist() == [[NEUTRAL] * 3]
    with pytest.raises(DataError, match="cannot be read as arrays"):
        store.load(tmp_path)
