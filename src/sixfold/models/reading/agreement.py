"""When two answers agree: exact match and token F1 as SQuAD defines them."""

import re
import string
from collections import Counter
from collections.abc import Sequence

__all__ = ["exact", "f1", "normalised"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Lower case, without punctuation and articles, single spaces (Rajpurkar et al. 2016, the official script).

    >>> normalised("The  10th-century, Duke!")
    '10thcentury duke'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact(answer: str, truths: Sequence[str]) -> float:
    """1 if the answer is one of the truths after normalisation; no truth at all means that "" is right.

    >>> exact("The Rollo", ["Rollo", "Duke Rollo"]), exact("", []), exact("Rollo", [])
    (1.0, 1.0, 0.0)
    """
    return float(normalised(answer) in {normalised(truth) for truth in truths or [""]})


def f1(answer: str, truths: Sequence[str]) -> float:
    """The best harmonic mean of token precision and recall against any truth; "" agrees with "" alone.

    >>> f1("the first Duke Rollo", ["Duke Rollo"]), f1("", [])
    (0.8, 1.0)
    """
    return max(_f1(normalised(answer).split(), normalised(truth).split()) for truth in truths or [""])


def _f1(mine: list[str], theirs: list[str]) -> float:
    if not mine or not theirs:
        return float(mine == theirs)
    common = sum((Counter(mine) & Counter(theirs)).values())
    return 2 * common / (len(mine) + len(theirs))
