"""Online state in a real Redis server: the laws, one round trip a request, and a server that fails."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count as counter
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import ServiceError
from sixfold._core.table import Table
from sixfold.engines.redis.store import RedisStore
from sixfold.features import FeatureSet, OnlineFeatures, count
from sixfold.testing.compare import differences
from sixfold.testing.histories import EVERYTHING, Case, between, build, draw, user, watch
from sixfold.testing.oracle import oracle
from sixfold.testing.servers import free_port, has_redis, redis_server
from sixfold.testing.store_kit import check_store

pytestmark = pytest.mark.skipif(not has_redis(), reason="redis-server is not installed: apt-get install redis-server")

N_FACTS = 300


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def case() -> Case:
    return draw(np.random.default_rng(3), N_FACTS, 12)


def asked(online: OnlineFeatures) -> list[str]:
    """Where what the state says now differs from the oracle."""
    moments = tuple(replace(moment, seen=online.offset) for moment in case().moments)
    history, spine = build(replace(case(), moments=moments))
    found = [
        online.now(EVERYTHING.names, dict(row), {"video": np.array([row["video"]])}, row["at"]) for row in spine.rows()
    ]
    return differences(oracle(EVERYTHING, history, spine), Table.concat(found))


def commands(url: str) -> int:
    """How many times the server was asked for the clock, which is once a round trip."""
    import redis

    with redis.Redis.from_url(url) as client:
        return int(client.info("commandstats").get("cmdstat_get", {}).get("calls", 0))


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_the_store_keeps_the_laws(url: str, prefix: str, cache_bytes: int) -> None:
    names = counter()
    check_store(lambda: RedisStore(url, prefix=f"{prefix}{next(names)}", cache_bytes=cache_bytes), n_histories=10)


def test_state_outlives_the_process_and_goes_on_where_it_stood(url: str, prefix: str) -> None:
    history, _ = build(case())
    for stop in (0, 1, 90, 200, 290):
        with RedisStore(url, prefix=prefix) as store:
            online = OnlineFeatures(EVERYTHING, store)
            online.fold(between(history, online.offset, stop), stop)
            assert asked(online) == []
    with RedisStore(url, prefix=prefix) as store:
        assert OnlineFeatures(EVERYTHING, store).offset == 290
        other = FeatureSet(count(watch, by=user, over="1h"))
        assert OnlineFeatures(other, store).offset == 0
        assert OnlineFeatures(EVERYTHING, store).offset == 290


def test_a_request_is_one_round_trip_and_a_fold_two(url: str, prefix: str) -> None:
    history, spine = build(case())
    store = RedisStore(url, prefix=prefix)
    online = OnlineFeatures(EVERYTHING, store)
    online.fold(between(history, 0, 290), 290)
    row = dict(spine.row(0))
    at = int(history["watch"]["arrived"].max())
    online.now(EVERYTHING.names, row, {"video": np.arange(5)}, at)  # the attributes in keys are known after this
    for later in (0, 3_600_000_000):
        before = commands(url)
        online.now(EVERYTHING.names, row, {"video": np.arange(5)}, at + later)
        assert commands(url) - before == 1
    before = commands(url)
    online.fold({"watch": history["watch"].take([0]).with_columns({"offset": np.array([290])})}, 291)
    assert commands(url) - before == 2  # what the event touches, then the transaction


def test_a_server_killed_and_back_from_its_file_is_gone_on_with(tmp_path: Path, prefix: str) -> None:
    history, _ = build(case())
    port, options = free_port(), ("--appendonly", "yes", "--appendfsync", "always")
    with redis_server(tmp_path, *options, port=port) as url:
        online = OnlineFeatures(EVERYTHING, RedisStore(url, prefix=prefix))
        online.fold(between(history, 0, 100), 100)
    with pytest.raises(ServiceError, match=rf"redis at 127.0.0.1:{port} does not answer.*What to do"):
        online.fold(between(history, 100, 150), 150)
    with redis_server(tmp_path, *options, port=port):
        online = OnlineFeatures(EVERYTHING, RedisStore(url, prefix=prefix))
        assert online.offset == 100
        online.fold(between(history, 100, 150), 150)
        assert asked(online) == []


def test_a_server_that_came_back_empty_is_told_from_one_that_holds_nothing_yet(tmp_path: Path, prefix: str) -> None:
    history, spine = build(case())
    port = free_port()
    with redis_server(tmp_path, port=port) as url:
        store = RedisStore(url, prefix=prefix)
        online = OnlineFeatures(EVERYTHING, store)
        online.fold(between(history, 0, 100), 100)
    with redis_server(tmp_path, port=port):
        with pytest.raises(ServiceError, match="came back with less"):
            online.now(EVERYTHING.names, dict(spine.row(0)), {"video": np.arange(5)}, int(spine["at"].max()))
        with pytest.raises(ServiceError, match="came back with less"):
            online.fold(between(history, 100, 150), 150)
        again = OnlineFeatures(EVERYTHING, store)
        assert again.offset == 0
        again.fold(between(history, 0, 150), 150)
        assert asked(again) == []


def test_two_processes_that_fold_into_one_prefix_are_told(url: str, prefix: str) -> None:
    history, _ = build(case())
    first, second = (OnlineFeatures(EVERYTHING, RedisStore(url, prefix=prefix)) for _ in range(2))
    first.fold(between(history, 0, 10), 10)
    with pytest.raises(ServiceError, match="another process folds into it"):
        second.fold(between(history, 0, 10), 10)


def test_no_server_a_mute_one_and_no_address_are_errors_in_time(prefix: str) -> None:
    port = free_port()
    with pytest.raises(ServiceError, match=rf"127.0.0.1:{port} does not answer.*is redis-server running there"):
        OnlineFeatures(EVERYTHING, RedisStore(f"redis://127.0.0.1:{port}/0", prefix=prefix))
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(8)
        begun = time.monotonic()
        with pytest.raises(ServiceError, match="does not answer"):
            OnlineFeatures(EVERYTHING, RedisStore(f"redis://127.0.0.1:{mute.getsockname()[1]}/0", timeout_s=0.1))
        assert time.monotonic() - begun < 5
    with pytest.raises(ServiceError, match="is not an address of redis"):
        RedisStore("localhost:6379")


def test_a_password_is_asked_for_and_a_server_that_may_evict_is_refused(tmp_path: Path, prefix: str) -> None:
    with redis_server(tmp_path, "--requirepass", "open") as url:
        with pytest.raises(ServiceError, match=r"refused.*redis://:PASSWORD@HOST:PORT/0"):
            OnlineFeatures(EVERYTHING, RedisStore(url, prefix=prefix))
        with pytest.raises(ServiceError, match="refused the password"):
            OnlineFeatures(EVERYTHING, RedisStore(url.replace("//", "//:wrong@"), prefix=prefix))
        assert OnlineFeatures(EVERYTHING, RedisStore(url.replace("//", "//:open@"), prefix=prefix)).offset == 0
    with (
        redis_server(tmp_path, "--maxmemory-policy", "allkeys-lru") as url,
        pytest.raises(ServiceError, match="evicts keys"),
    ):
        OnlineFeatures(EVERYTHING, RedisStore(url, prefix=prefix))
