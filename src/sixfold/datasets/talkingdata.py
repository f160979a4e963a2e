"""TalkingData AdTracking: clicks on mobile ads in November 2017, and whether the app was then installed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from sixfold._core.errors import DataError
from sixfold._core.table import Array, Table, column
from sixfold._core.times import MINUTE, SECOND
from sixfold.data.source import by_arrival
from sixfold.datasets.auctions import auction_streams
from sixfold.datasets.files import DataFile, Publication, differences, numbers, read_file, texts

__all__ = ["FILES", "PUBLICATION", "TalkingData"]

PUBLICATION = Publication(
    name="TalkingData AdTracking fraud detection, the official sample of 100,000 rows",
    publisher="TalkingData, Kaggle competition, 2018",
    licence="competition rules; no redistribution",
    doi="",
    download="https://www.kaggle.com/c/talkingdata-adtracking-fraud-detection",
)

_CATEGORIES = ("device", "os", "channel", "app")
FILES = (
    DataFile(
        "train_sample.parquet",
        ("ip", *_CATEGORIES, "click_time", "attributed_time", "is_attributed"),
        100_000,
        "51361f5b52304c2935b653ba6abdcbad530ccf7489c537ff4b71b3c887ce57f3",
        text=("click_time", "attributed_time"),
    ),
)


@dataclass(frozen=True, slots=True)
class TalkingData:
    """A folder of the sample as the streams `campaign_meta`, `shown` and `click`.

    What was shown is here a click on an ad, and what follows is the installation of the app: a viewer is an address,
    a campaign an app, and c1-c4 are the device, the system, the channel and the app. An installation belongs to its
    click and is known when it was attributed, up to thirteen hours later; that there is none is taken to be known after
    a minute, like everywhere. Times are UTC; days are those of China, three whole ones. Raises DataError if the file is
    missing, damaged or not complete; `whole=False` takes samples in the same layout.
    """

    folder: Path
    whole: bool = True

    @property
    def name(self) -> str:
        """`talkingdata-adtracking-sample`."""
        return "talkingdata-adtracking-sample"

    @property
    def utc_offset_s(self) -> int:
        """The clicks are from China: UTC+8."""
        return 8 * 3_600

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures should know about this copy."""
        sampled = "one click in 1,850 of the log, drawn at random: of an address hardly anything is known; no prices"
        return sampled, *(differences(self.folder, FILES) if self.whole else ("a sample, not the whole data set",))

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival, 50,000 at a time."""
        raw = read_file(self.folder, FILES[0], PUBLICATION, whole=self.whole)
        at = _instants(texts(raw, "click_time"))
        order = np.argsort(at, kind="stable")
        installed = numbers(raw, "is_attributed", int) > 0
        learned = at + MINUTE
        learned[installed] = np.maximum(learned[installed], _instants(texts(raw, "attributed_time")[installed]))
        named = [column(list(map(str, numbers(raw, name, int)[order].tolist())), str) for name in _CATEGORIES]
        keys = {"viewer": numbers(raw, "ip", int)[order], "campaign": numbers(raw, "app", int)[order]}
        streams = auction_streams(at[order], keys, installed[order], categories=named, learned=learned[order])
        yield from by_arrival(streams)


def _instants(texts: Array) -> Array:
    try:
        moments = [datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in texts.tolist()]
    except (TypeError, ValueError) as error:
        raise DataError(f"a time must read like 2017-11-07 09:30:38 ({error})") from error
    return np.array(moments, np.float64).astype(np.int64) * SECOND
