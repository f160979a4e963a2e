"""Online state in one SQLite file that outlives the process: after a crash it is that of the last commit, no more."""

from pathlib import Path

from sixfold.engines.packed.store import PackedStore
from sixfold.engines.sqlite.bodies import SqliteBodies

__all__ = ["SqliteStore"]


class SqliteStore(PackedStore):
    """Implements `sixfold.features.Store` and `Durable` in the file `path`, made if there is none.

    A power cut may take the last commits with it, never part of one: the log, which is synced, gives them again. One
    process works on a file at a time; raises ServiceError if another has written into it, or if it cannot be used.
    """

    def __init__(self, path: Path, *, cache_bytes: int = 64 << 20) -> None:
        file = SqliteBodies(path)
        super().__init__(file, cache_bytes=cache_bytes, release=file.close)
