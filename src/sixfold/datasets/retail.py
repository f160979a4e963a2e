"""Online Retail II, its first year: what a British wholesaler of gifts sold, invoice line by invoice line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sixfold._core.errors import DataError
from sixfold._core.table import Array, Table, column
from sixfold.data.source import by_arrival
from sixfold.datasets.files import DataFile, Publication, differences, numbers, read_file, texts

__all__ = ["FILES", "PUBLICATION", "OnlineRetail", "first_named", "instants"]

PUBLICATION = Publication(
    name="Online Retail II",
    publisher="Daqing Chen, London South Bank University; UCI Machine Learning Repository, 2019",
    licence="CC BY 4.0",
    doi="10.24432/C5CG6D",
    download="https://archive.ics.uci.edu/dataset/502/online+retail+ii",
)

FILES = (
    DataFile(
        "online_retail_2009_2010.parquet",
        ("Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID"),
        525_461,
        "918acac74ec46aba92b3c81ce655e5cf078ed61d42747149b37d7eaeedfc94c2",
        text=("Invoice", "StockCode", "Description", "InvoiceDate"),
    ),
)


@dataclass(frozen=True, slots=True)
class OnlineRetail:
    """A folder of Online Retail II as the streams `product_meta` and `sale`; products are stock codes in upper case.

    A line of an invoice is a sale at the invoice's minute. A cancellation is a sale of a negative quantity at its own
    time, and no retraction: the order was placed, and was demand that day; that the goods came back is another fact of
    another day, and the file does not say which order it undoes. Left out are lines without a price (write-offs,
    damages and samples: no customer asked for them) and codes that do not begin with five digits (postage, fees,
    adjustments, vouchers). Lines that agree in everything are kept: an invoice may name a product twice. Times are the
    shop's own clock, taken as UTC. Raises DataError if the file is missing, damaged or not complete; `whole=False`
    takes samples.
    """

    folder: Path
    whole: bool = True

    @property
    def name(self) -> str:
        """`online-retail-ii-2009-2010`."""
        return "online-retail-ii-2009-2010"

    @property
    def utc_offset_s(self) -> int:
        """Times are taken as they are: a day is the shop's day."""
        return 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures should know about this copy; empty for the copy known to be good."""
        return differences(self.folder, FILES) if self.whole else ("a sample, not the whole data set",)

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival, 50,000 at a time."""
        raw = read_file(self.folder, FILES[0], PUBLICATION, whole=self.whole)
        code = np.char.upper(texts(raw, "StockCode").astype(str))
        price = numbers(raw, "Price", float)
        wanted = np.array([len(c) >= 5 and c[:5].isdigit() for c in code.tolist()], np.bool_) & (price > 0)
        lines = np.flatnonzero(wanted)
        if not len(lines):
            raise DataError(f"{self.folder / FILES[0].name} has no line of a product that was sold at a price")
        at = instants(raw, "InvoiceDate")
        lines = lines[np.argsort(at[lines], kind="stable")]
        product, at = column(code[lines].tolist(), str), at[lines]
        description = column([text.strip() if text else None for text in texts(raw, "Description")[lines]], str)
        invoice = texts(raw, "Invoice")[lines].tolist()
        customer = raw["Customer ID"].cast(pa.int64()).to_pylist()
        sale = {
            "id": column([f"{name}-{line}" for name, line in zip(invoice, lines.tolist(), strict=True)], str),
            "at": at,
            "arrived": at,
            "product": product,
            "quantity": numbers(raw, "Quantity", float)[lines],
            "price": price[lines],
            "customer": column(
                [None if customer[line] is None else str(customer[line]) for line in lines.tolist()], str
            ),
        }
        nothing = column([None] * len(lines), str)
        meta = first_named(product, at, {"description": description, "department": nothing})
        yield from by_arrival({"product_meta": meta, "sale": Table(sale)})


def instants(table: pa.Table, name: str) -> Array:
    """Times, as text such as "2009-12-01 07:45:00" or as timestamps, in microseconds of the clock they were read off.

    >>> instants(pa.table({"t": ["1970-01-01 00:00:01"]}), "t").tolist()
    [1000000]
    """
    try:
        return np.asarray(table[name].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(), np.int64)
    except pa.ArrowException as error:
        raise DataError(f"column {name!r} holds what is no time: {str(error).splitlines()[0]}") from error


def first_named(product: Array, at: Array, fields: Mapping[str, Array]) -> Table:
    """A product is known from its first sale on, by what that says of it; rows in order of time."""
    rows: dict[str, int] = {}
    for row, key in enumerate(product.tolist()):
        rows.setdefault(key, row)
    first = np.array(list(rows.values()), np.int64)
    columns = {"product": product[first], **{name: values[first] for name, values in fields.items()}}
    ids = column([f"product-{key}" for key in rows], str)
    return Table({"id": ids, "at": at[first], "arrived": at[first], **columns})
