"""The problem as a contract: what is decided, what each outcome is worth, and what must hold."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from sixfold._core.errors import DefinitionError, InputError
from sixfold._core.times import duration
from sixfold.frame.task import Task

__all__ = ["Limit", "Objective", "Outcome", "Problem", "Scale"]


@runtime_checkable
class Outcome(Protocol):
    """Anything with a name that an objective can put a value on; labels are outcomes."""

    @property
    def name(self) -> str:
        """The outcome's name."""
        ...


@dataclass(frozen=True, slots=True)
class Objective:
    """What each outcome is worth, in the unit the business counts in; negative for harm.

    The value of showing an item is the sum over outcomes of worth times the predicted outcome.
    """

    worth: Mapping[Outcome, float]

    def __post_init__(self) -> None:
        problems = [
            f"outcome {o.name!r} is worth {w!r}: give it a number other than 0, or leave it out"
            for o, w in self.worth.items()
            if not isinstance(w, int | float) or w == 0 or math.isnan(w)
        ]
        if not self.worth:
            problems.append("an objective needs at least one outcome with a worth")
        if problems:
            raise DefinitionError(problems)


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on a measured quantity that a release must keep: an upper bound, a lower bound, or both.

    `metric` is the name of a measured quantity, such as "p99_ms", "ece" or "recall@k"; a system refuses what
    nobody measures. A bound may be written as a duration, which is kept in microseconds.

    >>> Limit("freshness", at_most="1m").at_most
    60000000.0
    >>> Limit("recall@k", at_least=0.2).broken_by(0.25)
    False
    """

    metric: str
    at_most: float | str | None = None
    at_least: float | str | None = None

    def __post_init__(self) -> None:
        if self.at_most is None and self.at_least is None:
            raise DefinitionError([f"limit {self.metric!r} has no bound: give at_most, at_least or both"])
        for name in ("at_most", "at_least"):
            bound = getattr(self, name)
            if bound is not None:
                try:
                    number = float(duration(bound)) if isinstance(bound, str) else float(bound)
                except InputError as error:
                    raise DefinitionError([f"limit {self.metric!r}: {error}"]) from error
                object.__setattr__(self, name, number)

    def broken_by(self, value: float) -> bool:
        """Whether a measured `value` lies outside the bounds; a value that is not a number always does."""
        low = -float("inf") if self.at_least is None else float(self.at_least)
        high = float("inf") if self.at_most is None else float(self.at_most)
        return not low <= value <= high


@dataclass(frozen=True, slots=True)
class Scale:
    """What the system is expected to carry: the assumptions that a load test is held against."""

    users: int
    items: int
    decisions_per_s: float


@dataclass(frozen=True, slots=True)
class Problem:
    """A business goal made into a contract.

    `objective` is what outcomes are worth where items compete; a choice has costs of its own, a forecast none. `online`
    names the metrics the business watches; `privacy` says in plain words what is personal and why it is kept.
    """

    goal: str
    task: Task
    objective: Objective | None = None
    online: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    scale: Scale | None = None
    privacy: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        problems = []
        if not self.goal.strip():
            problems.append("the problem states no goal: say in one sentence what gets better for whom")
        names = [limit.metric for limit in self.limits]
        problems += [
            f"limit {name!r} is stated {names.count(name)} times"
            for name in sorted(set(names))
            if names.count(name) > 1
        ]
        if problems:
            raise DefinitionError(problems)
