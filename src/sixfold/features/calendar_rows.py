"""The rows of a calendar for a stored training set: worked out from the log, in order of origin, with their labels."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Table
from sixfold.data.calendar import Calendar
from sixfold.data.labels import Label, label_values
from sixfold.data.log import Log
from sixfold.data.retraction import RETRACTION
from sixfold.features.backfill import offsets_as_known
from sixfold.features.impressions import Resolve, digest_of

__all__ = ["CalendarRows"]

_ORIGINS = 16


class CalendarRows:
    """The rows of the origins in `within` of which all steps are over by `now`, as `Impressions` are those of a stream.

    The events that series and labels are made of are held in memory, the rows are not.
    """

    def __init__(
        self, log: Log, labels: Sequence[Label], *, stop: int, within: tuple[int, int], now: int, utc_offset_s: int
    ) -> None:
        calendar = labels[0].of
        if not isinstance(calendar, Calendar):
            raise DefinitionError([f"{labels[0].name!r} is no label of a calendar"])
        self.stream: Calendar = calendar
        self.n_rows = 0
        self.last_at = 0
        self._labels, self._utc_offset_s = labels, utc_offset_s
        streams = {calendar.events.name, RETRACTION, *(label.outcome.name for label in labels)}
        self._history = log.read(0, stop, sorted(streams))
        events = self._history.get(calendar.events.name)
        first = int(events["at"].min()) if events else now
        ripe = now - max(label.maturity for label in labels)
        self._origins = calendar.origins((max(within[0], first), min(within[1], ripe + 1)), utc_offset_s)

    def survey(self, resolve: Resolve, progress: Callable[[float], None]) -> dict[str, str]:
        """Work everything out once: count the rows, and give a digest of each stream's content."""
        for rows in self._rows():
            self.n_rows += len(rows)
            self.last_at = max(self.last_at, int(rows["at"].max(initial=0)))
        progress(1.0)
        return {name: digest_of(table) for name, table in self._history.items()}

    def slices(self, n_rows: int) -> Iterator[tuple[Table, Table, Table]]:
        """Rows in order of origin, `n_rows` at a time, with the values and the weights of their labels."""
        waiting: list[Table] = []
        for rows in self._rows():
            waiting.append(rows)
            while sum(map(len, waiting)) >= n_rows:
                whole = Table.concat(waiting)
                yield self._labelled(whole.take(slice(n_rows)))
                waiting = [whole.take(slice(n_rows, None))]
        if any(waiting):
            yield self._labelled(Table.concat(waiting))

    def _rows(self) -> Iterator[Table]:
        for start in range(0, len(self._origins), _ORIGINS):
            some = self._origins[start : start + _ORIGINS]
            known = offsets_as_known(self._history, some, lag="0s")
            yield self.stream.rows(self._history, some, np.asarray(known), utc_offset_s=self._utc_offset_s)

    def _labelled(self, rows: Table) -> tuple[Table, Table, Table]:
        return rows, *label_values(self._labels, rows, self._history)
