"""The Complete Journey as events."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sixfold._core.errors import DataError
from sixfold._core.table import Table
from sixfold._core.times import instant
from sixfold.datasets.journey import FILES, CompleteJourney

PRODUCTS = [
    ("1", "GROCERY", "SOFT DRINKS"),
    ("2", "GROCERY", "SOFT DRINKS"),
    ("3", "FUEL", "COUPON/MISC ITEMS"),
    ("4", "GROCERY", None),
]
LINES = [
    ("h1", "b1", "1", 2.0, 5.0, datetime(2017, 3, 1, 3, 31, 57)),
    ("h2", "b2", "2", 1.0, 1.5, datetime(2017, 2, 28, 12, 0, 0)),
    ("h1", "b1", "3", 9_000.0, 20.0, datetime(2017, 3, 1, 3, 31, 57)),
    ("h1", "b1", "4", 1.0, 1.0, datetime(2017, 3, 1, 3, 31, 57)),
    ("h1", "b1", "1", 0.0, 0.0, datetime(2017, 3, 1, 3, 31, 57)),
]


def write(folder: Path, lines: list[tuple]) -> None:
    for file, rows in zip(FILES, (lines, PRODUCTS), strict=True):
        columns = {name: list(values) for name, values in zip(file.columns, zip(*rows, strict=True), strict=True)}
        pa.parquet.write_table(pa.table(columns), folder / file.name)


def read(source: CompleteJourney) -> dict[str, Table]:
    chunks = list(source.chunks())
    return {n: Table.concat([chunk[n] for chunk in chunks if n in chunk]) for n in ("product_meta", "sale")}


def test_lines_in_units_are_sales_of_their_category(tmp_path: Path) -> None:
    write(tmp_path, LINES)
    source = CompleteJourney(tmp_path, whole=False)
    streams = read(source)
    assert source.utc_offset_s == -18_000
    assert streams["product_meta"]["product"].tolist() == ["SOFT DRINKS"]
    assert streams["product_meta"]["department"].tolist() == ["GROCERY"]
    sale = streams["sale"]
    assert sale["quantity"].tolist() == [1.0, 2.0] and sale["price"].tolist() == [1.5, 2.5]
    assert sale["customer"].tolist() == ["h2", "h1"] and sale["product"].tolist() == ["SOFT DRINKS"] * 2
    assert sale["at"].tolist() == [instant("2017-02-28T12:00:00Z"), instant("2017-03-01T03:31:57Z")]


def test_items_may_be_the_products(tmp_path: Path) -> None:
    write(tmp_path, LINES)
    streams = read(CompleteJourney(tmp_path, whole=False, level="item"))
    assert streams["sale"]["product"].tolist() == ["2", "1"]
    assert streams["product_meta"]["description"].tolist() == ["SOFT DRINKS"] * 2


def test_what_is_damaged_is_named(tmp_path: Path) -> None:
    write(tmp_path, LINES[2:])
    with pytest.raises(DataError, match="no line of an item that is sold in units"):
        read(CompleteJourney(tmp_path, whole=False))
    with pytest.raises(DataError, match="has 3 rows; expected 75,000"):
        read(CompleteJourney(tmp_path))


def test_the_real_sample(data_home: Path) -> None:
    if not (data_home / "complete-journey-sample").is_dir():
        pytest.skip("no complete-journey-sample among the real data")
    source = CompleteJourney(data_home / "complete-journey-sample")
    streams = read(source)
    assert (source.notes, len(streams["sale"]), len(streams["product_meta"])) == ((), 73_621, 288)
    sale = streams["sale"]
    assert (sale["quantity"] > 0).all() and sale["quantity"].max() < 200
    assert (np.diff(sale["at"]) >= 0).all() and len(set(sale["id"].tolist())) == len(sale)
