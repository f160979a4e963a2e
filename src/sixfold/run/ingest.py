"""Step 2, data: from a source into the log, checked on the way."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sixfold._core.errors import InputError
from sixfold._core.table import Table
from sixfold.data.ingest import Ingest
from sixfold.data.retraction import RETRACTION
from sixfold.data.source import Source
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.engines.sqlite.quarantine import SqliteQuarantine
from sixfold.models.contract import Progress, silent
from sixfold.run.home import Home
from sixfold.system import System

__all__ = ["Ingested", "ingest", "make_ingest", "open_source", "reingest"]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a source's events."""

    source: str
    accepted: int
    duplicates: int
    quarantined: int
    by_stream: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    repeated: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    resumed: bool = False
    erased: dict[str, int] = field(default_factory=dict)


def open_source(data: str, *, data_home: Path | None, seed: int) -> Source:
    """The source called `data`, or in the folder `data`; InputError if there is none, DataError if it is damaged."""
    from sixfold import datasets, worlds

    known = (*worlds.NAMES, *datasets.NAMES)
    if data not in known and not Path(data).is_dir():
        hint = f"use {', '.join(known)}, or a data set's folder"
        raise InputError(f"{data!r} is neither known data nor a folder", hint=hint)
    return worlds.open_world(data, seed) if data in worlds.NAMES else datasets.open_source(data, home=data_home)


def make_ingest(system: System, log: SqliteLog, quarantine: SqliteQuarantine) -> Ingest:
    """The one way that events of a system come in."""
    return Ingest(log, quarantine, system.streams, contracts=system.contracts)


def ingest(home: Home, system: System, source: Source, *, progress: Progress = silent) -> Ingested:
    """Bring all of a source into the log, once: what is there already is not added again, so it can be repeated."""
    facts = home.facts()
    done = facts.get("ingested")
    if done and facts.get("system") == system.name:
        return Ingested(**{**done, "resumed": True})
    began = time.perf_counter()
    home.remember(source=source.name, system=system.name, utc_offset_s=source.utc_offset_s)
    accepted: Counter[str] = Counter()
    repeated: Counter[str] = Counter()
    erased: Counter[str] = Counter()
    with home.log() as log, SqliteQuarantine(home.folder / "log.db") as quarantine:
        gate = make_ingest(system, log, quarantine)
        for chunk in source.chunks():
            report = gate.chunk(_declared(system, chunk), now=log.end()[1])
            accepted.update(report.accepted)
            repeated.update(report.repeated)
            erased.update(report.erased)
            progress(f"reading {source.name} into the log: {accepted.total():,} events", 0.5)
        progress("sealing the log into segments", 0.9)
        log.seal(log.end()[0])
        reasons = {f"{stream}: {why}": n for (stream, why), n in quarantine.count().items()}
    result = replace(_result(source.name, accepted, repeated, reasons, began), erased=dict(erased))
    home.remember(ingested={key: getattr(result, key) for key in Ingested.__slots__ if key != "resumed"})
    return result


def _declared(system: System, chunk: Mapping[str, Table]) -> dict[str, Table]:
    """The streams and columns of a source that the system declares; InputError if a declared column is not there."""
    columns = {stream.name: ["id", "at", "arrived", *stream.columns] for stream in system.streams}
    known = {name: table.select(columns[name]) for name, table in chunk.items() if name in columns}
    return known | {name: table for name, table in chunk.items() if name == RETRACTION}


def reingest(home: Home, system: System) -> Ingested:
    """Try everything in quarantine again, once its cause is repaired; what fails again stays there."""
    began = time.perf_counter()
    with home.log() as log, SqliteQuarantine(home.folder / "log.db") as quarantine:
        report = make_ingest(system, log, quarantine).reingest(now=home.clock(log.end()[1])())
        reasons = {f"{stream}: {why}": n for (stream, why), n in quarantine.count().items()}
    result = _result("quarantine", report.accepted, report.repeated, reasons, began)
    return replace(result, erased=dict(report.erased))


def _result(
    source: str, accepted: Mapping[str, int], repeated: Mapping[str, int], reasons: dict[str, int], began: float
) -> Ingested:
    return Ingested(
        source=source,
        accepted=sum(accepted.values()),
        duplicates=sum(repeated.values()),
        quarantined=sum(reasons.values()),
        by_stream=dict(accepted),
        reasons=reasons,
        repeated=dict(repeated),
        seconds=time.perf_counter() - began,
    )
