"""Criteo display advertising: the first 8,000 rows of the Kaggle challenge of 2014."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.data.source import by_arrival
from sixfold.datasets.auctions import auction_streams, laid_out
from sixfold.datasets.files import DataFile, Publication, differences, numbers, read_file, texts

__all__ = ["FILES", "PUBLICATION", "SPLIT", "Criteo", "published_split"]

PUBLICATION = Publication(
    name="Criteo display advertising challenge, first 8,000 rows",
    publisher="Criteo Labs, Display Advertising Challenge, 2014",
    licence="academic, non-commercial use; no redistribution",
    doi="",
    download="https://www.kaggle.com/c/criteo-display-ad-challenge",
)

_NUMBERS = tuple(f"I{i}" for i in range(1, 14))
_CATEGORIES = tuple(f"C{i}" for i in range(1, 27))
FILES = (
    DataFile(
        "criteo_8k.parquet",
        ("label", *_NUMBERS, *_CATEGORIES, "split"),
        8_000,
        "784f848358c9c96e3c29c2ebe5601d8da29f5bc82f16dbcd6b70737600f030fd",
        text=(*_CATEGORIES, "split"),
    ),
)

SPLIT = ("train", "dev", "test")
"""The names of the published parts, which become the three made-up days."""


def published_split(split: Array) -> tuple[Array, tuple[int, ...]]:
    """Rows by published part, in their order within it, and the size of each part.

    >>> rows, sizes = published_split(np.array(["test", "train", "dev", "train"], object))
    >>> rows.tolist(), sizes
    ([1, 3, 2, 0], (2, 1, 1))
    """
    parts = [np.flatnonzero(split == name) for name in SPLIT]
    return np.concatenate(parts), tuple(map(len, parts))


@dataclass(frozen=True, slots=True)
class Criteo:
    """A folder of the sample as the streams `campaign_meta`, `shown` and `click`.

    I1-I13 are n1-n13 and C1-C26 are c1-c26. The rows say neither who was shown the ad nor whose ad it was: every row
    has a viewer of its own, and all have one campaign. Their order is lost and they were split at random, so they are
    laid over made-up days, one for each part (see `auctions`). Raises DataError if the file is missing, damaged or not
    complete; `whole=False` takes samples in the same layout.
    """

    folder: Path
    whole: bool = True

    @property
    def name(self) -> str:
        """`criteo-kaggle-sample`."""
        return "criteo-kaggle-sample"

    @property
    def utc_offset_s(self) -> int:
        """The days are made up."""
        return 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures should know about this copy."""
        made_up = "a random split laid over made-up days: no time, no viewers, no campaigns, no prices"
        return made_up, *(differences(self.folder, FILES) if self.whole else ("a sample, not the whole data set",))

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival."""
        raw = read_file(self.folder, FILES[0], PUBLICATION, whole=self.whole)
        rows, sizes = published_split(texts(raw, "split"))
        n = len(rows)
        yield from by_arrival(
            auction_streams(
                laid_out(sizes, hours=20),
                {"viewer": np.arange(n), "campaign": np.zeros(n, np.int64)},
                numbers(raw, "label", int)[rows],
                numbers=[numbers(raw, name, float)[rows] for name in _NUMBERS],
                categories=[texts(raw, name)[rows] for name in _CATEGORIES],
            )
        )
