"""The wire: untrusted bytes into requests, with every limit and a clear sentence for each way to break it."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from sixfold._core.errors import InputError, TooLargeError
from sixfold.data.ingest import Verdict
from sixfold.frame import Task
from sixfold.serve.decision import Answer

__all__ = [
    "LIMITS",
    "Ask",
    "Batch",
    "Explained",
    "Failure",
    "Limits",
    "Mixed",
    "Replayed",
    "Verdicts",
    "Wire",
]


class Limits(msgspec.Struct, frozen=True):
    """What one request may hold."""

    body_bytes: int = 1 << 20
    rows: int = 10_000
    n: int = 200
    context_keys: int = 64
    text: int = 1024


LIMITS = Limits()
Text = Annotated[str, msgspec.Meta(max_length=LIMITS.text)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")]
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Context = Annotated[dict[Key, Text | Whole | float | bool | None], msgspec.Meta(max_length=LIMITS.context_keys)]


class Ask(msgspec.Struct, frozen=True):
    """A checked request for a decision."""

    subject: int | str
    n: int | None
    context: Mapping[str, Any]
    id: str | None


class Verdicts(msgspec.Struct, frozen=True):
    """What became of the events of a request, in their order; `erased` ones were about somebody who was erased."""

    accepted: int
    duplicates: int
    quarantined: int
    verdicts: list[Verdict]
    erased: int | msgspec.UnsetType = msgspec.UNSET


class Replayed(msgspec.Struct, frozen=True):
    """Whether a decision, made again as of then, is the same to the byte; both answers where it is not.

    `rewritten` says that it cannot be: the log was rewritten by an erasure after this decision, of events that it saw.
    """

    decision: str
    same: bool
    expected: Answer | None = None
    got: Answer | None = None
    rewritten: bool | msgspec.UnsetType = msgspec.UNSET


class Explained(msgspec.Struct, frozen=True):
    """A logged decision: what was asked and answered, and the record behind it."""

    decision: str
    offset: int
    seed: int
    request: msgspec.Raw
    response: msgspec.Raw
    record: msgspec.Raw


class Failure(msgspec.Struct, frozen=True):
    """Why a request was not served, and what to do."""

    error: str
    hint: str = ""


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Events of one stream."""

    stream: Key
    events: list[Any]


Mixed = list[dict[str, Any]]


class Wire:
    """Decoders for a system that decides for `task.per`; `types` are the kinds of the context fields it reads."""

    def __init__(self, task: Task, types: Mapping[str, type]) -> None:
        self._per = task.per.name
        self._taken = {task.per.name} | ({task.item.name} if task.item else set())
        self._about = {entity.name: entity.key for entity in task.about}
        self._types = {**types, **self._about}
        subject: Any = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
        if task.per.key is str:
            subject = Annotated[str, msgspec.Meta(min_length=1, max_length=LIMITS.text)]
        count = Annotated[int, msgspec.Meta(ge=1, le=LIMITS.n)]
        self.body = msgspec.defstruct(
            "DecideBody",
            [(self._per, subject), ("n", count | None, None), ("context", Context, {}), ("id", Id | None, None)],
            forbid_unknown_fields=True,
            kw_only=True,
        )
        self._decide = msgspec.json.Decoder(self.body)
        self._events = msgspec.json.Decoder(Batch | Mixed)

    def ask(self, body: bytes) -> Ask:
        """The request in a body; raises InputError."""
        found: Any = _decoded(self._decide, body, f'{{"{self._per}": 7, "n": 20, "context": {{}}}}')
        for name, value in found.context.items():
            if name in self._taken:
                raise InputError(f"context cannot hold {name!r}: that names an entity of the system")
            wanted = self._types.get(name)
            if wanted is not None and value is not None and not _fits(value, wanted):
                raise InputError(f"context {name!r} must be {_WORDS[wanted]}, found {value!r}")
        for name, kind in self._about.items():
            if found.context.get(name) is None or (kind is int and found.context[name] < 0):
                raise InputError(
                    f"the context does not say which {name} it is about", hint=f'give "{name}", {_WORDS[kind]}'
                )
        return Ask(getattr(found, self._per), found.n, found.context, found.id)

    def rows(self, body: bytes) -> list[tuple[str, Any]]:
        """The events of a body as (stream, row), in order; raises InputError."""
        found: Any = _decoded(self._events, body, '{"stream": "watch", "events": [...]} or [{"stream": "watch", ...}]')
        if isinstance(found, Batch):
            rows = [(found.stream, row) for row in found.events]
        else:
            rows = [_mixed(i, row) for i, row in enumerate(found)]
        if len(rows) > LIMITS.rows:
            raise TooLargeError(
                f"{len(rows)} events in one request; at most {LIMITS.rows} are taken", hint="send them in parts"
            )
        return rows


_WORDS: Mapping[type, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def _fits(value: Any, wanted: type) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is wanted


def _mixed(i: int, row: dict[str, Any]) -> tuple[str, Any]:
    stream = row.pop("stream", None)
    if not isinstance(stream, str):
        raise InputError(f"event {i} names no stream", hint='give each event of a list a field "stream"')
    return stream, row


def _decoded(decoder: Any, body: bytes, example: str) -> Any:
    if not body.strip():
        raise InputError("the body is empty", hint=f"send JSON such as {example}")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = "is nested too deeply" if isinstance(error, RecursionError) else f"cannot be used: {error}"
        raise InputError(f"the body {what}", hint=f"send JSON such as {example}") from error
