"""KuaiRand-Pure as events."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sixfold._core.errors import DataError
from sixfold._core.table import Table
from sixfold._core.times import DAY, instant
from sixfold.datasets.kuairand import FILES, ORIGINAL_FILES, KuaiRand
from sixfold.testing.samples import write_kuairand

STREAMS = ("user_meta", "video_meta", "shown", "watch")


def read(source: KuaiRand) -> dict[str, Table]:
    chunks = list(source.chunks())
    last = -(2**62)
    for chunk in chunks:
        assert list(chunk) == [name for name in STREAMS if name in chunk]
        assert min(int(table["arrived"][0]) for table in chunk.values()) >= last
        assert all((np.diff(table["arrived"]) >= 0).all() for table in chunk.values())
        last = max(int(table["arrived"][-1]) for table in chunk.values())
    return {name: Table.concat([chunk[name] for chunk in chunks if name in chunk]) for name in STREAMS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kuairand")
    write_kuairand(path)
    return path


@pytest.fixture(scope="module")
def streams(folder: Path) -> dict[str, Table]:
    return read(KuaiRand(folder, whole=False))


def starting(table: Table, prefix: str) -> Table:
    return table.take([text.startswith(prefix) for text in table["id"]])


def test_the_statistics_of_the_whole_period_are_never_read() -> None:
    assert not [file.name for file in (*FILES, *ORIGINAL_FILES) if "statistic" in file.name]


def test_columns_and_types(streams: dict[str, Table]) -> None:
    kinds = {"user": "i", "video": "i", "author": "i", "music": "i", "position": "i", "at": "i", "arrived": "i"}
    kinds |= dict.fromkeys(("clicked", "long", "liked", "hated"), "b")
    kinds |= dict.fromkeys(("watched_ms", "share", "music_type", "duration_ms", "width", "height"), "f")
    kinds |= {f"segment_{i}": "f" for i in range(18)}
    for table in streams.values():
        assert {name: table[name].dtype.kind for name in table} == {name: kinds.get(name, "O") for name in table}
        assert len(set(table["id"])) == len(table)
        assert (table["arrived"] >= table["at"]).all()
    assert len(streams["shown"]) == len(streams["watch"])
    assert set(streams["watch"].names) == {"id", "at", "arrived", "user", "video", "watched_ms", "share", "clicked"} | {
        "tab",
        "long",
        "liked",
        "hated",
    }


def test_impressions_are_the_log_without_exact_duplicates(folder: Path, streams: dict[str, Table]) -> None:
    raw = pq.read_table(folder / FILES[0].name)
    shown, watch = (starting(streams[name], "log_") for name in ("shown", "watch"))
    assert len(shown) == raw.num_rows - 1
    assert sorted(shown["at"].tolist()) == sorted(t * 1_000 for t in raw["time_ms"].to_pylist()[:-1])
    expected = sum(
        p / d
        for p, d in zip(*(raw[c].to_pylist()[:-1] for c in ("play_time_ms", "duration_ms")), strict=True)
        if d and p / d <= 2
    )
    share = watch["share"]
    assert share[share < 2].sum() == pytest.approx(expected)
    assert share[~np.isnan(share)].max() == 2.0
    assert np.isnan(share).sum() == sum(d == 0 for d in raw["duration_ms"].to_pylist()[:-1])


def test_an_outcome_is_known_when_the_playing_ends(streams: dict[str, Table]) -> None:
    shown, watch = (starting(streams[name], "log_") for name in ("shown", "watch"))
    begun = dict(zip(shown["id"].tolist(), shown["at"].tolist(), strict=True))
    tabs = dict(zip(shown["id"].tolist(), shown["tab"].tolist(), strict=True))
    for row in watch.rows():
        assert row["tab"] == tabs[row["id"]]
        assert row["at"] == begun[row["id"]] + row["watched_ms"] * 1_000


def test_tails_keep_their_order_and_their_marks(folder: Path, streams: dict[str, Table]) -> None:
    raw = pq.read_table(folder / FILES[3].name).to_pylist()
    tails = starting(streams["watch"], "tail-")
    uploaded = dict(zip(streams["video_meta"]["video"].tolist(), streams["video_meta"]["at"].tolist(), strict=True))
    for person in raw:
        mine = tails.take(tails["user"] == person["user_id"])
        assert mine["video"].tolist() == person["watch_seq"]
        assert int(mine["at"][-1]) == person["last_time_ms"] * 1_000
        assert all(at >= uploaded[v] for v, at in zip(mine["video"].tolist(), mine["at"].tolist(), strict=True))
        assert sorted(mine["video"][mine["long"]].tolist()) == sorted(person["long_watch_seq"])
        assert mine["liked"].sum() == len(person["like_seq"])
    assert np.isnan(tails["watched_ms"]).all()
    assert set(tails["tab"].tolist()) == {None}
    assert (tails["at"] < instant("2022-04-25T00:00+08:00")).all()


def test_videos_are_known_from_their_local_day(streams: dict[str, Table]) -> None:
    videos = streams["video_meta"]
    assert set(videos["at"].tolist()) <= {instant(f"2022-04-{day:02d}T00:00+08:00") for day in (9, 10, 11)}
    first = videos.take(videos["video"] == 0)
    assert first["topic"][0] is None
    assert np.isnan(first["duration_ms"][0])
    assert set(videos["topic"].tolist()) == {None, "39", "3", "9"}


def test_the_layout_of_the_publisher_gives_the_same_streams(tmp_path: Path) -> None:
    write_kuairand(tmp_path, original=True)
    streams = read(KuaiRand(tmp_path, whole=False))
    assert len(streams["shown"]) == len(streams["watch"]) == 1_200
    assert streams["user_meta"]["activity"][0] in ("full_active", "high_active")
    assert {type(topic) for topic in streams["video_meta"]["topic"]} == {str, type(None)}


def test_only_the_first_users(folder: Path) -> None:
    streams = read(KuaiRand(folder, whole=False, first_users=10))
    assert all(table["user"].max() < 10 for name, table in streams.items() if name != "video_meta")
    assert len(streams["video_meta"]) == 60


@pytest.mark.parametrize("file", [file.name for file in FILES])
def test_a_missing_or_cut_file_is_named(folder: Path, tmp_path: Path, file: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    whole = (copy / file).read_bytes()
    (copy / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"{file} cannot be read.*expected .* columns .*zenodo"):
        next(KuaiRand(copy, whole=False).chunks())
    (copy / file).unlink()
    with pytest.raises(DataError, match=rf"{file} is missing"):
        next(KuaiRand(copy, whole=False).chunks())


def test_a_sample_does_not_pass_for_the_whole(folder: Path) -> None:
    with pytest.raises(DataError, match=r"has 601 rows; expected 228,329 rows"):
        next(KuaiRand(folder).chunks())
    assert KuaiRand(folder).notes
    assert KuaiRand(folder, whole=False).notes == ("a sample, not the whole data set",)


def test_the_real_logs(data_home: Path) -> None:
    if not (data_home / "kuairand-pure").is_dir():
        pytest.skip("no kuairand-pure among the real data")
    source = KuaiRand(data_home / "kuairand-pure")
    assert source.notes == ()
    streams = read(source)
    log, tails = (starting(streams["watch"], prefix) for prefix in ("log_", "tail-"))
    assert len(log) == 228_329 - 5_460
    assert len(tails) == 817_187
    assert tails["long"].sum() == 291_530
    assert log["long"].mean() == pytest.approx(0.316428, abs=1e-6)
    assert {name: len(streams[name]) for name in ("user_meta", "video_meta")} == {
        "user_meta": 27_285,
        "video_meta": 7_583,
    }
    assert int(streams["shown"]["at"].max()) < instant("2022-05-09T00:00+08:00")
    assert int(tails["at"].min()) >= instant("2022-04-08T00:00+08:00")
    assert int(log["at"].max()) - int(log["at"].min()) < 15 * DAY
