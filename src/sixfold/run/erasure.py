"""What there is of a subject in a log, and what must change so that nothing is."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from sixfold._core.table import Array, Table, column
from sixfold.data.log import Log
from sixfold.data.privacy import personal
from sixfold.data.quarantine import Quarantine, Reject
from sixfold.data.retraction import RETRACTION
from sixfold.models.contract import Progress
from sixfold.run.scan import DECIDED, Sought
from sixfold.system import System

__all__ = ["Survey", "survey", "waiting"]

_STEP = 100_000
_PAGE = 10_000


@dataclass(slots=True)
class Survey:
    """What a log holds of a subject.

    `offsets` are of events to remove, `streams` counts them; `changed` has decisions about others that show the
    subject, by stream, with the texts that they will have; `texts` are those that give the subject away. `since` is the
    least offset, and `first` when that event arrived.
    """

    offsets: set[int] = field(default_factory=set)
    streams: Counter[str] = field(default_factory=Counter)
    changed: list[dict[str, Any]] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    since: int = 2**63 - 1
    first: int = 0

    def replaced(self) -> dict[str, Table]:
        """The changed decisions as the log wants them."""
        if not self.changed:
            return {}
        kinds = {"offset": int, **dict.fromkeys(DECIDED, str)}
        rows = sorted(self.changed, key=lambda row: int(row["offset"]))
        return {"decision": Table({name: column([row[name] for row in rows], kind) for name, kind in kinds.items()})}

    def gone(self) -> Array:
        """The offsets to remove, in order."""
        return np.array(sorted(self.offsets), np.int64)


def survey(log: Log, system: System, sought: Sought, *, progress: Progress) -> Survey:
    """Read the whole log for events about the subject, decisions for them and decisions that show them."""
    found = Survey()
    marked = personal(system.streams)
    for stream, table in _pieces(log, progress):
        mine = sought.subjects.rows(table, len(table))
        if mine.any():
            _remove(found, stream, table.take(mine), marked.get(stream, frozenset()))
        if stream == "decision":
            found.changed += _redacted(table.take(~mine), sought)
    end = log.end()[0]
    for stream, table in log.read(0, end, [RETRACTION]).items():
        taken_back = np.isin(table["target"], found.gone())
        if taken_back.any():
            _remove(found, stream, table.take(taken_back), frozenset())
    found.texts -= _of_others(found, log, progress)
    return found


def _pieces(log: Log, progress: Progress) -> Iterator[tuple[str, Table]]:
    end = log.end()[0]
    for start in range(0, end, _STEP):
        progress("looking for the subject in the log", start / end)
        yield from log.read(start, min(start + _STEP, end)).items()


def _remove(found: Survey, stream: str, table: Table, marked: frozenset[str]) -> None:
    found.offsets.update(table["offset"].tolist())
    found.streams[stream] += len(table)
    found.texts.update(table["id"].tolist())
    for name in marked:
        if table[name].dtype == object:
            found.texts.update(text for text in table[name].tolist() if text is not None)
    if int(table["offset"][0]) < found.since:
        found.since, found.first = int(table["offset"][0]), int(table["arrived"][0])


def _of_others(found: Survey, log: Log, progress: Progress) -> set[str]:
    """Those of the texts that events of others have, too: they give nobody away."""
    shared: set[str] = set()
    for _, table in _pieces(log, progress):
        rest = table.take(~np.isin(table["offset"], found.gone()))
        for name in rest:
            if rest[name].dtype == object:
                shared |= found.texts.intersection(rest[name].tolist())
    return shared


def _redacted(decisions: Table, sought: Sought) -> Iterator[dict[str, Any]]:
    """The texts of decisions for others that name the subject, without them: what was computed is then lost."""
    for row in decisions.select(["offset", *DECIDED]).rows():
        request, response, record = (msgspec.json.decode(row[name]) for name in DECIDED)
        named = any(map(sought.json, (request, response, record)))
        if not named and not sought.shown(response, record):
            continue
        parts = (sought.subjects.scrubbed(request), _without(response, sought), _emptied(record))
        texts = (msgspec.json.encode(part).decode() for part in parts)
        yield {"offset": row["offset"], **dict(zip(DECIDED, texts, strict=True))}


def _emptied(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"erased": True, **({"took_ns": record["took_ns"]} if "took_ns" in record else {})}


def _without(response: Any, sought: Sought) -> dict[str, Any]:
    """An answer without the subject among its items; a text that cited them goes as a whole."""
    kept = dict(sought.subjects.scrubbed(response))
    if sought.is_item:
        has = sought.subjects.has
        kept["items"] = [one for one in kept.get("items", ()) if not has(sought.entity, one.get("id"))]
        cited = kept.get("citations") or ()
        if any(has(sought.entity, one.get("item")) for one in cited):
            kept |= {"citations": [], "text": ""}
    return kept


def waiting(quarantine: Quarantine, sought: Sought, ids: set[str]) -> Iterator[Reject]:
    """The rows in quarantine that name the subject, or take back one of the events `ids`."""
    after = ""
    while some := quarantine.read(_PAGE, after=after):
        after = some[-1].id
        for reject in some:
            value = reject.value
            event = value.get("event") if isinstance(value, dict) and reject.stream == RETRACTION else None
            if event in ids or sought.json([value, reject.reason, reject.found]):
                yield reject
