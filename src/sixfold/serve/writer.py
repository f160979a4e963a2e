"""The writer: one thread that owns the log of a serving process, commits in groups and follows what others append."""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.errors import LogError, ServiceError
from sixfold._core.table import Array, Table
from sixfold._core.times import Clock
from sixfold.data.log import Log

__all__ = ["Fold", "LogWriter", "Offsets"]

Offsets = Mapping[str, Array]
"""The offsets of an append's rows by stream, -1 where the event was in the log already."""

Fold = Callable[[Mapping[str, Table], int], None]
"""Called on the event loop with the next events of the followed streams and the offset after them."""

_POLL_S = 0.2
_LINGER_S, _TOGETHER = 0.003, 4
"""How long the first append of a group waits for others that are being made, and for how many: a commit costs the
loop's thread a dozen switches, whatever is in it."""
_PIECE = 20_000
_PIECES_AHEAD = 4
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Append:
    events: Mapping[str, Table]
    folded: bool
    done: "asyncio.Future[Offsets]"


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    run: Callable[[Log], Any]
    done: "asyncio.Future[Any]"


class LogWriter:
    """Appends of many requests become one commit; an append is acknowledged when it is durable, or also folded.

    `follow` names the streams that are handed to `fold`, from offset `start` on, in order. All futures and folds
    happen on `loop`. At most `room` rows wait; more raise ServiceError.
    """

    def __init__(
        self, log: Log, clock: Clock, *, follow: Iterable[str], start: int, fold: Fold, room: int = 100_000
    ) -> None:
        self._log, self._clock, self._fold = log, clock, fold
        self._follow, self._position, self._room = tuple(follow), start, room
        self._followed = frozenset(self._follow)
        self._jobs: queue.SimpleQueue[_Append | _Call | None] = queue.SimpleQueue()
        self._waiting = 0
        self._ahead = threading.Semaphore(_PIECES_AHEAD)
        self._reached = False
        self._loop = asyncio.get_running_loop()
        self.caught_up = asyncio.Event()
        self.broken = ""
        self.expected = 1
        """How many appends are waiting or being made; with one, nobody lingers."""
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows that are not durable yet."""
        return self._waiting

    async def append(self, events: Mapping[str, Table], *, folded: bool) -> Offsets:
        """Make the events durable, and with `folded` also part of the state, before returning their offsets."""
        rows = sum(len(table) for table in events.values())
        if self._waiting + rows > self._room:
            raise ServiceError(f"{self._waiting} rows wait to be written", hint="send again in a second, or slower")
        done: asyncio.Future[Offsets] = self._loop.create_future()
        self._waiting += rows
        try:
            self._jobs.put(_Append(events, folded, done))
            return await asyncio.shield(done)
        finally:
            self._waiting -= rows

    async def call(self, run: Callable[[Log], Any]) -> Any:
        """The result of `run(log)` in the thread that owns the log."""
        done: asyncio.Future[Any] = self._loop.create_future()
        self._jobs.put(_Call(run, done))
        return await done

    async def stop(self) -> None:
        """Write what waits, then end the thread."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        wait_s, stopping = 0.0, False
        while not stopping:
            jobs, stopping = self._take(wait_s)
            wait_s = _POLL_S
            appends = [job for job in jobs if isinstance(job, _Append)]
            outcomes = [pair for group in _groups(appends) for pair in self._commit(group)]
            self._post(_settle, [pair for pair in outcomes if not pair[0].folded])
            self._post(_settle, [(job, self._called(job)) for job in jobs if isinstance(job, _Call)])
            self._follow_tail(outcomes)
            self._post(_settle, [pair for pair in outcomes if pair[0].folded])

    def _take(self, wait_s: float) -> tuple[list[_Append | _Call], bool]:
        """Everything that waits, after at most `wait_s`; and whether to stop."""
        jobs: list[_Append | _Call] = []
        try:
            job = self._jobs.get(timeout=wait_s)
            until = time.monotonic() + _LINGER_S
            while job is not None:
                jobs.append(job)
                lingers = len(jobs) < min(self.expected, _TOGETHER)
                job = self._jobs.get(timeout=max(0.0, until - time.monotonic()) if lingers else 0.0)
        except queue.Empty:
            return jobs, False
        return jobs, True

    def _commit(self, group: Sequence[_Append]) -> list[tuple[_Append, Any]]:
        """Append a group at once; if that fails, each alone, so that one bad job fails only itself."""
        streams = list(dict.fromkeys(stream for job in group for stream in job.events))
        try:
            merged = {s: Table.concat([job.events[s] for job in group if s in job.events]) for s in streams}
            appended = self._log.append(merged, now=self._clock())
        except Exception as error:  # whatever a log raises, the requests that wait for it must be told
            if len(group) > 1:
                return [pair for job in group for pair in self._commit([job])]
            _log.error("an append failed: %s", error)
            return [(job, error) for job in group]
        ends = dict.fromkeys(streams, 0)
        outcomes: list[tuple[_Append, Any]] = []
        for job in group:
            offsets = {}
            for stream, table in job.events.items():
                start, ends[stream] = ends[stream], ends[stream] + len(table)
                offsets[stream] = np.asarray(appended[stream].offsets[start : ends[stream]])
            outcomes.append((job, offsets))
        return outcomes

    def _called(self, job: _Call) -> Any:
        try:
            return job.run(self._log)
        except Exception as error:  # handed to whoever asked
            return error

    def _follow_tail(self, outcomes: Sequence[tuple[_Append, Any]]) -> None:
        """Hand over what was appended since, by us or others, piece by piece so that requests get in between."""
        if (end := self._nobodys(outcomes)) is not None:
            self._ahead.acquire()
            self._post(self._folded, {}, end)
            self._position = end
            return
        try:
            end, _ = self._log.end()
            while self._position < end:
                stop = min(end, self._position + _PIECE)
                history = self._log.read(self._position, stop, self._follow)
                self._ahead.acquire()
                self._post(self._folded, history, stop)
                self._position = stop
        except LogError as error:
            _log.error("the log cannot be read: %s", error)
            return
        if not self._reached:
            self._reached = True
            self._post(self.caught_up.set)

    def _nobodys(self, outcomes: Sequence[tuple[_Append, Any]]) -> int | None:
        """The end of what was just appended, if it comes right after what was handed over and nobody follows it."""
        fresh = []
        for job, offsets in outcomes:
            if isinstance(offsets, BaseException) or not self._followed.isdisjoint(job.events):
                return None
            fresh += [offset for some in offsets.values() for offset in some.tolist() if offset >= 0]
        ours = fresh and min(fresh) == self._position and max(fresh) == self._position + len(fresh) - 1
        return self._position + len(fresh) if ours else None

    def _folded(self, history: Mapping[str, Table], stop: int) -> None:
        self._ahead.release()
        if self.broken:
            return
        try:
            self._fold(history, stop)
        except Exception as error:  # the state can no longer be trusted: say so, and stop answering from it
            _log.exception("folding the log failed at offset %d", stop)
            what = type(error).__name__  # not its words, which may quote values
            self.broken = f"folding the log failed before offset {stop}: {what}; the service's log says more"

    def _post(self, function: Callable[..., None], *args: Any) -> None:
        if args != ([],):
            self._loop.call_soon_threadsafe(function, *args)


def _settle(outcomes: Sequence[tuple[_Append | _Call, Any]]) -> None:
    for job, outcome in outcomes:
        if job.done.cancelled():
            continue
        if isinstance(outcome, BaseException):
            job.done.set_exception(outcome)
        else:
            job.done.set_result(outcome)


def _groups(jobs: Sequence[_Append]) -> Iterator[list[_Append]]:
    """Jobs that may share a commit: within it streams have one order, and each job's own order must be kept."""
    group: list[_Append] = []
    order: list[str] = []
    for job in jobs:
        known = [order.index(stream) if stream in order else len(order) for stream in job.events]
        if known != sorted(known):
            yield group
            group, order = [], []
        group.append(job)
        order += [stream for stream in job.events if stream not in order]
    if group:
        yield group
