"""A log on disk that forgets: not a byte of what was removed is left, and a crash at any moment is made good."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import LogError
from sixfold._core.table import Table, column
from sixfold.engines.sqlite.ids import digests
from sixfold.engines.sqlite.log import SqliteLog

N = 400
GONE = np.arange(3, N, 7)


def filled(path: Path, *, sealed: int) -> SqliteLog:
    log = SqliteLog(path, piece_rows=31, segment_rows=90)
    for start in range(0, N, 50):
        ids = [f"event-number-{i}" for i in range(start, start + 50)]
        names = column([f"Jane Doe number {i}" for i in range(start, start + 50)], str)
        log.append({"s": Table({"id": column(ids, str), "at": np.arange(50), "name": names})}, now=start)
    log.seal(sealed)
    return log


def residue(folder: Path) -> list[str]:
    """What is left of the removed events in any file: ids, their hashes, texts (Parquet is read by column)."""
    import pyarrow.parquet as pq

    found = []
    needles = [f"event-number-{i}".encode() for i in GONE] + digests("s", [f"event-number-{i}" for i in GONE])
    needles += [f"Jane Doe number {i}".encode() for i in GONE]
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".parquet":
                data = str(pq.read_table(path).to_pylist()).encode()
            if path.suffix == ".npy":
                data = np.ascontiguousarray(np.load(path)[:2].T).tobytes()
            found += [f"{needle!r} in {path.name}" for needle in needles if _inside(needle, data)]
    return found


def _inside(needle: bytes, data: bytes) -> bool:
    at = data.find(needle)
    while at >= 0:
        after = data[at + len(needle) : at + len(needle) + 1]
        if not after.isdigit():
            return True
        at = data.find(needle, at + 1)
    return False


@pytest.mark.parametrize("sealed", [0, 100, 137, N])
def test_not_a_byte_is_left(tmp_path: Path, sealed: int) -> None:
    with filled(tmp_path / "log.db", sealed=sealed) as log:
        before = log.read(0, N)["s"]
        assert residue(tmp_path), "the search must find what is there"
        log.rewrite(GONE, {})
        assert not residue(tmp_path)
        kept = before.take(~np.isin(before["offset"], GONE))
        for _ in range(2):
            after = log.read(0, N)["s"]
            assert all(after[name].tolist() == kept[name].tolist() for name in kept)
            assert log.find("s", "event-number-3") is None and log.find("s", "event-number-4") is not None
            assert log.end() == (N, 350)
            log.seal(N)
        log.append({"s": before.take([3]).select(["id", "at", "name"])}, now=500)
        assert log.read(N, N + 1)["s"]["id"].tolist() == ["event-number-3"]


def test_a_log_of_nothing_but_gaps_goes_on(tmp_path: Path) -> None:
    with filled(tmp_path / "log.db", sealed=200) as log:
        log.rewrite(np.arange(N), {})
        assert log.end() == (N, 350) and log.read(0, N) == {} and log.seal(N) == 200
        assert log.end() == (N, 350) and log.read(0, N) == {}
        row = Table({"id": column(["x"], str), "at": np.array([1]), "name": column(["y"], str)})
        assert log.append({"s": row}, now=1)["s"].offsets.tolist() == [N]
    with SqliteLog(tmp_path / "log.db") as log:
        assert log.end() == (N + 1, 350) and log.find("s", "x") is not None


def test_a_reader_in_another_process_is_named(tmp_path: Path) -> None:
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN'); "
    code += "c.execute('SELECT count(*) FROM batches').fetchone(); print('reading', flush=True); sys.stdin.readline()"
    with filled(tmp_path / "log.db", sealed=0) as log:
        command = [sys.executable, "-c", code, str(tmp_path / "log.db")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None and other.stdout.readline() == "reading\n"
            with pytest.raises(LogError, match="stop the service"):
                log.rewrite(GONE, {})
            other.communicate("\n")
        log.rewrite(GONE, {})
        assert not residue(tmp_path)


CHILD = """
import os, signal, sys
from pathlib import Path
import numpy as np
from sixfold.engines.sqlite import rewriting
from sixfold.engines.sqlite.log import SqliteLog

left = int(sys.argv[2])

def die(event, frame, arg):
    global left
    if event == "call" and frame.f_code.co_filename.endswith(("rewriting.py", "segments.py", "database.py")):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

log = SqliteLog(Path(sys.argv[1]), piece_rows=31, segment_rows=90)
sys.setprofile(die)
log.rewrite(np.arange(3, 400, 7), {})
sys.setprofile(None)
"""


def lives() -> Iterator[int]:
    yield from (*range(0, 60, 6), *range(60, 4_000, 150))


@pytest.mark.slow
def test_killed_at_any_call_it_is_completed_by_the_same_call(tmp_path: Path) -> None:
    ended = False
    for calls in lives():
        folder = tmp_path / str(calls)
        with filled(folder / "log.db", sealed=200) as log:
            before = log.read(0, N)["s"]
        done = subprocess.run([sys.executable, "-c", CHILD, str(folder / "log.db"), str(calls)], check=False)
        assert done.returncode in (0, -signal.SIGKILL)
        with SqliteLog(folder / "log.db", piece_rows=31, segment_rows=90) as log:
            assert set(log.read(0, N)["s"]["offset"].tolist()) >= set(range(N)) - set(GONE.tolist())
            log.rewrite(GONE, {})
            after = log.read(0, N)["s"]
            assert after["offset"].tolist() == sorted(set(range(N)) - set(GONE.tolist()))
            assert after["name"].tolist() == before["name"][after["offset"]].tolist()
        assert not residue(folder)
        if ended := done.returncode == 0:
            break
    assert ended, "the last life must have been long enough"
