"""Oracle = batch = online, to the bit, on generated histories."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array
from sixfold._core.times import DAY, HOUR, MINUTE
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import FeatureSet, OnlineFeatures, as_of
from sixfold.testing.compare import differences
from sixfold.testing.equality import compared
from sixfold.testing.histories import EVERYTHING, Case, between, build, cases, draw, draw_features
from sixfold.testing.oracle import oracle
from sixfold.testing.places import STORES
from sixfold.testing.replay import asked_online
from sixfold.testing.servers import has_redis, redis_server


def check(features: FeatureSet, case: Case, rng: np.random.Generator) -> None:
    history, spine = build(case)
    expected = oracle(features, history, spine)
    assert differences(expected, as_of(features, history, spine)) == []
    if len(spine):
        online = asked_online(features, history, spine, make_store=MemoryStore, rng=rng, restarts=0.05)
        assert differences(expected, online) == []


def check_many(seed: int, n: int, n_facts: Callable[[np.random.Generator], int]) -> None:
    rng = np.random.default_rng(seed)
    for i in range(n):
        features = EVERYTHING if i % 3 else draw_features(rng, 10)
        check(features, draw(rng, n_facts(rng), int(rng.integers(1, 5))), rng)


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(0, 2**32))
def test_generated_histories(case: Case, seed: int) -> None:
    check(EVERYTHING, case, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(6))
def test_drawn_histories(seed: int) -> None:
    check_many(seed, 30, lambda rng: int(rng.integers(0, 40)))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis server, or nothing where none can be started."""
    if not has_redis():
        yield ""
        return
    with redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_ten_thousand_histories(part: int, url: str) -> None:
    """`python -m benchmarks.equality` tries a hundred thousand, over processes and with a bar."""
    every = {"batch": 1, "memory": 1, "sqlite": 10, "sqlite, small cache": 10} | ({"redis": 10} if url else {})
    tried, wrong = compared(every, 0, range(500 * part, 500 * part + 500), url=url)
    assert wrong == []
    assert tried["memory"] == 500


def test_a_few_histories_on_every_store(url: str) -> None:
    stores = [store for store in STORES if url or store != "redis"]
    tried, wrong = compared(dict.fromkeys(("batch", *stores), 1), 1, range(15), url=url)
    assert wrong == []
    assert set(tried.values()) == {15}


def test_a_mismatch_is_told_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORES, "memory", lambda folder, name, url: ForgetsValues())
    _, wrong = compared({"batch": 1, "memory": 1}, 0, range(6))
    assert wrong
    assert {mismatch.engine for mismatch in wrong} == {"memory"}
    again = compared({"memory": 1}, 0, [wrong[-1].history])[1]
    assert again == wrong[-1:]


class ForgetsValues(MemoryStore):
    def read(self, group: str, rows: Array, lowest: Sequence[int]) -> Array:
        return super().read(group, rows, [low + 1 for low in lowest])


@pytest.mark.slow
def test_long_histories_with_crowded_keys() -> None:
    check_many(7, 40, lambda rng: int(rng.integers(200, 600)))


@pytest.mark.parametrize("seed", range(5))
def test_batch_at_moments_before_what_is_known(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(10):
        history, spine = build(draw(rng, int(rng.integers(0, 40)), 6))
        earlier = spine.with_columns({"at": spine["at"] - rng.integers(0, 40 * DAY, len(spine))})
        assert differences(oracle(EVERYTHING, history, earlier), as_of(EVERYTHING, history, earlier)) == []


@pytest.mark.parametrize("seed", range(5))
def test_online_at_an_earlier_moment_is_exact_or_refused(seed: int) -> None:
    rng, answered, refused = np.random.default_rng(seed), 0, 0
    for _ in range(10):
        history, spine = build(draw(rng, 30, 4))
        online = OnlineFeatures(EVERYTHING, MemoryStore())
        for row in spine.take(np.argsort(spine["offset"], kind="stable")).rows():
            online.fold(between(history, online.offset, row["offset"]), row["offset"])
            early = row | {"at": row["at"] - int(rng.choice([1, MINUTE, HOUR - 1, 3 * HOUR, DAY, 20 * DAY]))}
            expected = oracle(EVERYTHING, history, spine_of(early))
            try:
                found = online.now(EVERYTHING.names, early, {"video": np.array([early["video"]])}, early["at"])
            except FeatureError:
                refused += 1
                continue
            answered += 1
            assert differences(expected, found) == []
    assert answered > 5
    assert refused > 5


def spine_of(row: dict[str, object]) -> object:
    from sixfold._core.table import Table, column

    kinds = {"term": str, "tab": str, "score": float}
    return Table({name: column([value], kinds.get(name, int)) for name, value in row.items()})
