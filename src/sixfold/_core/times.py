"""Time: instants and durations as whole microseconds, and clocks that are passed in, never reached for."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sixfold._core.errors import InputError

__all__ = ["DAY", "HOUR", "MINUTE", "SECOND", "Clock", "ManualClock", "duration", "format_duration", "instant", "iso"]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Clock = Callable[[], int]
"""Returns the present instant in microseconds since 1970-01-01 UTC."""

_UNITS = {"us": 1, "ms": 1_000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"(\d+)(us|ms|s|m|h|d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def duration(text: str) -> int:
    """The microseconds of a duration such as "30m", "7d" or "250ms"; raises InputError on anything else.

    >>> duration("5m"), duration("1d") == 24 * duration("1h")
    (300000000, True)
    """
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InputError(
            f"{text!r} is not a duration", hint='write a whole number and a unit, such as "30m", "12h", "7d"'
        )
    return int(match[1]) * _UNITS[match[2]]


def format_duration(micros: int) -> str:
    """The shortest exact text of a duration: the inverse of `duration`.

    >>> format_duration(90 * 60 * 1_000_000), format_duration(7 * 86_400 * 1_000_000), format_duration(0)
    ('90m', '7d', '0s')
    """
    if micros == 0:
        return "0s"
    unit, size = next((u, s) for u, s in sorted(_UNITS.items(), key=lambda item: -item[1]) if micros % s == 0)
    return f"{micros // size}{unit}"


def instant(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 time; UTC where no offset is given; raises InputError.

    >>> instant("1970-01-02") == DAY, instant("2022-05-06T00:00:00+08:00") == instant("2022-05-05T16:00:00")
    (True, True)
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is not a time", hint='write it as "2026-01-31T12:00:00Z"') from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def iso(micros: int) -> str:
    """ISO 8601 text in UTC, to the microsecond only where it matters.

    >>> iso(DAY), iso(DAY + 1)
    ('1970-01-02T00:00:00Z', '1970-01-02T00:00:00.000001Z')
    """
    seconds, rest = divmod(int(micros), SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:06d}Z" if rest else f"{text}Z"


def system_clock() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000


def clock_from(start: int) -> Clock:
    """A clock that reads `start` now and runs at the speed of the wall from there: for replaying history as if live."""
    began = time.monotonic_ns()
    return lambda: start + (time.monotonic_ns() - began) // 1_000


class ManualClock:
    """A clock that moves only when told to.

    >>> clock = ManualClock(5)
    >>> clock.advance(2)
    >>> clock()
    7
    """

    def __init__(self, now: int = 0) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, micros: int) -> None:
        """Move forward by `micros` >= 0."""
        if micros < 0:
            raise InputError(f"a clock cannot move back ({micros} microseconds)")
        self.now += micros
