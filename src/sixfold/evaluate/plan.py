"""How a system is judged: which time it learns from, which it is tested on, and what it has to beat."""

from dataclasses import dataclass

from sixfold.data.events import Field
from sixfold.data.labels import Label
from sixfold.data.split import TimeSplit
from sixfold.evaluate.measures import Measure
from sixfold.features.definitions import Feature
from sixfold.features.featureset import FeatureSet
from sixfold.models.contract import Ranker, Retriever

__all__ = ["Plan", "Rival"]


@dataclass(frozen=True, slots=True)
class Rival:
    """A ranker that is fitted like the system's on some of its features, to stand beside it in every table."""

    name: str
    ranker: Ranker
    features: FeatureSet


@dataclass(frozen=True, slots=True)
class Plan:
    """The evaluation, decided before anything is trained.

    `satisfied` is the label that makes an item worth having found. `beat` are the retrievers that stand beside the
    system in every table; the first is the one it must beat on recall@`k`, with an interval clear of zero. `measures`
    are what else is measured on the test rows, of which only those count where the feature `only` is not 0. `rivals`
    are other rankers to be compared with.
    """

    split: TimeSplit
    satisfied: Label | None = None
    beat: tuple[Retriever, ...] = ()
    k: int = 100
    slices: tuple[Field, ...] = ()
    measures: tuple[Measure, ...] = ()
    only: Feature | None = None
    rivals: tuple[Rival, ...] = ()
