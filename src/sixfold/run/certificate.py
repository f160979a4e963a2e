"""The certificate of an erasure: what was asked, what was found where, what became of it, what a search found then.

It names nobody: the subject is a keyed hash, and so is every text that a later search looks for.
"""

import hmac
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sixfold._core.errors import InputError
from sixfold._core.hashing import canonical, file_digest
from sixfold._core.times import iso
from sixfold.data.log import Log
from sixfold.data.privacy import Erasure, Pseudonyms, erasures
from sixfold.operate.releases import champion, moves
from sixfold.run.home import Home, read_json, write_json
from sixfold.run.scan import Scanned, Sought, scan
from sixfold.system import System

__all__ = [
    "Affected",
    "Certificate",
    "Outcome",
    "Verified",
    "affected",
    "conclude",
    "drop_releases",
    "inventory",
    "pending",
    "verify",
    "write_certificate",
]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Affected:
    """A release that learned from a prefix of the log with the subject in it; `until` is the last arrival it knew."""

    release: str
    until: str
    serves: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an erasure ended: the fact in the log, the releases that learned from it, and a search of every file."""

    erasure: Erasure
    releases: tuple[Affected, ...]
    scanned: Scanned


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as it lies in `file`."""

    file: str
    body: Mapping[str, Any] = field(repr=False)

    @property
    def releases(self) -> list[Mapping[str, Any]]:
        """The releases that learned from the subject."""
        return list(self.body["releases"])

    @property
    def clean(self) -> bool:
        """Whether the search at the end found nothing."""
        return not self.body["verification"]["found"]

    @property
    def good(self) -> bool:
        """Whether nothing is left, save in a release that serves until another is made, which no gate has refused."""
        left = [one for one in self.body["verification"]["found"] if not one["file"].startswith("releases/")]
        return not left and "refused" not in self.body["retraining"] and (self.clean or self.must_retrain)

    @property
    def must_retrain(self) -> bool:
        """Whether the release that serves learned from the subject, and no other was made since."""
        return any(one["serves"] for one in self.releases) and not self.body["retraining"].get("release")


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether a search of every file confirms a certificate; if not, why not."""

    certificate: str
    at: str
    scanned: Scanned
    problems: tuple[str, ...]

    @property
    def confirmed(self) -> bool:
        """Nothing was found, and nothing is wrong with the certificate."""
        return not self.problems and not self.scanned.found


def affected(home: Home, log: Log, erasure: Erasure) -> list[Affected]:
    """The releases of a home that learned from what was erased since they were made.

    A release says up to which arrival it knew the log. One that does not say is known by its first move, since it was
    trained before that; one that never moved counts as affected.
    """
    if not erasure.events and not any(one.events for one in erasures(log) if one.subject == erasure.subject):
        return []
    facts = [one for one in erasures(log) if one.subject == erasure.subject and one.events]
    moved = {move.release: move for move in reversed(moves(log))}
    serves = champion(log)
    out = []
    for folder in sorted(home.releases.glob("[!.]*")) if home.releases.is_dir() else ():
        until = read_json(folder / "manifest.json").get("about", {}).get("until")
        move = moved.get(folder.name)
        if until is not None:
            learned = any(one.first <= until < one.at for one in facts)
        else:
            learned = move is None or any(one.since < move.offset < one.offset for one in facts)
        if learned:
            when = until if until is not None else move.at if move is not None else None
            out.append(Affected(folder.name, "unknown" if when is None else iso(when), folder.name == serves))
    return out


def inventory(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file that an erasure may write anew or remove, by its name in the home."""
    parts = ("log.segments", "snapshots", "candidate")
    files = sorted(path for part in parts for path in (folder / part).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files if path.name != "lock.db"}


