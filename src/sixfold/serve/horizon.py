"""The last stage of a forecast: every step ahead in order, with its quantiles and its day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from sixfold._core.table import Array
from sixfold._core.times import DAY, SECOND
from sixfold.data.calendar import Calendar
from sixfold.features.definitions import Feature
from sixfold.serve.candidates import Candidates
from sixfold.serve.stages import Detail, Selection, View

__all__ = ["Horizon"]


@dataclass(frozen=True, slots=True)
class Horizon:
    """All steps of a calendar, in order. Each says its `day` and the quantiles that were predicted of it.

    A forecast begins at the first local midnight at or after the request, and knows what had arrived by the request.
    `utc_offset_s` is that of the data that a release was trained on, and comes with the release.
    """

    calendar: Calendar
    utc_offset_s: int = 0

    @property
    def n(self) -> int:
        """How many steps there are."""
        return self.calendar.steps

    @property
    def features(self) -> tuple[Feature, ...]:
        """Nothing else is read."""
        return ()

    def origin(self, at: int) -> int:
        """The midnight that a forecast asked for at `at` begins at."""
        return self.calendar.origin(at, self.utc_offset_s)

    def columns(self, steps: Array, origin: int) -> Mapping[str, Array]:
        """What is known beforehand of each of the steps, by the names of request features."""
        return self.calendar.ahead(origin, self.utc_offset_s).take(steps - 1)

    def select(self, view: View, ranked: Candidates, rng: np.random.Generator) -> Selection:
        """Every step, in order."""
        n, every = len(ranked), self.calendar.period // DAY
        first = (self.origin(view.request.at) + self.utc_offset_s * SECOND) // DAY
        days = [date(1970, 1, 1) + timedelta(days=first + every * (step - 1)) for step in ranked.keys.tolist()]
        known = view.heads.rows() or [{} for _ in days]
        details = tuple(_detail(day, row) for day, row in zip(days, known, strict=True))
        return Selection(np.arange(n), np.ones(n), np.zeros(n, np.bool_), (), details)


def _detail(day: date, predicted: Mapping[str, float]) -> Detail:
    """The day and the quantiles, without the name of the head where there is but one."""
    quantiles = {name: value for name, value in predicted.items() if " " in name}
    heads = {name.rpartition(" ")[0] for name in quantiles}
    short = {name.rpartition(" ")[2] if len(heads) == 1 else name: value for name, value in quantiles.items()}
    return {"day": day.isoformat(), **short}
