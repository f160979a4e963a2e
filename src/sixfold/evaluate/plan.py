"""How a system is judged: which time it learns from, which it is tested on, and what it has to beat."""

from dataclasses import dataclass

from sixfold.data.events import Field
from sixfold.data.labels import Label
from sixfold.data.split import TimeSplit
from sixfold.models.contract import Retriever

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The evaluation, decided before anything is trained.

    `satisfied` is the label that makes an item worth having found. `beat` are the retrievers that stand beside the
    system in every table; the first is the one it must beat on recall@`k`, with an interval clear of zero.
    """

    split: TimeSplit
    satisfied: Label
    beat: tuple[Retriever, ...]
    k: int = 100
    slices: tuple[Field, ...] = ()
