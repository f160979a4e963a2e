"""Looking back: decide once, replay, audit and compare what was served with what was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from sixfold._core.errors import InputError, ReleaseError
from sixfold._core.hashing import fingerprint
from sixfold._core.table import Table
from sixfold.data.privacy import MASK, erasures, personal, rewritten
from sixfold.engines.sqlite.quarantine import SqliteQuarantine
from sixfold.operate.drift import DriftRow, Reference, compare
from sixfold.operate.releases import champion, open_release
from sixfold.run.home import Home
from sixfold.run.requests import request_fields
from sixfold.run.scan import DECIDED
from sixfold.run.serve import bind, one_thread, open_deployment, state_at
from sixfold.run.served import served
from sixfold.serve import DecisionRequest
from sixfold.serve.decision import decision_events, replay
from sixfold.system import System

__all__ = [
    "LogView",
    "Monitored",
    "Replayed",
    "decide",
    "monitor",
    "replay_decision",
    "view_log",
]


@dataclass(frozen=True, slots=True)
class Replayed:
    """Whether a decision came out the same, byte for byte; both answers as text.

    Where it is `rewritten`, events that it saw were erased since, and it cannot come out the same.
    """

    decision: str
    same: bool
    expected: str
    got: str
    rewritten: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to one decision, as the service gives it."""

    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Monitored:
    """Drift of served features and scores against the release's reference, the most drifted first."""

    release: str
    decisions: int
    rows: tuple[DriftRow, ...]


@dataclass(frozen=True, slots=True)
class LogView:
    """What the log holds: counts by stream, quarantined rows by reason, and the newest events."""

    events: int
    streams: dict[str, int]
    quarantined: dict[str, int]
    tail: list[dict[str, Any]]


def subject_key(system: System, text: str) -> int | str:
    """A key from the command line, as the type of the entity that decisions are for."""
    entity = system.problem.task.per
    if entity.key is str:
        return text
    if not text.isdecimal():
        raise InputError(f"{entity.name} keys are whole numbers; found {text!r}")
    return int(text)


_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def parse_context(system: System, pairs: Sequence[str]) -> dict[str, Any]:
    """Request fields from the command line, as `name=value`; InputError for a field that no feature reads."""
    kinds = request_fields(system)
    context: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or name not in kinds:
            raise InputError(f"--context {pair!r}: expected name=value", hint=f"the fields are: {', '.join(kinds)}")
        try:
            context[name] = _YES_NO[text.lower()] if kinds[name] is bool else kinds[name](text)
        except (ValueError, KeyError) as error:
            wanted = "yes or no" if kinds[name] is bool else "a number"
            raise InputError(f"--context {name}: {text!r} is not {wanted}") from error
    return context


def decide(
    home: Home, system: System, subject: str, *, n: int | None = None, context: Mapping[str, Any]
) -> dict[str, Any]:
    """Decide once, without a service, and log it; returns the answer. ReleaseError if nothing was released yet."""
    key = subject_key(system, subject)
    with one_thread(), open_deployment(home, system) as stage:
        if stage.deployment.ingest.is_erased(system.problem.task.per.name, key):
            raise InputError(
                f"that {system.problem.task.per.name} was erased", hint="who comes back needs a key of their own"
            )
        release = champion(stage.log)
        if release is None:
            raise ReleaseError("nothing has been released yet", hint="run `sixfold release`, or `sixfold run`")
        bound = stage.deployment.load(release)
        now = stage.deployment.clock()
        name = fingerprint(["decide", release, key, now, stage.deployment.features.offset])
        request = DecisionRequest(name, key, n or system.pipeline.n, now, context)
        decision = bound.decide(request)
        task = system.problem.task
        stage.log.append({decision_events(task.per).name: decision.row(task.per)}, now=now)
    answer: dict[str, Any] = msgspec.json.decode(decision.response)
    return answer


def replay_decision(home: Home, system: System, decision_id: str) -> Replayed:
    """Decide again as of then and compare; InputError if there is no such decision."""
    with one_thread(), home.log() as log:
        row = log.find("decision", decision_id)
        facts = erasures(log)
        if row is None:
            gone = "; it may have been for somebody who was erased" if facts else ""
            raise InputError(
                f"there is no decision {decision_id!r}{gone}", hint="`sixfold log --stream decision` lists them"
            )
        result = replay(
            row,
            lambda release, offset: bind(
                system, open_release(home.releases, release), state_at(home, system, log, offset)
            ),
        )
    past = not result.same and bool(rewritten(facts, int(row["as_of"][0])))
    return Replayed(decision_id, result.same, result.expected.decode(), result.got.decode(), past)


def monitor(home: Home, system: System, *, last: int = 1000) -> Monitored:
    """How far the served values of the newest `last` decisions are from what the serving release was trained on."""
    with home.log() as log:
        serving = champion(log)
        if serving is None:
            raise ReleaseError("nothing has been released yet", hint="run `sixfold release`, or `sixfold run`")
        release = open_release(home.releases, serving)
        pieces = list(served(home, system, log, last=last, release=serving))
    values = Table.concat([piece.values for piece in pieces if piece.values])
    if not values:
        raise InputError(
            f"release {serving} has made no ranked decisions", hint="send it some: `sixfold decide --user 1`"
        )
    reference = Reference.load(release.folder / "reference.json")
    return Monitored(serving, sum(piece.decisions for piece in pieces), compare(reference, values))


def view_log(home: Home, system: System, *, tail: int = 10, stream: str | None = None) -> LogView:
    """Counts by stream, quarantine by reason, and the newest events: long texts cut, personal values masked."""
    with home.log() as log, SqliteQuarantine(home.folder / "log.db") as quarantine:
        end = log.end()[0]
        everything = log.read(0, end)
        names = [stream] if stream else list(everything)
        if stream and stream not in everything:
            raise InputError(f"the log has no {stream!r} events; it has {', '.join(everything) or 'none'}")
        reasons = {f"{name}: {why}": n for (name, why), n in quarantine.count().items()}
    hidden = personal((*system.streams, decision_events(system.problem.task.per)))
    if any(stream.personal for stream in system.streams):
        hidden["decision"] |= set(DECIDED)
    rows = [
        {"stream": name, **{key: _shown(value, key in hidden.get(name, ())) for key, value in row.items()}}
        for name in names
        for row in everything[name].take(slice(-tail, None)).rows()
    ]
    newest = sorted(rows, key=lambda row: row["offset"])[-tail:]
    return LogView(end, {name: len(table) for name, table in everything.items()}, reasons, newest)


def _shown(value: Any, is_personal: bool) -> Any:
    if is_personal and value is not None:
        return MASK
    return value if not isinstance(value, str) or len(value) <= 60 else f"{value[:57]}..."
