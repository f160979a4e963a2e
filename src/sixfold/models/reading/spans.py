"""Candidate answers: the runs of words of a passage that could answer something, with what they look like."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sixfold._core.table import Array
from sixfold.models.reading.words import SHAPES, Words, words_of

__all__ = ["LOOKS", "MOST_WORDS", "N_CONTEXTS", "N_SIGNATURES", "Spans", "spans_of"]

MOST_WORDS = 10
"""No answer is longer: of the answers in SQuAD's development set 6 % are."""


def _split(words: str) -> list[str]:
    return words.split()


_MAY_BEGIN = frozenset(
    {"more", "between", "over", "only", "not", "about", "very", "most", "other", "because", "by", "to"}
)
_CONTEXT = _split(
    "the a an of in by to and or for as with from at on is are was were be called named that which who , ( \" . ; : 's"
)
_CODE = {word: i + 1 for i, word in enumerate(_CONTEXT)}
_FLAG = {name: i for i, name in enumerate(SHAPES)}
_ANY = ("caps", "digit", "year", "date", "number", "unit", "function", "mark", "quote", "verbal")

N_CONTEXTS = len(_CONTEXT) + 1
N_SIGNATURES = 11 * 4

LOOKS = (
    "words", "characters", "capitals", *(f"has_{name}" for name in _ANY), "first_capital", "last_capital",
    "last_verbal", "opens", "before", "after", "capital_before", "capital_after", "number_before", "number_after",
    "loose_before", "loose_after", "place", "sentence_place", "signature",
)  # fmt: skip
"""What is known of a span without a question, in the order of the columns of `Spans.looks`."""


@dataclass(frozen=True, slots=True)
class Spans:
    """The spans of a text as first and last word, both (n,), and their looks (n, len(LOOKS)) float32."""

    words: Words
    first: Array
    last: Array
    looks: Array

    def __len__(self) -> int:
        """The number of spans."""
        return len(self.first)

    def text(self, row: int) -> str:
        """The span as it stands in the passage."""
        start, end = self.range(row)
        return self.words.text[start:end]

    def range(self, row: int) -> tuple[int, int]:
        """The characters of the span: first, and one behind the last."""
        return int(self.words.starts[self.first[row]]), int(self.words.ends[self.last[row]])


@lru_cache(maxsize=4_096)
def spans_of(text: str) -> Spans:
    """Every run of at most ten words in a sentence that does not begin or end on a word that joins others.

    Articles never begin a span: agreement is judged without them.

    >>> found = spans_of("Rollo ruled in 911.")
    >>> [found.text(row) for row in range(len(found))]
    ['Rollo', 'Rollo ruled', 'Rollo ruled in 911', 'ruled', 'ruled in 911', '911']
    """
    words = words_of(text)
    n = len(words)
    joins = words.shapes[:, _FLAG["function"]] | words.shapes[:, _FLAG["mark"]]
    begins = ~joins | np.array([word in _MAY_BEGIN for word in words.lower], np.bool_)
    begins &= np.array([word not in ("'s", "’s") for word in words.lower], np.bool_)
    first = np.repeat(np.arange(n), MOST_WORDS)
    last = first + np.tile(np.arange(MOST_WORDS), n)
    fits = last < n
    first, last = first[fits], last[fits]
    fits = begins[first] & ~joins[last] & (words.sentence[first] == words.sentence[last])
    first, last = first[fits], last[fits]
    return Spans(words, first, last, _looks(words, first, last))


def _looks(words: Words, first: Array, last: Array) -> Array:
    n, length = len(words), last - first + 1
    shapes = words.shapes
    total = np.concatenate([np.zeros((1, len(SHAPES))), np.cumsum(shapes, axis=0)])
    inside = total[last + 1] - total[first]
    # One word more on each side, so that the neighbours of the first and last word exist.
    codes = np.array([0, *(_CODE.get(word, 0) for word in words.lower), 0], np.float64)
    around = np.zeros((n + 2, len(SHAPES)), np.bool_)
    around[1:-1] = shapes
    edge = np.ones(n + 2, np.bool_)
    edge[1:-1] = shapes[:, _FLAG["function"]] | shapes[:, _FLAG["mark"]]
    numeric = around[:, _FLAG["digit"]] | around[:, _FLAG["number"]]
    sentences = max(int(words.sentence.max(initial=0)), 1)
    begin_of = np.searchsorted(words.sentence, words.sentence[first])
    size_of = np.searchsorted(words.sentence, words.sentence[first], side="right") - begin_of
    capital = _FLAG["capital"]
    columns = [
        length,
        words.ends[last] - words.starts[first],
        inside[:, capital] / length,
        *(inside[:, _FLAG[name]] for name in _ANY),
        shapes[first, capital],
        shapes[last, capital],
        shapes[last, _FLAG["verbal"]],
        shapes[first, _FLAG["first"]],
        codes[first],
        codes[last + 2],
        around[first, capital],
        around[last + 2, capital],
        numeric[first],
        numeric[last + 2],
        edge[first],
        edge[last + 2],
        (first - begin_of) / size_of,
        words.sentence[first] / sentences,
        _signature(inside, shapes, first, last, length),
    ]
    return np.array(columns, np.float32).T.reshape(len(first), len(LOOKS))


def _signature(inside: Array, shapes: Array, first: Array, last: Array, length: Array) -> Array:
    """One number for the kind of a span: a year, a number, a name, a phrase, …; the shape that affinities count."""
    kinds = np.select(
        [
            inside[:, _FLAG["year"]] > 0,
            inside[:, _FLAG["date"]] > 0,
            inside[:, _FLAG["unit"]] > 0,
            inside[:, _FLAG["digit"]] > 0,
            inside[:, _FLAG["number"]] > 0,
            inside[:, _FLAG["capital"]] == length,
            shapes[first, _FLAG["capital"]] & shapes[last, _FLAG["capital"]],
            shapes[first, _FLAG["capital"]] & ~shapes[first, _FLAG["first"]],
            inside[:, _FLAG["quote"]] > 0,
            shapes[first, _FLAG["verbal"]],
        ],
        range(1, 11),
        0,
    )
    return kinds * 4 + np.minimum(length, 4) - 1
