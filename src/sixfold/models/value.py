"""From heads to one value: what showing an item is worth."""

import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.table import Array, Table
from sixfold.frame import Objective

__all__ = ["expected_value"]


def expected_value(objective: Objective, predictions: Table) -> Array:
    """The sum over outcomes of worth times predicted outcome, (n_rows,) float64.

    Raises ModelError if no head predicts an outcome of the objective.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Named:
    ...     name: str
    >>> heads = Table({"liked": np.array([0.5, 0.25]), "hated": np.array([0.0, 0.5])})
    >>> expected_value(Objective({Named("liked"): 2.0, Named("hated"): -1.0}), heads).tolist()
    [1.0, 0.0]
    """
    if lost := [outcome.name for outcome in objective.worth if outcome.name not in predictions]:
        raise ModelError(
            f"the objective needs {lost}, but the ranker predicts {', '.join(predictions.names)}",
            hint="add the missing labels to the ranker's heads",
        )
    total = np.zeros(len(predictions))
    for outcome, worth in objective.worth.items():
        total += worth * predictions[outcome.name]
    return total
