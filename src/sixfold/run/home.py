"""A home: the folder where the state of one system over one source of events lies."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import InputError, LogError, SixfoldError
from sixfold._core.times import Clock, clock_from
from sixfold.engines.sqlite.log import SqliteLog

__all__ = ["Home", "current_home", "open_home", "write_json"]


@dataclass(frozen=True, slots=True)
class Home:
    """Where everything of `system` over the events of `source` lies; nothing is written outside `folder`.

    log.db and segments/: the log · snapshots/: folded state · candidate/: models not yet released ·
    releases/: what may serve · report.html and report.json: the last evaluation
    """

    folder: Path
    system: str
    source: str

    @property
    def candidate(self) -> Path:
        """The models that training made last, with what evaluation said of them."""
        return self.folder / "candidate"

    @property
    def releases(self) -> Path:
        """The content-addressed bundles."""
        return self.folder / "releases"

    @property
    def snapshots(self) -> Path:
        """Folded feature state by offset."""
        return self.folder / "snapshots"

    @property
    def erasing(self) -> Path:
        """The journal of an erasure: there while one goes on, and after one that was cut short."""
        return self.folder / "erasing.json"

    @property
    def certificates(self) -> Path:
        """What was certified of each erasure."""
        return self.folder / "erasures"

    @property
    def report(self) -> Path:
        """The report as one HTML file."""
        return self.folder / "report.html"

    def log(self) -> SqliteLog:
        """The log, opened; close it after use. LogError while somebody is being erased from it."""
        if self.erasing.exists():
            raise LogError(
                f"somebody is being erased from {self.folder}, or that was cut short",
                hint="run `sixfold forget` to finish it",
            )
        return SqliteLog(self.folder / "log.db")

    def facts(self) -> dict[str, Any]:
        """What is known about the source: its local time, how far it was ingested, whether it is history or live."""
        return read_json(self.folder / "home.json")

    @property
    def definition(self) -> str:
        """How the system was named when the home was filled: by its name, or by the path of its file."""
        return str(self.facts().get("definition", self.system))

    def remember(self, **facts: Any) -> None:
        """Add to the facts."""
        write_json(self.folder / "home.json", {**self.facts(), **facts})

    def clock(self, last_arrival: int) -> Clock:
        """A clock that runs on from where the record stops: what is replayed is decided on as if it were then."""
        return clock_from(last_arrival + 1)


def open_home(root: Path, system: str, source: str) -> Home:
    """The home of a system over a source below `root`, made and remembered as the current one."""
    folder = root / f"{system}@{source}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(root / "current.json", {"system": system, "source": source})
    except OSError as error:
        raise InputError(
            f"the home {root} cannot be written: {error.strerror}", hint="choose another folder with --home"
        ) from error
    return Home(folder, system, source)


def current_home(root: Path, system: str | None = None, source: str | None = None) -> Home:
    """The home used last below `root`, or the one of the given system or source; InputError if there is none."""
    found = [path.name.split("@", 1) for path in sorted(root.glob("*@*")) if path.is_dir()]
    last = read_json(root / "current.json")
    wanted = [
        pair
        for pair in sorted(found, key=lambda pair: pair != [last.get("system"), last.get("source")])
        if (system is None or pair[0] == system) and (source is None or pair[1] == source)
    ]
    if not wanted:
        what = (f" of {system!r}" if system else "") + (f" over {source!r}" if source else "")
        raise InputError(
            f"there is no home{what} in {root}"
            + (f"; it has {', '.join('@'.join(p) for p in found)}" if found else ""),
            hint=f"start with `sixfold run {system or 'video'}`, or name the folder with --home",
        )
    return Home(root / "@".join(wanted[0]), *wanted[0])


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, {} if there is no file; SixfoldError if it is not JSON."""
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SixfoldError(
            f"{path} cannot be read: {error}", hint="delete the file and run the last command again"
        ) from error
    if not isinstance(value, dict):
        raise SixfoldError(f"{path} should hold a JSON object", hint="delete the file and run the last command again")
    return value


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all; dataclasses as objects, what is not a finite number as null."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(_plain(value), indent=1, allow_nan=False) + "\n")
    draft.replace(path)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
