"""The Complete Journey: what households bought of a grocer in 2017, a sample of its transactions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sixfold._core.errors import DataError
from sixfold._core.table import Table, column
from sixfold.data.source import by_arrival
from sixfold.datasets.files import DataFile, Publication, differences, numbers, read_file, texts
from sixfold.datasets.retail import first_named, instants

__all__ = ["FILES", "PUBLICATION", "CompleteJourney"]

PUBLICATION = Publication(
    name="The Complete Journey 2.0, sample of the package completejourney",
    publisher="84.51; R package by Brad Boehmke and Steven Mortimer",
    licence="CC0 as stated by the package; the source files come from 84.51's Area 51 under its own terms",
    doi="",
    download="https://github.com/bradleyboehmke/completejourney",
)

FILES = (
    DataFile(
        "transactions_sample.parquet",
        ("household_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp"),
        75_000,
        "62104c14c5623805e3707dfd87d7eb2b2b00dccedbdd672444145d56d4cf6840",
        text=("household_id", "basket_id", "product_id"),
        times=("transaction_timestamp",),
    ),
    DataFile(
        "products.parquet",
        ("product_id", "department", "product_category"),
        92_331,
        "7f2b56c9be0c7371cec6f850d6add2666d445b31186321510963ffd7e8a4052d",
        text=("product_id", "department", "product_category"),
    ),
)

_BY_VOLUME = ("FUEL", "MISCELLANEOUS")


@dataclass(frozen=True, slots=True)
class CompleteJourney:
    """A folder of the sample as the streams `product_meta` and `sale`, the same as those of the wholesaler.

    The publisher's sample has one line of twenty, so the most sold of its 20,902 items is met twice a day and the
    hundredth once a week. What is forecast by day is therefore the `level` "category", such as SOFT DRINKS: a sale's
    product is its category. "item" gives the items themselves. Left out are lines of no units (coupons alone), of items
    without a category, and of the departments FUEL and MISCELLANEOUS, whose quantities are thousandths of gallons.
    There are no returns in it. Times are UTC of shops on the east coast of the United States, five hours behind all
    year. Raises DataError if a file is missing, damaged or not complete; `whole=False` takes samples.
    """

    folder: Path
    whole: bool = True
    level: Literal["category", "item"] = "category"

    @property
    def name(self) -> str:
        """`complete-journey-sample`."""
        return "complete-journey-sample"

    @property
    def utc_offset_s(self) -> int:
        """By the hours at which nothing is sold and at which the file's weeks begin."""
        return -5 * 3600

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures should know about this copy; empty for the copy known to be good."""
        return differences(self.folder, FILES) if self.whole else ("a sample, not the whole data set",)

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival, 50,000 at a time."""
        raw, products = (read_file(self.folder, file, PUBLICATION, whole=self.whole) for file in FILES)
        named = zip(texts(products, "department").tolist(), texts(products, "product_category").tolist(), strict=True)
        known = dict(zip(texts(products, "product_id").tolist(), named, strict=True))
        items, quantity = texts(raw, "product_id").tolist(), numbers(raw, "quantity", float)
        said = [known.get(item, (None, None)) for item in items]
        counted = [bool(category) and department not in _BY_VOLUME for department, category in said]
        lines = np.flatnonzero(np.array(counted, np.bool_) & (quantity > 0))
        if not len(lines):
            raise DataError(f"{self.folder / FILES[0].name} has no line of an item that is sold in units")
        at = instants(raw, "transaction_timestamp")
        lines = lines[np.argsort(at[lines], kind="stable")]
        at, rows = at[lines], lines.tolist()
        category = column([said[row][1] for row in rows], str)
        product = category if self.level == "category" else column([items[row] for row in rows], str)
        basket = texts(raw, "basket_id").tolist()
        sale = {
            "id": column([f"{basket[row]}-{items[row]}-{row}" for row in rows], str),
            "at": at,
            "arrived": at,
            "product": product,
            "quantity": quantity[lines],
            "price": numbers(raw, "sales_value", float)[lines] / quantity[lines],
            "customer": texts(raw, "household_id")[lines],
        }
        department = column([said[row][0] for row in rows], str)
        meta = first_named(product, at, {"description": category, "department": department})
        yield from by_arrival({"product_meta": meta, "sale": Table(sale)})
