"""Public data sets as event streams, one file each. Nothing is downloaded or shipped: name the folder of a copy."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sixfold._core.errors import DataError

if TYPE_CHECKING:
    from sixfold.data.source import Source

__all__ = ["NAMES", "open_source"]


class _Known(NamedTuple):
    """Which class of which module reads a data set, and the files of which any one tells its folder apart."""

    module: str
    reader: str
    marks: tuple[str, ...]


_KNOWN = {
    "kuairand-pure": _Known(
        "kuairand", "KuaiRand", ("video_features_basic_pure.parquet", "video_features_basic_pure.csv")
    ),
    "movielens-1m": _Known("movielens", "MovieLens", ("movies.dat",)),
    "fraud-handbook-simulated": _Known("fraud", "Transactions", ("transactions.parquet",)),
    "ipinyou-rtb-sample": _Known("ipinyou", "IPinYou", ("campaign_2997_test.parquet",)),
    "criteo-kaggle-sample": _Known("criteo", "Criteo", ("criteo_8k.parquet",)),
    "avazu-sample": _Known("avazu", "Avazu", ("avazu_9k.parquet",)),
    "talkingdata-adtracking-sample": _Known("talkingdata", "TalkingData", ("train_sample.parquet",)),
    "online-retail-ii-2009-2010": _Known("retail", "OnlineRetail", ("online_retail_2009_2010.parquet",)),
    "complete-journey-sample": _Known("journey", "CompleteJourney", ("transactions_sample.parquet",)),
    "scifact": _Known("scifact", "SciFact", ("corpus.parquet",)),
    "squad-dev": _Known("squad", "Squad", ("questions_v2_dev16.parquet",)),
}

NAMES = tuple(_KNOWN)
"""The data sets that can be opened by name."""


def open_source(data: str, *, home: Path | None = None) -> "Source":
    """The data set of that name, or of the folder at that path; `home` is the folder that data sets lie in.

    A folder of another kind holds your own events, a Parquet file for each stream.

    Raises DataError if `data` is neither, or if its folder is not found.
    """
    from sixfold.datasets.files import find_folder
    from sixfold.datasets.folder import EventFolder, holds_events

    if data not in NAMES and not Path(data).is_dir():
        raise DataError(
            f"{data!r} is neither a known data set nor a folder", hint=f"use {', '.join(NAMES)} or the path of a folder"
        )
    folder = find_folder(data, home=home) if data in NAMES else Path(data)
    if data not in NAMES and holds_events(folder):
        return EventFolder(folder)
    name = data if data in NAMES else _name_of(folder)
    if name is None:
        raise DataError(
            f"the folder {folder} holds no data set we know, and no STREAM.parquet with a column `at`",
            hint=f"name the folder that holds the files of one of {', '.join(NAMES)}, or one of your own events",
        )
    module = import_module(f"sixfold.datasets.{_KNOWN[name].module}")
    source: Source = getattr(module, _KNOWN[name].reader)(folder)
    return source


def _name_of(folder: Path) -> str | None:
    """The data set whose files a folder holds."""
    return next(
        (name for name, known in _KNOWN.items() if any((folder / mark).is_file() for mark in known.marks)), None
    )
