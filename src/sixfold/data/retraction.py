"""Retractions: facts that say that another fact does not count any more. Nothing is ever removed from the log for it.

A retraction counts from its own offset on: whoever sees the events below offset o sees an event of them unless one of
them retracts it. What was decided before stays as it was, and can be replayed.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np

from sixfold._core.table import Array, Table, column
from sixfold._core.times import instant
from sixfold.data.checks import Problem, Rule, row_problem, short
from sixfold.data.log import Log

__all__ = ["NEVER", "RETRACTION", "RULES", "ends", "living", "resolved", "retraction_id"]

RETRACTION = "retraction"
"""The stream that retractions are logged in.

A row says `of` (a stream), `event` (an id in it) and `at`; in the log it also has `target`, the offset of that event,
and an id made of both: that an event is retracted is one fact, however often it is said.
"""

RULES: Mapping[str, Rule] = {"at": "time", "of": "id", "event": "id"}
"""How the columns of a retraction are checked as it comes in."""

NEVER = int(np.iinfo(np.int64).max)


def ends(history: Mapping[str, Table], events: Table) -> Array | None:
    """The offset of each event's first retraction, NEVER where it has none, (n_events,); None if none of them has one.

    >>> events, retractions = {"offset": np.array([0, 2])}, {"offset": np.array([1]), "target": np.array([0])}
    >>> (ends({"retraction": Table(retractions)}, Table(events)) == [1, NEVER]).tolist()
    [True, True]
    """
    retractions = history.get(RETRACTION)
    if not retractions or not events:
        return None
    offsets, target = events["offset"], retractions["target"]
    place = np.minimum(np.searchsorted(offsets, target), len(offsets) - 1)
    mine = offsets[place] == target
    if not mine.any():
        return None
    out = np.full(len(offsets), NEVER)
    np.minimum.at(out, place[mine], retractions["offset"][mine])
    return out


def living(history: Mapping[str, Table], events: Table, stop: int = NEVER) -> Table:
    """The events that no retraction with an offset below `stop` takes back."""
    over = ends(history, events)
    return events if over is None else events.take(over >= stop)


def retraction_id(row: Any) -> str:
    """The id that a retraction has in the log, of whatever came; empty where it cannot have one."""
    of, event = (row.get("of"), row.get("event")) if isinstance(row, dict) else (None, None)
    return f"{of}:{event}" if isinstance(of, str) and isinstance(event, str) else ""


def resolved(rows: Sequence[Any], streams: Container[str], log: Log, *, now: int) -> tuple[Table, dict[int, Problem]]:
    """The good ones of rows of JSON values as a table to append, and what is wrong with each of the others.

    A row without `at` happened now, and none happens later. The log must hold the event: send a retraction once its
    event has been accepted.
    """
    problems: dict[int, Problem] = {}
    good: list[tuple[str, int, str, str, int]] = []
    for place, row in enumerate(rows):
        sent = {"at": now, **row} if isinstance(row, dict) else row
        problem = row_problem(RULES, sent)
        if problem is None:
            event, problem = _found(sent["of"], sent["event"], streams, log)
        if problem is not None:
            problems[place] = problem
            continue
        at = instant(sent["at"]) if isinstance(sent["at"], str) else sent["at"]
        good.append((retraction_id(sent), min(at, now), sent["of"], sent["event"], event))
    names, kinds = ("id", "at", "of", "event", "target"), (str, int, str, str, int)
    lists = list(zip(*good, strict=True)) or [()] * len(names)
    return Table({n: column(list(v), kind) for n, v, kind in zip(names, lists, kinds, strict=True)}), problems


def _found(of: str, event: str, streams: Container[str], log: Log) -> tuple[int, Problem | None]:
    """The offset of the event to retract, or what is wrong."""
    if of == RETRACTION:
        return -1, ("a retraction cannot be retracted: send the event again under a new id", "")
    if of not in streams:
        return -1, ("field 'of': expected a stream of the system", short(of))
    found = log.find(of, event)
    if found is None:
        return -1, (f"field 'event': expected the id of an event of {of!r} that is in the log", short(event))
    return int(found["offset"][0]), None
