"""Card transactions as the Fraud Detection Handbook simulates them: who paid where and, a week later, was it fraud."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute

from sixfold._core.errors import DataError
from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, HOUR, SECOND, instant
from sixfold.data.source import by_arrival
from sixfold.datasets.files import DataFile, Publication, differences, numbers, read_file

__all__ = ["FILES", "PUBLICATION", "Transactions"]

PUBLICATION = Publication(
    name="Fraud Detection Handbook, simulated transactions",
    publisher="Le Borgne, Siblini, Lebichot, Bontempi; Université Libre de Bruxelles, 2022",
    licence="the data state none; the book is CC BY-SA 4.0, its code GPL-3.0",
    doi="",
    download="https://github.com/Fraud-Detection-Handbook/simulated-data-raw",
)

FILES = (
    DataFile(
        "transactions.parquet",
        ("TRANSACTION_ID", "TX_TIME_SECONDS", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"),
        1_754_155,
        "a37a339c4998dcbe9018a641069a191be10e65a8629d1f95e93309f74f92155c",
    ),
)

_ORIGIN = instant("2018-04-01")
_DELAY = 7 * DAY


@dataclass(frozen=True, slots=True)
class Transactions:
    """A folder of the handbook's transactions as the streams `card`, `verdict` and `transaction`.

    A verdict happens when the transaction does and arrives seven days later, also that it was no fraud. A `card` is
    known as compromised from the midnight by which its first fraud verdict is known, for frauds from `blocked_from` on:
    the handbook drops from its test week the cards known to be so, looking back to the first day it trains on. At the
    same instant, what is learnt comes before what is paid.

    The log is that of somebody who looks at the beginning of `end`: all that was paid from `start` on, and the verdicts
    that have arrived by then. Those of the handbook's test week, which ends with 2018-08-14, just have. Days are those
    of UTC. Raises DataError if the file is missing, damaged or not complete; `whole=False` takes samples.
    """

    folder: Path
    whole: bool = True
    start: str = "2018-04-01"
    end: str = "2018-08-22"
    blocked_from: str = "2018-07-25"

    @property
    def name(self) -> str:
        """`fraud-handbook-simulated`."""
        return "fraud-handbook-simulated"

    @property
    def utc_offset_s(self) -> int:
        """Times are UTC."""
        return 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures should know about this copy; empty for the copy known to be good."""
        return differences(self.folder, FILES) if self.whole else ("a sample, not the whole data set",)

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival, 50,000 at a time."""
        raw = read_file(self.folder, FILES[0], PUBLICATION, whole=self.whole)
        first, last = ((instant(day) - _ORIGIN) // SECOND for day in (self.start, self.end))
        seconds = raw["TX_TIME_SECONDS"]
        raw = raw.filter(pa.compute.and_(pa.compute.greater_equal(seconds, first), pa.compute.less(seconds, last)))
        if not raw.num_rows:
            raise DataError(f"{self.folder / FILES[0].name} has no transaction from {self.start} to {self.end}")
        at = _ORIGIN + numbers(raw, "TX_TIME_SECONDS", int) * SECOND
        customer, terminal = numbers(raw, "CUSTOMER_ID", int), numbers(raw, "TERMINAL_ID", int)
        amount, fraud = numbers(raw, "TX_AMOUNT", float), numbers(raw, "TX_FRAUD", int) > 0
        key = numbers(raw, "TRANSACTION_ID", int).tolist()
        keys = {"customer": customer, "terminal": terminal}
        verdict, paid = (column([f"{name}-{k}" for k in key], str) for name in ("verdict", "transaction"))
        streams = {
            "card": _compromised(customer[fraud], at[fraud], instant(self.blocked_from)),
            "verdict": Table({"id": verdict, "at": at, "arrived": at + _DELAY, **keys, "fraud": fraud}),
            "transaction": Table({"id": paid, "at": at, "arrived": at, **keys, "amount": amount, **_clock(at)}),
        }
        end = instant(self.end)
        yield from by_arrival({name: table.take(table["arrived"] < end) for name, table in streams.items()})


def _clock(at: Array) -> dict[str, Array]:
    """Whether it is night (until seven) or the weekend, as the handbook counts them; no decision of ours."""
    weekday = (at // DAY + 3) % 7
    nobody = column([None] * len(at), str)
    return {"night": at % DAY < 7 * HOUR, "weekend": weekday >= 5, "decision": nobody}


def _compromised(customer: Array, at: Array, since: int) -> Table:
    """An event for each customer with a fraud, once: at the midnight by which the day of the first one is all known."""
    late = at >= since
    who, where = np.unique(customer[late], return_inverse=True)
    known = np.full(len(who), np.iinfo(np.int64).max)
    np.minimum.at(known, where, at[late] // DAY * DAY + DAY + _DELAY)
    ids = column([f"card-{key}" for key in who.tolist()], str)
    return Table(
        {"id": ids, "at": known, "arrived": known, "customer": who, "compromised": np.ones(len(who), np.bool_)}
    )
