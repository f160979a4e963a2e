"""Scoring: what showing each candidate is worth, by the release's ranker and the problem's objective."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.frame import Objective
from sixfold.models.value import expected_value
from sixfold.serve.stages import View

__all__ = ["Score"]


@dataclass(frozen=True, slots=True)
class Score:
    """The objective's worth of what the ranker predicts; without an objective, its first head as it is."""

    ranker: Any
    objective: Objective | None = None
    also: tuple[Any, ...] = ()

    def evidence(self, view: View, keys: Array) -> Table:
        """What the models in `also` say of each item and the text of the subject, a column for each thing said."""
        said: dict[str, Array] = {}
        for model in self.also:
            said |= view.matcher(model.name).evidence(str(view.request.subject), keys)
        return Table(said, n_rows=len(keys))

    def score(self, view: View, features: Table) -> tuple[Array, Table]:
        """Values and heads."""
        heads = view.ranker().predict(features)
        if self.objective is None:
            return np.asarray(heads[heads.names[0]], np.float64), heads
        values = expected_value(self.objective, heads)
        return values, heads
