"""What every engine of the log must do, as one call: `check_log(MemoryLog)`.

Random histories run on the engine and on a list of rows; after each step both must say the same.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sixfold._core.errors import LogError
from sixfold._core.table import Array, Table
from sixfold.data.log import Appended, Log, Rewritable

__all__ = ["check_log"]

_STREAMS = ("shown", "watch", "meta")
_TEXTS = ("", "a", "tab\n'\"", "ünï 視頻 🎬", "0", "x" * 300, None)
_FLOATS = (0.0, -0.0, 1.5, np.nan, np.inf, -np.inf, 5e-324, 1.7976931348623157e308)
_INTS = (0, -1, 1, 2**53 + 1, 2**63 - 1, -(2**63))


class _Reference:
    """The protocol as a list of rows: slow and plain; an event that was erased is an empty one."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.last = 0

    def append(self, events: Mapping[str, Table], now: int) -> dict[str, list[tuple[int, int]]]:
        """(offset, arrived) of each row, by stream."""
        waiting = []
        for order, (stream, table) in enumerate(events.items()):
            for i, row in enumerate(table.rows()):
                waiting.append((max(row.get("arrived", now), self.last), order, i, stream, row))
        places: dict[str, list[tuple[int, int]]] = {stream: [(0, 0)] * len(table) for stream, table in events.items()}
        for arrived, _, i, stream, row in sorted(waiting, key=lambda item: item[:3]):
            known = any(old and old["stream"] == stream and old["id"] == row["id"] for old in self.rows)
            places[stream][i] = (-1 if known else len(self.rows), arrived)
            if not known:
                self.rows.append({**row, "stream": stream, "offset": len(self.rows), "arrived": arrived})
                self.last = arrived
        return places

    def read(self, start: int, stop: int, stream: str) -> list[dict[str, Any]]:
        """The rows of one stream."""
        chosen = [row for row in self.rows if row and row["stream"] == stream and start <= row["offset"] < stop]
        return [{name: value for name, value in row.items() if name != "stream"} for row in chosen]

    def rewrite(self, gone: Array, texts: Mapping[int, str]) -> None:
        """Erase some rows and replace the column `tab` of others."""
        self.rows = [{} if row and row["offset"] in gone else row for row in self.rows]
        for offset, text in texts.items():
            self.rows[offset] = {**self.rows[offset], "tab": text}


def check_log(
    make_log: Callable[[], Log], *, reopen: Callable[[Log], Log] | None = None, histories: int = 25, seed: int = 0
) -> None:
    """Raise AssertionError, saying what differs, unless the logs that `make_log` gives keep every promise of `Log`.

    `make_log` gives an empty log at each call. `reopen`, for durable engines, lets go of a log and opens it again; it
    is called in the middle of histories.
    """
    _check_empty(make_log())
    _check_refusals(make_log())
    _check_columns(make_log())
    for number in range(histories):
        _check_history(make_log(), reopen, np.random.default_rng([seed, number]), f"history {number} of seed {seed}")


def _check_empty(log: Log) -> None:
    assert log.end() == (0, 0), f"an empty log must end at (0, 0), found {log.end()}"
    assert not log.read(0, 10), "an empty log must read as no streams"
    assert log.find("shown", "e1") is None, "an empty log must find nothing"
    assert log.seal(10) == 0, "sealing an empty log must move nothing"
    nothing = log.append({"shown": _table(np.random.default_rng(0), []), "watch": Table({})}, now=7)
    assert all(len(part.offsets) == 0 for part in nothing.values()), "appending no rows must give no offsets"
    assert set(nothing) == {"shown", "watch"}, f"each stream of an append must be answered, found {set(nothing)}"
    assert log.end() == (0, 0), "appending no rows must change nothing"


