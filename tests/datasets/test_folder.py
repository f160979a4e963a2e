"""A folder of Parquet files is a source of events like any other."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sixfold._core.errors import DataError
from sixfold._core.table import Table
from sixfold._core.times import instant
from sixfold.datasets import open_source
from sixfold.datasets.folder import EventFolder, write_events
from sixfold.worlds import open_world


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    world = open_world("shorts-tiny", 0)
    counts = write_events(world.chunks(), tmp_path)
    source = open_source(str(tmp_path))
    assert source == EventFolder(tmp_path) and source.name == tmp_path.name
    read: dict[str, list[Table]] = {}
    for chunk in source.chunks():
        for name, table in chunk.items():
            read.setdefault(name, []).append(table)
    assert {name: sum(map(len, tables)) for name, tables in read.items()} == counts
    first = next(iter(world.chunks()))["shown"]
    again = read["shown"][0].take(slice(0, len(first)))
    for name in ("id", "at", "arrived", "user", "video", "tab"):
        assert again[name].tolist() == first[name].tolist()


def test_times_may_be_timestamps_and_ids_left_out(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    table = pa.table(
        {"user": [7, 8], "share": [0.5, None], "at": pa.array([moment, moment], pa.timestamp("ms", "UTC"))}
    )
    pa.parquet.write_table(table, tmp_path / "watch.parquet")
    (chunk,) = EventFolder(tmp_path).chunks()
    watch = chunk["watch"]
    assert watch["at"].tolist() == watch["arrived"].tolist() == [instant("2026-01-31T12:00:00Z")] * 2
    assert watch["id"].tolist() == ["watch-0", "watch-1"]
    assert watch["user"].dtype == np.int64 and np.isnan(watch["share"][1])


def test_a_file_without_times_or_damaged_is_named(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"at": [1]}), tmp_path / "a.parquet")
    pa.parquet.write_table(pa.table({"user": [1]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet has no column `at`"):
        list(EventFolder(tmp_path).chunks())
    (tmp_path / "b.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"b\.parquet cannot be read"):
        list(EventFolder(tmp_path).chunks())
    (tmp_path / "source.json").write_text("[]")
    with pytest.raises(DataError, match=r"source\.json"):
        assert EventFolder(tmp_path).utc_offset_s
