"""Public data sets as event streams, one file each. Nothing is downloaded or shipped: name the folder of a copy."""

from pathlib import Path
from typing import TYPE_CHECKING

from sixfold._core.errors import DataError

if TYPE_CHECKING:
    from sixfold.data.source import Source

__all__ = ["NAMES", "open_source"]

NAMES = ("kuairand-pure", "movielens-1m")
"""The data sets that can be opened by name."""


def open_source(data: str, *, home: Path | None = None) -> "Source":
    """The data set of that name, or of the folder at that path; `home` is the folder that data sets lie in.

    Raises DataError if `data` is neither, or if its folder is not found.
    """
    from sixfold.datasets import kuairand, movielens
    from sixfold.datasets.files import find_folder

    if data not in NAMES and not Path(data).is_dir():
        raise DataError(
            f"{data!r} is neither a known data set nor a folder", hint=f"use {', '.join(NAMES)} or the path of a folder"
        )
    folder = find_folder(data, home=home) if data in NAMES else Path(data)
    if data == "movielens-1m" or (data not in NAMES and (folder / "movies.dat").is_file()):
        return movielens.MovieLens(folder)
    videos = ("video_features_basic_pure.parquet", "video_features_basic_pure.csv")
    if data == "kuairand-pure" or any((folder / name).is_file() for name in videos):
        return kuairand.KuaiRand(folder)
    raise DataError(
        f"the folder {folder} holds no data set we know: neither {videos[0]} nor movies.dat is in it",
        hint=f"name the folder that holds the files of {' or '.join(NAMES)}",
    )
