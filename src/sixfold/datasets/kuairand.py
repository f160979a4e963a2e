"""KuaiRand-Pure: real short-video logs of the Kuaishou app over a pool of 7,583 videos, 2022-04-08 to 2022-05-08."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from sixfold._core.errors import DataError
from sixfold._core.table import Array, Table, column
from sixfold._core.times import SECOND, instant
from sixfold.data.source import by_arrival
from sixfold.datasets.files import DataFile, Publication, differences, numbers, read_file, texts

__all__ = ["FILES", "ORIGINAL_FILES", "PUBLICATION", "KuaiRand"]

PUBLICATION = Publication(
    name="KuaiRand-Pure",
    publisher="Kuaishou and USTC; Gao et al., KuaiRand: An Unbiased Sequential Recommendation Dataset, CIKM 2022",
    licence="CC BY-SA 4.0",
    doi="10.1145/3511808.3557624",
    download="https://zenodo.org/records/10439422 (described at https://kuairand.com)",
)

_LOG = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
)
_LOG_COLUMNS = tuple(_LOG.split(","))
_USER_TEXTS = {
    "activity": "user_active_degree",
    "follows": "follow_user_num_range",
    "fans": "fans_user_num_range",
    "friends": "friend_user_num_range",
    "tenure": "register_days_range",
}
_SEGMENTS = {f"segment_{i}": f"onehot_feat{i}" for i in range(18)}
_VIDEO_TEXTS = {"topic": "tag", "kind": "video_type", "upload": "upload_type"}
_VIDEO_FLOATS = {
    "music_type": "music_type",
    "duration_ms": "video_duration",
    "width": "server_width",
    "height": "server_height",
}
_VIDEO_INTS = {"author": "author_id", "music": "music_id"}

_SEQUENCES = ("watch_seq", "like_seq", "long_watch_seq")
_USERS = ("user_id", *_USER_TEXTS.values(), *_SEGMENTS.values())
_VIDEOS = ("video_id", "upload_dt", *_VIDEO_TEXTS.values(), *_VIDEO_INTS.values(), *_VIDEO_FLOATS.values())
_USER_TEXT, _VIDEO_TEXT = tuple(_USER_TEXTS.values()), ("upload_dt", *_VIDEO_TEXTS.values())

FILES = (
    DataFile(
        "log_standard_4_25_to_5_08_pure.parquet",
        _LOG_COLUMNS,
        228_329,
        "9e12dad731c34ce3141bfbd775c0eef06df486e9727bd395b79899bc8fa3de85",
    ),
    DataFile(
        "user_features_pure.parquet",
        _USERS,
        27_285,
        "de8a498a6ca95cdb51ac6705755998ff22c2f605d135f538db617e0b5faf2e29",
        text=_USER_TEXT,
    ),
    DataFile(
        "video_features_basic_pure.parquet",
        _VIDEOS,
        7_583,
        "6896ce8bbd4e009eb93487b0ae9814df291d2c954a089f0539c5954f29b33608",
        text=_VIDEO_TEXT,
    ),
    DataFile(
        "user_history_4_08_to_4_24_last50.parquet",
        ("user_id", "history_len", "last_time_ms", *_SEQUENCES),
        26_469,
        "ee22e8af1d9292671c3e44643b470d9d3bc920cb9ade5e0ee5d062e715f31a7e",
        lists=_SEQUENCES,
    ),
)
"""The logs of the last two weeks and, derived from the weeks before them, the tail of each person's history.

