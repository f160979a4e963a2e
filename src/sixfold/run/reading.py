"""What a reader learns from: the questions of a range of the split, the passages shown, and what was accepted."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from sixfold._core.errors import DataError
from sixfold._core.table import Array, Table
from sixfold._core.times import DAY
from sixfold.data.events import Field
from sixfold.data.retraction import living
from sixfold.features.batch import as_of
from sixfold.features.definitions import Feature
from sixfold.features.featureset import FeatureSet
from sixfold.models.contract import Dataset
from sixfold.models.reading.contract import Examples, Reader
from sixfold.models.training_set import catalog
from sixfold.system import System

__all__ = ["Reads", "examples_of", "reads"]


@runtime_checkable
class Reads(Protocol):
    """A renderer with a reader: `truth` is what people accepted, `text` the passage's words."""

    @property
    def reader(self) -> Reader:
        """The reader's config."""
        ...

    @property
    def text(self) -> Feature:
        """The text of an item."""
        ...

    @property
    def truth(self) -> Field:
        """The accepted answers."""
        ...


def reads(system: System) -> Reads | None:
    """The part of the pipeline that reads, if there is one."""
    renderer = system.pipeline.render
    return renderer if isinstance(renderer, Reads) else None


def examples_of(system: System, part: Dataset, history: Mapping[str, Table], stage: Reads, *, at: int) -> Examples:
    """The questions of a range, each with the passages that its rows of the spine name, in their order.

    What is first asked on one day is taken for one topic. `at` is when the reader is made: what is known then counts.
    Raises DataError if nobody ever answered.
    """
    task = system.problem.task
    if task.item is None or stage.truth.events.name not in history:
        raise DataError(f"a reader learns from {stage.truth!r}, of which the log has nothing")
    spine = part.spine
    texts = as_of(FeatureSet(stage.text), history, spine)[stage.text.name]
    accepted = _accepted(history, stage.truth, task.per.name)
    questions, first = _groups(spine[task.per.name])
    days = spine["at"] // DAY
    found: list[tuple[str, tuple[str, ...], tuple[str, ...], str]] = []
    for question, rows in zip(questions, first, strict=True):
        passages = tuple(str(text) for text in texts[rows].tolist() if text)
        if passages:
            found.append((str(question), passages, accepted.get(str(question), ()), str(days[rows[0]])))
    return Examples(
        questions=tuple(row[0] for row in found),
        passages=tuple(row[1] for row in found),
        answers=tuple(row[2] for row in found),
        topics=tuple(row[3] for row in found),
        corpus=_corpus(system, history, stage, at),
    )


def _corpus(system: System, history: Mapping[str, Table], stage: Reads, at: int) -> tuple[str, ...]:
    """Every text known at an instant."""
    item = system.problem.task.item
    field = getattr(getattr(stage.text, "value", None), "name", "")
    items = Table({}) if item is None else catalog(system.streams, history, item=item, at=at)
    return tuple(str(text) for text in items[field].tolist() if text) if field in items else ()


def _accepted(history: Mapping[str, Table], truth: Field, per: str) -> dict[str, tuple[str, ...]]:
    events = living(history, history[truth.events.name])
    answers: dict[str, dict[str, None]] = {}
    for question, text in zip(events[per].tolist(), events[truth.name].tolist(), strict=True):
        if text:
            answers.setdefault(str(question), {})[str(text)] = None
    return {question: tuple(texts) for question, texts in answers.items()}


def _groups(keys: Array) -> tuple[list[int | str], Sequence[Array]]:
    """The different keys in order of first appearance, and the rows of each."""
    _, code = np.unique(keys.astype(str) if keys.dtype == object else keys, return_inverse=True)
    order = np.argsort(code, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(code))[:-1])
    groups.sort(key=lambda rows: int(rows[0]))
    return [keys[rows[0]] for rows in groups], groups
