"""Forgetting somebody: out of the log and of everything that was made of it, with a certificate that can be checked.

The order: a journal, so that nobody else touches the home and a crash is made good; a survey; a fact in the log that
somebody was erased, so that they do not come back; then the log itself, and everything that can be made again from it.
The journal knows the subject by a keyed hash only, as everything that stays behind does.
"""

import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sixfold._core.errors import InputError, ReleaseError, ServiceError
from sixfold._core.hashing import fingerprint
from sixfold._core.times import Clock
from sixfold.data.privacy import ERASURE, Erasure, Pseudonyms, erased, erasures
from sixfold.engines.sqlite.log import SqliteLog
from sixfold.engines.sqlite.quarantine import SqliteQuarantine
from sixfold.frame import Entity
from sixfold.models.contract import Progress, silent
from sixfold.run.certificate import (
    Certificate,
    Outcome,
    affected,
    conclude,
    drop_releases,
    inventory,
    pending,
    write_certificate,
)
from sixfold.run.erasure import Survey, survey, waiting
from sixfold.run.exports import exports_since, forget_exports
from sixfold.run.home import Home, read_json
from sixfold.run.scan import Sought, scan
from sixfold.system import System

__all__ = ["carry_out", "forget", "parse_subject", "renew", "resume", "retrain"]

_NEEDS = "erasing somebody"
_STATE_FILE = (0x51F01D).to_bytes(4, "big")
_STATE_AT = 68  # where SQLite keeps the number that says what kind of file it is


def parse_subject(system: System, text: str) -> tuple[Entity, int | str]:
    """The entity and the key of `entity:key`; InputError if no stream of the system has such keys."""
    name, sign, key = text.partition(":")
    entities = {entity.name: entity for stream in system.streams for entity in stream.keys}
    if not sign or not key or name not in entities:
        raise InputError(
            f"{name!r} is no entity of the system" if sign else "a subject is an entity and a key, such as user:123",
            hint=f"the entities are {', '.join(entities)}",
        )
    if entities[name].key is str:
        return entities[name], key
    if not key.isdecimal():
        raise InputError(f"{name} keys are whole numbers", hint=f"such as {name}:123")
    return entities[name], int(key)


def forget(home: Home, system: System, subject: str, *, clock: Clock, progress: Progress = silent) -> Certificate:
    """Erase a subject, such as "user:123", from everything in a home; one that was cut short is finished first.

    `clock` gives the time that the certificate states. Raises InputError without a key, ServiceError while a service
    runs over the home. Nothing is trained: `retrain` does that.
    """
    entity, key = parse_subject(system, subject)
    pseudonyms = Pseudonyms.from_environment(_NEEDS)
    name = pseudonyms.of(entity.name, key)
    with _alone(home):
        if (known := read_json(home.erasing)) and known["subject"] != name:
            _Erasing(home, system, pseudonyms, known, progress).finish()
        journal = read_json(home.erasing)
        if not journal:
            asked = clock()
            text = [str(key)] if entity.key is str else []
            sought = Sought.of(entity.name, name, pseudonyms, text, is_item=_is_item(system, entity.name))
            journal = {
                "number": fingerprint([name, asked])[:16],
                "entity": entity.name,
                "subject": name,
                "asked": asked,
            }
            journal |= {"traces": sorted(sought.traces), "lengths": sorted(sought.lengths), "found": None}
        return _Erasing(home, system, pseudonyms, journal, progress).finish()


def resume(home: Home, system: System, *, progress: Progress = silent) -> Certificate | None:
    """Finish an erasure that was cut short; None if there is none."""
    with _alone(home):
        journal = read_json(home.erasing)
        if not journal:
            return None
        return _Erasing(home, system, Pseudonyms.from_environment(_NEEDS), journal, progress).finish()


