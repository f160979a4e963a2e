"""A question as what it asks for: its kind, the noun that says of what kind the answer is, the words to look for."""

import re
from dataclasses import dataclass
from functools import lru_cache

from sixfold.models.reading.words import Words, words_of

__all__ = ["KINDS", "Question", "question_of"]

KINDS = ("other", "who", "when", "where", "why", "how many", "how much", "how", "which", "what")
"""The kinds of question, in the order of their codes."""

_ASKING = {"whom": "who", "whose": "who"} | {
    word: word for word in ("who", "when", "where", "why", "which", "what", "how")
}
_HELPERS = frozenset(
    re.findall(r"\S+", "is are was were do does did has have had can could will would may might should must 's be been")
)
_PLACES = frozenset(("in", "on", "at", "by", "for", "with", "from", "to", "of", "during", "through", "into", "under"))


@dataclass(frozen=True, slots=True)
class Question:
    """What a question asks.

    `head` is the stem of the noun after what or which, or of the adjective after how ("" for none); `lead` the
    preposition before the asking word; `terms` the different stems to look for, in order, and `pairs` those that
    stand side by side; `helper` says that an auxiliary follows, so that the answer is rather not the subject.
    """

    words: Words
    kind: str
    head: str
    lead: str
    helper: bool
    terms: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]

    @property
    def sort(self) -> str:
        """Kind and head: what affinities are counted by."""
        return f"{self.kind} {self.head}".strip()


@lru_cache(maxsize=4_096)
def question_of(text: str) -> Question:
    """What the question asks.

    >>> asked = question_of("In what year did the Normans conquer England?")
    >>> asked.kind, asked.head, asked.lead, asked.terms
    ('what', 'year', 'in', ('year', 'norman', 'conquer', 'england'))
    >>> question_of("How many people live in Warsaw?").sort
    'how many peopl'
    """
    words = words_of(text)
    lower, stems = words.lower, words.stems
    plain = [not function and not mark for function, mark in words.shapes[:, (7, 8)].tolist()]
    at = next((i for i, word in enumerate(lower) if word in _ASKING), None)
    kind, head, lead, helper = "other", "", "", False
    if at is not None:
        kind = _ASKING[lower[at]]
        after = lower[at + 1] if at + 1 < len(lower) else ""
        lead = lower[at - 1] if at and lower[at - 1] in _PLACES else ""
        helper = after in _HELPERS
        if kind == "how" and after in ("many", "much"):
            kind, at = f"how {after}", at + 1
        if kind in ("what", "which", "how", "how many", "how much"):
            head = _head(lower, stems, plain, at + 1)
    asking = set(_ASKING) | {"many", "much"}
    wanted = [stems[i] for i in range(len(lower)) if plain[i] and lower[i] not in asking]
    pairs = tuple((stems[i], stems[i + 1]) for i in range(len(lower) - 1) if plain[i] and plain[i + 1])
    return Question(words, kind, head, lead, helper, tuple(dict.fromkeys(wanted)), pairs)


def _head(lower: tuple[str, ...], stems: tuple[str, ...], plain: list[bool], start: int) -> str:
    """The noun asked for, as well as it can be told: "city" of "what ancient city was", "team" of "what team won"."""
    stop = start
    while stop < len(lower) and plain[stop] and stop < start + 3:
        stop += 1
    if stop > start:
        return stems[
            stop - 1 if stop < len(lower) and lower[stop] in _HELPERS and lower[start - 1] != "many" else start
        ]
    # "What was the name of the leader": the noun comes behind the auxiliary.
    rest = [i for i in range(start, min(start + 4, len(lower))) if plain[i]]
    return f"is {stems[rest[0]]}" if rest and lower[start] in _HELPERS else ""
