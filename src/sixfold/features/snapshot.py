"""Snapshots of online state on disk: whole or not there, in npz and JSON."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sixfold._core.arrays import load_arrays, save_arrays
from sixfold._core.errors import DataError, FeatureError
from sixfold._core.table import Array
from sixfold.features.interned import Interned
from sixfold.features.store import Store

__all__ = ["Saved", "Snapshot", "read_snapshot", "write_snapshot"]

_FORMAT = 2


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is kept besides the store: whose state, its `offset` and `last_arrival`, numbered values, rows seen."""

    fingerprint: str
    clock: Mapping[str, int]
    spaces: Mapping[str, Interned]
    seen: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Saved:
    """A snapshot as read: the values of each space in the order of their numbers."""

    clock: Mapping[str, int]
    spaces: Mapping[str, Array | list[Any]]
    seen: Mapping[str, Array]


def write_snapshot(folder: Path, state: Snapshot, store: Store) -> None:
    """Write the state into a new folder below `folder`, give it its name, and remove the older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{state.clock['offset']:015d}"
    temporary = folder / f".{name}.writing"
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "store").mkdir(parents=True)
    store.save(temporary / "store")
    texts = {name: space.values[1:].tolist() for name, space in state.spaces.items() if space.kind is str}
    arrays = {f"space:{name}": space.values[1:] for name, space in state.spaces.items() if space.kind is not str}
    arrays |= {f"seen:{name}": rows for name, rows in state.seen.items()}
    save_arrays(temporary / "arrays.npz", arrays)
    head = {"format": _FORMAT, "fingerprint": state.fingerprint, "clock": dict(state.clock), "texts": texts}
    (temporary / "state.json").write_text(json.dumps(head))
    for path in sorted(temporary.rglob("*"), reverse=True):
        _sync(path)
    _sync(temporary)
    target = folder / name
    if target.exists():
        replaced = folder / f".{name}.replaced"
        shutil.rmtree(replaced, ignore_errors=True)
        target.rename(replaced)
    temporary.rename(target)
    _sync(folder)
    for path in folder.iterdir():
        if path != target and path.is_dir() and _offset(path.name.strip(".").partition(".")[0]) is not None:
            shutil.rmtree(path)


def read_snapshot(folder: Path, fingerprint: str) -> tuple[Path, Saved]:
    """The newest snapshot and where its store's part lies; raises FeatureError unless it is whole and of that set."""
    names = [path.name for path in folder.iterdir() if _offset(path.name) is not None] if folder.is_dir() else []
    if not names:
        raise FeatureError(f"there is no snapshot in {folder}", hint="fold the log from its start")
    path = folder / max(names)
    try:
        head = json.loads((path / "state.json").read_text())
        if head["format"] != _FORMAT or head["fingerprint"] != fingerprint:
            raise FeatureError(
                f"the snapshot {path} is of the feature set {head['fingerprint']}, not of {fingerprint}",
                hint="the definitions have changed: fold the log from its start",
            )
        parts = load_arrays(path / "arrays.npz")
        spaces = {name.partition(":")[2]: a for name, a in parts.items() if name.startswith("space:")}
        seen = {name.partition(":")[2]: rows for name, rows in parts.items() if name.startswith("seen:")}
        return path, Saved(head["clock"], spaces | head["texts"], seen)
    except (DataError, OSError, ValueError, KeyError) as error:
        raise FeatureError(f"the snapshot {path} is damaged: {error}", hint="delete it and fold the log") from error


def _offset(name: str) -> int | None:
    return int(name) if name.isdigit() else None


def _sync(path: Path) -> None:
    """Have the bytes of a file, or the names in a folder, on disk before going on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