def _is_item(system: System, entity: str) -> bool:
    item = system.problem.task.item
    return item is not None and item.name == entity


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Keep other erasures out, by a lock that a crash lets go of; ServiceError while anybody else has the log open."""
    if not (home.folder / "log.db").exists():
        raise InputError(f"there is no log in {home.folder}", hint="run `sixfold ingest` first")
    facts = read_json(home.folder / "service.json")
    if facts and _answers(facts):
        raise ServiceError(
            f"a service runs over this home at {facts['url']} (process {facts['pid']})",
            hint="stop the service first, and start it again afterwards",
        )
    lock = sqlite3.connect(home.folder / "erasing.lock", isolation_level=None, timeout=0.1)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        _refuse_company(home.folder / "log.db")
        yield
    except sqlite3.OperationalError as error:
        raise ServiceError(f"another process is erasing somebody from {home.folder}", hint="wait for it") from error
    finally:
        lock.close()
        (home.folder / "erasing.lock").unlink(missing_ok=True)


def _refuse_company(path: Path) -> None:
    """ServiceError if another connection has the log open: SQLite leaves its write-ahead log only when alone."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=1)
    try:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        raise ServiceError(
            f"another process has {path} open: {error}", hint="stop the service, or wait until the other command ends"
        ) from error
    finally:
        connection.close()


def _answers(facts: Mapping[str, Any]) -> bool:
    """Whether anything listens where the service said it does."""
    place = urlsplit(facts["url"])
    try:
        with socket.create_connection((place.hostname, place.port), timeout=2):
            return True
    except OSError:
        return False


@dataclass(slots=True)
class _Erasing:
    """One erasure over its journal. Every step can be done again, so whatever was cut short is repeated."""

    home: Home
    system: System
    pseudonyms: Pseudonyms
    journal: dict[str, Any]
    progress: Progress

    def finish(self) -> Certificate:
        self._note()
        with SqliteLog(self.home.folder / "log.db") as log, SqliteQuarantine(log.path) as quarantine:
            erased(log)  # raises if somebody was erased with another key
            found = self._survey(log)
            marked = self._mark(log)
            self._leave_quarantine(quarantine, found)
            self.progress("rewriting the log", 0.4)
            log.rewrite(found.gone(), found.replaced())
        self._drop_views()
        with SqliteLog(self.home.folder / "log.db") as log:
            releases = affected(self.home, log, marked)
        serves = next((one.release for one in releases if one.serves), None)
        drop_releases(self.home, (one.release for one in releases), self._sought(), but=serves)
        self.progress("searching every file of the home", 0.8)
        scanned = scan(self.home.folder, self._sought())
        outcome = Outcome(marked, tuple(releases), scanned)
        certificate = write_certificate(self.home, self.journal, outcome, self.pseudonyms)
        self.progress("the certificate is written", 0.95)
        self.home.erasing.unlink()
        return certificate

    def _note(self) -> None:
        """Write the journal, whole or not at all, durably."""
        draft = self.home.erasing.with_name(".erasing.writing")
        with draft.open("w") as file:
            json.dump(self.journal, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.home.erasing)

    def _sought(self) -> Sought:
        entity = self.journal["entity"]
        nobody = Sought.of(entity, self.journal["subject"], self.pseudonyms, (), is_item=_is_item(self.system, entity))
        return replace(nobody, traces=frozenset(self.journal["traces"]), lengths=frozenset(self.journal["lengths"]))

    def _survey(self, log: SqliteLog) -> Survey:
        """What is there; the first look, before anything was changed, is what the certificate tells of."""
        self.progress("looking for the subject", 0.1)
        found = survey(log, self.system, self._sought(), progress=lambda what, share: self.progress(what, share / 4))
        if self.journal["found"] is None:
            entity = self.journal["entity"]
            told = Sought.of(entity, self.journal["subject"], self.pseudonyms, found.texts, is_item=False)
            self.journal["traces"] = sorted({*self.journal["traces"], *told.traces})
            self.journal["lengths"] = sorted({*self.journal["lengths"], *told.lengths})
            self.journal |= {"since": found.since, "first": found.first, "offsets": sorted(found.offsets)}
            self.journal["before"] = inventory(self.home.folder)
            self.journal["found"] = {
                "events": dict(found.streams),
                "decisions that showed it": len(found.changed),
                "rows in quarantine": 0,
                "snapshots": len(list(self.home.snapshots.glob("[0-9]*"))),
                "candidate": self.home.candidate.exists(),
            }
            self.journal["exports"] = exports_since(self.home, found.since)
            self._note()
        found.offsets.update(self.journal["offsets"])
        self.progress("the survey is done", 0.3)
        return found

    def _mark(self, log: SqliteLog) -> Erasure:
        """The fact that somebody was erased; where nothing was found and it is known already, that fact."""
        subject, offsets = self.journal["subject"], self.journal["offsets"]
        known = [one for one in erasures(log) if one.subject == subject]
        if known and not offsets:
            return known[-1]
        end, last = log.end()
        since, now = (min(self.journal["since"], end), self.home.clock(last)())
        fact = Erasure(-1, now, self.journal["entity"], subject, since, self.journal["first"], len(offsets))
        log.append({ERASURE: fact.row(self.journal["number"], self.pseudonyms)}, now=now)
        self.progress("the log says that somebody was erased", 0.35)
        return next(one for one in reversed(erasures(log)) if one.subject == subject)

    def _leave_quarantine(self, quarantine: SqliteQuarantine, found: Survey) -> None:
        rejects = [reject.id for reject in waiting(quarantine, self._sought(), found.texts)]
        if rejects:
            self.journal["found"]["rows in quarantine"] += len(rejects)
            self._note()
            quarantine.take(rejects)

    @property
    def _changed(self) -> bool:
        found = self.journal["found"]
        return bool(self.journal["offsets"] or found["decisions that showed it"])

    def _drop_views(self) -> None:
        """Remove what was made of the log as it was: it is made again when it is needed."""
        for path in (self.home.folder / "service.log", self.home.folder / "service.json"):
            path.unlink(missing_ok=True)
        if not self._changed:
            return
        for folder in (self.home.snapshots, self.home.candidate, self.home.folder / "candidate.new"):
            self.progress(f"dropping {folder.name}", 0.6)
            if folder.exists():
                gone = folder.with_name(f".{folder.name}.erased")
                shutil.rmtree(gone, ignore_errors=True)
                folder.rename(gone)
            shutil.rmtree(folder.with_name(f".{folder.name}.erased"), ignore_errors=True)
        for folder in self.home.releases.glob(".*"):  # what a release was being built in when something was killed
            shutil.rmtree(folder)
        self.home.report.unlink(missing_ok=True)
        for path in _states(self.home.folder):
            path.unlink()
        self.progress("dropping what was exported", 0.7)
        self.journal["exports"] = forget_exports(self.home, self.journal["exports"])