def _check_refusals(log: Log) -> None:
    rng = np.random.default_rng(1)
    good, other = _table(rng, ["a", "b"]), _table(rng, ["c"])
    log.append({"shown": good}, now=5)
    before = log.end()
    bad = {
        "a table without ids": other.select(["at", "user"]),
        "a table without times": other.select(["id", "user"]),
        "an empty id": other.with_columns({"id": np.array([""], object)}),
        "a missing id": other.with_columns({"id": np.array([None], object)}),
        "an id that is a number": other.with_columns({"id": np.array([7])}),
        "a time that is not whole": other.with_columns({"at": np.array([0.5])}),
        "a column of objects": other.with_columns({"tab": np.array([{}], object)}),
        "a column of pairs": other.with_columns({"user": np.zeros((1, 2))}),
        "text that is not Unicode": other.with_columns({"tab": np.array(["\ud800"], object)}),
        "an id that is not Unicode": other.with_columns({"id": np.array(["\ud800"], object)}),
    }
    for what, table in bad.items():
        try:
            log.append({"watch": _table(rng, ["w"]), "shown": table}, now=9)
        except LogError:
            assert log.end() == before, f"an append with {what} must have no effect"
        else:
            raise AssertionError(f"an append with {what} must raise LogError")
    assert set(log.read(0, 99)) == {"shown"}, "a refused append must leave no rows behind"
    again = log.append({"shown": other, "watch": _table(rng, ["w"])}, now=9)
    assert [part.offsets.tolist() for part in again.values()] == [[2], [3]], "the log must go on after a refusal"


def _check_columns(log: Log) -> None:
    rng = np.random.default_rng(2)
    old = _table(rng, ["a", "b"])
    log.append({"shown": old, "watch": old}, now=1)
    added = {"score": np.array([0.5]), "why": np.array(["x"], object), "user": np.array([1.0])}
    log.append({"shown": _table(rng, ["c"]).with_columns(added)}, now=2)
    log.seal(1)
    table = log.read(0, 10)["shown"]
    assert np.array_equal(table["score"], [np.nan, np.nan, 0.5], equal_nan=True), "an added float column must be NaN"
    assert table["why"].tolist() == [None, None, "x"], "an added text column must be None before"
    assert table["user"].dtype == np.float64, "int to float must widen the old rows"
    fewer = _table(rng, ["d"]).with_columns({"user": np.array([2.0])}).select(["id", "at", "user", "tab"])
    log.append({"shown": fewer}, now=3)
    assert set(log.read(0, 10)["shown"]) == {"id", "offset", "at", "arrived", "user", "tab"}, "the newest columns count"
    log.append({"watch": _table(rng, ["z"]).with_columns({"rank": np.array([1])})}, now=4)
    try:
        log.read(0, 10, ["watch"])
    except LogError:
        assert set(log.read(0, 10, ["shown"])) == {"shown"}, "one stream's columns must not hide another stream"
    else:
        raise AssertionError(
            "rows before an int column was added have no value for it: reading them must raise LogError"
        )
    assert log.read(6, 10)["watch"]["rank"].tolist() == [1], "rows with the added int column must read"
    assert log.seal(10) == 6, "sealing must work although some rows cannot be read"


def _check_history(log: Log, reopen: Callable[[Log], Log] | None, rng: np.random.Generator, where: str) -> None:
    reference, now, sealed = _Reference(), 0, 0
    for step in range(int(rng.integers(1, 12))):
        now += int(rng.integers(0, 30))
        events = _events(rng)
        _same_append(log.append(events, now=now), reference.append(events, now), f"{where}, append {step}")
        expected = (len(reference.rows), reference.last)
        assert log.end() == expected, f"{where}, append {step}: end is {log.end()}, expected {expected}"
        if rng.random() < 0.3:
            upto = int(rng.integers(-1, len(reference.rows) + 3))
            moved, sealed_now = log.seal(upto), max(sealed, min(upto, len(reference.rows)))
            assert moved == sealed_now - sealed, f"{where}: seal({upto}) moved {moved}, expected {sealed_now - sealed}"
            sealed = sealed_now
        if isinstance(log, Rewritable) and rng.random() < 0.2:
            _rewrite(log, reference, rng)
        if reopen is not None and rng.random() < 0.3:
            log = reopen(log)
        start, stop = (int(x) for x in rng.integers(-2, len(reference.rows) + 3, 2))
        wanted = None if rng.random() < 0.5 else [_STREAMS[int(i)] for i in rng.integers(0, 3, 2)]
        _same_rows(log, reference, (start, stop), wanted, f"{where}, read({start}, {stop}, {wanted}) at step {step}")
        _same_find(log, reference, _STREAMS[int(rng.integers(3))], f"e{rng.integers(20)}", where)
    _same_rows(log, reference, (0, len(reference.rows)), None, f"{where}, whole")


