"""Selection: from ranked candidates to a slate, with a cap for diversity and slots for exploration.

Propensities. Of the n slots, e explore. The n - e best that the cap allows are shown for certain (propensity 1). The
e others are drawn uniformly, without replacement, from the m candidates that are left and cannot break the cap, each
with propensity e / m, and put at random positions. With m = 0 the slate is the n best and every propensity is 1.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array
from sixfold.data.events import Field
from sixfold.features.definitions import Feature
from sixfold.features.recents import attribute
from sixfold.serve.candidates import Candidates
from sixfold.serve.stages import Selection, View

__all__ = ["Cap", "TopK"]


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `at_most` items of a slate share a value of `by`, such as a topic; a missing value is not shared."""

    by: Field
    at_most: int
    attribute: Feature = field(init=False)

    def __post_init__(self) -> None:
        if self.at_most < 1:
            raise DefinitionError([f"Cap({self.by!r}): at_most must be at least 1, not {self.at_most}"])
        feature = attribute(self.by)
        object.__setattr__(self, "attribute", feature.named(f"cap_{self.by.events.name}_{self.by.name}"))


@dataclass(frozen=True, slots=True)
class TopK:
    """The `n` best, capped, of which `explore` slots go to chance; a slate is filled past the cap rather than cut."""

    n: int = 20
    cap: Cap | None = None
    explore: int = 0

    def __post_init__(self) -> None:
        problems = [] if self.n >= 1 else [f"TopK: n must be at least 1, not {self.n}"]
        if not 0 <= self.explore < max(self.n, 1):
            problems.append(f"TopK: explore must be 0 to n - 1 slots, not {self.explore} of {self.n}")
        if problems:
            raise DefinitionError(problems)

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the cap counts."""
        return () if self.cap is None else (self.cap.attribute,)

    def select(self, view: View, ranked: Candidates, rng: np.random.Generator) -> Selection:
        """The slate, see the module's text for the propensities."""
        n = min(view.request.n, len(ranked))
        explore = min(self.explore, max(n - 1, 0))
        groups = None if self.cap is None else view.values(self.cap.attribute, ranked.keys)
        best, counts = self._greedy(groups, len(ranked), n - explore)
        left = self._left(groups, counts, best, len(ranked), explore)
        explore = min(explore, len(left))
        drawn = rng.choice(left, explore, replace=False) if explore else left[:0]
        short = n - explore - len(best)
        rest = np.setdiff1d(np.arange(len(ranked)), [*best, *drawn])[:short] if short > 0 else left[:0]
        notes = (f"{len(rest)} shown past the cap of {self.cap.at_most}",) if self.cap and len(rest) else ()
        certain = np.concatenate([np.array(best, np.int64), rest.astype(np.int64)])
        slots = np.sort(rng.choice(n, explore, replace=False)) if explore else left[:0]
        explored = np.zeros(n, np.bool_)
        explored[slots] = True
        rows = np.empty(n, np.int64)
        rows[explored], rows[~explored] = drawn, certain
        propensities = np.where(explored, explore / len(left) if explore else 1.0, 1.0)
        return Selection(rows, propensities, explored, notes)

    def _greedy(self, groups: Array | None, size: int, n: int) -> tuple[list[int], Counter[object]]:
        """The first n rows that the cap allows, and how many it holds of each group."""
        counts: Counter[object] = Counter()
        if groups is None or self.cap is None:
            return list(range(min(n, size))), counts
        best: list[int] = []
        for row, group in _texts(groups):
            if len(best) == n:
                break
            if group is None or counts[group] < self.cap.at_most:
                best.append(row)
                counts[group] += group is not None
        return best, counts

    def _left(self, groups: Array | None, counts: Counter[object], best: list[int], size: int, explore: int) -> Array:
        """The rows that exploration may draw from: not yet taken, and within the cap whichever others are drawn."""
        free = np.ones(size, np.bool_)
        free[best] = False
        if explore and groups is not None and self.cap is not None:
            full: Any = [group for group, count in counts.items() if count + explore > self.cap.at_most]
            free &= ~np.isin(groups, full) if full else True
            if explore > self.cap.at_most:
                free &= np.array([group is None for _, group in _texts(groups)], np.bool_)
        return np.flatnonzero(free)


def _texts(groups: Array) -> Iterator[tuple[int, object]]:
    """Rows and groups, with missing numbers as None too."""
    for row, group in enumerate(groups.tolist()):
        yield row, None if isinstance(group, float) and math.isnan(group) else group
