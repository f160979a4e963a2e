"""Finding documents by meaning: texts and documents as vectors of one sentence encoder, compared by their angle."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError, ModelError
from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table
from sixfold.data.events import Field
from sixfold.models.catalogue import Catalogue, top_rows
from sixfold.models.contract import Progress, silent
from sixfold.models.index import EXACT_BELOW, Index, build_index, load_index
from sixfold.models.storage import read_model, write_model
from sixfold.models.text.bm25 import Allowed, check_fields, documents
from sixfold.models.text.contract import Encoder, FittedEncoder
from sixfold.models.text.encoder import SentenceEncoder
from sixfold.models.text.vectors import encode

__all__ = ["Dense", "FittedDense", "load"]

_KIND = "dense"
_FEW = 0.2
"""Up to this share of the documents a search among some of them looks at each; beyond, the index is asked for more."""


@dataclass(frozen=True, slots=True)
class Dense:
    """Encodes `fields`, as one text, with `encoder` (anything with `name` and `open`, see `Encoder`).

    Below `exact_below` documents a search looks at all of them; from there on faiss finds most of the best.
    """

    fields: tuple[Field, ...]
    encoder: Any = field(default_factory=SentenceEncoder)
    name: str = "dense"
    exact_below: int = EXACT_BELOW

    def __post_init__(self) -> None:
        if problems := check_fields(self.name, self.fields):
            raise DefinitionError(problems)

    @property
    def columns(self) -> tuple[str, ...]:
        """The score, and how far it is behind that of the document found best, which has 0."""
        return self.name, f"{self.name}_lead"

    def fit(
        self, catalog: Table, *, seed: int, progress: Progress = silent, cache: Path | None = None
    ) -> "FittedDense":
        """Encode the documents; vectors of the same texts are taken from `cache`."""
        items, texts = documents(catalog, self.fields)
        encoder = self.encoder.open()
        vectors = encode(encoder, texts, cache=None if cache is None else cache / self.name, progress=progress)
        index = build_index(vectors, seed=derive_seed(seed, "index"), exact_below=self.exact_below)
        return FittedDense(self.name, encoder, Catalogue(items), vectors, index)

    def load(self, folder: Path) -> "FittedDense":
        """The saved model, with the encoder as its config loads it."""
        return load(folder, self.encoder)


class FittedDense:
    """The vectors of the documents, with the encoder that made them."""

    def __init__(self, name: str, encoder: FittedEncoder, catalogue: Catalogue, vectors: Array, index: Index) -> None:
        if len(vectors) != len(catalogue):
            raise ModelError(f"{len(catalogue)} documents came with {len(vectors)} vectors")
        self._name, self._encoder, self._catalogue, self._vectors = name, encoder, catalogue, vectors
        self._index, self._allowed = index, Allowed(catalogue)
        self._last: tuple[str, Array] | None = None

    @property
    def items(self) -> Array:
        """The keys of the documents, (n_items,)."""
        return self._catalogue.keys

    @property
    def vectors(self) -> Array:
        """The vectors of the documents, (n_items, dim) float32."""
        return self._vectors

    def search(self, text: str, k: int, among: Array | None = None) -> tuple[Array, Array]:
        """The k documents nearest in meaning: keys, float32 scores, best first, ties by catalogue order."""
        query = self._query(text)
        if among is None:
            rows, scores = self._index.search(query, k)
            return self.items[rows], scores
        allowed = self._allowed.rows(among)
        if len(allowed) > _FEW * len(self.items):
            mine = np.zeros(len(self.items), np.bool_)
            mine[allowed] = True
            rows, scores = self._index.search(query, int(2 * k * len(self.items) / len(allowed)))
            keep = np.flatnonzero(mine[rows])[:k]
            if len(keep) == min(k, len(allowed)):
                return self.items[rows[keep]], scores[keep]
        scores = self._vectors[allowed] @ query
        best = top_rows(scores, k)
        return self.items[allowed[best]], scores[best]

    def scores(self, text: str, keys: Array) -> Array:
        """The cosine with each document, (n_keys,) float32; NaN for keys that are not known."""
        rows = self._catalogue.rows(keys)
        cosines = _products(self._vectors[rows], self._query(text))
        return np.asarray(np.where(rows >= 0, cosines, np.float32(np.nan)), np.float32)

    def evidence(self, text: str, keys: Array) -> Table:
        """See `Dense.columns`."""
        found = self.scores(text, keys).astype(np.float64)
        rows, _ = self._index.search(self._query(text), 1)
        best = float(_products(self._vectors[rows], self._query(text))[0])
        return Table({self._name: found, f"{self._name}_lead": found - best})

    def save(self, folder: Path) -> None:
        """Write model.json, arrays.npz, the encoder in a folder of its own and, where there is one, the index."""
        write_model(folder, _KIND, {"name": self._name}, {"items": self.items, "vectors": self._vectors})
        (folder / "encoder").mkdir()
        self._encoder.save(folder / "encoder")
        self._index.save(folder)

    def _query(self, text: str) -> Array:
        """The vector of a text; what a request asks of one text comes one after the other, so the last is kept."""
        if self._last is None or self._last[0] != text:
            self._last = text, self._encoder.encode([text])[0]
        return self._last[1]


def load(folder: Path, encoder: Encoder | None = None) -> FittedDense:
    """The saved model; raises ModelError if the folder holds another or a damaged one.

    Without `encoder`, the one that comes with Sixfold is taken to be in it.
    """
    settings, arrays = read_model(folder, _KIND)
    try:
        vectors, catalogue = arrays["vectors"], Catalogue(arrays["items"])
        opened = (encoder or SentenceEncoder()).load(folder / "encoder")
        return FittedDense(settings["name"], opened, catalogue, vectors, load_index(folder, vectors))
    except KeyError as error:
        raise ModelError(f"the model in {folder} lacks a part: {error}") from error


def _products(vectors: Array, query: Array) -> Array:
    """Inner products that do not depend on how many there are: each is summed by itself, in one order."""
    return np.asarray(np.einsum("ij,j->i", vectors, query), np.float32)
