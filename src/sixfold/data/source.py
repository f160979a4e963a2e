"""Where events come from: a data set or a simulated world, as chunks of raw tables in order of arrival."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from sixfold._core.table import Table

__all__ = ["Source"]


class Source(Protocol):
    """A finite history of raw events; the system file says which streams and columns there are, ingest checks them.

    A chunk maps stream names to tables with `id`, `at`, `arrived` and the columns of the stream. `arrived` never
    decreases from one chunk to the next; at equal arrival the order of the streams in the mapping decides, then the
    row. Rows are as they came: a column with a damaged value has dtype object, whatever the stream's type is.
    """

    @property
    def name(self) -> str:
        """The name that the command line knows it by."""
        ...

    @property
    def utc_offset_s(self) -> int:
        """Seconds that local time is ahead of UTC: days of a time split start at local midnight."""
        ...

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival, ten thousands at a time; raises DataError before the first if it cannot."""
        ...
