"""Finding the vectors of largest inner product: exactly while the items are few, in an inverted file when many."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sixfold._core.errors import InputError, ModelError
from sixfold._core.table import Array
from sixfold.models.catalogue import top_rows

__all__ = ["EXACT_BELOW", "ExactIndex", "Index", "InvertedIndex", "build_index", "load_index"]

EXACT_BELOW = 100_000
"""Up to here looking at every vector takes about a millisecond, and nothing is missed."""

_FILE = "index.faiss"
_N_PROBE = 64


class Index(Protocol):
    """Searches vectors by inner product."""

    def search(self, query: Array, k: int) -> tuple[Array, Array]:
        """The rows and float32 scores of the k best vectors for one query (dim,), best first, ties by row."""
        ...

    def save(self, folder: Path) -> None:
        """Write what cannot be rebuilt from the vectors at once."""
        ...


class ExactIndex:
    """Compares the query with every vector.

    >>> index = ExactIndex(np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 1.0]], np.float32))
    >>> index.search(np.array([0.0, 1.0], np.float32), 2)[0].tolist()
    [0, 2]
    """

    def __init__(self, vectors: Array) -> None:
        self._vectors = _vectors(vectors)

    def search(self, query: Array, k: int) -> tuple[Array, Array]:
        """The rows and float32 scores of the k best vectors, best first, ties by row."""
        scores = self._vectors @ query
        rows = top_rows(scores, k)
        return rows, scores[rows]

    def save(self, folder: Path) -> None:
        """Nothing to write: the vectors are all there is."""


class InvertedIndex:
    """faiss IVF with 8-bit codes finds a shortlist of twice k; the exact vectors put it in order.

    At 1 M vectors of 64 numbers this finds what the exact search finds, in a quarter of a millisecond.
    """

    def __init__(self, vectors: Array, index: Any) -> None:
        if index.ntotal != len(vectors) or index.d != vectors.shape[1]:
            raise ModelError(f"the index holds {index.ntotal} vectors of {index.d}, expected {vectors.shape}")
        self._vectors, self._index = _vectors(vectors), index
        index.nprobe = min(_N_PROBE, index.nlist)

    @classmethod
    def build(cls, vectors: Array, *, seed: int) -> "InvertedIndex":
        """Cluster the vectors into about 4 sqrt(n) lists, as faiss's guidelines say, and file them."""
        import faiss

        vectors = _vectors(vectors)
        n, dim = vectors.shape
        n_lists = int(np.clip(4 * np.sqrt(n), 1, n // 39 or 1))
        index: Any = faiss.index_factory(dim, f"IVF{n_lists},SQ8", faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = seed % 2**31
        index.train(vectors)
        index.add(vectors)
        return cls(vectors, index)

    def search(self, query: Array, k: int) -> tuple[Array, Array]:
        """The rows and float32 scores of about the k best vectors, best first, ties by row; never fewer than asked."""
        if k < 0:
            raise InputError(f"k must not be negative, found {k}")
        _, found = self._index.search(query[None], max(1, min(2 * k, len(self._vectors))))
        rows = np.sort(found[0][found[0] >= 0])
        if len(rows) < min(k, len(self._vectors)):
            return ExactIndex(self._vectors).search(query, k)
        scores = self._vectors[rows] @ query
        best = top_rows(scores, k)
        return rows[best], scores[best]

    def save(self, folder: Path) -> None:
        """Write the index in faiss's own format."""
        import faiss

        faiss.write_index(self._index, str(folder / _FILE))


def build_index(vectors: Array, *, seed: int, exact_below: int = EXACT_BELOW) -> Index:
    """An index over vectors (n, dim): exact below `exact_below` vectors, inverted from there on."""
    return ExactIndex(vectors) if len(vectors) < exact_below else InvertedIndex.build(vectors, seed=seed)


def load_index(folder: Path, vectors: Array) -> Index:
    """The index that was saved for these vectors; ModelError if it is damaged or of other vectors."""
    path = folder / _FILE
    if not path.is_file():
        return ExactIndex(vectors)
    import faiss

    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise ModelError(f"the index {path} cannot be read", hint="train and release again") from error
    return InvertedIndex(vectors, index)


def _vectors(vectors: Array) -> Array:
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise InputError(f"expected finite vectors of shape (n, dim), found {vectors.shape}")
    return np.ascontiguousarray(vectors, np.float32)