def write_certificate(home: Home, journal: Mapping[str, Any], outcome: Outcome, pseudonyms: Pseudonyms) -> Certificate:
    """What an erasure did, from its journal and its outcome, signed with the key, in a file of the home."""
    erasure, scanned = outcome.erasure, outcome.scanned
    before, after = journal["before"], inventory(home.folder)
    body = {
        "format": _FORMAT,
        "number": journal["number"],
        "home": home.folder.name,
        "asked": {"entity": journal["entity"], "subject": journal["subject"], "at": iso(journal["asked"])},
        "log": {"offset": erasure.offset, "since": erasure.since, "events": erasure.events},
        "found": journal["found"],
        "exports": journal["exports"],
        "files": {
            "removed": {name: digest for name, digest in before.items() if name not in after},
            "written": {name: digest for name, digest in after.items() if name not in before},
            "log.db": file_digest(home.folder / "log.db"),
        },
        "releases": [asdict(one) for one in outcome.releases],
        "retraining": {},
        "traces": {"hashes": journal["traces"], "lengths": journal["lengths"]},
        "verification": {"files": scanned.files, "bytes": scanned.bytes, "found": [asdict(f) for f in scanned.found]},
    }
    home.certificates.mkdir(exist_ok=True)
    return _signed(home.certificates / f"{journal['number']}.json", body, pseudonyms)


def conclude(
    home: Home, system: System, certificate: Certificate, retraining: Mapping[str, str], pseudonyms: Pseudonyms
) -> Certificate:
    """The certificate with what became of the retraining, and a search after it.

    A release that no longer serves is removed if it lists the subject's key itself.
    """
    sought = _sought(certificate.body, system, pseudonyms)
    if "release" in retraining:
        drop_releases(home, (one["release"] for one in certificate.releases), sought, but=retraining["release"])
    scanned = scan(home.folder, sought)
    body = dict(certificate.body) | {"retraining": dict(retraining)}
    body["verification"] = {"files": scanned.files, "bytes": scanned.bytes, "found": [asdict(f) for f in scanned.found]}
    return _signed(Path(certificate.file), body, pseudonyms)


def drop_releases(home: Home, releases: Iterable[str], sought: Sought, *, but: str | None) -> None:
    """Remove the releases that list the subject's key itself, as in a catalogue of items, but the one that serves."""
    for release in releases:
        folder = home.releases / release
        if release != but and folder.exists() and scan(folder, sought).found:
            shutil.rmtree(folder)


def _signed(path: Path, body: Mapping[str, Any], pseudonyms: Pseudonyms) -> Certificate:
    signed = {**{name: value for name, value in body.items() if name != "signature"}}
    signed["signature"] = _signature(signed, pseudonyms)
    write_json(path, signed)
    return Certificate(str(path), signed)


def _signature(body: Mapping[str, Any], pseudonyms: Pseudonyms) -> str:
    return pseudonyms.of("certificate", canonical(body).decode())


def pending(home: Home) -> list[Certificate]:
    """The certificates whose releases still serve although they learned from the subject."""
    found = [Certificate(str(path), read_json(path)) for path in sorted(home.certificates.glob("*.json"))]
    return [one for one in found if one.must_retrain]


def verify(home: Home, system: System, path: Path, *, at: int) -> Verified:
    """Search every file of a home for the subject of a certificate, who is known by keyed hashes only.

    Raises InputError if there is no key, or the certificate cannot be read.
    """
    pseudonyms = Pseudonyms.from_environment("checking a certificate")
    body = read_json(path)
    if body.get("format") != _FORMAT:
        raise InputError(f"{path} is no certificate of an erasure", hint="they lie in the folder erasures of a home")
    problems = []
    unsigned = {name: value for name, value in body.items() if name != "signature"}
    if not hmac.compare_digest(str(body.get("signature")), _signature(unsigned, pseudonyms)):
        problems.append("the certificate was changed, or made with another key: its signature does not fit")
    with home.log() as log:
        if not any(one.subject == body["asked"]["subject"] for one in erasures(log)):
            problems.append("the log does not say that this subject was erased")
    left = [Path(one["file"]) for one in body["exports"]]
    problems += [f"{file} is still there" for file in left if file.exists()]
    scanned = scan(home.folder, _sought(body, system, pseudonyms), left)
    return Verified(str(path), iso(at), scanned, tuple(problems))


def _sought(body: Mapping[str, Any], system: System, pseudonyms: Pseudonyms) -> Sought:
    entity, item = body["asked"]["entity"], system.problem.task.item
    is_item = item is not None and item.name == entity
    nobody = Sought.of(entity, body["asked"]["subject"], pseudonyms, (), is_item=is_item)
    traces = body["traces"]
    return replace(nobody, traces=frozenset(traces["hashes"]), lengths=frozenset(traces["lengths"]))
