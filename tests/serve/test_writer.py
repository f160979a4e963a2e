"""The writer: group commit, its order, its errors, and what it folds."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import LogError, ServiceError
from sixfold._core.table import Table, column
from sixfold._core.times import ManualClock
from sixfold.engines.memory.log import MemoryLog
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.serve.writer import LogWriter


def rows(*ids: str) -> Table:
    return Table({"id": column(ids, str), "at": np.arange(len(ids)), "x": np.arange(len(ids))})


class Folded:
    def __init__(self) -> None:
        self.ids: list[str] = []
        self.offset = 0

    def __call__(self, history: Mapping[str, Table], stop: int) -> None:
        for table in history.values():
            self.ids += table["id"].tolist()
        self.offset = stop


def test_many_appends_become_few_commits_and_each_gets_its_own_offsets(tmp_path: Path) -> None:
    async def main() -> None:
        folded = Folded()
        with SqliteLog(tmp_path / "log.db") as log:
            writer = LogWriter(log, ManualClock(9), follow=["a"], start=0, fold=folded)
            jobs = [writer.append({"a": rows(f"{i}", f"{i}+")}, folded=True) for i in range(200)]
            found = await asyncio.gather(*jobs)
            assert sorted(int(o) for part in found for o in part["a"]) == list(range(400))
            assert len(folded.ids) == 400 and folded.offset == 400
            for i, part in enumerate(found):
                assert log.read(int(part["a"][0]), int(part["a"][1]) + 1)["a"]["id"].tolist() == [f"{i}", f"{i}+"]
            await writer.stop()

    asyncio.run(main())


def test_the_same_id_in_one_commit_is_appended_once() -> None:
    async def main() -> None:
        writer = LogWriter(MemoryLog(), ManualClock(), follow=[], start=0, fold=Folded())
        found = await asyncio.gather(*(writer.append({"a": rows("same")}, folded=False) for _ in range(20)))
        assert sorted(int(part["a"][0]) for part in found) == [-1] * 19 + [0]
        await writer.stop()

    asyncio.run(main())


def test_each_job_keeps_the_order_of_its_streams() -> None:
    async def main() -> None:
        log = MemoryLog()
        writer = LogWriter(log, ManualClock(), follow=[], start=0, fold=Folded())
        jobs = [{"a": rows("1"), "b": rows("1")}, {"b": rows("2"), "a": rows("2")}, {"a": rows("3"), "b": rows("3")}]
        found = await asyncio.gather(*(writer.append(job, folded=False) for job in jobs))
        for job, part in zip(jobs, found, strict=True):
            offsets = [int(part[stream][0]) for stream in job]
            assert offsets == sorted(offsets)
        await writer.stop()

    asyncio.run(main())


def test_a_bad_job_fails_alone() -> None:
    async def main() -> None:
        writer = LogWriter(MemoryLog(), ManualClock(), follow=["a"], start=0, fold=Folded())
        bad = Table({"at": np.array([1])})
        jobs = [writer.append({"a": table}, folded=True) for table in (rows("1"), bad, rows("2"))]
        first, failed, second = await asyncio.gather(*jobs, return_exceptions=True)
        assert isinstance(failed, LogError) and "id" in str(failed)
        assert [first["a"][0], second["a"][0]] == [0, 1]  # type: ignore[index]
        await writer.stop()

    asyncio.run(main())


def test_what_others_append_is_folded_in_pieces() -> None:
    async def main() -> None:
        log, folded = MemoryLog(), Folded()
        log.append({"a": rows(*(f"old{i}" for i in range(50_000)))}, now=1)
        writer = LogWriter(log, ManualClock(), follow=["a"], start=10, fold=folded)
        await writer.caught_up.wait()
        assert len(folded.ids) == 49_990
        log.append({"a": rows("new"), "other": rows("x")}, now=2)
        while folded.offset < 50_002:
            await asyncio.sleep(0.01)
        assert folded.ids[-1] == "new"
        await writer.stop()

    asyncio.run(main())


def test_more_than_there_is_room_for_is_refused() -> None:
    async def main() -> None:
        writer = LogWriter(MemoryLog(), ManualClock(), follow=[], start=0, fold=Folded(), room=3)
        with pytest.raises(ServiceError, match="wait to be written"):
            await writer.append({"a": rows("1", "2", "3", "4")}, folded=False)
        assert writer.waiting == 0
        await writer.stop()

    asyncio.run(main())


def test_a_state_that_cannot_fold_is_not_trusted_again() -> None:
    def broken(history: Mapping[str, Table], stop: int) -> None:
        raise ValueError("no such key")

    async def main() -> None:
        log = MemoryLog()
        log.append({"a": rows("1")}, now=1)
        writer = LogWriter(log, ManualClock(), follow=["a"], start=0, fold=broken)
        await writer.caught_up.wait()
        assert writer.broken == "folding the log failed before offset 1: ValueError; the service's log says more"
        await writer.stop()

    asyncio.run(main())
