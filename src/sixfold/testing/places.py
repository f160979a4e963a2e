"""Every log and store there is, as a place where tests can open it, lose it and open it again."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from sixfold.data.log import Log
from sixfold.engines.memory.log import MemoryLog
from sixfold.engines.memory.store import MemoryStore
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.engines.sqlite.store import SqliteStore
from sixfold.features.store import Store
from sixfold.testing.servers import redis_server

__all__ = ["LOGS", "STORES", "OpenLog", "OpenStore", "Place", "opened"]

_SMALL_CACHE = 2000

OpenLog = Callable[[Path], Log]
OpenStore = Callable[[Path, str, str], Store]

LOGS: dict[str, OpenLog] = {
    "memory": lambda folder: MemoryLog(),
    "sqlite": lambda folder: SqliteLog(folder / "events.log", piece_rows=7, segment_rows=11),
}
"""How to open the log in a folder: one on disk is there again. Pieces are small, so that there are many."""

STORES: dict[str, OpenStore] = {
    "memory": lambda folder, name, url: MemoryStore(),
    "sqlite": lambda folder, name, url: SqliteStore(folder / f"{name}.store"),
    "sqlite, small cache": lambda folder, name, url: SqliteStore(folder / f"{name}.store", cache_bytes=_SMALL_CACHE),
    "redis": lambda folder, name, url: _redis(url, f"{folder.name}:{name}"),
}
"""How to open the store of a name, given a folder and the address of a Redis server: a durable one is there again."""


class Place:
    """A folder with a log and stores, which are remembered so that none stays open."""

    def __init__(self, folder: Path, log: OpenLog, store: OpenStore, url: str = "") -> None:
        self.folder = folder
        self._log, self._store, self._url = log, store, url
        self._opened: list[Any] = []

    def open_log(self) -> Log:
        """The log, again if it was open before."""
        log = self._log(self.folder)
        self._opened.append(log)
        return log

    def open_store(self, name: str) -> Store:
        """The store of that name: what it held, if it is durable."""
        store = self._store(self.folder, name, self._url)
        self._opened.append(store)
        return store

    def lose(self, thing: Any) -> None:
        """Let go of a log or a store as a killed process does: nothing is written any more, locks are gone."""
        self._opened = [other for other in self._opened if other is not thing]
        if hasattr(thing, "close"):
            thing.close()

    def leave(self) -> None:
        """Let go of everything, and leave the folder as it is."""
        for thing in tuple(self._opened):
            with suppress(OSError):
                self.lose(thing)

    def close(self) -> None:
        """Let go of everything and remove the folder."""
        self.leave()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def opened(*, redis: bool) -> Iterator[Callable[[str, str], Place]]:
    """A function of the names of a log and a store that gives a new place; its server, if asked for, ends with it."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(redis_server(root)) if redis else ""
        yield lambda log, store: Place(Path(tempfile.mkdtemp(dir=root)), LOGS[log], STORES[store], url)


def _redis(url: str, prefix: str) -> Store:
    from sixfold.engines.redis.store import RedisStore

    return RedisStore(url, prefix=prefix, cache_bytes=_SMALL_CACHE)
