"""How good written answers are: the right passage, the right words, refusals where there is no answer, true citations.

The words are judged as in SQuAD 2.0 (Rajpurkar, Jia and Liang 2018): exact match and token F1 with the accepted answer
that is nearest, and for questions without an answer 1 for a refusal and 0 for any answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from sixfold._core.errors import DataError
from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table
from sixfold.data.events import Field
from sixfold.evaluate.bootstrap import Estimate, bootstrap, mean
from sixfold.evaluate.measures import Trial
from sixfold.evaluate.report import Comparison, Entry
from sixfold.features.definitions import Recent
from sixfold.models.reading.agreement import exact, f1
from sixfold.models.reading.question import question_of
from sixfold.models.reading.words import words_of
from sixfold.models.text.contract import Matcher
from sixfold.serve.decision import Answer
from sixfold.serve.extract import Extract
from sixfold.serve.grounding import check

__all__ = ["Answering", "Judged", "best_sentence", "refusal_curve", "supported"]

_COVERAGE = (0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Judged:
    """What was made of one question: agreement of the best answer with the truth, whether it was given, and how sure.

    `found` says whether the passage asked about was among the first k. `grounded` and `precise` are NaN where nothing
    was said.
    """

    found: float
    exact: float
    f1: float
    answerable: bool
    refused: bool
    evidence: float
    grounded: float = np.nan
    precise: float = np.nan


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers to `questions` of the test range beside the best sentence of the first passage that `baseline` finds.

    `reading` is the stage that quotes, in the pipeline or behind its generator. Intervals resample questions.
    """

    reading: Extract
    baseline: Matcher
    k: int = 5
    questions: int = 2_000

    @property
    def metrics(self) -> tuple[str, ...]:
        """Of the best answers, refused or not, to questions that have one; then of all that was said."""
        return "passage_recall@k", "exact", "f1", "f1_with_refusal", "right_when_answered", "grounded", "cited_rightly"

    def measure(self, trial: Trial) -> tuple[Comparison, Mapping[str, Estimate | float]]:
        """Decide for each question by the real pipeline; where it refuses, ask once more what it would have said."""
        if trial.vary is None:
            raise DataError("answers are measured by a pipeline that can be varied, and this trial has none")
        accepted, about = _truth(trial, self.reading.truth)
        rows = self._rows(trial, accepted)
        frank = trial.vary(render=replace(self.reading, refuse=0.0))
        simple = _Simple.of(trial, self)
        judged, sentences = [], []
        for row in rows:
            question = str(trial.people[row])
            request = trial.request(row)
            said = msgspec.json.decode(trial.decide(request).response, type=Answer)
            best = msgspec.json.decode(frank(request).response, type=Answer) if said.refused else said
            judged.append(_judge(said, best, accepted[question], about.get(question, set()), self.k))
            sentences.append(simple.judge(question, accepted[question], about.get(question, set()), self.k))
        return self._compare(judged, sentences, derive_seed(trial.seed, "answers"))

    def _rows(self, trial: Trial, accepted: Mapping[str, tuple[str, ...]]) -> list[int]:
        """A row of the spine for each question, of at most as many as are wanted."""
        keys = [str(key) for key in trial.people.tolist()]
        first = {key: row for row, key in reversed([*enumerate(keys)]) if key in accepted}
        rows = np.array(sorted(first.values()), np.int64)
        if not len(rows):
            raise DataError(f"no question of the test range has a truth in {self.reading.truth!r}")
        rng = np.random.default_rng(derive_seed(trial.seed, "questions"))
        chosen = np.sort(rng.permutation(rows)[: self.questions])
        return [int(row) for row in chosen]

    def _compare(
        self, judged: Sequence[Judged], simple: Sequence[Judged], seed: int
    ) -> tuple[Comparison, Mapping[str, Estimate | float]]:
        mine, theirs = _figures(judged, seed), _figures(simple, seed)
        entries = [Entry("ours", mine, ours=True), Entry("best sentence of the first passage", theirs)]
        nothing = [replace(one, refused=True, grounded=np.nan, precise=np.nan) for one in judged]
        entries.append(Entry("refuses always", {"f1_with_refusal": _figures(nothing, seed)["f1_with_refusal"]}))
        entries += [
            Entry(f"ours, the surest {share:.0%} answered", {"right_when_answered": right, "f1_with_refusal": total})
            for share, right, total in refusal_curve(judged, seed=seed)
        ]
        n = sum(one.answerable for one in judged)
        worth = [0.0 if one.refused else one.f1 - (not one.answerable) for one in judged]
        gain = bootstrap(lambda w: mean(np.array(worth), w), users=np.arange(len(worth)), seed=seed)
        note = (
            f"{len(judged):,} questions of the test range, {n:,} of which have an answer; exact and f1 over those, as "
            "if nothing were refused; the passage is found among all, for every question. The rest as in SQuAD 2.0. "
            f"To answer where the evidence is enough is worth {gain} of f1_with_refusal over refusing always."
        )
        pictured = ("passage_recall@k", "exact", "f1", "f1_with_refusal")
        return Comparison(f"Answers, k = {self.k}", note, tuple(entries), pictured), mine


