"""Features of a forecast: what the calendar says of a step ahead, and what there was the same day of past seasons."""

from collections.abc import Iterable

from sixfold._core.errors import DefinitionError
from sixfold._core.times import DAY
from sixfold.data.calendar import Calendar
from sixfold.data.expr import Expr, if_else
from sixfold.features.aggregates import sum as total
from sixfold.features.aggregates import what
from sixfold.features.definitions import Computed, Request
from sixfold.features.recents import request

__all__ = ["beforehand", "season"]


def beforehand(calendar: Calendar, *names: str) -> tuple[Request, ...]:
    """What is known of a step before it comes, such as its weekday: the named columns of a calendar, or all.

    >>> from sixfold.data.events import Events
    >>> from sixfold.frame import Entity
    >>> shop = Entity("shop")
    >>> calendar = Calendar(Events("sale", keys=(shop,)), per=shop, steps=7)
    >>> [feature.name for feature in beforehand(calendar, "step", "weekday")]
    ['step', 'weekday']
    """
    if lost := [name for name in names if name not in calendar.known]:
        raise DefinitionError([f"the calendar knows no {lost} beforehand; it knows {', '.join(calendar.known)}"])
    return tuple(request(name, float) for name in names or calendar.known)


def season(value: Expr, calendar: Calendar, *, length: int = 7, back: int | Iterable[int] = 1) -> Computed:
    """What `value` added up to in the period that lies `back` seasons before each step, at least one whole season ago.

    A season has `length` periods: with days, the same weekday of last week, or for steps further ahead than a week the
    last one that is known. Several `back` give the mean of them. Sums of windows make it, whose edges lie at midnight
    UTC beyond twelve days: where local midnight does not, such a day is that of UTC.
    """
    backs = (back,) if isinstance(back, int) else tuple(back)
    if length < 1 or not backs or min(backs) < 1:
        raise DefinitionError([f"season: length and back are at least 1, not {length} and {backs}"])
    step = request("step", float)
    found: Expr | None = None
    for place in range(length):
        nearest = length - place
        here = [nearest + length * (one - 1) for one in backs]
        mean = _mean([_in_period(value, calendar, periods) for periods in here])
        steps = range(place + 1, calendar.steps + 1, length)
        if not steps:
            break
        hit = step.equals(steps[0])
        for other in steps[1:]:
            hit = hit | step.equals(other)
        found = mean if found is None else if_else(hit, mean, found)
    name = f"season_{what(value)}_{'_'.join(map(str, backs))}"
    assert found is not None
    return Computed(name, found)


def _in_period(value: Expr, calendar: Calendar, periods: int) -> Expr:
    """What the values added up to in the period that began so many periods ago."""
    days = calendar.period // DAY
    sums = [total(value, by=calendar.per, over=f"{days * n}d") for n in (periods, periods - 1) if n]
    return sums[0] if len(sums) == 1 else sums[0] - sums[1]


def _mean(parts: list[Expr]) -> Expr:
    out = parts[0]
    for part in parts[1:]:
        out = out + part
    return out if len(parts) == 1 else out / len(parts)
