"""The spine of a forecast: a row for each series, origin and step ahead, worked out from the log, and not in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError, InputError
from sixfold._core.table import Array, Table
from sixfold._core.times import DAY, SECOND, duration, format_duration
from sixfold.data.events import Events
from sixfold.data.retraction import NEVER, ends
from sixfold.frame import Entity

__all__ = ["Calendar"]

_COLUMNS = ("step", "weekday", "day", "month", "year_end", "holiday", "to_holiday", "since_holiday")
_FAR = 14
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """What there is to forecast: for each series of `events` per `per`, and each origin, `steps` periods of `every`.

    An origin is a local midnight, every `apart`, counted from 1970. A row stands for one period: it begins `step` - 1
    periods after the origin, and what is known of it is what had arrived before the origin. A series has rows at an
    origin if by then it had `at_least` events that happened in the time `over` before it, or at any time. `holidays`
    are days such as "2010-04-02", or "12-25" of every year, known beforehand.

    >>> product = Entity("product")
    >>> calendar = Calendar(Events("sale", keys=(product,)), per=product, steps=2, holidays=("12-25",))
    >>> ahead = calendar.ahead(calendar.origin(1_293_000_000_000_000, 0), 0)  # asked on 2010-12-22
    >>> ahead["day"].tolist(), ahead["weekday"].tolist(), ahead["to_holiday"].tolist()
    ([23.0, 24.0], [3.0, 4.0], [2.0, 1.0])
    """

    events: Events
    per: Entity
    steps: int
    every: str = "1d"
    apart: str = "1d"
    at_least: int = 1
    over: str | None = None
    holidays: tuple[str, ...] = ()
    name: str = "calendar"

    def __post_init__(self) -> None:
        problems = []
        if self.per not in self.events.keys:
            problems.append(f"calendar: events of {self.events.name!r} do not name the {self.per.name!r}")
        if self.steps < 1 or self.at_least < 1:
            problems.append(f"calendar: steps and at_least are at least 1, not {self.steps} and {self.at_least}")
        for what in ("every", "apart", "over"):
            problems += _days_problem(what, getattr(self, what))
        for text in self.holidays:
            try:
                date.fromisoformat(f"2000-{text}" if len(text) == 5 else text)
            except ValueError:
                problems.append(f"calendar: a holiday is a day such as '2010-04-02' or '12-25', not {text!r}")
        if problems:
            raise DefinitionError(problems)

    @property
    def keys(self) -> tuple[Entity, ...]:
        """Whose series they are."""
        return (self.per,)

    @property
    def columns(self) -> dict[str, type]:
        """The columns of a row besides `at` and `offset`, with their types: the key, and what is known beforehand."""
        return {self.per.name: self.per.key, **dict.fromkeys(_COLUMNS, float)}

    @property
    def known(self) -> tuple[str, ...]:
        """What is known of a period beforehand; `day` is of the month, `year_end` the days until the year ends.

        `to_holiday` and `since_holiday` are days to the nearest one, 14 where there is none so near.
        """
        return _COLUMNS

    @property
    def period(self) -> int:
        """Microseconds of one step."""
        return duration(self.every)

    @property
    def reach(self) -> int:
        """Microseconds from an origin to the end of its last step."""
        return self.steps * self.period

    def spec(self) -> Any:
        """The definition as plain values."""
        over = None if self.over is None else format_duration(duration(self.over))
        spans = [format_duration(duration(text)) for text in (self.every, self.apart)]
        shape = [self.steps, *spans, self.at_least, over, list(self.holidays)]
        return ["calendar", self.name, self.events.spec(), self.per.name, *shape]

    def origin(self, at: int, utc_offset_s: int) -> int:
        """The first local midnight at or after an instant: where a forecast that is asked for then begins."""
        shift = utc_offset_s * SECOND
        return -((-at - shift) // DAY) * DAY - shift

    def origins(self, within: tuple[int, int], utc_offset_s: int) -> Array:
        """The origins in [start, stop), in order of time."""
        shift, apart = utc_offset_s * SECOND, duration(self.apart)
        first, last = (-((-instant - shift) // apart) for instant in within)
        return np.arange(first, last, dtype=np.int64) * apart - shift

    def ahead(self, origin: int, utc_offset_s: int) -> Table:
        """What is known beforehand of the steps after one origin: `known`, each (steps,) float64."""
        first = (origin + utc_offset_s * SECOND) // DAY
        every = self.period // DAY
        numbers = [first + every * step for step in range(self.steps)]
        days = [_EPOCH + timedelta(days=number) for number in numbers]
        around = range(numbers[0] - _FAR, numbers[-1] + _FAR + 1)
        holidays = np.array([number for number in around if self._is_holiday(number)], np.int64)
        gaps = holidays[None, :] - np.array(numbers)[:, None]
        columns = {
            "step": list(range(1, self.steps + 1)),
            "weekday": [day.weekday() for day in days],
            "day": [day.day for day in days],
            "month": [day.month for day in days],
            "year_end": [(date(day.year, 12, 31) - day).days for day in days],
            "holiday": (gaps == 0).any(axis=1),
            "to_holiday": np.where(gaps >= 0, gaps, _FAR).min(axis=1, initial=_FAR),
            "since_holiday": np.where(gaps <= 0, -gaps, _FAR).min(axis=1, initial=_FAR),
        }
        return Table({name: np.asarray(columns[name], np.float64) for name in _COLUMNS})

    def _is_holiday(self, number: int) -> bool:
        text = (_EPOCH + timedelta(days=number)).isoformat()
        return text in self.holidays or text[5:] in self.holidays

    def rows(self, history: Mapping[str, Table], at: Array, offset: Array, *, utc_offset_s: int) -> Table:
        """The rows of origins `at` (n_origins,), of which `offset` says what had arrived: by origin, series and step.

        Columns are the key, `at` and `offset` of the origin, and those of `known`.
        """
        table = history.get(self.events.name, Table({}))
        if not table or not len(at):
            empty = {n: np.empty(0, object if kind is str else np.float64) for n, kind in self.columns.items()}
            key = np.empty(0, object if self.per.key is str else np.int64)
            return Table({**empty, self.per.name: key, "at": at[:0], "offset": offset[:0]})
        keys, code = np.unique(table[self.per.name], return_inverse=True)
        over = ends(history, table)
        gone = np.full(len(table), NEVER) if over is None else over
        seen = [self._seen(table, gone, *moment) for moment in zip(at.tolist(), offset.tolist(), strict=True)]
        counts = np.array([np.bincount(code[rows], minlength=len(keys)) for rows in seen])
        which, series = np.nonzero(counts >= self.at_least)
        ahead = [self.ahead(int(origin), utc_offset_s) for origin in at]
        beforehand = {name: np.array([one[name] for one in ahead]) for name in _COLUMNS}
        n = len(which) * self.steps
        columns = {
            self.per.name: np.repeat(keys[series], self.steps),
            "at": np.repeat(at[which], self.steps),
            "offset": np.repeat(offset[which], self.steps),
            **{name: values[which].reshape(n) for name, values in beforehand.items()},
        }
        return Table(columns, n_rows=n)

    def _seen(self, table: Table, gone: Array, at: int, offset: int) -> Array:
        """The events that count for an origin, as rows of `table`; `gone` is the offset that takes each back."""
        stop = int(np.searchsorted(table["offset"], offset))
        happened = table["at"][:stop]
        counts = (gone[:stop] >= offset) & (happened < at)
        if self.over is not None:
            counts &= happened >= at - duration(self.over)
        return np.flatnonzero(counts)

    def totals(self, rows: Table, events: Table, values: Array) -> Array:
        """The sum of `values` (n_events,) over the events of each row's series in its period, 0 where none, (n_rows,).

        An event counts by when it happened, however late it came.
        """
        if not rows or not events:
            return np.zeros(len(rows))
        _, code = np.unique(np.concatenate([rows[self.per.name], events[self.per.name]]), return_inverse=True)
        mine, theirs = code[: len(rows)], code[len(rows) :]
        order = np.lexsort((events["at"], theirs))
        begins = rows["at"] + (rows["step"].astype(np.int64) - 1) * self.period
        # Keys and times as one number that grows with both: every period is then a range of the sorted events.
        origin = int(min(events["at"].min(), begins.min()))
        span = int(max(events["at"].max(), begins.max())) - origin + self.period + 1
        if int(code.max()) + 1 > np.iinfo(np.int64).max // span:
            raise InputError(f"there are too many series of {self.per.name!r} over too long a time")
        placed = (theirs * span + (events["at"] - origin))[order]
        sums = np.append(0.0, np.cumsum(values[order]))
        first = np.searchsorted(placed, mine * span + (begins - origin))
        last = np.searchsorted(placed, mine * span + (begins - origin) + self.period)
        return np.where(last > first, sums[last] - sums[first], 0.0)


def _days_problem(what: str, text: str | None) -> list[str]:
    if text is None:
        return []
    try:
        length = duration(text)
    except InputError as error:
        return [f"calendar: {what}: {error}"]
    return [] if length > 0 and length % DAY == 0 else [f"calendar: {what} is {text}: give whole days, such as '7d'"]