def _states(folder: Path) -> Iterator[Path]:
    """Files of online state, with what SQLite keeps beside them."""
    for path in folder.iterdir():
        if path.is_file():
            with path.open("rb") as file:
                head = file.read(_STATE_AT + 4)
            if head.startswith(b"SQLite format 3") and head[_STATE_AT:] == _STATE_FILE:
                beside = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
                yield from (path, *(other for other in beside if other.exists()))


def carry_out(
    home: Home, system: System, subject: str | None, *, clock: Clock, seed: int | None, progress: Progress = silent
) -> Certificate:
    """Erase a subject, or finish what was cut short if none is named, then train again unless `seed` is None."""
    made = resume(home, system, progress=progress) if subject is None else None
    if subject is not None:
        made = forget(home, system, subject, clock=clock, progress=progress)
    renewed = renew(home, system, seed=seed, progress=progress) if seed is not None else []
    made = next((one for one in renewed if made is None or one.file == made.file), made)
    if made is None:
        raise InputError(
            "nobody was named, and no erasure was cut short", hint="name somebody: sixfold forget user:123"
        )
    return made


def renew(home: Home, system: System, *, seed: int, progress: Progress = silent) -> list[Certificate]:
    """Train again where the release that serves learned from somebody who was erased, and say so in the certificates.

    Returns the certificates that were waiting for that, with what became of it; a gate may refuse the new release.
    """
    waiting_ones = pending(home)
    if not waiting_ones:
        return []
    try:
        outcome = {"release": retrain(home, system, seed=seed, progress=progress)}
    except ReleaseError as error:
        outcome = {"refused": str(error)}
    pseudonyms = Pseudonyms.from_environment(_NEEDS)
    return [conclude(home, system, one, outcome, pseudonyms) for one in waiting_ones]


def retrain(home: Home, system: System, *, seed: int, progress: Progress = silent) -> str:
    """Train, judge and release again on the log as it is now; returns the release, or raises ReleaseError."""
    from sixfold.evaluate.html_report import render_html
    from sixfold.run.evaluate import evaluate
    from sixfold.run.prepare import prepare
    from sixfold.run.release import release
    from sixfold.run.report import make_report
    from sixfold.run.train import train

    prepared = prepare(home, system, progress=progress)
    train(home, system, seed=seed, prepared=prepared, progress=progress)
    judged = evaluate(home, system, seed=seed, prepared=prepared, progress=progress)
    home.report.write_text(render_html(make_report(home, system, prepared, judged)), encoding="utf-8")
    return release(home, system, why="trained again, because somebody was erased").release
