"""Tasks: what is decided, for whom. The shape of a system is its task and which stages its pipeline has."""

from dataclasses import dataclass

from sixfold._core.errors import DefinitionError, InputError
from sixfold._core.times import DAY, duration
from sixfold.frame.entity import Entity

__all__ = ["Choose", "Forecast", "Rank", "Task"]


@dataclass(frozen=True, slots=True)
class Rank:
    """Choosing and ordering items of one entity for one other entity: a feed, a shelf, the answer to a query."""

    item: Entity
    per: Entity

    def __post_init__(self) -> None:
        if self.item == self.per:
            raise DefinitionError([f"the task ranks {self.item.name!r} for itself: name two different entities"])

    @property
    def about(self) -> tuple[Entity, ...]:
        """What else a request names: nothing."""
        return ()

    @property
    def known(self) -> tuple[Entity, ...]:
        """The entities that a request and its candidates name."""
        return self.per, self.item

    def __str__(self) -> str:
        return f"rank {self.item.name} for each {self.per.name}"


@dataclass(frozen=True, slots=True)
class Choose:
    """Choosing one of a few named actions for an event as it comes, such as a payment.

    A request names `per` and the entities of `about`; the fields of the event come as request fields.

    >>> customer, terminal = Entity("customer"), Entity("terminal")
    >>> print(Choose(("approve", "review"), per=customer, about=(terminal,)))
    choose approve or review for each event of customer and terminal
    """

    actions: tuple[str, ...]
    per: Entity
    about: tuple[Entity, ...] = ()

    def __post_init__(self) -> None:
        problems = []
        if len(set(self.actions)) != len(self.actions) or len(self.actions) < 2:
            problems.append(f"a choice needs at least two different actions; found {self.actions}")
        if len({self.per, *self.about}) != 1 + len(self.about):
            problems.append("a choice names an entity twice: name `per` and those of `about` once each")
        if problems:
            raise DefinitionError(problems)

    @property
    def item(self) -> None:
        """Nothing is chosen among but the actions."""
        return

    @property
    def known(self) -> tuple[Entity, ...]:
        """The entities that a request names."""
        return self.per, *self.about

    def __str__(self) -> str:
        return f"choose {' or '.join(self.actions)} for each event of {' and '.join(e.name for e in self.known)}"


@dataclass(frozen=True, slots=True)
class Forecast:
    """Saying what the next `steps` periods of `every` will bring for each series.

    >>> print(Forecast(per=Entity("product"), steps=14))
    forecast 14 steps of 1d for each product
    """

    per: Entity
    steps: int
    every: str = "1d"

    def __post_init__(self) -> None:
        problems = [] if self.steps >= 1 else [f"a forecast needs at least 1 step, not {self.steps}"]
        try:
            if duration(self.every) <= 0 or duration(self.every) % DAY:
                problems.append(f"a forecast is in whole days, such as '1d' or '7d'; found {self.every!r}")
        except InputError as error:
            problems.append(f"forecast: every: {error}")
        if problems:
            raise DefinitionError(problems)

    @property
    def item(self) -> None:
        """Nothing is chosen among."""
        return

    @property
    def about(self) -> tuple[Entity, ...]:
        """What else a request names: nothing."""
        return ()

    @property
    def known(self) -> tuple[Entity, ...]:
        """The entity that a request names."""
        return (self.per,)

    def __str__(self) -> str:
        return f"forecast {self.steps} steps of {self.every} for each {self.per.name}"


Task = Rank | Choose | Forecast
