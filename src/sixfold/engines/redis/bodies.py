"""Packed state in Redis: a hash of row to bytes for each group, and beside them the clock and the ledger."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from sixfold._core.errors import ServiceError
from sixfold.engines.redis.watched import Watched

__all__ = ["RedisBodies"]

_COMMIT_TIMEOUT_S = 60.0
_PART = 5000  # rows of one command


class RedisBodies:
    """Implements `sixfold.engines.packed.Bodies`."""

    def __init__(self, url: str, *, prefix: str, timeout_s: float) -> None:
        self._reader = _client(url, timeout_s)
        # A transaction of a bulk fold takes its time; that it goes on is no sign of a dead server.
        options = {"socket_connect_timeout": timeout_s, "socket_timeout": max(timeout_s, _COMMIT_TIMEOUT_S)}
        self._writer = Watched(url, **options)
        at = self._reader.get_connection_kwargs()
        self._where = str(at.get("path") or f"{at.get('host')}:{at.get('port')}")
        self._prefix = prefix
        self._base = f"{prefix}:{{none}}"
        self._clock: bytes | None = None

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        self._reader.close()
        self._writer.close()

    def resume(self, version: str, groups: Sequence[str]) -> tuple[str, bytes] | None:
        """The clock and the ledger of `version`, if the server holds any."""
        self._base = f"{self._prefix}:{{{version}}}"  # in braces: a cluster keeps what has one such part on one node
        with self._explained():
            self._check_policy()
            self._clock, ledger = self._reader.mget(self._key("clock"), self._key("ledger"))
        return None if self._clock is None else (self._clock.decode(), ledger or b"")

    def _check_policy(self) -> None:
        """State that the server may evict at will would read as if nothing had ever happened."""
        from redis.exceptions import ResponseError

        try:
            policy = str(self._reader.config_get("maxmemory-policy").get("maxmemory-policy", ""))
        except ResponseError:
            return  # hosted servers do not let one ask
        if policy.startswith("allkeys"):
            raise ServiceError(
                f"redis at {self._where} evicts keys when memory is short (maxmemory-policy {policy})",
                hint="set maxmemory-policy to noeviction, or use a server of its own",
            )

    def _key(self, name: str) -> str:
        return f"{self._base}:{name}"

    def clear(self, groups: Sequence[str]) -> None:
        """Hold nothing."""
        self._clock = None
        with self._explained():
            self._reader.unlink(*(self._key(name) for name in ("clock", "ledger", *(f"rows:{g}" for g in groups))))

    def get(self, wants: Mapping[str, Sequence[int]]) -> Mapping[str, Sequence[bytes | None]]:
        """The bytes of rows, None where there are none, in one round trip."""
        with self._explained():
            pipeline = self._reader.pipeline(transaction=False)
            pipeline.get(self._key("clock"))
            for group, rows in wants.items():
                pipeline.hmget(self._key(f"rows:{group}"), rows)
            clock, *found = pipeline.execute()
        if clock != self._clock:
            raise self._disturbed()
        return dict(zip(wants, found, strict=True))

    def commit(self, changes: Mapping[str, Mapping[int, bytes]], clock: str, more: bytes) -> None:
        """All changes or none: one transaction, given up if the clock is not the one that this process left."""
        commands = [c for group, rows in changes.items() for c in _commands(self._key(f"rows:{group}"), rows)]
        if more:
            commands.append(("APPEND", self._key("ledger"), more))
        with self._explained():
            done = self._writer.change(self._key("clock"), self._clock, clock.encode(), commands)
        if not done:
            raise self._disturbed()
        self._clock = clock.encode()

    def rows(self, group: str) -> Iterator[tuple[int, bytes]]:
        """Everything of a group, in no order."""
        with self._explained():
            for row, body in self._reader.hscan_iter(self._key(f"rows:{group}"), count=1000):
                yield int(row), body

    def _disturbed(self) -> ServiceError:
        return ServiceError(
            f"redis at {self._where} does not hold what this process wrote last under {self._base}: another process "
            "folds into it, or the server came back with less",
            hint="give every folding process a prefix of its own, and open again: it goes on from what is held",
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from redis import exceptions

        try:
            yield
        except exceptions.AuthenticationError as error:
            raise ServiceError(
                f"redis at {self._where} refused the password: {error}", hint="use redis://:PASSWORD@HOST:PORT/0"
            ) from error
        except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
            raise ServiceError(
                f"redis at {self._where} does not answer: {error}",
                hint=f"is redis-server running there, and can {self._where} be reached from here?",
            ) from error
        except exceptions.RedisError as error:
            raise ServiceError(
                f"redis at {self._where} refused: {error}", hint="look at the server's log, memory and disk"
            ) from error


def _commands(key: str, rows: Mapping[int, bytes]) -> Iterator[tuple[Any, ...]]:
    """What writes the rows of a group."""
    kept = (part for row, body in rows.items() if body for part in (row, body))
    while parts := tuple(islice(kept, 2 * _PART)):
        yield ("HSET", key, *parts)
    if gone := [row for row, body in rows.items() if not body]:
        yield ("HDEL", key, *gone)


def _client(url: str, timeout_s: float) -> Any:
    """A client that tries a broken connection once more and never waits longer; its own types do not say much."""
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ServiceError("the redis store needs the package redis", hint="pip install 'sixfold[redis]'") from error
    retry = Retry(NoBackoff(), 1)
    try:
        return redis.Redis.from_url(url, socket_connect_timeout=timeout_s, socket_timeout=timeout_s, retry=retry)
    except ValueError as error:
        raise ServiceError(f"{url!r} is not an address of redis: {error}", hint="redis://HOST:PORT/0") from error
