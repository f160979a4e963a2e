"""Which words and shapes go with which sort of question: log odds, counted in the answers of training questions."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sixfold._core.table import Array
from sixfold.models.reading.question import Question
from sixfold.models.reading.spans import LOOKS, Spans

__all__ = ["PARTS", "Affinity"]

PARTS = ("before", "after", "first", "last", "signature")
"""What of a span is counted: the words around it, its first and last stem, and its shape."""

_SIGNATURE = LOOKS.index("signature")
_STRENGTH = 6.0  # occurrences that the broader rate counts as, each step from a question's sort to its kind to all
_EDGE = "|"


@dataclass(frozen=True, slots=True)
class Affinity:
    """Log odds of a part of a span, in answers to a sort of question against all spans: part → sort → value → odds.

    The sort "" holds what is known of answers in general. Rates are smoothed: a sort's towards its kind's, a kind's
    towards everybody's (a hierarchical Dirichlet prior, as in Mackay and Bauman Peto 1995).
    """

    odds: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    @classmethod
    def fit(cls, answers: Iterable[tuple[Question, Spans, int]], others: Iterable[Spans]) -> "Affinity":
        """Count the right spans (question, spans, row) against all spans of the passages."""
        right: dict[str, dict[str, Counter[str]]] = {part: defaultdict(Counter) for part in PARTS}
        for question, spans, row in answers:
            for part, values in _parts(spans).items():
                for sort in {"", question.kind, question.sort}:
                    right[part][sort][values[row]] += 1
        common: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
        for spans in others:
            for part, values in _parts(spans).items():
                common[part].update(values)
        return cls({part: _odds(right[part], common[part]) for part in PARTS})

    def of(self, question: Question, spans: Spans) -> Array:
        """The odds of each span, (n_spans, len(PARTS)); 0 for what was never seen."""
        found = np.zeros((len(spans), len(PARTS)), np.float32)
        parts = _parts(spans)
        for column, part in enumerate(PARTS):
            tables = self.odds.get(part, {})
            known = [tables[sort] for sort in (question.sort, question.kind, "") if sort in tables]
            if known:
                merged: dict[str, float] = {}
                for table in reversed(known):
                    merged.update(table)
                floor = merged.get("", 0.0)
                found[:, column] = [merged.get(value, floor) for value in parts[part]]
        return found


def _parts(spans: Spans) -> dict[str, list[str]]:
    stems, lower = (_EDGE, *spans.words.stems, _EDGE), (_EDGE, *spans.words.lower, _EDGE)
    first, last = spans.first.tolist(), spans.last.tolist()
    return {
        "before": [lower[i] for i in first],
        "after": [lower[i + 2] for i in last],
        "first": [stems[i + 1] for i in first],
        "last": [stems[i + 1] for i in last],
        "signature": [str(int(value)) for value in spans.looks[:, _SIGNATURE].tolist()],
    }


def _odds(right: Mapping[str, Counter[str]], common: Counter[str]) -> dict[str, dict[str, float]]:
    """Of each sort, the odds of its values; under "" the odds of a value that the sort never had."""
    total = sum(common.values()) + len(common) + 1
    base = {value: (count + 1) / total for value, count in common.items()}
    unseen = 1 / total
    everybody = _rates(right[""], base, unseen)
    kinds = {sort: _rates(counts, everybody, unseen) for sort, counts in right.items() if " " not in sort and sort}
    kinds |= {sort: _rates(right[sort], everybody, unseen) for sort in ("how many", "how much") if sort in right}
    found = {"": everybody, **kinds}
    for sort, counts in right.items():
        if sort not in found and counts.total() >= 3:
            kind = next((k for k in sorted(kinds, key=len, reverse=True) if sort.startswith(k)), "")
            found[sort] = _rates(counts, found[kind], unseen)
    return {
        sort: {value: round(math.log(rate / base.get(value, unseen)), 4) for value, rate in rates.items()}
        for sort, rates in found.items()
    }


def _rates(counts: Counter[str], broader: Mapping[str, float], unseen: float) -> dict[str, float]:
    total = counts.total() + _STRENGTH
    return {value: (count + _STRENGTH * broader.get(value, unseen)) / total for value, count in counts.items()}
