"""The data sets of advertising: Criteo, Avazu, TalkingData and iPinYou as the same streams."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sixfold._core.errors import DataError
from sixfold._core.table import Table
from sixfold._core.times import DAY, HOUR, MINUTE, SECOND
from sixfold.data.source import Source
from sixfold.datasets import open_source
from sixfold.datasets.auctions import CATEGORIES, NUMBERS
from sixfold.datasets.avazu import FILES as AVAZU_FILES
from sixfold.datasets.avazu import Avazu
from sixfold.datasets.criteo import Criteo
from sixfold.datasets.ipinyou import IPinYou
from sixfold.datasets.talkingdata import TalkingData

STREAMS = ("campaign_meta", "shown", "click")


def read(source: Source) -> dict[str, Table]:
    chunks = list(source.chunks())
    return {name: Table.concat([chunk[name] for chunk in chunks if name in chunk]) for name in STREAMS}


def write(path: Path, columns: dict[str, Any]) -> None:
    pq.write_table(pa.table(columns), path)


def write_criteo(folder: Path) -> None:
    numbers = {f"I{i}": [None, 1, 2, -1, 5, 6] for i in range(1, 14)}
    categories = {f"C{i}": ["68fd1e64", None, "05db9164", "x", "y", "z"] for i in range(1, 27)}
    split = {"split": ["test", "train", "dev", "train", "train", "test"]}
    write(folder / "criteo_8k.parquet", {"label": [1, 0, 0, 1, 0, 0], **numbers, **categories, **split})


def test_criteo_keeps_its_published_split_as_days(tmp_path: Path) -> None:
    write_criteo(tmp_path)
    streams = read(Criteo(tmp_path, whole=False))
    shown = streams["shown"]
    assert ((shown["at"] - shown["at"][0]) // DAY).tolist() == [0, 0, 0, 1, 2, 2]
    assert shown["n1"].tolist()[:2] == [1.0, -1.0]
    assert np.isnan(shown["n13"][4])
    assert shown["c26"].tolist() == [None, "x", "y", "05db9164", "68fd1e64", "z"]
    assert streams["click"]["clicked"].tolist() == [False, True, False, False, True, False]
    assert np.isnan(shown["price"]).all()
    # A campaign speaks once more after the last day, so that outcomes of its last hour count as final.
    assert ((streams["campaign_meta"]["at"] - shown["at"][0]) // DAY).tolist() == [0, 1, 2, 3]
    assert set(streams["campaign_meta"]["bid"].tolist()) == {1.0}
    # A day ends before its last hours, so that the gap of a split cuts nothing off.
    assert (shown["at"] % DAY < 20 * HOUR).all()


def test_an_outcome_is_known_a_minute_later(tmp_path: Path) -> None:
    write_criteo(tmp_path)
    streams = read(Criteo(tmp_path, whole=False))
    assert (streams["click"]["arrived"] - streams["shown"]["at"] == MINUTE).all()
    assert streams["click"]["id"].tolist() == streams["shown"]["id"].tolist()


def test_avazu_names_addresses_and_ads(tmp_path: Path) -> None:
    columns: dict[str, Any] = {name: ["a", "b", "c"] for name in AVAZU_FILES[0].text}
    columns |= {name: [1, 2, 3] for name in AVAZU_FILES[0].columns if name not in AVAZU_FILES[0].text}
    columns |= {"device_ip": ["ff", "0a", "ff"], "split": ["dev", "train", "test"], "click": [0, 1, 0]}
    columns["C14"] = [15704, 7, 15704]
    write(tmp_path / "avazu_9k.parquet", columns)
    shown = read(Avazu(tmp_path, whole=False))["shown"]
    assert (shown["viewer"].tolist(), shown["campaign"].tolist()) == ([10, 255, 255], [7, 15704, 15704])
    assert shown["c1"].tolist() == ["b", "a", "c"]
    assert shown["c20"].tolist() == ["2", "1", "3"]
    columns["device_ip"] = ["ff", "zz", "ff"]
    write(tmp_path / "avazu_9k.parquet", columns)
    with pytest.raises(DataError, match="hexadecimal"):
        list(Avazu(tmp_path, whole=False).chunks())


def test_an_installation_belongs_to_its_click_and_is_learnt_late(tmp_path: Path) -> None:
    columns: dict[str, Any] = {name: [3, 1, 2] for name in ("ip", "device", "os", "channel", "app")}
    columns |= {"is_attributed": [0, 1, 0], "attributed_time": [None, "2017-11-07 11:00:00", None]}
    columns["click_time"] = ["2017-11-07 09:30:38", "2017-11-07 09:00:00", "2017-11-06 16:00:00"]
    write(tmp_path / "train_sample.parquet", columns)
    streams = read(TalkingData(tmp_path, whole=False))
    assert streams["shown"]["viewer"].tolist() == [2, 1, 3]
    late = streams["click"].take(streams["click"]["clicked"])
    assert late["at"].tolist() == (streams["shown"]["at"][1:2] + MINUTE).tolist()
    assert (late["arrived"] - late["at"]).tolist() == [2 * HOUR - MINUTE]
    assert (np.diff(streams["click"]["arrived"]) >= 0).all()
    write(tmp_path / "train_sample.parquet", {**columns, "click_time": ["soon"] * 3})
    with pytest.raises(DataError, match="must read like"):
        list(TalkingData(tmp_path, whole=False).chunks())


def write_ipinyou(folder: Path) -> None:
    rng = np.random.default_rng(1)
    for name, n in (("campaign_2997_test", 400), ("campaign_1458_train", 100), ("campaign_1458_test", 100)):
        columns: dict[str, Any] = {"click": rng.binomial(1, 0.05, n), "winning_price": rng.integers(0, 300, n)}
        columns["pctr"] = np.where(np.arange(n) == 0, 0.0, rng.uniform(0.001, 0.01, n))
        if "1458" in name:
            columns["exchange"] = rng.integers(1, 4, n)
        write(folder / f"{name}.parquet", columns)


def test_ipinyou_lays_its_order_over_three_days(tmp_path: Path) -> None:
    write_ipinyou(tmp_path)
    streams = read(IPinYou(tmp_path, whole=False))
    shown, meta = streams["shown"], streams["campaign_meta"]
    day = (shown["at"] - shown["at"].min()) // DAY
    for campaign, sizes in ((2997, [100, 60, 240]), (1458, [80, 20, 100])):
        assert np.bincount(day[shown["campaign"] == campaign]).tolist() == sizes
    assert len(meta) == 8
    stated = meta.take(meta["campaign"] == 2997)
    for i, row in enumerate(stated.rows()[:3]):
        spent = shown["price"][(shown["campaign"] == 2997) & (day == i)].sum()
        assert (row["at"] - stated["at"][0], row["budget"]) == (i * DAY, spent / 4)
    assert len(set(stated["bid"].tolist())) == 1
    assert np.isfinite(shown["n1"]).all()
    assert {text for text in shown["c1"].tolist() if text} == {"1", "2", "3"}


def test_columns_are_those_of_the_widest_data_set() -> None:
    assert (len(NUMBERS), len(CATEGORIES)) == (13, 26)


@pytest.mark.parametrize(
    ("name", "sizes", "clicks", "days"),
    [
        ("criteo-kaggle-sample", (4, 8_000), 1_728, [7_200, 409, 391]),
        ("avazu-sample", (4 * 259, 8_999), 1_563, [8_087, 480, 432]),
        ("talkingdata-adtracking-sample", (4 * 161, 100_000), 227, [32_273, 33_832, 33_895]),
        ("ipinyou-rtb-sample", (8, 356_063), 530 + 79 + 65, [119_016, 43_409, 193_638]),
    ],
)
def test_the_real_data(data_home: Path, name: str, sizes: tuple[int, int], clicks: int, days: list[int]) -> None:
    if not (data_home / name).is_dir():
        pytest.skip(f"no {name} among the real data")
    source = open_source(name, home=data_home)
    assert source.name == name
    streams = read(source)
    assert (len(streams["campaign_meta"]), len(streams["shown"])) == sizes
    assert streams["click"]["clicked"].sum() == clicks
    day = (streams["shown"]["at"] + source.utc_offset_s * SECOND) // DAY
    assert np.unique(day, return_counts=True)[1].tolist() == days
