"""The library: the same from the same seed, with something to find that words alone do not."""

import numpy as np
import pytest

from sixfold._core.errors import InputError
from sixfold._core.table import Table
from sixfold._core.times import DAY
from sixfold.worlds import open_world
from sixfold.worlds.library import LibraryConfig


def read(name: str, seed: int) -> dict[str, Table]:
    chunks = list(open_world(name, seed).chunks())
    return {
        stream: Table.concat([chunk[stream] for chunk in chunks if stream in chunk])
        for stream in ("doc_meta", "shown", "judged")
    }


def test_the_same_seed_gives_the_same_library() -> None:
    first, again, other = (read("library-tiny", seed) for seed in (1, 1, 2))
    for stream, table in first.items():
        assert all(table[name].tolist() == again[stream][name].tolist() for name in table)
    assert first["doc_meta"]["text"].tolist() != other["doc_meta"]["text"].tolist()


def test_all_that_is_relevant_was_shown_and_every_search_wants_something() -> None:
    found = read("library-tiny", 0)
    shown = set(zip(found["shown"]["query"].tolist(), found["shown"]["doc"].tolist(), strict=True))
    judged = set(zip(found["judged"]["query"].tolist(), found["judged"]["doc"].tolist(), strict=True))
    assert judged <= shown and len(judged) < len(shown) / 5
    assert {query for query, _ in judged} == {query for query, _ in shown}
    assert (found["judged"]["arrived"] // DAY == found["judged"]["at"] // DAY).all()
    assert len(np.unique(found["shown"]["at"] // DAY)) == 37


def test_searches_name_things_otherwise_than_articles_do() -> None:
    found = read("library-tiny", 0)
    texts = dict(zip(found["doc_meta"]["doc"].tolist(), found["doc_meta"]["text"].tolist(), strict=True))
    missing = 0
    for query, doc in zip(found["judged"]["query"].tolist(), found["judged"]["doc"].tolist(), strict=True):
        words = {word for word in query.lower().replace(",", "").split() if len(word) == 6}
        missing += bool(words - set(texts[doc].lower().replace(".", "").replace(",", "").split()))
    assert 0.3 < missing / len(found["judged"]) < 0.95


def test_an_impossible_library_is_refused() -> None:
    with pytest.raises(InputError, match="needs articles"):
        LibraryConfig(things=3)
