"""Splits in time: learn from the past, tune on what came next, judge on what came after that."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sixfold._core.errors import DefinitionError, InputError
from sixfold._core.times import DAY, SECOND, duration, format_duration
from sixfold.data.labels import Label

__all__ = ["Bounds", "TimeSplit"]

Span = tuple[int, int]
"""From the first instant to just before the last, in microseconds."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Three spans, the test last; an impression at `t` belongs to a span (a, b) if a <= t < b."""

    train: Span
    validate: Span
    test: Span

    @property
    def start(self) -> int:
        """The first instant of all."""
        return min(self.train[0], self.validate[0])


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Whole days of local time, counted back from the end: train, then validate, then test.

    The gap is cut off the end of train and of validate: a label that is mature after the gap is then final before
    the next span begins, so that nothing learned or tuned has seen the days it is judged on.

    Where labels mature slowly, two gaps would make the newest day that is learned from weeks old. With `newest="train"`
    validate comes first, then train, and the one gap lies before the test: models learn from the newest labels there
    are, and are tuned on the days before. `rest` days at the end are left out: what happened in them is in the log, but
    not yet what came of it.

    >>> split = TimeSplit(train="11d", validate="1d", test="2d", gap="1h")
    >>> from sixfold._core.times import instant, iso
    >>> bounds = split.bounds(instant("2022-05-08T23:52:10+08:00"), 8 * 3600)
    >>> [iso(t) for t in bounds.train]
    ['2022-04-24T16:00:00Z', '2022-05-05T15:00:00Z']
    >>> [iso(t) for t in bounds.test]
    ['2022-05-06T16:00:00Z', '2022-05-08T16:00:00Z']
    >>> late = TimeSplit(train="14d", validate="7d", test="7d", gap="7d", newest="train", rest="7d")
    >>> bounds = late.bounds(instant("2018-08-21T23:58:00"), 0)
    >>> [iso(t)[:10] for t in (*bounds.validate, *bounds.train, *bounds.test)]
    ['2018-07-18', '2018-07-25', '2018-07-25', '2018-08-01', '2018-08-08', '2018-08-15']
    """

    train: str
    validate: str
    test: str
    gap: str
    newest: Literal["train", "validate"] = "validate"
    rest: str = "0d"

    def __post_init__(self) -> None:
        problems = []
        lengths = dict.fromkeys(("train", "validate", "test", "gap", "rest"), 0)
        for name in lengths:
            try:
                lengths[name] = duration(getattr(self, name))
            except InputError as error:
                problems.append(f"split: {name}: {error}")
        if not problems:
            problems += [
                f'split: {name} is {getattr(self, name)}; give whole days, at least one, such as "7d"'
                for name in ("train", "validate", "test")
                if lengths[name] <= 0 or lengths[name] % DAY
            ]
            if lengths["rest"] % DAY:
                problems.append(f'split: rest is {self.rest}; give whole days, such as "7d", or none')
            problems += [
                f"split: a gap of {self.gap} leaves nothing of {name} ({getattr(self, name)})"
                for name in (("train",) if self.newest == "train" else ("train", "validate"))
                if 0 < lengths[name] <= lengths["gap"]
            ]
        if problems:
            raise DefinitionError(problems)

    def bounds(self, end_at: int, utc_offset_s: int) -> Bounds:
        """The spans that end `rest` before the local midnight nearest to `end_at`, the time of the last impression."""
        shift = utc_offset_s * SECOND
        end = (end_at + shift + DAY // 2) // DAY * DAY - shift
        end -= duration(self.rest)
        test = end - duration(self.test)
        gap = duration(self.gap)
        if self.newest == "train":
            train = test - duration(self.train)
            return Bounds((train, test - gap), (train - duration(self.validate), train), (test, end))
        validate = test - duration(self.validate)
        train = validate - duration(self.train)
        return Bounds(train=(train, validate - gap), validate=(validate, test - gap), test=(test, end))

    def problems(self, labels: Iterable[Label]) -> list[str]:
        """A sentence for each label that would still change after the gap, in the order given."""
        gap = duration(self.gap)
        return [
            f"label {label.name!r} is final only after {format_duration(label.maturity)}, but the split leaves a gap "
            f"of {self.gap}: make the gap at least {format_duration(label.maturity)}"
            for label in labels
            if label.maturity > gap
        ]

    def spec(self) -> list[str]:
        """The definition as plain values."""
        return [
            "split",
            *(format_duration(duration(text)) for text in (self.train, self.validate, self.test, self.gap)),
            *(["newest train"] if self.newest == "train" else []),
            *(["rest", self.rest] if duration(self.rest) else []),
        ]
