"""Words of a text as a lexical index counts them: lower case, no stop words, Snowball stems."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sixfold._core.errors import DefinitionError

__all__ = ["STOP_WORDS", "Tokens", "joined", "sentences"]

_WORD = re.compile(r"\b\w\w+\b")
_END = re.compile(r"(?<=[.!?])[\"”')\]]*\s+(?=[\"“'(\[]?[A-Z0-9])")

_STOP = """
a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was
will with
"""
STOP_WORDS = frozenset(re.findall(r"\w+", _STOP))
"""The 33 words that Lucene leaves out of English text."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Cuts texts into words of at least two letters or digits, in the language whose stems are taken.

    Stop words are left out of English only. `language` is one that Snowball knows, or "" for words as they are.

    >>> Tokens()("The trees' roots are rooting; β-cells too")
    ['tree', 'root', 'root', 'cell', 'too']
    """

    language: str = "english"
    _stemmer: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_stemmer", _stemmer(self.language))

    def __call__(self, text: str | None) -> list[str]:
        """The stems of a text, in order; none of a missing text."""
        words = _WORD.findall((text or "").lower())
        if self.language == "english":
            words = [word for word in words if word not in STOP_WORDS]
        return list(self._stemmer(words))


def _stemmer(language: str) -> Any:
    if not language:
        return list
    import Stemmer

    if language not in Stemmer.algorithms():
        known = ", ".join(Stemmer.algorithms())
        raise DefinitionError([f"no stems are known for the language {language!r}; known are {known}"])
    return Stemmer.Stemmer(language).stemWords


def sentences(text: str | None) -> list[str]:
    """The sentences of a text, by its marks: one for a text without any, none for a missing one.

    >>> sentences("It rose to 3.5 mM. In mice, it fell. ")
    ['It rose to 3.5 mM.', 'In mice, it fell.']
    """
    return [part for part in (piece.strip() for piece in _END.split(text or "")) if part]


def joined(texts: Iterable[str | None]) -> str:
    """Fields of one document as one text.

    >>> joined(["A title", None, "and words"])
    'A title and words'
    """
    return " ".join(text for text in texts if text)
