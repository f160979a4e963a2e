"""What only the log on disk can do wrong: crashes, other processes, damaged files."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import LogError
from sixfold._core.table import Table, column
from sixfold.engines.sqlite.log import SqliteLog

CHILD = """
import sys
from pathlib import Path
import numpy as np
from sixfold._core.table import Table, column
from sixfold.engines.sqlite.log import SqliteLog

path, prefix, count, seal_every = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
with SqliteLog(path, piece_rows=7, segment_rows=50) as log:
    for number in range(count):
        ids = column([f"{prefix}{number}.{i}" for i in range(1 + number % 9)], str)
        table = Table({"id": ids, "at": np.arange(len(ids)), "user": np.full(len(ids), number)})
        print("try", number, flush=True)
        log.append({"one": table, "two": table.take(slice(0, 1))}, now=number)
        print("done", number, flush=True)
        if seal_every and number % seal_every == seal_every - 1:
            log.seal(log.end()[0] - 3)
print("finished", flush=True)
"""


def child(path: Path, prefix: str, count: int, seal_every: int) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", CHILD, str(path), prefix, str(count), str(seal_every)]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def rows(prefix: str, n: int, **columns: np.ndarray) -> Table:
    return Table(
        {"id": column([f"{prefix}{i}" for i in range(n)], str), "at": np.arange(n), "user": np.arange(n), **columns}
    )


def check_whole(log: SqliteLog) -> set[tuple[str, str]]:
    """The offsets have no gaps and no id is there twice; returns (stream, id) of all events."""
    end, last = log.end()
    tables = log.read(0, end)
    offsets = np.sort(np.concatenate([table["offset"] for table in tables.values()])) if tables else np.empty(0)
    assert offsets.tolist() == list(range(end))
    ids = [(stream, name) for stream, table in tables.items() for name in table["id"].tolist()]
    assert len(ids) == len(set(ids))
    assert not tables or last == max(int(table["arrived"][-1]) for table in tables.values())
    return set(ids)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "log.db"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteLog]:
    with SqliteLog(path) as log:
        yield log


@pytest.mark.parametrize("seal_every", [0, 4])
def test_kill_loses_nothing_acknowledged_and_halves_nothing(path: Path, seal_every: int) -> None:
    rng = np.random.default_rng(seal_every)
    acknowledged: set[tuple[str, str]] = set()
    for life in range(6):
        process = child(path, f"life{life}-", 100_000, seal_every)
        go(process)
        time.sleep(float(rng.uniform(0.05, 0.5)))
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[0].rpartition("\n")[0].splitlines()  # the last line may be cut short
        done = {int(line.split()[1]) for line in said if line.startswith("done")}
        tried = {int(line.split()[1]) for line in said if line.startswith("try")}
        with SqliteLog(path) as log:
            held = check_whole(log)
            acknowledged |= {("one", f"life{life}-{n}.{i}") for n in done for i in range(1 + n % 9)}
            acknowledged |= {("two", f"life{life}-{n}.0") for n in done}
            assert acknowledged <= held
            for number in tried - done:  # the append that was cut short is there as a whole, or not at all
                whole = {("one", f"life{life}-{number}.{i}") for i in range(1 + number % 9)} | {
                    ("two", f"life{life}-{number}.0")
                }
                assert len(whole & held) in (0, len(whole))
            again = Table({"id": column([name for _, name in sorted(held)], str), "at": np.zeros(len(held), np.int64)})
            if life == 5:
                assert (
                    log.append({"one": again.take([s == "one" for s, _ in sorted(held)])}, now=0)["one"].offsets < 0
                ).all()
    assert acknowledged


def test_several_processes_append_the_same_events_once(path: Path) -> None:
    processes = [child(path, "same-", 60, seal_every) for seal_every in (0, 7, 5)]
    for process in processes:
        go(process)
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert [text.rpartition("\n")[0].splitlines()[-1] for text in said] == ["finished"] * 3
    with SqliteLog(path) as log:
        expected = {("one", f"same-{n}.{i}") for n in range(60) for i in range(1 + n % 9)} | {
            ("two", f"same-{n}.0") for n in range(60)
        }
        assert check_whole(log) == expected


def test_a_file_that_another_process_is_making_is_waited_for(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path, check_same_thread=False)
    other.execute("BEGIN")
    other.execute("PRAGMA user_version").fetchone()  # a lock that lets others read but not switch the file's mode
    release = threading.Timer(0.3, other.close)
    release.start()
    with SqliteLog(path) as log:
        assert log.end() == (0, 0)
    release.join()


def test_what_another_process_appended_and_sealed_is_seen(path: Path) -> None:
    with SqliteLog(path) as one, SqliteLog(path) as two:
        one.append({"s": rows("a", 5)}, now=1)
        assert two.append({"s": rows("a", 7)}, now=2)["s"].offsets.tolist() == [-1] * 5 + [5, 6]
        assert one.end() == (7, 2)
        assert two.seal(6) == 6
        assert one.append({"s": rows("a", 8)}, now=3)["s"].offsets.tolist() == [-1] * 7 + [7]
        assert two.find("s", "a7") is not None and one.find("s", "a2").row(0)["offset"] == 2  # type: ignore[union-attr]
        assert one.seal(99) == 2
        assert two.append({"t": rows("a", 1)}, now=3)["t"].offsets.tolist() == [8]
        assert len(two.read(3, 9)["s"]) == 5


def test_threads_share_a_log(log: SqliteLog) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(20):
                log.append({"s": rows(f"{name}{number}-", 3)}, now=number)
                end, _ = log.end()
                assert len(log.read(0, end)["s"]) == end
                assert log.find("s", f"{name}{number}-2") is not None
                if number % 6 == 5:
                    log.seal(end)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(check_whole(log)) == 180


def test_reads_cross_segments_and_pick_those_they_need(path: Path) -> None:
    with SqliteLog(path, segment_rows=10) as log:
        log.append({"s": rows("a", 95)}, now=1)
        assert log.seal(80) == 80
        assert log.read(25, 90)["s"]["user"].tolist() == list(range(25, 90))
        folders = sorted(entry for entry in path.with_suffix(".segments").iterdir() if entry.is_dir())
        assert len(folders) == 8
        for file in folders[3].iterdir():
            file.unlink()
        assert log.read(0, 30)["s"]["user"].tolist() == list(range(30)), "damage elsewhere is no hindrance"
        with pytest.raises(LogError, match="cannot be read"):
            log.read(0, 31)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_segment_is_found_out(path: Path, log: SqliteLog, damage: str) -> None:
    log.append({"s": rows("a", 50)}, now=1)
    log.seal(50)
    file = next(path.with_suffix(".segments").glob("*/*.parquet"))
    assert len(log.read(0, 50)["s"]) == 50
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes({"flip": content, "cut": content[:-9], "empty": b""}[damage])
    os.utime(file, ns=(0, 0))
    with pytest.raises(LogError, match="damaged: its checksum differs"):
        log.read(0, 50)


@pytest.mark.parametrize("lost", [False, True])
def test_a_damaged_id_file_is_found_out(path: Path, lost: bool) -> None:
    with SqliteLog(path) as log:
        log.append({"s": rows("a", 50)}, now=1)
        log.seal(50)
    file = next(path.with_suffix(".segments").glob("*.npy"))
    file.unlink() if lost else file.write_bytes(file.read_bytes()[:-1] + b"\x77")
    with SqliteLog(path) as log, pytest.raises(LogError, match="missing" if lost else "damaged"):
        log.append({"s": rows("a", 1)}, now=2)


def test_leftovers_of_a_crashed_seal_are_harmless_and_removed(path: Path, log: SqliteLog) -> None:
    log.append({"s": rows("a", 20)}, now=1)
    log.seal(5)
    folder = path.with_suffix(".segments")
    orphan = folder / "000000000005-000000000020-dead"
    orphan.mkdir()
    (orphan / "1.parquet").write_bytes(b"half")
    (folder / "ids-000000000005-000000000005-000000000020-dead.npy").write_bytes(b"half")
    assert len(log.read(0, 20)["s"]) == 20
    assert log.seal(20) == 15
    assert not list(folder.glob("*dead*"))
    assert len(log.read(0, 20)["s"]) == 20 and len(check_whole(log)) == 20


def test_id_files_are_merged_so_that_few_remain(path: Path) -> None:
    with SqliteLog(path, segment_rows=10) as log:
        log.append({"s": rows("a", 320)}, now=1)
        log.seal(320)
        assert len(list(path.with_suffix(".segments").glob("*.npy"))) <= 6
    with SqliteLog(path) as log:
        assert log.append({"s": rows("a", 321)}, now=1)["s"].offsets.tolist() == [-1] * 320 + [320]


def test_a_newer_layout_is_refused(path: Path, log: SqliteLog) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(LogError, match=r"newer Sixfold: layout 99, this one knows 1.*upgrade"):
        SqliteLog(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    text, folder, strange = tmp_path / "text.db", tmp_path / "folder", tmp_path / "strange.db"
    text.write_text("not a database, but long enough to look like one " * 100)
    folder.mkdir()
    connection = sqlite3.connect(strange)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    for path, why in ((text, "not a log, or is damaged"), (folder, "is a folder"), (strange, "not a log of Sixfold")):
        with pytest.raises(LogError, match=why):
            SqliteLog(path)
    with pytest.raises(LogError, match="cannot be used"):
        SqliteLog(text / "log.db")


def test_a_closed_log_says_so(path: Path) -> None:
    log = SqliteLog(path)
    log.append({"s": rows("a", 1)}, now=1)
    log.close()
    log.close()
    for use in (
        log.end,
        lambda: log.read(0, 1),
        lambda: log.append({"s": rows("b", 1)}, now=1),
        lambda: log.find("s", "a"),
    ):
        with pytest.raises(LogError, match="open it again"):
            use()


def test_an_append_that_fails_half_way_leaves_no_trace(path: Path) -> None:
    with SqliteLog(path) as one, SqliteLog(path) as two:
        one.append({"s": rows("a", 1)}, now=1)
        connection = sqlite3.connect(path)
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON batches WHEN NEW.first = 2 BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        with pytest.raises(LogError, match="full"):
            one.append({"new": rows("a", 1, x=np.array([0.5])), "s": rows("b", 1)}, now=2)
        connection.execute("DROP TRIGGER full")
        connection.close()
        assert one.end() == (1, 1)
        two.append({"other": rows("a", 1, t=column(["x"], str))}, now=3)
        one.append({"new": rows("a", 1, x=np.array([0.5])), "s": rows("b", 1)}, now=4)
        for log in (one, two):
            found = log.read(0, 9)
            assert {name: table["id"].tolist() for name, table in found.items()} == {
                "s": ["a0", "b0"],
                "other": ["a0"],
                "new": ["a0"],
            }
            assert found["other"]["t"].tolist() == ["x"] and found["new"]["x"].tolist() == [0.5]


def test_columns_that_are_read_can_be_written_to(log: SqliteLog) -> None:
    extra = {"x": np.linspace(0, 1, 6), "b": np.array([True, False] * 3), "t": column(["u", None] * 3, str)}
    log.append({"s": rows("a", 6, **extra)}, now=1)
    log.seal(3)
    for start, stop in ((0, 3), (3, 6), (0, 6)):
        assert all(values.flags.writeable for values in log.read(start, stop)["s"].values())


def test_repeated_text_comes_back_as_it_went_in(log: SqliteLog) -> None:
    n = 1_000
    texts = {
        "few": column([("a", None, "")[i % 3] for i in range(n)], str),
        "many": column([str(i) for i in range(n)], str),
    }
    none = {"none": column([None] * n, str)}
    log.append({"s": rows("a", n, **texts, **none)}, now=1)
    for _ in range(2):
        table = log.read(0, n)["s"]
        assert all(table[name].tolist() == values.tolist() for name, values in {**texts, **none}.items())
        log.seal(n)
