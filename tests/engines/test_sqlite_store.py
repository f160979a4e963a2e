"""Online state in an SQLite file: it outlives the process, a killed one too, and is never of two minds."""

import resource
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import count as counter
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import FeatureError, ServiceError
from sixfold._core.table import Table
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.engines.sqlite.store import SqliteStore
from sixfold.features import FeatureSet, OnlineFeatures, count
from sixfold.features.store import Held, Tiles
from sixfold.testing.compare import differences
from sixfold.testing.histories import EVERYTHING, Case, Moment, between, build, draw, user, watch
from sixfold.testing.oracle import oracle
from sixfold.testing.store_kit import check_store

N_FACTS = 600
CHILD = """
import sys
from pathlib import Path
import numpy as np
from sixfold.engines.sqlite.store import SqliteStore
from sixfold.features import OnlineFeatures
from sixfold.testing.histories import EVERYTHING, between, build, draw

history, _ = build(draw(np.random.default_rng(3), int(sys.argv[2]), 1))
online = OnlineFeatures(EVERYTHING, SqliteStore(Path(sys.argv[1])))
print(online.offset, flush=True)
while True:
    stop = online.offset + 1 + online.offset % 3
    online.fold(between(history, online.offset, stop), stop)
    print(online.offset, flush=True)
"""


def case() -> Case:
    return draw(np.random.default_rng(3), N_FACTS, 12)


def asked(online: OnlineFeatures, moments: tuple[Moment, ...]) -> list[str]:
    """Where what the state says now differs from the oracle."""
    known = replace(case(), moments=tuple(replace(m, seen=online.offset) for m in moments))
    history, spine = build(known)
    found = [
        online.now(EVERYTHING.names, dict(row), {"video": np.array([row["video"]])}, row["at"]) for row in spine.rows()
    ]
    return differences(oracle(EVERYTHING, history, spine), Table.concat(found))


@pytest.mark.parametrize("cache_bytes", [0, 2000, 1 << 20])
def test_the_store_keeps_the_laws(tmp_path: Path, cache_bytes: int) -> None:
    names = counter()
    check_store(lambda: SqliteStore(tmp_path / f"{next(names)}.db", cache_bytes=cache_bytes), n_histories=10)


def test_a_process_killed_in_the_middle_of_folding_comes_back_at_what_it_had_written(tmp_path: Path) -> None:
    path, rng, moments = tmp_path / "state.db", np.random.default_rng(0), case().moments
    reached = 0
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(N_FACTS)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            begun = int(child.stdout.readline())
            for _ in range(int(rng.integers(1, 40))):
                told = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
        with SqliteStore(path) as store:
            online = OnlineFeatures(EVERYTHING, store)
            assert begun == reached
            assert told <= online.offset  # all that it had said was folded
            assert asked(online, moments) == []
            reached = online.offset
    with SqliteStore(path) as store:
        online = OnlineFeatures(EVERYTHING, store)
        history, _ = build(case())
        end = max(int(table["offset"][-1]) for table in history.values()) + 1
        online.fold(between(history, online.offset, end), end)
        assert asked(online, moments) == []
    assert 0 < reached < end


def test_folds_last_only_with_their_commit(tmp_path: Path) -> None:
    path, shapes = tmp_path / "state.db", {"clicks": Tiles(adds=1, maxima=0)}

    def fold_and_read(store: SqliteStore) -> int:
        seven = np.array([7])
        store.fold("clicks", seven, order=np.array([10]), lanes=np.array([[1]]), keep_from=0)
        return int(store.read("clicks", seven, [10]).item())

    with SqliteStore(path) as store:
        assert store.resume("version", shapes) is None
        assert fold_and_read(store) == 1
        store.commit({"offset": 1}, b"ab")
        assert fold_and_read(store) == 2
    with SqliteStore(path) as store:
        assert store.resume("version", shapes) == Held({"offset": 1}, b"ab")
        assert fold_and_read(store) == 2
        store.commit({"offset": 2}, b"c")
    with SqliteStore(path) as store:
        assert store.resume("version", shapes) == Held({"offset": 2}, b"abc")
        store.open(shapes)
        assert fold_and_read(store) == 1


