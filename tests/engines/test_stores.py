"""What all stores have in common beyond the laws of their kit: forgetting changes no value, and size is bounded."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count as counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sixfold.engines.memory.store import MemoryStore
from sixfold.engines.redis.store import RedisStore
from sixfold.engines.sqlite.store import SqliteStore
from sixfold.features.store import NEUTRAL, Durable, Newest, Tiles
from sixfold.testing.servers import has_redis, redis_server

SHAPES = {"tiles": Tiles(adds=1, maxima=1), "newest": Newest(n=3, width=1)}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """Makes opened stores by name."""
    names, folder = counter(), tmp_path_factory.mktemp("stores")
    with ExitStack() as stack:
        urls: list[str] = []

        def make(name: str) -> Any:
            match name:
                case "memory":
                    store: Any = MemoryStore()
                case "sqlite":
                    store = stack.enter_context(SqliteStore(folder / f"{next(names)}.db", cache_bytes=1000))
                case _:
                    if not has_redis():
                        pytest.skip("redis-server is not installed: apt-get install redis-server")
                    if not urls:
                        urls.append(stack.enter_context(redis_server(folder)))
                    store = stack.enter_context(RedisStore(urls[0], prefix=str(next(names))))
            store.open(SHAPES)
            return store

        yield make


def commit(store: Any, step: int) -> None:
    if isinstance(store, Durable):
        store.commit({"offset": step}, b"")


@pytest.mark.parametrize("name", ["memory", "sqlite", "redis"])
def test_tiles_and_newest_equal_a_dictionary_under_random_folds(
    opened: Callable[[str], Any], name: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    store, tiles, newest = opened(name), defaultdict(lambda: (0, NEUTRAL)), defaultdict(list)
    for step in range(120):
        n = int(rng.integers(1, 60))
        rows, order = rng.integers(1, 100, n), step // 3 - rng.geometric(0.5, n)
        lanes = rng.integers(-(2**62), 2**62, (2, n))
        store.fold("tiles", rows, order=order, lanes=lanes, keep_from=step // 3 - 20)
        store.fold("newest", rows, order=order, lanes=lanes[:1], keep_from=0)
        if step % 5:
            commit(store, step)
        for row, tile, add, top in zip(rows.tolist(), order.tolist(), *lanes.tolist(), strict=True):
            total, highest = tiles[row, tile]
            tiles[row, tile] = (total + add + 2**63) % 2**64 - 2**63, max(highest, top)
            newest[row].append((tile, len(newest[row]), add))
        if step % 40 == 39:
            folder = tmp_path / str(step)
            folder.mkdir()
            store.save(folder)
            store = opened(name)
            store.load(folder)
        if step % 20 == 19:
            lowest = [step // 3 - 20, step // 3 - 2, step]
            found = store.read("tiles", np.arange(120), lowest)
            events = store.read("newest", np.arange(120), ())
            for row in range(120):
                for w, low in enumerate(lowest):
                    inside = [lanes for (r, tile), lanes in tiles.items() if r == row and tile >= low]
                    total = (sum(add for add, _ in inside) + 2**63) % 2**64 - 2**63
                    assert found[w, :, row].tolist() == [total, max((top for _, top in inside), default=NEUTRAL)]
                last = sorted(newest[row])[-3:]
                assert events[0, row].tolist() == [NEUTRAL] * (3 - len(last)) + [at for at, _, _ in last]
                assert events[1, row, 3 - len(last) :].tolist() == [value for _, _, value in last]


@pytest.mark.parametrize("name", ["memory", "sqlite", "redis"])
def test_forgetting_bounds_the_size_and_changes_no_value(opened: Callable[[str], Any], name: str) -> None:
    store, keeps_all = opened(name), opened("memory")
    rng, sizes = np.random.default_rng(1), []
    for step in range(800):
        rows = np.unique(rng.integers(1, 6, 4))
        order, lanes = step - rng.geometric(0.5, len(rows)), rng.integers(0, 9, (2, len(rows)))
        store.fold("tiles", rows, order=order, lanes=lanes, keep_from=step - 12)
        keeps_all.fold("tiles", rows, order=order, lanes=lanes, keep_from=NEUTRAL)
        if step % 7 == 0:
            commit(store, step)
        if step % 100 == 99:
            lowest = [step - 12, step - 5, step]
            assert np.array_equal(*(s.read("tiles", np.arange(8), lowest) for s in (store, keeps_all)))
            sizes.append(store.usage()["tiles"].n_bytes)
            assert store.usage()["tiles"].rows == 5
    assert max(sizes) <= 1.5 * min(sizes)
    assert keeps_all.usage()["tiles"].n_bytes > 3 * max(sizes)
    assert store.usage()["newest"].rows == 0
