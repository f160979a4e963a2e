"""Absence: what a feature answers when it cannot be known, declared with the feature.

Three things can be absent. The key: no event of it was ever seen. Freshness: the newest event of the feature's stream
is older than declared, so that whatever feeds it has stopped. The store: online state cannot be read. To each a feature
answers by a value, by "missing", or by a refusal; where nothing is declared, an unknown key has the value over no
events, a stream is never too old, and a store that cannot be read is an error.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.times import duration, format_duration

__all__ = ["REFUSE", "Absence", "Answer", "Refusal"]


class Refusal(Enum):
    """Not to answer: the stage that wants the feature fails, and the decision takes what is declared for that."""

    REFUSE = "refuse"
    AS_IS = "as it is"


REFUSE = Refusal.REFUSE
AS_IS = Refusal.AS_IS

Answer = float | str | None | Refusal
"""A value of the feature, None for a missing one, or REFUSE."""


@dataclass(frozen=True, slots=True)
class Absence:
    """The answers of one feature; `stale` is (how old the newest event may be, the answer beyond that).

    >>> Absence(unknown=0.0, stale=("1h", REFUSE)).spec()
    ['absent', 0.0, ['1h', ['refuse']], ['as it is']]
    """

    unknown: Answer = AS_IS
    stale: tuple[str, Answer] | None = None
    down: Answer = AS_IS

    def __post_init__(self) -> None:
        answers = [self.unknown, self.down, *([self.stale[1]] if self.stale else [])]
        if all(answer is AS_IS for answer in answers):
            raise DefinitionError(["absent() declares nothing: give unknown=, stale=(AGE, …) or down="])
        if wrong := [
            a for a in answers if not isinstance(a, float | int | str | Refusal | None) or isinstance(a, bool)
        ]:
            raise DefinitionError([f"{wrong[0]!r} cannot stand for a feature: give a number, text, None or REFUSE"])
        if self.stale and duration(self.stale[0]) <= 0:
            raise DefinitionError([f"a feature cannot be too old after {self.stale[0]!r}: give an age such as '1h'"])

    @property
    def texts(self) -> tuple[bool, ...]:
        """For each answer that is a value, whether it is text."""
        answers = [self.unknown, self.down, *([self.stale[1]] if self.stale else [])]
        return tuple(isinstance(a, str) for a in answers if a is not None and not isinstance(a, Refusal))

    def spec(self) -> Any:
        """The declaration as plain values."""
        stale = [format_duration(duration(self.stale[0])), _spec(self.stale[1])] if self.stale else None
        return ["absent", _spec(self.unknown), stale, _spec(self.down)]


def _spec(answer: Answer) -> Any:
    if isinstance(answer, Refusal):
        return [answer.value]
    return None if isinstance(answer, float) and np.isnan(answer) else answer
