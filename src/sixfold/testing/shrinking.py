"""Taking away from a history all that a fault does not need."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from sixfold._core.times import DAY, HOUR, MINUTE
from sixfold.testing.histories import Case, Fact

__all__ = ["shrunk"]

_TIMES = (0, MINUTE, 5 * MINUTE, HOUR, DAY, 9 * DAY)
_PLAINER: dict[str, tuple[Any, ...]] = {
    "undoes": (0, 1),
    "lag": _TIMES,
    "gap": _TIMES,
    "wait": _TIMES,
    "user": (0,),
    "video": (0,),
    "term": ("a",),
    "number": (0.5, 1.0, 2.0),
    "whole": (1, 2),
    "text": ("a", "b"),
    "flag": (True,),
    "tab": ("a",),
    "score": (0.5,),
}


def shrunk(case: Case, is_broken: Callable[[Case], bool], *, most_tries: int = 4000) -> Case:
    """The simplest case found that is still broken, with less in it or plainer facts; ends after `most_tries`."""
    tries = 0
    while True:
        for other in _simpler(case):
            tries += 1
            if tries > most_tries:
                return case
            if is_broken(other):
                case = other
                break
        else:
            return case


def _simpler(case: Case) -> Iterator[Case]:
    yield from _fewer(case)
    for part in ("facts", "moments"):
        items = getattr(case, part)
        for i, item in enumerate(items):
            for plainer in _plainer(item):
                yield replace(case, **{part: (*items[:i], plainer, *items[i + 1 :])})


def _fewer(case: Case) -> Iterator[Case]:
    """First large pieces away, then single ones."""
    if len(case.moments) > 1:
        for moment in case.moments:
            yield replace(case, moments=(moment,))
    size = len(case.facts) // 2
    while size:
        for low in range(0, len(case.facts), size):
            gone = case.facts[low : low + size]
            rest = _nearer(case.facts[low + size :], len(gone))
            yield replace(case, facts=case.facts[:low] + rest)
            if rest and (waited := sum(fact.gap for fact in gone)):  # the same, with the clock where it was
                yield replace(case, facts=(*case.facts[:low], replace(rest[0], gap=rest[0].gap + waited), *rest[1:]))
        size //= 2


def _nearer(facts: tuple[Fact, ...], n_gone: int) -> tuple[Fact, ...]:
    """The facts after a gap that has closed: what lies before it and is taken back stays so."""
    return tuple(
        replace(fact, undoes=max(fact.undoes - n_gone, 1)) if fact.undoes > j else fact
        for j, fact in enumerate(facts, 1)
    )


def _plainer(item: Any) -> Iterator[Any]:
    for name, values in _PLAINER.items():
        if not hasattr(item, name):
            continue
        for value in values:
            if getattr(item, name) == value:
                break
            if values is not _TIMES or value < abs(getattr(item, name)):
                yield replace(item, **{name: value})
