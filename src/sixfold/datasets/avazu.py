"""Avazu click-through rate: 8,999 rows of the first hour of the Kaggle challenge of 2014."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sixfold._core.errors import DataError
from sixfold._core.table import Array, Table, column
from sixfold.data.source import by_arrival
from sixfold.datasets.auctions import auction_streams, laid_out
from sixfold.datasets.criteo import published_split
from sixfold.datasets.files import DataFile, Publication, differences, numbers, read_file, texts

__all__ = ["FILES", "PUBLICATION", "Avazu"]

PUBLICATION = Publication(
    name="Avazu click-through rate prediction, 8,999 rows",
    publisher="Avazu Inc., Click-Through Rate Prediction competition, 2014",
    licence="competition rules; no redistribution",
    doi="",
    download="https://www.kaggle.com/c/avazu-ctr-prediction",
)

_TEXT = (
    "site_id",
    "site_domain",
    "site_category",
    "app_id",
    "app_domain",
    "app_category",
    "device_id",
    "device_ip",
    "device_model",
)
_NUMBERS = ("C1", "banner_pos", "device_type", "device_conn_type", *(f"C{i}" for i in range(14, 22)))
FILES = (
    DataFile(
        "avazu_9k.parquet",
        ("click", *_TEXT, *_NUMBERS, "split"),
        8_999,
        "356c921dbf97aa8f62c4768d768354204c69ee2315d6f9e0287e0b42c69c812d",
        text=(*_TEXT, "split"),
    ),
)


@dataclass(frozen=True, slots=True)
class Avazu:
    """A folder of the sample as the streams `campaign_meta`, `shown` and `click`.

    A viewer is an address (`device_ip`). C14 is the campaign: nobody but the publisher knows, but it has the most
    values of the columns that describe the ad. Categories, numbered ones too, are c1-c20: the text columns but the
    address, then the numbered ones, in the order of the file. All rows are of one hour and were split at random, so
    they are laid over made-up days, one for each part (see `auctions`). Raises DataError if the file is missing,
    damaged or not complete; `whole=False` takes samples in the same layout.
    """

    folder: Path
    whole: bool = True

    @property
    def name(self) -> str:
        """`avazu-sample`."""
        return "avazu-sample"

    @property
    def utc_offset_s(self) -> int:
        """The days are made up."""
        return 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures should know about this copy."""
        made_up = "one hour, split at random, laid over made-up days: no time, no prices"
        return made_up, *(differences(self.folder, FILES) if self.whole else ("a sample, not the whole data set",))

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival."""
        raw = read_file(self.folder, FILES[0], PUBLICATION, whole=self.whole)
        rows, sizes = published_split(texts(raw, "split"))
        named = [texts(raw, name)[rows] for name in _TEXT if name != "device_ip"]
        numbered = [column(list(map(str, numbers(raw, name, int)[rows].tolist())), str) for name in _NUMBERS]
        keys = {"viewer": _addresses(texts(raw, "device_ip")[rows]), "campaign": numbers(raw, "C14", int)[rows]}
        clicked = numbers(raw, "click", int)[rows]
        streams = auction_streams(laid_out(sizes, hours=20), keys, clicked, categories=[*named, *numbered])
        yield from by_arrival(streams)


def _addresses(texts: Array) -> Array:
    """Hexadecimal digits as numbers."""
    try:
        return np.array([int(text, 16) for text in texts.tolist()], np.int64)
    except (TypeError, ValueError) as error:
        raise DataError(f"device_ip must be hexadecimal digits ({error})") from error
