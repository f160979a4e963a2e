"""Filters: what must not be shown."""

from dataclasses import dataclass, field

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array
from sixfold.data.events import Events, Field
from sixfold.features.definitions import Feature, Recent, Request
from sixfold.features.recents import attribute
from sixfold.serve.stages import View

__all__ = ["Seen", "Where"]


@dataclass(frozen=True, slots=True)
class Seen:
    """Removes the items of the subject's last `last` events of `stream`, whose keys are (subject, item)."""

    stream: Events
    last: int = 500
    name: str = "seen"
    recent: Recent = field(init=False)

    def __post_init__(self) -> None:
        problems = []
        if len(self.stream.keys) != 2:
            keys = tuple(key.name for key in self.stream.keys)
            problems.append(
                f"Seen({self.stream.name!r}): the stream's keys must be the subject and the item, not {keys}"
            )
        if self.last < 1:
            problems.append(f"Seen({self.stream.name!r}): last must be at least 1, not {self.last}")
        if problems:
            raise DefinitionError(problems)
        subject, item = self.stream.keys
        name = f"{self.name}_{self.stream.name}_{self.last}"
        object.__setattr__(self, "recent", Recent(name, self.stream, item, (subject,), self.last, False))

    @property
    def features(self) -> tuple[Feature, ...]:
        """The sequence of what was seen."""
        return (self.recent,)

    def keep(self, view: View, keys: Array) -> Array:
        """False for what was seen."""
        seen = view.value(self.recent)
        if keys.dtype == object:
            texts = set(seen.tolist())
            return np.array([key not in texts for key in keys.tolist()], np.bool_)
        return np.asarray(np.isin(keys, seen, invert=True))


@dataclass(frozen=True, slots=True)
class Where:
    """Keeps the items whose `by` equals the field of that name in the request's context; all where it says nothing."""

    by: Field
    attribute: Feature = field(init=False)

    def __post_init__(self) -> None:
        if len(self.by.events.keys) != 1:
            raise DefinitionError([f"Where({self.by!r}): the stream must be about the item alone, such as doc_meta"])
        feature = attribute(self.by)
        object.__setattr__(self, "attribute", feature.named(f"{self.name}_{self.by.events.name}"))

    @property
    def name(self) -> str:
        """Where, and the field."""
        return f"where_{self.by.name}"

    @property
    def features(self) -> tuple[Feature, ...]:
        """The attribute of the item, and the field of the request."""
        return self.attribute, Request(self.by.name, str if self.by.is_text else float)

    def keep(self, view: View, keys: Array) -> Array:
        """True for the items of the wanted value."""
        wanted = view.request.context.get(self.by.name)
        if wanted is None:
            return np.ones(len(keys), np.bool_)
        return np.asarray(view.values(self.attribute, keys) == wanted, np.bool_)

    def allowed(self, view: View) -> Array | None:
        """The keys of all items of the wanted value, None where none is wanted."""
        wanted = view.request.context.get(self.by.name)
        return None if wanted is None else view.having(self.attribute, wanted)
