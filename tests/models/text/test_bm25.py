"""BM25 against its formula, and against the contract of models of text."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError, InputError, ModelError
from sixfold._core.table import Table, column
from sixfold.data import Events
from sixfold.frame import Entity
from sixfold.models.registry import load_matcher, load_ranker
from sixfold.models.text import BM25
from sixfold.models.text.tokens import Tokens
from sixfold.testing.text_kit import check_matcher, example_documents, example_fields

FIELDS = (example_fields.title, example_fields.text)
WORDS = ("alpha", "beta", "gamma", "delta", "omega")


def naive(documents: list[list[str]], query: list[str], *, k1: float, b: float) -> list[float]:
    """BM25 as Lucene counts it, a document and a word at a time."""
    n, average = len(documents), sum(map(len, documents)) / len(documents)
    scores = []
    for words in documents:
        counts, score = Counter(words), 0.0
        for word in query:
            having = sum(word in other for other in documents)
            rarity = np.log(1 + (n - having + 0.5) / (having + 0.5))
            norm = k1 * (1 - b + b * len(words) / average)
            score += rarity * counts[word] / (counts[word] + norm) if counts[word] else 0.0
        scores.append(score)
    return scores


@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8), min_size=2, max_size=8),
    st.lists(st.sampled_from((*WORDS, "unheard")), min_size=1, max_size=4),
    st.floats(0.1, 3.0),
    st.floats(0.0, 1.0),
)
@settings(max_examples=60, deadline=None)
def test_scores_are_those_of_the_formula(documents: list[list[str]], query: list[str], k1: float, b: float) -> None:
    keys = np.arange(len(documents))
    text = column([" ".join(words) for words in documents], str)
    catalog = Table({"item": keys, "title": column([None] * len(keys), str), "text": text})
    fitted = BM25(FIELDS, k1=k1, b=b, language="").fit(catalog, seed=0)
    expected = naive(documents, query, k1=k1, b=b)
    assert np.allclose(fitted.scores(" ".join(query), keys), expected, atol=1e-4)


def test_the_contract() -> None:
    check_matcher(BM25(FIELDS))


def test_what_is_covered_is_the_share_of_the_words_worth() -> None:
    text = column(["tulips", "tulips roses", "soil"], str)
    catalog = Table({"item": np.array([1, 2, 3]), "title": column([None] * 3, str), "text": text})
    said = BM25(FIELDS).fit(catalog, seed=0).evidence("tulips roses", np.array([1, 2, 3, 99]))
    roses, tulips = np.log1p(2.5 / 1.5), np.log1p(1.5 / 2.5)
    expected = [tulips / (tulips + roses), 1.0, 0.0, np.nan]
    assert np.allclose(said["bm25_covered"], expected, equal_nan=True)


def test_words_are_stemmed_and_stop_words_do_not_count() -> None:
    fitted = BM25(FIELDS).fit(example_documents(), seed=0)
    assert fitted.search("the turbines", 5)[0].tolist() == fitted.search("turbine", 5)[0].tolist()
    assert len(fitted.search("the and of", 5)[0]) == 0
    assert Tokens("german")("Die Gärten") == ["die", "gart"]


def test_text_keys_are_found_too() -> None:
    catalog = example_documents()
    named = Table({**catalog, "item": column([f"page {key}" for key in catalog["item"].tolist()], str)})
    keys, _ = BM25(FIELDS).fit(named, seed=0).search("turbine torque", 3)
    assert keys[0].startswith("page ")


def test_a_model_is_known_by_its_folder(tmp_path) -> None:
    BM25(FIELDS).fit(example_documents(), seed=0).save(tmp_path)
    assert len(load_matcher(tmp_path).items) == 60
    with pytest.raises(ModelError, match="expected a ranker"):
        load_ranker(tmp_path)


def test_what_cannot_be_searched_is_refused() -> None:
    user = Events("user_meta", keys=(Entity("user"),), fields={"about": str})
    with pytest.raises(DefinitionError, match="reads no text"):
        BM25(())
    with pytest.raises(DefinitionError, match="about the item alone"):
        BM25((example_fields.text, user.about))
    with pytest.raises(DefinitionError, match="k1 must not be negative"):
        BM25(FIELDS, k1=-1)
    with pytest.raises(DefinitionError, match="no stems are known"):
        BM25(FIELDS, language="klingon").fit(example_documents(), seed=0)
    with pytest.raises(ModelError, match="no documents"):
        BM25(FIELDS).fit(Table({"item": np.empty(0, np.int64)}), seed=0)
    with pytest.raises(InputError, match="lacks the fields"):
        BM25(FIELDS).fit(Table({"item": np.arange(2)}), seed=0)
