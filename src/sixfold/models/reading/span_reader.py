"""The reader that needs no download: candidate spans, looked at from many sides, and a small network that picks one."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array
from sixfold.models.contract import Progress, silent
from sixfold.models.reading.affinity import Affinity
from sixfold.models.reading.agreement import f1, normalised
from sixfold.models.reading.contract import Examples, Reading
from sixfold.models.reading.evidence import Evidence
from sixfold.models.reading.features import CODES, FEATURES, likely, span_features
from sixfold.models.reading.listwise import Lists, Listwise
from sixfold.models.reading.question import Question, question_of
from sixfold.models.reading.spans import Spans, spans_of
from sixfold.models.reading.words import words_of
from sixfold.models.storage import read_model, write_model

__all__ = ["FittedSpanReader", "SpanReader", "load"]

KIND = "spans"
_FACTS = (
    "sentence",
    "passage",
    "missing_most",
    "within_5",
    "rank",
    "odds",
    "words",
    "capitals",
    "terms",
    "short_passage",
)


@dataclass(frozen=True, slots=True)
class SpanReader:
    """Scores every run of up to ten words of the likely sentences by what surrounds it and what it looks like.

    `sentences` of all passages together are looked at closely. Of a question, the right spans are learnt from and as
    many wrong ones as make `candidates`.
    """

    name: str = "reader"
    sentences: int = 10
    candidates: int = 250
    hidden: int = 32
    epochs: int = 8
    members: int = 3

    def fit(self, train: Examples, validate: Examples, *, seed: int, progress: Progress = silent) -> "FittedSpanReader":
        """Learn spans from the questions of `train` that have an answer, and what is evidence enough from `validate`.

        Raises ModelError if no question has an answer that stands in one of its passages.
        """
        train.check()
        validate.check()
        progress("reading the passages", 0.0)
        weights, unknown = _rarity(train, validate)
        lists = self._lists(train, weights, unknown, np.random.default_rng(derive_seed(seed, "candidates")), progress)
        progress("learning to pick answers", 0.4)
        codes = {FEATURES.index(name): size for name, size in CODES.items()}
        net = Listwise.fit(
            lists, codes, hidden=self.hidden, epochs=self.epochs, members=self.members, seed=derive_seed(seed, "net")
        )
        affinity = Affinity.fit(_answers(train), _passages(train))
        picker = FittedSpanReader(net, affinity, (weights, unknown), self.sentences, None)
        progress("learning when to refuse", 0.9)
        reader = FittedSpanReader(net, affinity, (weights, unknown), self.sentences, _weigh(picker, validate))
        progress("learning to read", 1.0)
        return reader

    def _lists(
        self, train: Examples, weights: Mapping[str, float], unknown: float, rng: np.random.Generator, tell: Progress
    ) -> Lists:
        # Odds are counted on one half of the topics and looked at on the other: of their own they know too much.
        half = {topic: i % 2 for i, topic in enumerate(sorted(set(train.topics)))}
        parts = [_only(train, [half[topic] != side for topic in train.topics]) for side in (0, 1)]
        odds = [Affinity.fit(_answers(part), _passages(part)) for part in parts]
        features, marks, sizes = [], [], [0]
        for i, question in enumerate(train.questions):
            texts, answers = train.passages[i], train.answers[i]
            if not answers:
                continue
            spans = [spans_of(text) for text in texts]
            right = _right(spans, answers)
            if not right.any():
                continue
            found = span_features(question_of(question), spans, odds[half[train.topics[i]]], weights, unknown)
            chosen = _sample(right, likely(found, self.sentences), self.candidates, rng)
            features.append(found[chosen])
            marks.append(right[chosen])
            sizes.append(len(chosen))
            if i % 500 == 0:
                tell("reading the passages", 0.4 * i / len(train))
        return Lists(np.concatenate(features), np.concatenate(marks).astype(np.float32), np.cumsum(sizes))


class FittedSpanReader:
    """Picks the best span by the sum of its chances over the passages, and says how sure it is."""

    def __init__(
        self,
        net: Listwise,
        affinity: Affinity,
        rarity: tuple[Mapping[str, float], float],
        sentences: int,
        evidence: Evidence | None,
    ) -> None:
        self._net, self._affinity, self._sentences, self._evidence = net, affinity, sentences, evidence
        self._weights, self._unknown = rarity

    @property
    def threshold(self) -> float:
        """The evidence below which refusing pays, learnt on validation questions."""
        return 0.0 if self._evidence is None else self._evidence.threshold

    def read(self, question: str, passages: Sequence[str]) -> Reading | None:
        """The best span; None where no passage has any."""
        found = self.pick(question, passages)
        if found is None:
            return None
        reading, facts = found
        sure = 1.0 if self._evidence is None else float(self._evidence.of(facts[None, :])[0])
        return reading._replace(evidence=sure)

    def pick(self, question: str, passages: Sequence[str]) -> tuple[Reading, Array] | None:
        """The best span, and the facts that its evidence is judged by."""
        spans = [spans_of(text) for text in passages]
        asked = question_of(question)
        features = span_features(asked, spans, self._affinity, self._weights, self._unknown)
        if not len(features):
            return None
        rows = np.flatnonzero(likely(features, self._sentences))
        scores = self._net.scores(features[rows])
        chances = np.zeros(len(features), np.float32)
        chances[rows] = np.exp(scores - scores.max())
        chances /= chances.sum()
        row = int(np.argmax(chances))
        passage, mine = _locate(spans, row)
        start, end = spans[passage].range(mine)
        same = normalised(spans[passage].text(mine))
        facts = [*features[row, [FEATURES.index(name) for name in _FACTS]], *_chances(spans, chances, row, same)]
        facts += _unmatched(asked, spans[passage])
        return Reading(passage, start, end, spans[passage].text(mine), 0.0), np.array(facts, np.float64)

    def save(self, folder: Path) -> None:
        """Write the settings and arrays."""
        evidence = {} if self._evidence is None else self._evidence.arrays()
        arrays = {**self._net.arrays, **{f"evidence_{name}": value for name, value in evidence.items()}}
        settings = {
            "members": self._net.members,
            "codes": {str(column): size for column, size in self._net.codes.items()},
            "odds": self._affinity.odds,
            "weights": dict(self._weights),
            "unknown": self._unknown,
            "sentences": self._sentences,
        }
        write_model(folder, KIND, settings, arrays)


def load(folder: Path) -> FittedSpanReader:
    """The reader that `save` wrote into `folder`; raises ModelError if it is damaged."""
    settings, arrays = read_model(folder, KIND)
    evidence = {name.removeprefix("evidence_"): arrays.pop(name) for name in [*arrays] if name.startswith("evidence_")}
    codes = {int(column): size for column, size in settings["codes"].items()}
    return FittedSpanReader(
        Listwise(codes, arrays, settings["members"]),
        Affinity(settings["odds"]),
        (settings["weights"], settings["unknown"]),
        settings["sentences"],
        Evidence.from_arrays(evidence) if evidence else None,
    )


def _rarity(*parts: Examples) -> tuple[dict[str, float], float]:
    """The inverse document frequency of each stem over the passages (as BM25 defines it), and of one never seen."""
    texts = {text for part in parts for texts in (part.corpus, *part.passages) for text in texts}
    counts = Counter(stem for text in texts for stem in set(words_of(text).stems))
    n = len(texts)
    return {s: round(math.log(1 + (n - c + 0.5) / (c + 0.5)), 4) for s, c in sorted(counts.items())}, math.log(
        1 + 2 * n
    )


def _only(examples: Examples, keep: Sequence[bool]) -> Examples:
    def some(values: Sequence[object]) -> tuple[object, ...]:
        return tuple(value for value, wanted in zip(values, keep, strict=True) if wanted)

    parts = (examples.questions, examples.passages, examples.answers, examples.topics)
    return Examples(*(some(part) for part in parts))  # type: ignore[arg-type]


def _passages(examples: Examples) -> Iterator[Spans]:
    for text in dict.fromkeys(text for texts in examples.passages for text in texts):
        yield spans_of(text)


def _answers(examples: Examples) -> Iterator[tuple[Question, Spans, int]]:
    """Of each question that has one, the right span."""
    for question, texts, answers in zip(examples.questions, examples.passages, examples.answers, strict=True):
        if answers and (text := _home(texts, answers)):
            spans = spans_of(text)
            rows = np.flatnonzero(_right([spans], answers))
            if len(rows):
                yield question_of(question), spans, int(rows[0])


def _home(texts: Sequence[str], answers: Sequence[str]) -> str:
    """The passage that answers: the first that holds an accepted answer, "" if none does."""
    return next((text for text in texts if any(answer in text for answer in answers)), "")


def _right(spans: Sequence[Spans], answers: Sequence[str]) -> Array:
    """Which spans of the passage that answers are accepted, over all passages."""
    truths = {normalised(answer) for answer in answers}
    home = _home([part.words.text for part in spans], answers)
    marks = []
    for part in spans:
        mark = np.zeros(len(part), np.bool_)
        if part.words.text == home:
            mark[:] = [normalised(part.text(row)) in truths for row in range(len(part))]
        marks.append(mark)
    return np.concatenate(marks)


def _sample(right: Array, likely_: Array, n: int, rng: np.random.Generator) -> Array:
    """The right spans, and wrong ones of the likely sentences."""
    rows, wrong = np.flatnonzero(right), np.flatnonzero(likely_ & ~right)
    return np.sort(np.concatenate([rows, rng.choice(wrong, min(max(n - len(rows), 1), len(wrong)), replace=False)]))


def _locate(spans: Sequence[Spans], row: int) -> tuple[int, int]:
    ends = np.cumsum([len(part) for part in spans])
    passage = int(np.searchsorted(ends, row, side="right"))
    return passage, row - int(ends[passage] - len(spans[passage]))


def _chances(spans: Sequence[Spans], chances: Array, row: int, same: str) -> list[float]:
    """The chance of the best span, of all that say the same among the best twenty, and how far the next other is."""
    top = np.argsort(-chances, kind="stable")[:20]
    texts = [normalised(spans[p].text(r)) for p, r in (_locate(spans, int(i)) for i in top)]
    agreeing = float(sum(chances[i] for i, text in zip(top, texts, strict=True) if text == same))
    other = max((float(chances[i]) for i, text in zip(top, texts, strict=True) if text != same), default=0.0)
    best = float(chances[row])
    return [math.log(best), agreeing, best - other]


def _unmatched(question: Question, spans: Spans) -> list[float]:
    """Names and numbers of the question that the passage lacks: their count, and whether there is any."""
    known = set(spans.words.stems)
    words = question.words
    named = words.shapes[:, 0] & ~words.shapes[:, 10] | words.shapes[:, 2]
    lacking = sum(stem not in known for stem, name in zip(words.stems, named.tolist(), strict=True) if name)
    return [float(lacking), float(lacking > 0)]


def _weigh(reader: FittedSpanReader, validate: Examples) -> Evidence:
    facts, agreement, answerable = [], [], []
    for question, texts, answers in zip(validate.questions, validate.passages, validate.answers, strict=True):
        picked = reader.pick(question, texts)
        if picked is not None:
            facts.append(picked[1])
            agreement.append(f1(picked[0].text, answers) if answers else 0.0)
            answerable.append(bool(answers))
    return Evidence.fit(np.array(facts), np.array(agreement), np.array(answerable))