The publisher's file of video statistics is not among them: it sums over the whole period, so it knows the future.
"""

ORIGINAL_FILES = (
    DataFile("log_standard_4_22_to_5_08_pure.csv", _LOG_COLUMNS),
    DataFile("log_standard_4_08_to_4_21_pure.csv", _LOG_COLUMNS),
    DataFile("user_features_pure.csv", _USERS, 27_285, text=_USER_TEXT),
    DataFile("video_features_basic_pure.csv", _VIDEOS, 7_583, text=_VIDEO_TEXT),
)
"""The same as the publisher ships it: all logs, so no tails are needed."""

_OFFSET_S = 8 * 3600
_START = instant("2022-04-08T00:00:00+08:00")
_MAX_SHARE = 2.0


@dataclass(frozen=True, slots=True)
class KuaiRand:
    """A folder of KuaiRand-Pure as the streams `user_meta`, `video_meta`, `shown` and `watch`.

    The folder holds either the files of `FILES` or the publisher's own csv files. `whole=False` takes samples: files
    in the same layout with fewer rows. `first_users` keeps only the users with a number below it.

    What we assume, since the files do not say:

    - The descriptions of users are not dated; they count as known from the start, 2022-04-08. A video is known from
      the local midnight of the day it was uploaded.
    - A history tail gives up to 50 impressions before the log, in order, with the time of the last alone. The
      person's whole history is taken as spread evenly from 2022-04-08 to that last time, and no video as shown
      before it was uploaded. Of a tail we know the long views and the likes, not the tab and the watched time
      (missing) nor the clicks (taken as the long views); the outcome is dated as the impression.
    - Long views and likes that are older than a person's last 50 impressions are left out: the impressions around
      them are not known, and hits without their misses would bias every rate.
    - An outcome is known when the playing ends: `watch.at` = the impression + the time played.

    Exact duplicate rows of the logs are dropped. Raises DataError if a file is missing, damaged or not complete.
    """

    folder: Path
    whole: bool = True
    first_users: int | None = None

    @property
    def name(self) -> str:
        """`kuairand-pure`."""
        return "kuairand-pure"

    @property
    def utc_offset_s(self) -> int:
        """China Standard Time."""
        return _OFFSET_S

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The files that are read: the publisher's own if its log is there."""
        return ORIGINAL_FILES if (self.folder / ORIGINAL_FILES[0].name).is_file() else FILES

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures should know about this copy; empty for the copy known to be good."""
        return differences(self.folder, self.files) if self.whole else ("a sample, not the whole data set",)

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival, 50,000 at a time."""
        tables = {file.name: self._read(file) for file in self.files}
        videos = _video_meta(tables.pop(next(name for name in tables if name.startswith("video_"))))
        users = _user_meta(tables.pop(next(name for name in tables if name.startswith("user_features"))))
        parts = [_impressions(table, name) for name, table in tables.items() if name.startswith("log_")]
        parts += [_tails(table, videos) for name, table in tables.items() if name.startswith("user_history")]
        shown, watch = (Table.concat(tables) for tables in zip(*parts, strict=True))
        yield from by_arrival({"user_meta": users, "video_meta": videos, "shown": shown, "watch": watch})

    def _read(self, file: DataFile) -> pa.Table:
        table = read_file(self.folder, file, PUBLICATION, whole=self.whole)
        if self.first_users is not None and "user_id" in table.column_names:
            table = table.filter(pyarrow.compute.field("user_id") < self.first_users)
        return table


def _stream(ids: Array, at: Array, columns: Mapping[str, Array]) -> Table:
    return Table({"id": ids, "at": at, "arrived": at, **columns})


def _ids(prefix: str, *parts: Array) -> Array:
    lists = (part.tolist() for part in parts)
    return column([f"{prefix}-{'-'.join(map(str, row))}" for row in zip(*lists, strict=True)], str)


def _user_meta(raw: pa.Table) -> Table:
    users = numbers(raw, "user_id", int)
    columns = {"user": users, **{name: texts(raw, source) for name, source in _USER_TEXTS.items()}}
    columns |= {name: numbers(raw, source, float) for name, source in _SEGMENTS.items()}
    return _stream(_ids("user", users), np.full(len(users), _START), columns)


def _video_meta(raw: pa.Table) -> Table:
    videos = numbers(raw, "video_id", int)
    days = texts(raw, "upload_dt").astype("datetime64[D]").astype(np.int64)
    columns = {"video": videos, **{name: texts(raw, source) for name, source in _VIDEO_TEXTS.items()}}
    columns["topic"] = column([tag and tag.split(",")[0] for tag in columns["topic"].tolist()], str)
    columns |= {name: numbers(raw, source, int) for name, source in _VIDEO_INTS.items()}
    columns |= {name: numbers(raw, source, float) for name, source in _VIDEO_FLOATS.items()}
    return _stream(_ids("video", videos), (days * 86_400 - _OFFSET_S) * SECOND, columns)