def test_offsets_without_events_last_too(tmp_path: Path) -> None:
    history, _ = build(case())
    with SqliteStore(tmp_path / "state.db") as store:
        online = OnlineFeatures(EVERYTHING, store)
        online.fold(between(history, 0, 50), 50)
        online.fold({}, 70)
    with SqliteStore(tmp_path / "state.db") as store:
        assert OnlineFeatures(EVERYTHING, store).offset == 70


def test_a_full_disk_stops_folding_whole_and_opening_again_goes_on(tmp_path: Path) -> None:
    history, _ = build(case())
    with SqliteStore(tmp_path / "state.db") as store:
        online = OnlineFeatures(EVERYTHING, store)
        online.fold(between(history, 0, 50), 50)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            with pytest.raises(ServiceError, match="is the disk full"):
                for stop in range(52, N_FACTS, 2):
                    online.fold(between(history, online.offset, stop), stop)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        reached = online.offset
        assert 50 < reached < N_FACTS // 2
        with pytest.raises(ServiceError, match="open it again"):
            online.fold(between(history, reached, reached + 2), reached + 2)
        again = OnlineFeatures(EVERYTHING, store)
        assert again.offset == reached
        again.fold(between(history, reached, reached + 50), reached + 50)
        assert asked(again, case().moments) == []


def test_a_snapshot_of_one_file_is_restored_into_another_and_lasts(tmp_path: Path) -> None:
    history, _ = build(case())
    with SqliteStore(tmp_path / "a.db") as store:
        online = OnlineFeatures(EVERYTHING, store)
        online.fold(between(history, 0, 200), 200)
        online.snapshot(tmp_path / "snapshot")
    with SqliteStore(tmp_path / "b.db") as store:
        online = OnlineFeatures(EVERYTHING, store)
        online.fold(between(history, 0, 20), 20)
        online.restore(tmp_path / "snapshot")
    with SqliteStore(tmp_path / "b.db") as store:
        online = OnlineFeatures(EVERYTHING, store)
        online.fold(between(history, 200, 300), 300)
        assert asked(online, case().moments) == []


def test_numbers_survive_many_small_commits(tmp_path: Path) -> None:
    features = FeatureSet(count(watch, by=user, over="lifetime").named("n"))
    table = build(case())[0]["watch"]
    with SqliteStore(tmp_path / "state.db") as store:
        online = OnlineFeatures(features, store)
        for i in range(400):
            online.fold(
                {"watch": table.take([0]).with_columns({"user": np.array([1000 - i]), "offset": np.array([i])})}, i + 1
            )
    for _ in range(2):  # the second finds the ledger in one piece
        with SqliteStore(tmp_path / "state.db") as store:
            online = OnlineFeatures(features, store)
            keys, values = online.known("n", int(table["arrived"][-1]))
            assert keys.tolist() == list(range(1000, 600, -1))
            assert values.tolist() == [1.0] * 400


def test_two_writers_of_one_file_are_told_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    history, _ = build(case())
    with SqliteStore(tmp_path / "state.db") as one, SqliteStore(tmp_path / "state.db") as other:
        first, second = OnlineFeatures(EVERYTHING, one), OnlineFeatures(EVERYTHING, other)
        first.fold(between(history, 0, 10), 10)
        with pytest.raises(ServiceError, match="another process has written into"):
            second.fold(between(history, 0, 10), 10)
        with pytest.raises(ServiceError, match=r"open it again with OnlineFeatures"):
            second.fold(between(history, 0, 10), 10)
        again = OnlineFeatures(EVERYTHING, other)
        assert again.offset == 10
        assert asked(again, case().moments) == []


def test_state_of_other_features_and_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    history, _ = build(case())
    path = tmp_path / "state.db"
    with SqliteStore(path) as store:
        OnlineFeatures(EVERYTHING, store).fold(between(history, 0, 10), 10)
    with SqliteStore(path) as store, pytest.raises(FeatureError, match="holds state of other features"):
        OnlineFeatures(FeatureSet(count(watch, by=user, over="1h")), store)
    SqliteLog(tmp_path / "log.db").close()
    with pytest.raises(FeatureError, match="is not a file of online state"):
        SqliteStore(tmp_path / "log.db")
    (tmp_path / "text.db").write_text("something else entirely " * 100)
    with pytest.raises(ServiceError, match="name another file"):
        SqliteStore(tmp_path / "text.db")
    closed = SqliteStore(path)
    closed.close()
    with pytest.raises(ServiceError, match="cannot be used"):
        OnlineFeatures(EVERYTHING, closed)
