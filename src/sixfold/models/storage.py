"""How fitted models lie on disk: `model.json` with the kind and the settings, `arrays.npz` beside it; never pickles."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import msgspec
import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.table import Array

__all__ = ["read_model", "read_settings", "write_model"]


def write_model(folder: Path, kind: str, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write a model into an existing folder; equal content gives equal bytes. Object arrays must hold text."""
    document = {"kind": kind, "settings": dict(settings), "text": [k for k, v in arrays.items() if v.dtype == object]}
    (folder / "model.json").write_bytes(msgspec.json.encode(document, order="deterministic"))
    stored: dict[str, Any] = {k: v.astype(str) if v.dtype == object else v for k, v in arrays.items()}
    np.savez(folder / "arrays.npz", **stored)


def read_settings(folder: Path) -> dict[str, Any]:
    """What `model.json` says: `kind`, `settings`, and `text`, the names of the text arrays.

    Raises ModelError if the file is missing or is not a model's.
    """
    path = folder / "model.json"
    try:
        document = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"there is no model in {folder}: model.json is missing") from error
    except msgspec.DecodeError as error:
        raise ModelError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise ModelError(f"{path} names no kind of model", hint="save the model again")
    return document


def read_model(folder: Path, kind: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """The settings and arrays of a saved model; ModelError if it is of another kind or its arrays are damaged."""
    document = read_settings(folder)
    if document["kind"] != kind:
        raise ModelError(f"expected a model of kind {kind!r} in {folder}, found {document['kind']!r}")
    try:
        with (folder / "arrays.npz").open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        arrays |= {name: arrays[name].astype(object) for name in document["text"]}
        return dict(document["settings"]), arrays
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ModelError(f"the arrays of the model in {folder} cannot be read: {error}") from error
