"""Scoring: what showing each candidate is worth, by the release's ranker and the problem's objective."""

from dataclasses import dataclass
from typing import Any

from sixfold._core.table import Array, Table
from sixfold.frame import Objective
from sixfold.models.value import expected_value
from sixfold.serve.stages import View

__all__ = ["Score"]


@dataclass(frozen=True, slots=True)
class Score:
    """The objective's worth of what the ranker predicts."""

    ranker: Any
    objective: Objective

    def score(self, view: View, features: Table) -> tuple[Array, Table]:
        """Values and heads."""
        heads = view.ranker().predict(features)
        return expected_value(self.objective, heads), heads