def _impressions(raw: pa.Table, name: str) -> tuple[Table, Table]:
    """`shown` and `watch` of a log, without exact duplicates of whole rows."""
    everything = np.column_stack([numbers(raw, source, int) for source in _LOG_COLUMNS])
    rows = everything.view([("row", np.void, everything.shape[1] * 8)])["row"][:, 0]
    kept = np.sort(np.unique(rows, return_index=True)[1])
    of: dict[str, Any] = dict(zip(_LOG_COLUMNS, everything[kept].T, strict=True))
    at, played = of["time_ms"] * 1_000, np.maximum(of["play_time_ms"], 0)
    ids = _ids(name.removesuffix("_pure.parquet").removesuffix("_pure.csv"), kept)
    keys = {"user": of["user_id"].copy(), "video": of["video_id"].copy()}
    tabs = column(list(map(str, of["tab"].tolist())), str)
    duration = np.where(of["duration_ms"] > 0, of["duration_ms"], np.nan)
    outcomes = {
        "tab": tabs,
        "watched_ms": played.astype(np.float64),
        "share": np.minimum(played / duration, _MAX_SHARE),
        "clicked": of["is_click"] > 0,
        "long": of["long_view"] > 0,
        "liked": of["is_like"] > 0,
        "hated": of["is_hate"] > 0,
    }
    return _shown(ids, at, keys, tabs), _stream(ids, at + played * 1_000, {**keys, **outcomes})


def _tails(raw: pa.Table, videos: Table) -> tuple[Table, Table]:
    """`shown` and `watch` of the history tails, with estimated times."""
    person, video = _flat(raw, "watch_seq")
    place = _place_from_end(person)
    users, length = numbers(raw, "user_id", int), numbers(raw, "history_len", int)
    last = numbers(raw, "last_time_ms", int) * 1_000
    even = last[person] - (last[person] - _START) // length[person] * place
    known_from = np.full(max(int(video.max(initial=0)), int(videos["video"].max(initial=0))) + 1, _START)
    known_from[videos["video"]] = videos["at"]
    # A running maximum per person keeps the order of a tail; the shift keeps one person out of the next one's.
    shift = person * np.int64(2**42)
    at = np.maximum(even, np.maximum.accumulate(known_from[video] - _START + shift) - shift + _START)
    at = np.minimum(at, last[person])
    n = len(video)
    ids, keys = _ids("tail", users[person], place), {"user": users[person], "video": video}
    long = _marked(person, video, *_flat(raw, "long_watch_seq"))
    tabs = column([None] * n, str)
    outcomes = {
        "tab": tabs,
        "watched_ms": np.full(n, np.nan),
        "share": np.full(n, np.nan),
        "clicked": long,
        "long": long,
        "liked": _marked(person, video, *_flat(raw, "like_seq")),
        "hated": np.zeros(n, np.bool_),
    }
    return _shown(ids, at, keys, tabs), _stream(ids, at, {**keys, **outcomes})


def _shown(ids: Array, at: Array, keys: Mapping[str, Array], tabs: Array) -> Table:
    n = len(ids)
    unknown = {"tab": tabs, "position": np.full(n, -1), "decision": column([None] * n, str)}
    return _stream(ids, at, {**keys, **unknown})


def _flat(raw: pa.Table, name: str) -> tuple[Array, Array]:
    """The lists of a column one after the other: the row of each element and the element, both int64."""
    lists = raw[name].combine_chunks()
    if lists.null_count:
        raise DataError(f"column {name!r} lacks {lists.null_count:,} lists; an empty list is expected for none")
    lengths = np.diff(lists.offsets.to_numpy())
    return np.repeat(np.arange(len(lists)), lengths), lists.flatten().to_numpy().astype(np.int64)


def _place_from_end(groups: Array) -> Array:
    """For rows sorted by group: 0 for the last row of a group, 1 for the one before it."""
    ends = np.searchsorted(groups, groups, side="right")
    return ends - 1 - np.arange(len(groups))


def _marked(person: Array, video: Array, marked_person: Array, marked_video: Array) -> Array:
    """Which impressions of a tail the shorter sequence names: repeats of a video are paired from the newest back."""

    def named(people: Array, items: Array) -> Array:
        key = people * np.int64(2**32) + items
        order = np.argsort(key, kind="stable")
        repeat = np.empty(len(key), np.int64)
        repeat[order] = _place_from_end(key[order])
        return np.column_stack([key, repeat]).view("i8,i8")[:, 0]

    return np.isin(named(person, video), named(marked_person, marked_video))
