"""Filters: what must not be shown."""

from dataclasses import dataclass, field

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array
from sixfold.data.events import Events
from sixfold.features.definitions import Feature, Recent
from sixfold.serve.stages import View

__all__ = ["Seen"]


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
