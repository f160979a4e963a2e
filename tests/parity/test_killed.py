"""Processes killed at any moment: what they had said is in the log, once; who comes back answers as the oracle."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.table import Table
from sixfold.engines.memory.log import MemoryLog
from sixfold.testing.compare import differences
from sixfold.testing.histories import EVERYTHING, Case, build, draw
from sixfold.testing.killed import batch, come_back
from sixfold.testing.oracle import oracle
from sixfold.testing.places import LOGS, STORES, Place


def killed(folder: Path, store: str, first: int, after: int, pause_s: float) -> int:
    """Start a service, kill it a moment after it has told of some batches; returns the last batch it told of."""
    command = [sys.executable, "-m", "sixfold.testing.killed", str(folder), store, str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(after)]
        time.sleep(pause_s)
        process.kill()
        told += process.stdout.readlines()
    whole = [line for line in told if line.endswith("\n")]
    return int(whole[-1])


def spine_at(online_offset: int, last_arrival: int, rng: np.random.Generator) -> Table:
    _, spine = build(Case((), draw(rng, 0, 5).moments))
    waits = spine["at"] - spine["at"].min()
    return spine.with_columns({"at": last_arrival + waits, "offset": np.full(len(spine), online_offset)})


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory", "sqlite", "sqlite, small cache"])
def test_nothing_told_is_lost_and_nothing_is_counted_twice(tmp_path: Path, store: str) -> None:
    rng, told, truth, in_truth = np.random.default_rng(0), -1, MemoryLog(), 0
    for _ in range(6):
        told = killed(tmp_path, store, told + 1, int(rng.integers(1, 15)), float(rng.uniform(0, 0.05)))
        for number in range(in_truth, told + 1):
            truth.append(batch(number), now=0)
        in_truth = told + 1
        place = Place(tmp_path, LOGS["sqlite"], STORES[store])
        log, online = come_back(place)
        if log.end() != truth.end():  # killed between the write and the word: that batch is there as a whole
            truth.append(batch(in_truth), now=0)
            in_truth += 1
        end, last_arrival = truth.end()
        assert log.end() == (end, last_arrival)
        history, found = truth.read(0, end), log.read(0, end)
        assert [differences(table, found[stream].select(table.names)) for stream, table in history.items()] == [[]] * 3
        assert online.offset <= end
        online.fold(log.read(online.offset, end), end)
        spine = spine_at(end, last_arrival, rng)
        asked = [
            online.now(EVERYTHING.names, dict(row), {"video": np.array([row["video"]])}, row["at"])
            for row in spine.rows()
        ]
        assert differences(oracle(EVERYTHING, history, spine), Table.concat(asked)) == []
        place.leave()
