"""Where events come from: a data set or a simulated world, as chunks of raw tables in order of arrival."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from sixfold._core.table import Table

__all__ = ["Live", "Source", "Visit", "by_arrival"]


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


class Visit(Protocol):
    """Somebody who asks the service once: the request, and how that person reacts to the answer."""

    def ask(self) -> dict[str, Any]:
        """The body of POST /v1/decide."""
        ...

    def react(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """The body of POST /v1/events, [] where nothing is known of how people react."""
        ...


@runtime_checkable
class Live(Protocol):
    """A source whose people can be asked to come: a simulated world, not a recorded log."""

    def visits(self, n: int, *, seed: int, prefix: str) -> list[Visit]:
        """The next `n` visits, deterministic in `seed`; their decisions are called `prefix`-0, `prefix`-1, …"""
        ...


def by_arrival(streams: Mapping[str, Table], *, rows: int = 50_000) -> Iterator[dict[str, Table]]:
    """Whole streams as the chunks of a source, `rows` events each; streams without events in a chunk are left out.

    >>> one, two = Table({"arrived": np.array([5, 1])}), Table({"arrived": np.array([5])})
    >>> for chunk in by_arrival({"a": one, "b": two}, rows=2):
    ...     print({name: table["arrived"].tolist() for name, table in chunk.items()})
    {'a': [1, 5]}
    {'b': [5]}
    """
    if not streams:
        return
    order = np.argsort(np.concatenate([table["arrived"] for table in streams.values()]), kind="stable")
    starts = np.cumsum([0, *map(len, streams.values())])
    for begin in range(0, len(order), rows):
        chosen = order[begin : begin + rows]
        parts = {
            name: table.take(chosen[(chosen >= start) & (chosen < start + len(table))] - start)
            for (name, table), start in zip(streams.items(), starts[:-1], strict=True)
        }
        yield {name: part for name, part in parts.items() if part}
