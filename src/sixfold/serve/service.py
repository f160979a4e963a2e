"""The service: one event loop that owns the state, decides on it, and answers only what is durable."""

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np

from sixfold._core.errors import ConflictError, InputError, NotFoundError, OverloadedError, ServiceError
from sixfold._core.table import Table
from sixfold._core.times import Clock
from sixfold.data.ingest import Ingest, Prepared, Verdict
from sixfold.data.log import Log
from sixfold.data.privacy import MASK, erasures, rewritten
from sixfold.data.retraction import RETRACTION
from sixfold.features.definitions import Request
from sixfold.features.online import OnlineFeatures
from sixfold.frame import Task
from sixfold.serve.bound import BoundPipeline
from sixfold.serve.decision import Decision, ReplayResult, decision_events, replay
from sixfold.serve.metrics import Metrics
from sixfold.serve.pending import Pending
from sixfold.serve.stages import DecisionRequest
from sixfold.serve.wire import Verdicts
from sixfold.serve.writer import LogWriter, Offsets

__all__ = ["Deployment", "Readiness", "Service"]

_log = logging.getLogger(__name__)
_SLICE = 500
"""Rows that are checked at a stretch: decisions get in between."""

_REPLIES_AT_ONCE = 32
"""How many replies from outside are waited for at the same time."""

_NOTHING = Verdict("quarantined", "")


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a service is made of.

    `features` is the state, folded up to its offset; the service owns it from now on. `load(release)` binds the
    pipeline of a release to `features` (in another thread, so it must not read the state) and raises ReleaseError for
    a damaged one. `rebuild(release, offset)` binds it to another state that has folded exactly the events below the
    offset. `releases` are those to serve at first, the best first: the next is tried where one is refused.
    `snapshot` is called with the state at rest, when the service stops.
    """

    system: str
    log: Log
    ingest: Ingest
    features: OnlineFeatures
    clock: Clock
    task: Task
    load: Callable[[str], BoundPipeline]
    rebuild: Callable[[str, int], BoundPipeline]
    releases: Sequence[str] = ()
    snapshot: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the service answers decisions, and what an operator should know."""

    ready: bool
    release: str | None
    offset: int
    problems: list[str] = field(default_factory=list)


