"""iPinYou real-time bidding, 2013: auctions of two campaigns with the price that each went for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY
from sixfold.data.source import by_arrival
from sixfold.datasets.auctions import START, auction_streams, laid_out
from sixfold.datasets.files import DataFile, Publication, differences, numbers, read_file

__all__ = ["BUDGET_SHARE", "FILES", "PUBLICATION", "IPinYou"]

PUBLICATION = Publication(
    name="iPinYou real-time bidding, campaigns 2997 and 1458",
    publisher="iPinYou; Liao et al., ADKDD 2014; prepared by Zhang et al. (arXiv:1407.7073) and Cai et al. (WSDM 2017)",
    licence="given for research; no redistribution",
    doi="10.1145/2648584.2648590",
    download="https://contest.ipinyou.com",
)

_COLUMNS = ("click", "winning_price", "pctr")
FILES = (
    DataFile(
        "campaign_2997_test.parquet",
        _COLUMNS,
        156_063,
        "449a4fa15a93746bae294fa0ec6be50cefe3b284268f7085f39095ccbd8c2012",
    ),
    DataFile(
        "campaign_1458_train.parquet",
        (*_COLUMNS, "exchange"),
        100_000,
        "4113f64839c3bb88b660cba7ca8ed4f2604f3b94f4de5105d3661b6311d581f7",
    ),
    DataFile(
        "campaign_1458_test.parquet",
        (*_COLUMNS, "exchange"),
        100_000,
        "6e1780e85ab711a2ae222725e8d1ab83cf69768cbcf5b16bac55a038914988c3",
    ),
)

BUDGET_SHARE = 0.25
"""A day's budget, as a share of what winning all of its auctions costs: the usual protocol of work on these data."""

_PARTS = {2997: (0.25, 0.15), 1458: (0.4, 0.1)}
"""Which shares of a campaign's rows are the days to train and to validate on; of 1458 they are the publisher's train
part, which is half of the rows."""


@dataclass(frozen=True, slots=True)
class IPinYou:
    """A folder of the two campaigns as the streams `campaign_meta`, `shown` and `click`.

    Every row is an auction that the campaign had won, with the price it paid: the highest bid of the others. Prices and
    bids are in thousandths of a fen for one impression, which is the same figure as the published fen for a thousand.
    n1 are the log odds of the published estimate of the click rate, c1 is the exchange. People and pages were dropped
    by those who prepared the data, so every row has a viewer of its own.

    There is an order but no time: rows are laid evenly over three made-up days (see `auctions`). Of campaign 2997 only
    the published test part is there: its first quarter is to train and the next 15 % to validate on. A click is worth
    what it cost the campaign on the first day; the budget of a day is a quarter of what winning everything costs.
    Raises DataError if a file is missing, damaged or not complete; `whole=False` takes samples in the same layout.
    """

    folder: Path
    whole: bool = True

    @property
    def name(self) -> str:
        """`ipinyou-rtb-sample`."""
        return "ipinyou-rtb-sample"

    @property
    def utc_offset_s(self) -> int:
        """The days are made up."""
        return 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures should know about this copy."""
        made_up = "in the published order, laid evenly over made-up days; budgets are ours; no people, no pages"
        return made_up, *(differences(self.folder, FILES) if self.whole else ("a sample, not the whole data set",))

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival, 50,000 at a time."""
        one, train, test = (read_file(self.folder, file, PUBLICATION, whole=self.whole) for file in FILES)
        campaigns = {2997: _rows([one]), 1458: _rows([train, test])}
        parts, stated = [], []
        for campaign, rows in campaigns.items():
            n = len(rows)
            first, second = (round(share * n) for share in _PARTS[campaign])
            sizes = (first, second, n - first - second)
            parts.append(rows.with_columns({"at": laid_out(sizes, hours=24), "campaign": np.full(n, campaign)}))
            stated.append(_stated(campaign, rows, sizes))
        every = Table.concat(parts)
        every = every.take(np.argsort(every["at"], kind="stable"))
        streams = auction_streams(
            every["at"],
            {"viewer": np.arange(len(every)), "campaign": every["campaign"]},
            every["click"],
            numbers=[every["odds"]],
            categories=[every["exchange"]],
            price=every["price"],
            campaigns=Table.concat(stated),
        )
        yield from by_arrival(streams)


def _rows(tables: list[pa.Table]) -> Table:
    """The auctions of a campaign: click, price, log odds and exchange."""
    parts = []
    for raw in tables:
        chance = np.clip(numbers(raw, "pctr", float), 1e-9, 1 - 1e-9)
        exchange: list[str | None] = [None] * raw.num_rows
        if "exchange" in raw.column_names:
            exchange = list(map(str, numbers(raw, "exchange", int).tolist()))
        columns: dict[str, Array] = {
            "click": numbers(raw, "click", int),
            "price": numbers(raw, "winning_price", float),
            "odds": np.log(chance / (1 - chance)),
            "exchange": column(exchange, str),
        }
        parts.append(Table(columns))
    return Table.concat(parts)


def _stated(campaign: int, rows: Table, sizes: tuple[int, ...]) -> Table:
    """What the campaign says at the start of each day, and after the last: the worth of a click, the day's budget."""
    ends = np.cumsum(sizes)
    first = rows.take(slice(0, sizes[0]))
    worth = first["price"].sum() / max(first["click"].sum(), 1)
    costs = np.add.reduceat(rows["price"], ends - np.array(sizes))
    n = len(sizes) + 1
    same = {"campaign": np.full(n, campaign), "bid": np.full(n, float(worth))}
    return Table({"at": START + np.arange(n) * DAY, **same, "budget": BUDGET_SHARE * costs[[*range(n - 1), -1]]})
