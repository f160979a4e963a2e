"""The decision: what was answered to one request, and all that is needed to explain, audit and replay it."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.hashing import canonical, fingerprint
from sixfold._core.table import Table, column
from sixfold.data.events import Events
from sixfold.frame import Entity
from sixfold.serve.stages import Citation, DecisionRequest

__all__ = ["Answer", "Decides", "Decision", "Item", "Reason", "ReplayResult", "decision_events", "replay", "seed_of"]


class Reason(msgspec.Struct, frozen=True):
    """A source that proposed an item, its place there (0 is best) and the source's own score."""

    source: str
    rank: int
    score: float | None


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """One shown item, or the action chosen. `value` is what it is thought to be worth, null where nobody said."""

    position: int
    id: int | str
    value: float | None
    propensity: float
    explored: bool
    reasons: list[Reason]
    detail: dict[str, float | str] = {}


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a request; `complete` or `why` not. It saw the events with offset < `as_of`.

    `text`, its `citations` and `refused` are of systems that write about what they found.
    """

    decision: str
    subject: int | str
    at: int
    as_of: int
    release: str
    rungs: list[str]
    complete: bool
    why: str
    items: list[Item]
    text: str | None = None
    citations: list[Citation] = []
    refused: bool = False
    detail: dict[str, float | str] = {}


@dataclass(frozen=True, slots=True)
class Decision:
    """The logged outcome of one request. `took` has nanoseconds by stage and is no part of what a replay compares."""

    request: DecisionRequest
    as_of: int
    release: str
    seed: int
    rungs: tuple[str, ...]
    complete: bool
    response: bytes
    record: Mapping[str, Any]
    took: Mapping[str, int]

    def row(self, per: Entity) -> Table:
        """The decision as one event of `decision_events(per)`."""
        request = self.request
        asked = {"id": request.id, "subject": request.subject, "n": request.n, "at": request.at}
        values: dict[str, tuple[Any, type]] = {
            "id": (request.id, str),
            "at": (request.at, int),
            per.name: (request.subject, per.key),
            "as_of": (self.as_of, int),
            "release": (self.release, str),
            "seed": (self.seed, int),
            "rungs": (",".join(self.rungs), str),
            "request": (canonical({**asked, "context": request.context}).decode(), str),
            "response": (self.response.decode(), str),
            "record": (msgspec.json.encode({**self.record, "took_ns": self.took}).decode(), str),
        }
        return Table({name: column([value], kind) for name, (value, kind) in values.items()})


class Decides(Protocol):
    """A pipeline bound to a release and a state."""

    def decide(
        self, request: DecisionRequest, *, rungs: Sequence[str] | None = None, heard: str | None = None
    ) -> Decision:
        """Answer the request; with `rungs`, take exactly those, and `heard` for the reply that came from outside."""
        ...


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """Whether a decision came out byte for byte as it was answered, and both answers.

    Where it is `rewritten`, events that it saw were erased since, and it cannot come out the same.
    """

    same: bool
    expected: bytes
    got: bytes
    rewritten: bool = False


def decision_events(per: Entity) -> Events:
    """The stream of decisions for a system that decides for `per`."""
    texts = dict.fromkeys(("release", "rungs", "request", "response", "record"), str)
    return Events("decision", keys=(per,), fields={"as_of": int, "seed": int, **texts})


def seed_of(release: str, request_id: str) -> int:
    """The seed of a decision's chance: the same request to the same release draws the same."""
    return int(fingerprint([release, request_id])[:15], 16)


def replay(decision: Table, rebuild: Callable[[str, int], Decides]) -> ReplayResult:
    """Decide again, as of then: `decision` is the logged event as a table of one row.

    `rebuild(release, offset)` gives the pipeline of that release over the state that has folded exactly the events
    below the offset. Raises ReleaseError if the release is gone, InputError if the event is not a decision.
    """
    row = decision.row(0)
    try:
        asked = msgspec.json.decode(row["request"], type=_Asked)
    except (KeyError, msgspec.DecodeError) as error:
        raise InputError(f"the event cannot be read as a decision: {error}") from error
    request = DecisionRequest(asked.id, asked.subject, asked.n, asked.at, asked.context)
    rungs = [rung for rung in row["rungs"].split(",") if rung]
    heard = _heard(row.get("record"))
    again = rebuild(row["release"], row["as_of"]).decide(request, rungs=rungs, heard=heard)
    expected = row["response"].encode()
    return ReplayResult(again.response == expected, expected, again.response)


def _heard(record: str | None) -> str | None:
    """The reply from outside that a decision was written with."""
    return msgspec.json.decode(record, type=_Record).heard if record else None


class _Record(msgspec.Struct):
    heard: str | None = None


class _Asked(msgspec.Struct):
    id: str
    subject: int | str
    n: int
    at: int
    context: dict[str, Any]


def pack(table: Table) -> dict[str, Any]:
    """A table as JSON values without the loss of a bit: numbers as little-endian base64, text as lists."""
    plain = [name for name in table if table[name].dtype == np.float64 and table[name].ndim == 1]
    matrix = np.array([table[name] for name in plain], "<f8").reshape(len(plain), len(table))
    others = {}
    for name in table:
        values = table[name]
        if values.dtype == object:
            others[name] = ["text", values.tolist()]
        elif name not in plain:
            # What is known of the subject is the same in every row.
            once = values[:1] if len(values) and (values == values[:1]).all() else values
            others[name] = [values.dtype.str, list(once.shape), _base64(once)]
    return {"rows": len(table), "order": list(table), "floats": plain, "matrix": _base64(matrix), "others": others}


def unpack(packed: Mapping[str, Any]) -> Table:
    """The inverse of `pack`.

    >>> table = Table({"x": np.array([0.1, np.nan]), "t": column(["a", None], str), "s": np.array([[1, 2], [1, 2]])})
    >>> again = unpack(pack(table))
    >>> again.names, again["x"].tobytes() == table["x"].tobytes(), again["s"].tolist(), again["t"].tolist()
    (('x', 't', 's'), True, [[1, 2], [1, 2]], ['a', None])
    >>> len(unpack(pack(table.take(slice(0)))))
    0
    """
    rows = packed["rows"]
    matrix = np.frombuffer(base64.b64decode(packed["matrix"]), "<f8").reshape(len(packed["floats"]), rows)
    columns = dict(zip(packed["floats"], matrix, strict=True))
    for name, (kind, *rest) in packed["others"].items():
        if kind == "text":
            columns[name] = column(rest[0], str)
        else:
            shape, data = rest
            values = np.frombuffer(base64.b64decode(data), kind).reshape(shape)
            columns[name] = np.broadcast_to(values, (rows, *shape[1:]))
    return Table({name: columns[name] for name in packed["order"]}, n_rows=rows)


def _base64(values: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
