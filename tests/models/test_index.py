from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import InputError, ModelError
from sixfold._core.table import Array
from sixfold.models.index import ExactIndex, InvertedIndex, build_index, load_index


def vectors(n: int, dim: int = 16, *, seed: int = 0) -> Array:
    """Vectors in clusters, as those of items are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(50, dim))
    return np.asarray(centres[rng.integers(0, 50, n)] + 0.5 * rng.normal(size=(n, dim)), np.float32)


def test_exact_search_is_a_sort_by_inner_product() -> None:
    items, query = vectors(300), vectors(1, seed=1)[0]
    rows, scores = ExactIndex(items).search(query, 20)
    expected = np.argsort(-(items @ query), kind="stable")[:20]
    assert rows.tolist() == expected.tolist()
    assert scores.tobytes() == (items @ query)[expected].tobytes()


def test_the_inverted_index_finds_nearly_all_that_the_exact_one_finds() -> None:
    items = vectors(20_000)
    exact, inverted = build_index(items, seed=1), build_index(items, seed=1, exact_below=10_000)
    assert isinstance(exact, ExactIndex)
    assert isinstance(inverted, InvertedIndex)
    shares = []
    for query in vectors(50, seed=2):
        rows, scores = inverted.search(query, 100)
        assert np.isclose(scores, items[rows] @ query, rtol=1e-4, atol=1e-4).all()
        assert (np.diff(scores) <= 0).all()
        shares.append(np.isin(exact.search(query, 100)[0], rows).mean())
    assert np.mean(shares) > 0.95


def test_the_inverted_index_gives_as_many_as_asked_for() -> None:
    items = vectors(2_000)
    index = InvertedIndex.build(items, seed=1)
    assert len(index.search(items[0], 1_999)[0]) == 1_999
    assert len(index.search(items[0], 3_000)[0]) == 2_000
    assert len(index.search(items[0], 0)[0]) == 0


def test_a_saved_index_searches_alike_and_refuses_other_vectors(tmp_path: Path) -> None:
    items, query = vectors(2_000), vectors(1, seed=1)[0]
    index = InvertedIndex.build(items, seed=1)
    index.save(tmp_path)
    first = (tmp_path / "index.faiss").read_bytes()
    InvertedIndex.build(items, seed=1).save(tmp_path)
    assert (tmp_path / "index.faiss").read_bytes() == first, "the same vectors and seed give the same bytes"
    loaded = load_index(tmp_path, items)
    assert isinstance(loaded, InvertedIndex)
    assert loaded.search(query, 10)[0].tolist() == index.search(query, 10)[0].tolist()
    with pytest.raises(ModelError, match="expected"):
        load_index(tmp_path, items[:100])
    (tmp_path / "index.faiss").write_bytes(first[:50])
    with pytest.raises(ModelError, match="cannot be read"):
        load_index(tmp_path, items)


def test_an_exact_index_needs_no_file(tmp_path: Path) -> None:
    ExactIndex(vectors(10)).save(tmp_path)
    assert not list(tmp_path.iterdir())
    assert isinstance(load_index(tmp_path, vectors(10)), ExactIndex)


def test_refuses_vectors_that_cannot_be_compared() -> None:
    with pytest.raises(InputError):
        ExactIndex(np.array([[0.0, np.nan]], np.float32))
    with pytest.raises(InputError):
        InvertedIndex.build(vectors(500), seed=1).search(vectors(1)[0], -1)
