"""Online Retail II as events."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sixfold._core.errors import DataError
from sixfold._core.table import Table
from sixfold._core.times import instant
from sixfold.data.source import Source
from sixfold.datasets import open_source
from sixfold.datasets.retail import FILES, OnlineRetail

LINES = [
    ("489434", "85123a", " heart ", 6, "2009-12-01 07:45:00", 2.5, 13085.0, "United Kingdom"),
    ("489434", "85123A", "HEART", 6, "2009-12-01 07:45:00", 2.5, 13085.0, "United Kingdom"),
    ("C489449", "85123A", "HEART", -2, "2009-12-02 10:33:00", 2.5, 13085.0, "United Kingdom"),
    ("489464", "21733", "damaged", -9, "2009-12-01 10:52:00", 0.0, None, "United Kingdom"),
    ("489597", "POST", "POSTAGE", 1, "2009-12-01 11:00:00", 18.0, 12682.0, "France"),
    ("489435", "22350", None, 12, "2009-12-01 07:46:00", 2.55, None, "United Kingdom"),
]


def write(folder: Path, lines: list[tuple]) -> None:
    names = ("Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country")
    columns = {name: list(values) for name, values in zip(names, zip(*lines, strict=True), strict=True)}
    pa.parquet.write_table(pa.table(columns), folder / FILES[0].name)


def read(source: Source) -> dict[str, Table]:
    chunks = list(source.chunks())
    return {n: Table.concat([chunk[n] for chunk in chunks if n in chunk]) for n in ("product_meta", "sale")}


def test_lines_are_sales_and_cancellations_negative_ones(tmp_path: Path) -> None:
    write(tmp_path, LINES)
    streams = read(OnlineRetail(tmp_path, whole=False))
    sale = streams["sale"]
    assert sale["product"].tolist() == ["85123A", "85123A", "22350", "85123A"]
    assert sale["quantity"].tolist() == [6.0, 6.0, 12.0, -2.0]
    assert sale["customer"].tolist() == ["13085", "13085", None, "13085"]
    assert sale["at"].tolist() == sale["arrived"].tolist()
    assert sale["at"][-1] == instant("2009-12-02T10:33:00Z")
    assert len(set(sale["id"].tolist())) == 4
    meta = streams["product_meta"].rows()
    assert [(row["product"], row["description"], row["department"]) for row in meta] == [
        ("85123A", "heart", None),
        ("22350", None, None),
    ]
    assert meta[0]["at"] == sale["at"][0]


def test_what_is_damaged_is_named(tmp_path: Path) -> None:
    write(tmp_path, [LINES[4]])
    with pytest.raises(DataError, match="no line of a product"):
        read(OnlineRetail(tmp_path, whole=False))
    write(tmp_path, [(*LINES[0][:4], "yesterday", *LINES[0][5:])])
    with pytest.raises(DataError, match="'InvoiceDate' holds what is no time"):
        read(OnlineRetail(tmp_path, whole=False))
    with pytest.raises(DataError, match="has 1 rows; expected 525,461"):
        read(OnlineRetail(tmp_path))


def test_the_real_invoices(data_home: Path) -> None:
    if not (data_home / "online-retail-ii-2009-2010").is_dir():
        pytest.skip("no online-retail-ii-2009-2010 among the real data")
    source = open_source("online-retail-ii-2009-2010", home=data_home)
    streams = read(source)
    sale = streams["sale"]
    assert (len(sale), len(streams["product_meta"])) == (518_733, 4_079)
    assert int((sale["quantity"] < 0).sum()) == 9_581
    assert (np.diff(sale["at"]) >= 0).all() and len(set(sale["id"].tolist())) == len(sale)
    assert set(sale["product"].tolist()) == set(streams["product_meta"]["product"].tolist())
