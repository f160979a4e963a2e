"""Online state in a Redis server, when it outgrows a process: one round trip a request, one transaction a fold."""

from sixfold.engines.packed.store import PackedStore
from sixfold.engines.redis.bodies import RedisBodies

__all__ = ["RedisStore"]


class RedisStore(PackedStore):
    """Implements `sixfold.features.Store`, `Durable` and `Distant` in the server at `url`.

    State of different features lies side by side, under `prefix` and what names their version. One process folds into
    a version at a time: raises ServiceError if another has, if the server has lost what was written, or if it does not
    answer within `timeout_s`. Rows that were read are kept up to `cache_bytes`; 0 keeps those of one request.
    """

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379/0",
        *,
        prefix: str = "sixfold",
        timeout_s: float = 1.0,
        cache_bytes: int = 0,
    ) -> None:
        server = RedisBodies(url, prefix=prefix, timeout_s=timeout_s)
        super().__init__(server, cache_bytes=cache_bytes, release=server.close)
