"""Both engines of the log pass the shipped kit."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sixfold.data.log import Log
from sixfold.engines.memory.log import MemoryLog
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.testing.log_kit import check_log


def test_memory() -> None:
    check_log(MemoryLog, histories=150)


@pytest.fixture
def make_sqlite(tmp_path: Path) -> Callable[[], Log]:
    made: list[SqliteLog] = []

    def make() -> Log:
        if made:
            made[-1].close()
        odd = len(made) % 2 == 1  # tiny pieces and segments, so that short histories cross their borders
        sizes = {"piece_rows": 3, "segment_rows": 5} if odd else {}
        made.append(SqliteLog(tmp_path / str(len(made)) / "log.db", **sizes))
        return made[-1]

    return make


def test_sqlite(make_sqlite: Callable[[], Log]) -> None:
    def reopen(log: Log) -> Log:
        assert isinstance(log, SqliteLog)
        log.close()
        return SqliteLog(log.path)

    check_log(make_sqlite, reopen=reopen, histories=24)


def test_kit_finds_a_log_that_counts_twice() -> None:
    class Forgetful(MemoryLog):
        def append(self, events, *, now):  # type: ignore[no-untyped-def]
            self._ids.clear()
            return super().append(events, now=now)

    with pytest.raises(AssertionError, match="append"):
        check_log(Forgetful)


def test_kit_finds_a_log_that_loses_rows_when_sealing() -> None:
    class Leaky(MemoryLog):
        def seal(self, upto: int) -> int:
            for parts in self._parts.values():
                parts[:] = [part for part in parts if part[1]["offset"][-1] >= upto]
            return super().seal(upto)

    with pytest.raises(AssertionError):
        check_log(Leaky)