def _rewrite(log: Rewritable, reference: _Reference, rng: np.random.Generator) -> None:
    """Erase some events and change others, twice: the second time must change nothing."""
    n = len(reference.rows)
    gone = np.flatnonzero(rng.random(n) < rng.choice([0.1, 0.5, 1.0]))
    stay = [row for row in reference.rows if row and row["offset"] not in gone and rng.random() < 0.3]
    texts = {row["offset"]: f"new {row['offset']}" for row in stay}
    changed = {}
    for stream in _STREAMS:
        mine = [row["offset"] for row in stay if row["stream"] == stream]
        names = np.array([*(texts[offset] for offset in mine), None], object)[:-1]
        changed[stream] = Table({"offset": np.array(mine, np.int64), "tab": names})
    reference.rewrite(gone, texts)
    log.rewrite(gone, changed)
    assert not log.rewrite(gone, changed), "rewriting a log again in the same way must write no file"


def _events(rng: np.random.Generator) -> dict[str, Table]:
    chosen = rng.permutation(_STREAMS)[: rng.integers(1, 4)].tolist()
    return {
        stream: _table(rng, [f"e{i}" for i in rng.integers(0, 40, rng.integers(0, 9))], raw=True) for stream in chosen
    }


def _table(rng: np.random.Generator, ids: list[str], *, raw: bool = False) -> Table:
    n = len(ids)
    tab = np.array([*(_TEXTS[i] for i in rng.integers(0, len(_TEXTS), n)), None], object)[:-1]
    columns: dict[str, Array] = {
        "id": np.array([*ids, None], object)[:-1],
        "at": rng.integers(0, 100, n),
        "user": rng.choice(np.array(_INTS), n),
        "tab": tab,
        "share": rng.choice(np.array(_FLOATS), n),
        "liked": rng.random(n) < 0.5,
    }
    if raw and rng.random() < 0.5:
        columns["arrived"] = rng.integers(0, 120, n)
    return Table(columns)


def _same_append(found: Mapping[str, Appended], expected: dict[str, list[tuple[int, int]]], where: str) -> None:
    assert set(found) == set(expected), f"{where}: answered {set(found)}, expected {set(expected)}"
    for stream, places in expected.items():
        given = list(zip(found[stream].offsets.tolist(), found[stream].arrived.tolist(), strict=True))
        assert given == places, f"{where}, {stream}: (offset, arrived) are {given}, expected {places}"


def _same_rows(log: Log, reference: _Reference, span: tuple[int, int], wanted: list[str] | None, where: str) -> None:
    found = log.read(*span, wanted)
    for stream in _STREAMS:
        expected = reference.read(*span, stream) if wanted is None or stream in wanted else []
        if not expected:
            assert stream not in found, f"{where}: {stream} must be left out, found {found[stream]}"
            continue
        assert stream in found, f"{where}: {stream} is missing"
        table = found[stream]
        kinds = {name: values.dtype.kind for name, values in table.items()}
        wants = {
            "id": "O",
            "offset": "i",
            "at": "i",
            "arrived": "i",
            "user": "i",
            "tab": "O",
            "share": "f",
            "liked": "b",
        }
        assert kinds == wants, f"{where}: {stream} has columns {kinds}, expected {wants}"
        for row, want in zip(table.rows(), expected, strict=True):
            assert _text(row) == _text(want), f"{where}: {stream} holds {row}, expected {want}"


def _text(row: Mapping[str, Any]) -> str:
    return repr(sorted(row.items()))  # NaN equals NaN here, and 0.0 differs from -0.0


def _same_find(log: Log, reference: _Reference, stream: str, event_id: str, where: str) -> None:
    found = log.find(stream, event_id)
    expected = [row for row in reference.read(0, len(reference.rows), stream) if row["id"] == event_id]
    rows = [] if found is None else found.rows()
    same = [_text(row) for row in rows] == [_text(row) for row in expected]
    assert same, f"{where}: find({stream!r}, {event_id!r}) gives {rows}, expected {expected}"
