"""A passage as words with their places, their shapes and the sentences they stand in."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from sixfold._core.table import Array

__all__ = ["FUNCTION_WORDS", "SHAPES", "Words", "stem", "words_of"]

_WORD = re.compile(
    r"['’]s\b|[$€£]?\d+(?:[.,]\d+)*(?:%|st|nd|rd|th|s)?(?![^\W\d])|\b[A-Z]\.|\w+(?:(?:-|['’](?!s\b))\w+)*|[^\w\s]"
)
_END = re.compile(r"[.!?]+[\"”')\]]*(?:\[\d+\])*\s+(?=[\"“'(\[]?[A-Z0-9])|\n+")
_SHORT = re.compile(r"(?:\b(?:[A-Z]|Mr|Mrs|Dr|St|vs|etc|Jr|Sr|Prof|No|Inc|Ltd|Co|c|ca|approx|Gen|Col|e\.g|i\.e))\.$")


def _split(words: str) -> list[str]:
    return words.split()


_MONTHS = frozenset(
    _split(
        "january february march april may june july august september october november december monday tuesday "
        "wednesday thursday friday saturday sunday"
    )
)
_NUMBERS = frozenset(
    _split(
        "one two three four five six seven eight nine ten eleven twelve thirteen fifteen twenty thirty forty "
        "fifty sixty seventy eighty ninety hundred hundreds thousand thousands million millions billion "
        "trillion dozen half third quarter first second fourth fifth sixth seventh eighth ninth tenth"
    )
)
FUNCTION_WORDS = frozenset(
    _split(
        "a an the and or but nor of in on at by for with from to into onto over under between among through "
        "during before after against about as than that which who whom whose what when where why how this "
        "these those it its he him his she her they them their we us our you your i me my is are was were be "
        "been being am do does did has have had having will would can could may might must shall should not "
        "no also so such if then there here while because until since both either neither only just very more "
        "most some any each other own same too per via upon within without although though however it's"
    )
)

SHAPES = ("capital", "caps", "digit", "year", "date", "number", "unit", "function", "mark", "quote", "first", "verbal")
"""The flags of a word, in the order of the columns of `Words.shapes`."""


@dataclass(frozen=True, slots=True)
class Words:
    """The n words of a text: character ranges, lower-case forms, stems, flags (n, len(SHAPES)) and sentences (n,)."""

    text: str
    starts: Array
    ends: Array
    lower: tuple[str, ...]
    stems: tuple[str, ...]
    shapes: Array
    sentence: Array

    def __len__(self) -> int:
        """The number of words."""
        return len(self.lower)


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The stem of a lower-case English word (Snowball)."""
    return str(_stemmer().stemWord(word))


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")


@lru_cache(maxsize=4_096)
def words_of(text: str) -> Words:
    """The words of a text; kept, because the same passages are read again and again.

    >>> found = words_of("Rollo was born in 846. He ruled.")
    >>> found.lower, found.sentence.tolist()
    (('rollo', 'was', 'born', 'in', '846', '.', 'he', 'ruled', '.'), [0, 0, 0, 0, 0, 0, 1, 1, 1])
    """
    found = list(_WORD.finditer(text))
    raw = [match[0] for match in found]
    starts = np.array([match.start() for match in found], np.int64)
    ends = np.array([match.end() for match in found], np.int64)
    sentence = np.searchsorted(_breaks(text), starts, side="right")
    lower = tuple(word.lower() for word in raw)
    shapes = np.zeros((len(raw), len(SHAPES)), np.bool_)
    for i, word in enumerate(raw):
        shapes[i] = _shape(word, lower[i], i == 0 or sentence[i] != sentence[i - 1])
    return Words(text, starts, ends, lower, tuple(stem(word) for word in lower), shapes, sentence)


def _breaks(text: str) -> Array:
    """Where sentences after the first begin."""
    ends = [m.end() for m in _END.finditer(text) if m[0].startswith("\n") or not _SHORT.search(text[: m.start() + 1])]
    return np.array(ends, np.int64)


def _shape(word: str, lower: str, first: bool) -> list[bool]:
    digit = any(c.isdigit() for c in word)
    bare = word.strip("$€£%").replace(",", "")
    return [
        word[:1].isupper(),
        len(word) > 1 and word.isupper(),
        digit,
        digit and bare.isdigit() and len(bare) == 4 and "1000" <= bare <= "2100",
        lower in _MONTHS or (digit and word.endswith("s") and len(bare) == 5),
        lower in _NUMBERS,
        word[0] in "$€£%" or word.endswith("%") or lower in ("percent", "dollars", "euros", "pounds", "million"),
        lower in FUNCTION_WORDS,
        not any(c.isalnum() for c in word),
        word in "\"“”'‘’",
        first,
        len(lower) > 4 and lower.endswith(("ed", "ing")),
    ]
