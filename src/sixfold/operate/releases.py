"""Releases: immutable, content-addressed bundles, and who served when as facts in the log."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sixfold._core.errors import InputError, ReleaseError
from sixfold._core.hashing import canonical, file_digest, fingerprint
from sixfold._core.table import Table, column
from sixfold.data.events import Events
from sixfold.data.log import Log
from sixfold.frame import Entity

__all__ = [
    "RELEASES",
    "Move",
    "Release",
    "build_release",
    "champion",
    "moves",
    "open_release",
    "previous",
    "promote",
    "rollback",
]

RELEASES = Events("release", keys=(Entity("release", str),), fields={"action": str, "why": str})
"""The stream of moves: each promotes a release, or rolls back to the one named."""


@dataclass(frozen=True, slots=True)
class Release:
    """A bundle on disk whose every byte has been checked against its manifest."""

    id: str
    folder: Path
    manifest: Mapping[str, Any]

    def model(self, name: str) -> Path:
        """The folder of the fitted model called `name`; raises ReleaseError if the release has none."""
        folder = self.folder / "models" / name
        if not folder.is_dir():
            raise ReleaseError(f"release {self.id} has no model {name!r}; it has {', '.join(self.models) or 'none'}")
        return folder

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models inside."""
        return tuple(sorted(path.name for path in (self.folder / "models").iterdir()))


@dataclass(frozen=True, slots=True)
class Move:
    """One release move as the log states it."""

    offset: int
    at: int
    release: str
    action: str
    why: str


def build_release(root: Path, content: Path, about: Mapping[str, Any]) -> Release:
    """Bundle all files below `content` with the facts `about` them; the same content gives the same release."""
    root.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".building-", dir=root))
    try:
        shutil.copytree(content, work, dirs_exist_ok=True)
        names = sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file())
        manifest = {"about": dict(about), "files": {name: file_digest(work / name) for name in names}}
        release_id = fingerprint(manifest)[:16]
        (work / "manifest.json").write_bytes(canonical(manifest))
        if (root / release_id).exists():
            shutil.rmtree(work)
        else:
            work.rename(root / release_id)
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise ReleaseError(f"the release could not be written to {root}: {error}") from error
    return open_release(root, release_id)


def open_release(root: Path, release_id: str) -> Release:
    """The release of that id, with every file checked; raises ReleaseError if it is unknown or damaged."""
    if not release_id.isalnum():
        raise InputError(f"{release_id!r} is not a release id: expected letters and digits")
    folder = root / release_id
    known = sorted(path.name for path in root.glob("[!.]*")) if root.is_dir() else []
    if not folder.is_dir():
        listed = ", ".join(known) or "none yet; make one with `sixfold release`"
        raise ReleaseError(f"there is no release {release_id!r} in {root}", hint=f"choose one of: {listed}")
    advice = "roll back to another release, or train and release again"
    try:
        manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=dict[str, Any])
        files = manifest["files"]
    except (OSError, msgspec.DecodeError, KeyError) as error:
        raise ReleaseError(f"the manifest of release {release_id} cannot be read: {error}", hint=advice) from error
    if fingerprint(manifest)[:16] != release_id:
        raise ReleaseError(f"the manifest of release {release_id} has been changed", hint=advice)
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            raise ReleaseError(f"release {release_id} has lost its file {name}", hint=advice)
        if file_digest(path) != digest:
            raise ReleaseError(f"release {release_id} is damaged: {name} does not match its checksum", hint=advice)
    return Release(release_id, folder, manifest)


def moves(log: Log) -> list[Move]:
    """All moves, oldest first."""
    offset, _ = log.end()
    table = log.read(0, offset, [RELEASES.name]).get(RELEASES.name)
    rows = table.rows() if table is not None else []
    return [Move(row["offset"], row["at"], row["release"], row["action"], row["why"]) for row in rows]


def champion(log: Log) -> str | None:
    """The id of the release that serves now, or None if none was ever promoted."""
    history = moves(log)
    return history[-1].release if history else None


def promote(log: Log, release_id: str, why: str, *, now: int, action: str = "promote") -> Move:
    """Make a release the one that serves, as a fact in the log; services that follow the log swap to it."""
    count = log.end()[0]
    row: dict[str, tuple[Any, type]] = {
        "id": (f"{action}-{release_id}-{count}", str),
        "at": (now, int),
        "release": (release_id, str),
        "action": (action, str),
        "why": (why, str),
    }
    table = Table({name: column([value], kind) for name, (value, kind) in row.items()})
    appended = log.append({RELEASES.name: table}, now=now)[RELEASES.name]
    return Move(int(appended.offsets[0]), now, release_id, action, why)


def previous(log: Log) -> str:
    """The release that served before the current one; raises ReleaseError if there is none."""
    served: list[str] = []
    for move in moves(log):
        if move.action == "rollback" and move.release in served:
            del served[served.index(move.release) + 1 :]
        elif not served or served[-1] != move.release:
            served.append(move.release)
    if len(served) < 2:
        found = f"only {served[0]} has served" if served else "nothing has served yet"
        raise ReleaseError(f"there is no earlier release to go back to: {found}")
    return served[-2]


def rollback(log: Log, why: str, *, now: int) -> Move:
    """Go back to the release that served before the current one; raises ReleaseError if there is none."""
    return promote(log, previous(log), why, now=now, action="rollback")