class Service:
    """Decides, takes events, explains and replays. Make it and use it on one event loop."""

    def __init__(self, deployment: Deployment, *, most_at_once: int = 256) -> None:
        self.deployment = deployment
        self.metrics = Metrics()
        self.decisions = decision_events(deployment.task.per)
        self.types: Mapping[str, type] = {
            feature.name: feature.kind
            for feature in deployment.features.features.primitives
            if isinstance(feature, Request)
        }
        self._most_at_once = most_at_once
        self._at_once = 0
        self._listening = 0
        # Replies take seconds: they are waited for in threads of their own, or replays and swaps would stand in line.
        self._asking = ThreadPoolExecutor(_REPLIES_AT_ONCE, thread_name_prefix="ask")
        self._pipeline: BoundPipeline | None = None
        self._wanted: str | None = None
        self._refused: dict[str, str] = {}
        self._loading: asyncio.Task[None] | None = None
        self._replaying = asyncio.Semaphore(1)
        self._turn = asyncio.Lock()
        self._writer: LogWriter | None = None

    async def start(self) -> None:
        """Load the first release that can serve, and catch up with the log."""
        features = self.deployment.features
        for release in self.deployment.releases:
            if await self._load(release):
                break
        follow = {*features.features.follows, "release"}
        self._writer = LogWriter(
            self.deployment.log, self.deployment.clock, follow=sorted(follow), start=features.offset, fold=self._fold
        )
        await self._writer.caught_up.wait()

    async def stop(self) -> None:
        """Finish what was begun, then call the snapshot hook."""
        if self._writer is not None:
            await self._writer.stop()
        self._asking.shutdown(wait=False)
        if self._loading is not None:
            await asyncio.wait([self._loading])
        self.deployment.snapshot()

    @property
    def release(self) -> str | None:
        """The release that serves now."""
        return None if self._pipeline is None else self._pipeline.release

    def readiness(self) -> Readiness:
        """Whether decisions are answered, and every known problem."""
        problems = [f"release {release} was refused: {why}" for release, why in self._refused.items()]
        if self._pipeline is None:
            problems.append("no release serves: train and release one, or promote another")
        broken = self._writer.broken if self._writer is not None else "the service has not started"
        problems += [broken] if broken else []
        ready = self._pipeline is not None and not broken
        return Readiness(ready, self.release, self.deployment.features.offset, problems)

    def exposition(self) -> bytes:
        """The metrics as text."""
        waiting = self._writer.waiting if self._writer is not None else 0
        return self.metrics.exposition(offset=self.deployment.features.offset, waiting=waiting)

    async def decide(self, subject: int | str, n: int | None, context: Mapping[str, Any], id_: str | None) -> bytes:
        """The answer to a request, durable in the log; an id that was answered before gets the same bytes again."""
        began = time.perf_counter()
        writer = self._working()
        if self._pipeline is None:
            raise ServiceError("no release serves yet", hint="train and release one with `sixfold release`")
        if self.deployment.ingest.is_erased(self.deployment.task.per.name, subject):
            what = f"that {self.deployment.task.per.name} was erased"
            raise InputError(what, hint="who comes back needs a key of their own")
        if self._at_once >= self._most_at_once:
            raise OverloadedError(f"{self._at_once} requests are being answered", hint="send again in a second")
        self._at_once += 1
        writer.expected = self._at_once - self._listening
        try:
            # One decision a turn of the loop: between two, those that have become durable are sent. Who has the turn
            # waits for the next one first, or all requests that came in together would be decided in this one.
            async with self._turn:
                await asyncio.sleep(0)
                asked = n if n is not None else self._pipeline.pipeline.n
                request = DecisionRequest(id_ or uuid.uuid4().hex, subject, asked, self.deployment.clock(), context)
                pending = self._pipeline.begin(request)
                decision = None if pending.asks else pending.finish()
            if decision is None:
                decision = await self._heard(pending)
            row = decision.row(self.deployment.task.per)
            offsets = await writer.append({self.decisions.name: row}, folded=False)
            if offsets[self.decisions.name][0] < 0:
                return await self._answered_before(request)
            self.metrics.decided(decision.release, decision.rungs, decision.took, complete=decision.complete)
            self.metrics.answered(time.perf_counter() - began)
            return decision.response
        finally:
            self._at_once -= 1
            writer.expected = self._at_once - self._listening

    async def _heard(self, pending: Pending) -> Decision:
        """The decision with a reply from outside, for which nobody waits but who asked."""
        self._listening += 1
        try:
            await asyncio.get_running_loop().run_in_executor(self._asking, pending.listen)
        finally:
            self._listening -= 1
        return pending.finish()

    async def _answered_before(self, request: DecisionRequest) -> bytes:
        row = (await self.decision(request.id)).row(0)
        logged = msgspec.json.decode(row["request"])
        for name, value in (("subject", request.subject), ("n", request.n), ("context", dict(request.context))):
            if logged[name] != value:
                was = MASK if self.deployment.ingest.personal else repr(logged[name])
                raise ConflictError(
                    f"decision {request.id!r} was made for {name} {was}, not {value!r}",
                    hint="give every decision an id of its own",
                )
        response: str = row["response"]
        return response.encode()

    async def events(self, rows: Sequence[tuple[str, Any]]) -> Verdicts:
        """A verdict for each row (stream, values), once all accepted ones are durable and part of the state.

        Raises InputError, before any effect, if a row names a stream that the system does not have.
        """
        writer, ingest = self._working(), self.deployment.ingest
        places: dict[str, list[int]] = {}
        for place, (stream, _) in enumerate(rows):
            places.setdefault(stream, []).append(place)
        parts: list[tuple[list[int], Prepared]] = []
        for stream, mine in places.items():
            ingest.prepare(stream, [], now=0)
            for start in range(0, len(mine), _SLICE):
                piece = mine[start : start + _SLICE]
                values = [rows[place][1] for place in piece]
                parts.append((piece, await self._checked(stream, values)))
                await asyncio.sleep(0)
        if any(prepared.rejects for _, prepared in parts):
            await writer.call(lambda _: ingest.set_aside([prepared for _, prepared in parts]))
        tables = {s: Table.concat([p.table for _, p in parts if p.stream == s]) for s in places}
        tables = {stream: table for stream, table in tables.items() if table}
        offsets = await writer.append(tables, folded=True) if tables else {}
        if writer.broken:
            raise ServiceError(writer.broken, hint="the events are durable; restart the service")
        return self._verdicts(parts, offsets, len(rows))

    async def _checked(self, stream: str, rows: Sequence[Any]) -> Prepared:
        """Checked rows; what retractions take back is looked up by the log's writer, who may wait for it."""
        ingest, now = self.deployment.ingest, self.deployment.clock()
        if stream != RETRACTION:
            return ingest.prepare(stream, rows, now=now)
        prepared: Prepared = await self._working().call(lambda _: ingest.prepare(stream, rows, now=now))
        return prepared

    def _verdicts(self, parts: Sequence[tuple[list[int], Prepared]], offsets: Offsets, n_rows: int) -> Verdicts:
        found: list[Verdict] = [_NOTHING] * n_rows
        used: Counter[str] = Counter()
        counts: Counter[tuple[str, str]] = Counter()
        for piece, prepared in parts:
            stream, start = prepared.stream, used[prepared.stream]
            used[stream] += len(prepared.table)
            mine = offsets[stream][start : used[stream]] if prepared.table else np.empty(0, np.int64)
            for place, verdict in zip(piece, prepared.verdicts(mine), strict=True):
                found[place] = verdict
                counts[stream, verdict.status] += 1
        for (stream, status), count in counts.items():
            self.metrics.ingested(stream, status, count)
        by_status = Counter(verdict.status for verdict in found)
        gone = by_status["erased"] or msgspec.UNSET
        return Verdicts(by_status["accepted"], by_status["duplicate"], by_status["quarantined"], found, gone)

    async def decision(self, id_: str) -> Table:
        """The logged decision of that id as a table of one row; NotFoundError if there is none."""
        found: Table | None = await self._working().call(lambda log: log.find(self.decisions.name, id_))
        if found is None:
            raise NotFoundError(f"there is no decision {id_!r}", hint="use the id that /v1/decide answered with")
        return found

    async def replay(self, id_: str) -> ReplayResult:
        """Decide again as of then, in another thread, one replay at a time."""
        row = await self.decision(id_)
        async with self._replaying:
            result = await asyncio.to_thread(replay, row, self.deployment.rebuild)
        if result.same:
            return result
        facts = await self._working().call(erasures)
        return replace(result, rewritten=bool(rewritten(facts, int(row["as_of"][0]))))

    def _working(self) -> LogWriter:
        if self._writer is None or self._writer.broken:
            raise ServiceError(self._writer.broken if self._writer else "the service has not started")
        return self._writer

    def _fold(self, history: Mapping[str, Table], stop: int) -> None:
        self.deployment.features.fold(history, stop)
        if (moves := history.get("release")) is not None:
            self._wanted = str(moves["release"][-1])
            if self._loading is None or self._loading.done():
                self._loading = asyncio.get_running_loop().create_task(self._follow_moves())

    async def _follow_moves(self) -> None:
        """Load what the newest move names, until it serves or is refused; the old release serves meanwhile."""
        while (wanted := self._wanted) is not None:
            if wanted != self.release:
                await self._load(wanted)
            if wanted == self._wanted:
                self._wanted = None

    async def _load(self, release: str) -> bool:
        try:
            self._pipeline = await asyncio.to_thread(self.deployment.load, release)
        except Exception as error:  # a bundle may be damaged in any way: the old release must serve on
            _log.error("release %s is refused; %s serves on: %s", release, self.release, error)
            self._refused[release] = str(error)
            self.metrics.swapped("refused")
            return False
        self._refused.pop(release, None)
        self.metrics.swapped("loaded")
        _log.info("release %s serves", release)
        return True
