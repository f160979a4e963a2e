"""Checking a written answer against what it cites: citations that exist, and words that stand there."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sixfold.models.reading.words import SHAPES, Words, words_of

__all__ = ["Checked", "check", "quote_for"]

_CITATION = re.compile(r"\s*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
_AFTER_THE_STOP = re.compile(r"([.!?]+)((?:\s*\[\d{1,3}(?:\s*[,;]\s*\d{1,3})*\])+)")
_ENOUGH = 0.8
_FUNCTION, _MARK, _CAPITAL, _DIGIT, _FIRST = (
    SHAPES.index(name) for name in ("function", "mark", "capital", "digit", "first")
)


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer that was checked.

    `text` cites only what exists, as [1], [2], … in order of first use; `cited` are those passages. `grounded` is the
    share of the answer's words that stand in what their sentence cites; `precise` the share of its citations that
    support their sentence; `dropped` how many citations named nothing.
    """

    text: str
    cited: tuple[int, ...]
    grounded: float
    precise: float
    dropped: int


def check(answer: str, passages: Sequence[str]) -> Checked:
    """Check an answer that cites passages as [1], [2], …

    A sentence is supported if four fifths of its words that carry meaning, and all its names and numbers, stand in the
    passages it cites; of other sentences, no word counts as grounded. The order of words is not looked at.

    >>> found = check("Rollo ruled Normandy [2]. He was tall [1, 9].", ["Of Rollo.", "In 911 Rollo ruled Normandy."])
    >>> found.text, found.cited, round(found.grounded, 2), found.precise, found.dropped
    ('Rollo ruled Normandy [1]. He was tall [2].', (1, 0), 0.75, 0.5, 1)
    """
    known = [words_of(passage) for passage in passages]
    order: list[int] = []
    parts: list[str] = []
    dropped = supported = total = cites = right = 0
    for sentence in _sentences(_AFTER_THE_STOP.sub(r"\2\1", answer)):
        numbers = [int(n) - 1 for found in _CITATION.findall(sentence) for n in re.findall(r"\d+", found)]
        real = [n for n in dict.fromkeys(numbers) if 0 <= n < len(passages)]
        dropped += sum(not 0 <= n < len(passages) for n in numbers)
        order += [n for n in real if n not in order]
        bare = _CITATION.sub("", sentence).strip()
        if not bare:
            continue
        parts.append(_with_citations(bare, [order.index(n) + 1 for n in real]))
        meaning, strict = _meaning(words_of(bare))
        share, whole = _support(meaning, strict, [known[n] for n in real])
        total += max(len(meaning), 1)
        supported += round(share * len(meaning)) if whole and share >= _ENOUGH else 0
        cites += len(real)
        right += sum(_helps(meaning, known[n]) for n in real)
    grounded = supported / total if total else 0.0
    return Checked(" ".join(parts), tuple(order), grounded, right / cites if cites else 0.0, dropped)


def quote_for(sentence: str, passage: str) -> tuple[int, int]:
    """The characters of the sentence of a passage that shares most words with a text.

    >>> passage = "He came. In 911 Rollo ruled Normandy. He left."
    >>> start, end = quote_for("Rollo ruled", passage)
    >>> passage[start:end]
    'In 911 Rollo ruled Normandy.'
    """
    words, wanted = words_of(passage), set(words_of(sentence).stems)
    if not len(words):
        return 0, 0
    numbers = words.sentence.tolist()
    shared = dict.fromkeys(numbers, 0)  # a sentence may have no words
    for number, stem in zip(numbers, words.stems, strict=True):
        shared[number] += stem in wanted
    best = max(shared, key=lambda number: shared[number])
    rows = [i for i, number in enumerate(numbers) if number == best]
    return int(words.starts[rows[0]]), int(words.ends[rows[-1]])


def _sentences(text: str) -> list[str]:
    words = words_of(text)
    if not len(words):
        return []
    cuts = [i for i in range(1, len(words)) if words.sentence[i] != words.sentence[i - 1]]
    edges = [0, *(int(words.starts[i]) for i in cuts), len(text)]
    return [text[a:b].strip() for a, b in pairwise(edges)]


def _with_citations(sentence: str, numbers: Sequence[int]) -> str:
    cited = "".join(f" [{n}]" for n in numbers)
    body = sentence.rstrip(".!?")
    return body + cited + sentence[len(body) :]


def _meaning(words: Words) -> tuple[list[str], set[str]]:
    """The stems that carry meaning, and those of them that must be matched: names and numbers."""
    rows = [i for i in range(len(words)) if not words.shapes[i, _FUNCTION] and not words.shapes[i, _MARK]]
    strict = [i for i in rows if words.shapes[i, _DIGIT] or (words.shapes[i, _CAPITAL] and not words.shapes[i, _FIRST])]
    return [words.stems[i] for i in rows], {words.stems[i] for i in strict}


def _support(meaning: Sequence[str], strict: set[str], cited: Sequence[Words]) -> tuple[float, bool]:
    found = {stem for words in cited for stem in words.stems}
    if not meaning or not found:
        return 0.0, False
    return sum(stem in found for stem in meaning) / len(meaning), strict <= found


def _helps(meaning: Sequence[str], passage: Words) -> bool:
    """Whether a passage has at least half of what a sentence says: several may support it together."""
    stems = set(passage.stems)
    return bool(meaning) and sum(stem in stems for stem in meaning) >= 0.5 * len(meaning)
