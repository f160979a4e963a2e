"""What models of text say of impressions, beside the features of the log: the same for training rows as in serving."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sixfold._core.table import Array
from sixfold.models.contract import Dataset
from sixfold.models.text.contract import FittedMatcher
from sixfold.system import System

__all__ = ["evidence_names", "with_evidence"]


def evidence_names(system: System) -> tuple[str, ...]:
    """The columns that the models which scoring asks add to the ranker's features."""
    return tuple(name for model in system.pipeline.asked for name in model.columns)


def with_evidence(system: System, part: Dataset, matchers: Mapping[str, FittedMatcher]) -> Dataset:
    """The rows with a column more for each thing that is said of their item and the text of their subject.

    Nothing is said in training that would not be said in serving: a model answers one text at a time, there as here.
    """
    task = system.problem.task
    if not system.pipeline.asked or task.item is None:
        return part
    texts, row = np.unique(part.spine[task.per.name].astype(str), return_inverse=True)
    keys = part.spine[task.item.name]
    said: dict[str, Array] = {name: np.full(len(part), np.nan) for name in evidence_names(system)}
    order = np.argsort(row, kind="stable")
    for text, rows in zip(texts.tolist(), np.split(order, np.cumsum(np.bincount(row))[:-1]), strict=True):
        for model in system.pipeline.asked:
            for name, values in matchers[model.name].evidence(text, keys[rows]).items():
                said[name][rows] = values
    return replace(part, features=part.features.with_columns(said))
