"""The reader contract: a frozen config that fits, and a fitted reader that finds the answer to a question in passages.

What a reader returns is always a range of characters of a passage: it can quote, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from sixfold._core.errors import ModelError
from sixfold.models.contract import Progress, silent

__all__ = ["Examples", "FittedReader", "Reader", "Reading"]


class Reading(NamedTuple):
    """An answer: characters [start, end) of the passage of that number; `evidence`, 0..1, is how sure the reader is."""

    passage: int
    start: int
    end: int
    text: str
    evidence: float


@dataclass(frozen=True, slots=True)
class Examples:
    """Questions to learn from: row i of every part is the same question.

    `passages` are texts, best first; `answers` what people accepted, () where the passages do not answer; `topics`
    say what a question is about: what is counted for one topic is counted on the others. `corpus` are more texts, of no
    question: all that are known say how rare a word is.
    """

    questions: tuple[str, ...]
    passages: tuple[tuple[str, ...], ...]
    answers: tuple[tuple[str, ...], ...]
    topics: tuple[str, ...]
    corpus: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of questions."""
        return len(self.questions)

    def check(self) -> None:
        """Raises ModelError if no question has an answer that stands in one of its passages."""
        found = (
            any(answer in text for answer in answers for text in texts)
            for answers, texts in zip(self.answers, self.passages, strict=True)
        )
        if not any(found):
            raise ModelError(
                f"a reader learns from answers that stand in the passages; of {len(self)} questions none has one",
                hint="give the truth as it is written in the text",
            )


class FittedReader(Protocol):
    """Finds answers in passages."""

    @property
    def threshold(self) -> float:
        """The evidence below which refusing was right more often than answering, on validation questions."""
        ...

    def read(self, question: str, passages: Sequence[str]) -> Reading | None:
        """The best answer in the passages, best first; None where there is nothing that could be one."""
        ...

    def save(self, folder: Path) -> None:
        """Write the reader into an existing empty folder."""
        ...


class Reader(Protocol):
    """The config of a reader; fitting it is deterministic in (data, config, seed)."""

    @property
    def name(self) -> str:
        """What stages, releases and reports call it."""
        ...

    def fit(self, train: Examples, validate: Examples, *, seed: int, progress: Progress = silent) -> FittedReader:
        """Learn from `train`; `validate`, other topics, says how much evidence is enough."""
        ...
