"""What left a home as files: training sets and streams. The home remembers them, so that they can be forgotten, too."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sixfold._core.errors import InputError
from sixfold._core.hashing import file_digest
from sixfold._core.table import Table
from sixfold.data.privacy import Pseudonyms, personal, pseudonymised
from sixfold.data.retraction import RETRACTION, living
from sixfold.run.home import Home
from sixfold.system import System

__all__ = ["Export", "Exported", "export_stream", "exports", "exports_since", "forget_exports", "remember_export"]


@dataclass(frozen=True, slots=True)
class Export:
    """Files that were made of the log below `stop`, with their SHA-256 by path."""

    kind: str
    stop: int
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Exported:
    """A stream in a file; `masked` are the columns that hold pseudonyms."""

    stream: str
    file: str
    rows: int
    masked: tuple[str, ...]


def exports(home: Home) -> list[Export]:
    """All that the home remembers."""
    return [Export(one["kind"], one["stop"], dict(one["files"])) for one in home.facts().get("exports", [])]


def remember_export(home: Home, kind: str, stop: int, files: Sequence[Path]) -> None:
    """Note that files were made of the log below `stop`; what was known of the same files before is replaced."""
    new = Export(kind, stop, {str(path.resolve()): file_digest(path) for path in files})
    others = [one for one in exports(home) if not set(one.files) & set(new.files)]
    home.remember(exports=[asdict(one) for one in (*others, new)])


def exports_since(home: Home, since: int) -> list[dict[str, Any]]:
    """The files that were made of a prefix with the offset `since`, and whether each is still there."""
    return [
        {"kind": one.kind, "file": name, "sha256": digest, "there": Path(name).is_file()}
        for one in exports(home)
        if one.stop > since
        for name, digest in one.files.items()
    ]


def forget_exports(home: Home, listed: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Remove such files, and say what became of each; one that has changed since is not ours any more, and stays."""
    out = []
    for one in listed:
        path = Path(one["file"])
        what = "removed" if one["there"] else "was not there"
        if path.is_file() and file_digest(path) != one["sha256"]:
            what = "left: it has changed since"
        elif path.is_file():
            path.unlink()
        out.append({"kind": one["kind"], "file": one["file"], "what": what})
    gone = {one["file"] for one in listed}
    home.remember(exports=[asdict(one) for one in exports(home) if not gone & set(one.files)])
    return out


def export_stream(home: Home, system: System, stream: str, file: Path) -> Exported:
    """Write a stream's events that are not taken back to Parquet, with pseudonyms in the place of personal values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = personal(system.streams)
    if stream not in columns:
        raise InputError(f"the system has no stream {stream!r}", hint=f"it has {', '.join(columns)}")
    if file.exists():
        raise InputError(f"{file} exists", hint="name a new file")
    masked = tuple(name for name in _columns(system, stream) if name in columns[stream])
    pseudonyms = Pseudonyms.from_environment("an export with pseudonyms") if masked else None
    with home.log() as log:
        stop = log.end()[0]
        history = log.read(0, stop, [stream, RETRACTION])
    if stream not in history:
        raise InputError(f"the log has no {stream!r} events", hint="run `sixfold ingest` first")
    table: Table = living(history, history[stream])
    if pseudonyms is not None:
        table = pseudonymised(table, masked, pseudonyms)
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = {n: pa.array(v.tolist(), pa.string()) if v.dtype == object else pa.array(v) for n, v in table.items()}
    pq.write_table(pa.table(arrays), file, compression="zstd")
    remember_export(home, f"stream {stream}", stop, [file])
    return Exported(stream, str(file), len(table), masked)


def _columns(system: System, stream: str) -> tuple[str, ...]:
    """The keys and fields of a stream, in order."""
    return tuple(next(one for one in system.streams if one.name == stream).columns)
