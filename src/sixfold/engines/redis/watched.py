"""A connection to Redis on which the transactions of one writer go through only as long as there is no other."""

import time
from collections.abc import Iterable
from typing import Any

__all__ = ["Watched"]

_IDLE_S = 10.0  # servers and what lies between may drop a connection that has been silent


class Watched:
    """Watches a key from one transaction to the next, so that a transaction is one round trip.

    Redis refuses a transaction if a key that the connection watches has changed. Errors are those of the package
    redis; after one the connection is made anew.
    """

    def __init__(self, url: str, **options: Any) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        pool = redis.ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0), **options)
        self._connection: Any = pool.make_connection()
        self._watched: tuple[str, bytes | None] | None = None
        self._used_s = 0.0

    def close(self) -> None:
        """Close the connection; closing twice is fine."""
        self._watched = None
        self._connection.disconnect()

    def change(self, key: str, expected: bytes | None, value: bytes, changes: Iterable[tuple[Any, ...]]) -> bool:
        """Set `key` and make all changes in one transaction; False, and no effect, if it was not as expected."""
        if not self._sees(key, expected):
            return False
        transaction = [("MULTI",), *changes, ("SET", key, value), ("EXEC",)]
        *_, done, _, found = self._ask([*transaction, ("WATCH", key), ("GET", key)])
        self._watched = (key, found)
        if failed := [reply for reply in done or () if isinstance(reply, Exception)]:
            self.close()
            raise failed[0]
        return done is not None

    def _sees(self, key: str, expected: bytes | None) -> bool:
        if self._watched == (key, expected) and time.monotonic() - self._used_s < _IDLE_S:
            return True
        from redis.exceptions import ConnectionError as Lost

        question = [("UNWATCH",), ("WATCH", key), ("GET", key)]
        try:
            found = self._ask(question)[-1]
        except Lost:
            found = self._ask(question)[-1]
        self._watched = (key, found)
        return bool(found == expected)

    def _ask(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """The replies to commands that are sent together."""
        try:
            self._connection.send_packed_command(self._connection.pack_commands(commands))
            replies = [self._connection.read_response() for _ in commands]
        except BaseException:
            self.close()  # unread replies would be taken for those of the next commands
            raise
        self._used_s = time.monotonic()
        return replies
