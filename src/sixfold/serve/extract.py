"""Answering by quoting: the best span of the passages shown, with the sentence it stands in, or a refusal."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array
from sixfold.data.events import Field
from sixfold.features.definitions import Feature, Recent
from sixfold.models.reading.contract import Reading
from sixfold.models.reading.words import words_of
from sixfold.serve.stages import Citation, Rendered, View
from sixfold.serve.suspicion import suspicious

__all__ = ["Extract", "Quotable"]


@dataclass(frozen=True, slots=True)
class Quotable:
    """The passages that may be quoted, best first, and those left out because they give orders to the machine."""

    items: tuple[int | str, ...]
    texts: tuple[str, ...]
    left_out: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Extract:
    """Quotes the answer from the first `passages` items, whose words are in the feature `text`.

    The request's subject is the question. `reader` learns from `truth`: what people accepted as answers, one event
    each, with no text where there is none. The answer is refused if the reader's evidence is below `refuse`, or below
    what the reader learnt if that is None. A suspicious passage is not read.
    """

    reader: Any
    text: Feature
    truth: Field
    passages: int = 5
    refuse: float | None = None
    name: str = "extract"

    def __post_init__(self) -> None:
        problems = []
        if not isinstance(self.text, Recent) or not self.text.single:
            problems.append(f"{self.name!r}: text must be an attribute of the item, not {self.text!r}")
        if not self.truth.is_text:
            problems.append(f"{self.name!r}: truth must be a field of text, not {self.truth!r}")
        if self.passages < 1:
            problems.append(f"{self.name!r}: passages must be at least 1, not {self.passages}")
        if self.refuse is not None and not 0 <= self.refuse <= 1:
            problems.append(f"{self.name!r}: refuse is a share from 0 to 1, not {self.refuse}")
        if problems:
            raise DefinitionError(problems)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The text."""
        return (self.text,)

    def quotable(self, view: View, keys: Array) -> Quotable:
        """The passages shown that have a text and do not look like orders."""
        keys = keys[: self.passages]
        texts = view.values(self.text, keys) if len(keys) else np.empty(0, object)
        known = [(key, str(text)) for key, text in zip(keys.tolist(), texts.tolist(), strict=True) if text]
        clean = [(key, text) for key, text in known if not suspicious(text)]
        left_out = tuple(key for key, text in known if suspicious(text))
        return Quotable(tuple(key for key, _ in clean), tuple(text for _, text in clean), left_out)

    def render(self, view: View, keys: Array) -> Rendered:
        """The best span, or a refusal; always with how sure the reader is."""
        return self.answer(view, self.quotable(view, keys))

    def answer(self, view: View, found: Quotable) -> Rendered:
        """The same of passages that were read before."""
        reader = view.reader(str(self.reader.name))
        limit = reader.threshold if self.refuse is None else self.refuse
        reading = reader.read(str(view.request.subject), found.texts)
        detail: dict[str, float | str] = {"threshold": round(limit, 6)}
        if found.left_out:
            detail["left_out"] = ",".join(map(str, found.left_out))
        if reading is None:
            return Rendered("", refused=True, detail={**detail, "why": "there was nothing to quote"})
        detail["evidence"] = round(reading.evidence, 6)
        if reading.evidence < limit:
            return Rendered("", refused=True, detail={**detail, "why": "the evidence is thin"})
        return Rendered(reading.text, (_cite(found, reading),), detail=detail)


def _cite(found: Quotable, reading: Reading) -> Citation:
    """The sentence that the answer stands in."""
    text = found.texts[reading.passage]
    words = words_of(text)
    within = words.sentence[np.searchsorted(words.starts, reading.start)]
    rows = np.flatnonzero(words.sentence == within)
    start, end = int(words.starts[rows[0]]), int(words.ends[rows[-1]])
    return Citation(found.items[reading.passage], start, end, text[start:end])