class _Simple:
    """The baseline: the sentence of the best passage that shares most words with the question, never a refusal."""

    def __init__(self, matcher: Any, texts: Mapping[int | str, str]) -> None:
        self._matcher, self._texts = matcher, texts

    @classmethod
    def of(cls, trial: Trial, answering: Answering) -> "_Simple":
        text = answering.reading.text
        if not isinstance(text, Recent):
            raise DataError(f"{text!r} is no attribute of an item")
        stream = text.stream
        key = stream.keys[0].name
        events = trial.history[stream.name]
        known = events.take(events["at"] < trial.start)
        _, newest = np.unique(known[key][::-1], return_index=True)
        known = known.take(np.sort(len(known) - 1 - newest))
        catalog = Table({"item": known[key], **{name: known[name] for name in stream.fields}})
        matcher = answering.baseline.fit(catalog, seed=derive_seed(trial.seed, "baseline"))
        field = str(getattr(text.value, "name", ""))
        return cls(matcher, dict(zip(known[key].tolist(), known[field].tolist(), strict=True)))

    def judge(self, question: str, truths: Sequence[str], about: set[Any], k: int) -> Judged:
        keys = self._matcher.search(question, k)[0].tolist()
        said = best_sentence(question, self._texts[keys[0]] or "") if keys else ""
        right, near = (exact(said, truths), f1(said, truths)) if truths else (0.0, 0.0)
        return Judged(float(bool(about & set(keys))), right, near, bool(truths), False, 1.0)


def best_sentence(question: str, passage: str) -> str:
    """The first of the sentences that share most words with a question.

    >>> best_sentence("Who ruled Normandy?", "He came late. Rollo ruled Normandy.")
    'Rollo ruled Normandy.'
    """
    words, wanted = words_of(passage), set(question_of(question).terms)
    if not len(words):
        return ""
    numbers = words.sentence.tolist()
    shared: dict[int, set[str]] = {number: set() for number in numbers}
    for number, stem in zip(numbers, words.stems, strict=True):
        shared[number] |= {stem} & wanted
    best = max(shared, key=lambda number: (len(shared[number]), -number))
    rows = [i for i, number in enumerate(numbers) if number == best]
    return passage[int(words.starts[rows[0]]) : int(words.ends[rows[-1]])]


def supported(said: Answer) -> tuple[float, float]:
    """The share of an answer's words that stand in what it cites, and the share of its citations that support it.

    A text that cites by number is checked sentence by sentence; one that does not must stand in its first citation.
    """
    quotes = [citation.quote for citation in said.citations]
    if not said.text or not quotes:
        return 0.0, 0.0
    text = said.text if "[1]" in said.text else f"{said.text} [1]"
    found = check(text, quotes)
    return found.grounded, found.precise


def refusal_curve(judged: Sequence[Judged], *, seed: int) -> list[tuple[float, Estimate, Estimate]]:
    """For some shares of questions, the surest of which are answered: F1 where answered, and over all with refusals."""
    evidence = np.array([one.evidence for one in judged])
    order = np.argsort(-evidence, kind="stable")
    out = []
    for share in _COVERAGE:
        given = np.zeros(len(judged), np.bool_)
        given[order[: max(1, round(share * len(judged)))]] = True
        some = [replace(one, refused=not answered) for one, answered in zip(judged, given.tolist(), strict=True)]
        figures = _figures(some, seed)
        out.append((share, figures["right_when_answered"], figures["f1_with_refusal"]))
    return out


def _truth(trial: Trial, truth: Field) -> tuple[dict[str, tuple[str, ...]], dict[str, set[Any]]]:
    """What is accepted for each question, () for nothing, and the passages that the question is about."""
    per, item = (key.name for key in truth.events.keys[:2])
    events = trial.history[truth.events.name]
    accepted: dict[str, dict[str, None]] = {}
    about: dict[str, set[Any]] = {}
    for question, passage, text in zip(*(events[name].tolist() for name in (per, item, truth.name)), strict=True):
        accepted.setdefault(str(question), {})
        about.setdefault(str(question), set()).add(passage)
        if text:
            accepted[str(question)][text] = None
    return {question: tuple(texts) for question, texts in accepted.items()}, about


def _judge(said: Answer, best: Answer, truths: Sequence[str], about: set[Any], k: int) -> Judged:
    shown = {item.id for item in said.items[:k]}
    text = best.text or ""
    right, near = (exact(text, truths), f1(text, truths)) if truths else (0.0, 0.0)
    evidence = said.detail.get("evidence", best.detail.get("evidence", 0.0))
    grounded, precise = (np.nan, np.nan) if said.refused else supported(said)
    found = float(bool(about & shown))
    return Judged(found, right, near, bool(truths), said.refused, float(evidence), grounded, precise)


def _figures(judged: Sequence[Judged], seed: int) -> dict[str, Estimate]:
    answerable = np.array([one.answerable for one in judged])
    refused = np.array([one.refused for one in judged])
    near = np.array([one.f1 for one in judged])
    values: dict[str, Array] = {
        "passage_recall@k": np.array([one.found for one in judged]),
        "exact": np.where(answerable, [one.exact for one in judged], np.nan),
        "f1": np.where(answerable, near, np.nan),
        "f1_with_refusal": np.where(refused, ~answerable, near),
        "right_when_answered": np.where(refused, np.nan, near),
        "answered": (~refused).astype(np.float64),
        "grounded": np.array([one.grounded for one in judged]),
        "cited_rightly": np.array([one.precise for one in judged]),
    }
    people = np.arange(len(judged))
    return {
        name: bootstrap(lambda w, v=some: mean(v, w), users=people, seed=seed)  # type: ignore[misc]
        for name, some in values.items()
        if not np.isnan(some).all()
    }
