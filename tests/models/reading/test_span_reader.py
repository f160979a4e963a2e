"""The reader: candidate spans, what they look like, and picking among them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import ModelError
from sixfold.models.reading.affinity import Affinity
from sixfold.models.reading.agreement import exact, f1, normalised
from sixfold.models.reading.contract import Examples
from sixfold.models.reading.evidence import Evidence
from sixfold.models.reading.features import FEATURES, span_features
from sixfold.models.reading.question import question_of
from sixfold.models.reading.span_reader import FittedSpanReader, SpanReader, load
from sixfold.models.reading.spans import MOST_WORDS, spans_of
from sixfold.models.reading.words import words_of
from sixfold.models.storage import read_settings

PEOPLE = ("Ada Stone", "Ben Rivers", "Cora Hill", "Dan Woods", "Eva Marsh", "Finn Lake", "Gus Field", "Ida Brook")
PLACES = ("Norwich", "Leeds", "Dover", "Bath", "York", "Truro", "Derby", "Ripon")


def world(first: int, last: int) -> Examples:
    """Small lives, in which who, where and when can be read."""
    questions, passages, answers, topics = [], [], [], []
    for i in range(first, last):
        who, where, year = PEOPLE[i % 8], PLACES[(i // 8 + i) % 8], 1800 + 7 * i
        text = f"The mill of {where} is old. It was built by {who} in {year} and stands near the river."
        other = f"Trains leave {PLACES[(i + 3) % 8]} at noon. Nobody knows why."
        asked = {
            f"Who built the mill of {where}?": (who,),
            f"When was the mill of {where} built?": (str(year),),
            f"Who painted the mill of {where}?": (),
        }
        for question, truth in asked.items():
            questions.append(question)
            passages.append((text, other))
            answers.append(truth)
            topics.append(f"mill {i}")
    return Examples(tuple(questions), tuple(passages), tuple(answers), tuple(topics))


@pytest.fixture(scope="module")
def reader() -> FittedSpanReader:
    return SpanReader(hidden=16, members=1, epochs=12).fit(world(0, 40), world(40, 60), seed=3)


@given(st.text(max_size=200))
def test_a_span_is_always_text_of_its_passage(text: str) -> None:
    spans = spans_of(text)
    assert np.isfinite(spans.looks).all()
    for row in range(len(spans)):
        start, end = spans.range(row)
        assert 0 <= start < end <= len(text)
        assert spans.text(row) == text[start:end]
        assert 1 <= spans.last[row] - spans.first[row] + 1 <= MOST_WORDS


@given(st.text(max_size=80), st.lists(st.text(max_size=120), max_size=3))
def test_features_are_finite_whatever_is_asked(question: str, texts: list[str]) -> None:
    spans = [spans_of(text) for text in texts]
    found = span_features(question_of(question), spans, Affinity(), {}, 5.0)
    assert found.shape == (sum(map(len, spans)), len(FEATURES))
    assert np.isfinite(found).all()


@given(st.text(max_size=40), st.text(max_size=40))
def test_agreement_is_symmetric_bounded_and_whole_for_the_same(a: str, b: str) -> None:
    assert f1(a, [b]) == pytest.approx(f1(b, [a]))
    assert 0.0 <= f1(a, [b]) <= 1.0
    assert exact(a, [a]) == f1(a, [a]) == 1.0
    assert f1(a, [b]) >= exact(a, [b])
    assert normalised(normalised(a)) == normalised(a) or not a.isascii()


def test_sentences_end_where_they_end() -> None:
    words = words_of('Dr. Stone met J. Rivers. They left at 5.30 p.m. "Never again." He said so.')
    assert words.sentence.max() >= 2
    assert words.sentence[words.lower.index("rivers")] == 0


def test_it_learns_to_read(reader: FittedSpanReader) -> None:
    test = world(60, 80)
    found = [reader.read(question, texts) for question, texts in zip(test.questions, test.passages, strict=True)]
    right = [exact(r.text, a) for r, a in zip(found, test.answers, strict=True) if r and a]
    assert np.mean(right) > 0.9
    for reading, texts in zip(found, test.passages, strict=True):
        assert reading is not None
        assert texts[reading.passage][reading.start : reading.end] == reading.text
        assert 0.0 <= reading.evidence <= 1.0


def test_it_learns_when_to_refuse(reader: FittedSpanReader) -> None:
    test = world(60, 80)
    found = [reader.read(question, texts) for question, texts in zip(test.questions, test.passages, strict=True)]
    sure = np.array([r is not None and r.evidence >= reader.threshold for r in found])
    answerable = np.array([bool(a) for a in test.answers])
    assert sure[answerable].mean() > 0.9
    assert sure[~answerable].mean() < 0.1


def test_nothing_to_read_is_no_answer(reader: FittedSpanReader) -> None:
    assert reader.read("Who?", []) is None
    assert reader.read("Who?", ["", "of the . , !"]) is None


def test_saved_and_loaded_it_reads_the_same(reader: FittedSpanReader, tmp_path: Path) -> None:
    reader.save(tmp_path)
    again = load(tmp_path)
    test = world(60, 62)
    assert again.threshold == reader.threshold
    for question, texts in zip(test.questions, test.passages, strict=True):
        assert again.read(question, texts) == reader.read(question, texts)


def test_the_same_data_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    config = SpanReader(hidden=8, members=1, epochs=1)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        config.fit(world(0, 6), world(6, 9), seed=5).save(tmp_path / name)
    for file in ("model.json", "arrays.npz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_all_known_texts_say_how_rare_a_word_is(tmp_path: Path) -> None:
    """A word that only the questions to come are about is not rare because no question was about it yet."""
    train = replace(world(0, 6), corpus=("The lighthouse is tall.", "A lighthouse is white.", "That lighthouse burnt."))
    SpanReader(hidden=8, members=1, epochs=1).fit(train, world(6, 9), seed=5).save(tmp_path)
    settings = read_settings(tmp_path)["settings"]
    assert settings["weights"]["lighthous"] < settings["weights"]["tall"] < settings["unknown"]


def test_without_answers_there_is_nothing_to_learn() -> None:
    data = world(0, 2)
    nothing = Examples(data.questions, data.passages, ((),) * len(data), data.topics)
    with pytest.raises(ModelError, match="of 6 questions none has one"):
        SpanReader().fit(nothing, data, seed=1)


def test_the_threshold_earns_most() -> None:
    facts = np.array([[3.0], [2.0], [1.0], [0.0], [-1.0], [-2.0]] * 5)
    agreement = np.array([1.0, 1.0, 0.5, 0.0, 0.0, 0.0] * 5)
    evidence = Evidence.fit(facts, agreement, agreement > 0)
    chance = evidence.of(facts)
    assert (chance[agreement >= 0.5] > evidence.threshold).all()
    assert (chance[agreement == 0] < evidence.threshold).all()
