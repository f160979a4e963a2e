"""Named arrays in one file (npz): never pickles, and a damaged file is named."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sixfold._core.errors import DataError
from sixfold._core.table import Array

__all__ = ["load_arrays", "save_arrays"]


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays of numbers; names may be anything a file name may."""
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_arrays(path: Path) -> dict[str, Array]:
    """The arrays that `save_arrays` wrote; raises DataError if the file is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as arrays: {error}") from error
