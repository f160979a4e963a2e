"""Finding documents by their words: BM25 (Robertson et al., TREC-3, 1994; in Lucene's form) with the library bm25s."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError, InputError, ModelError
from sixfold._core.table import Array, Table, column
from sixfold.data.events import Field
from sixfold.models.catalogue import Catalogue, top_rows
from sixfold.models.contract import Progress, silent
from sixfold.models.storage import read_model, write_model
from sixfold.models.text.tokens import Tokens, joined

__all__ = ["BM25", "FittedBM25", "load"]

_KIND = "bm25"


@dataclass(frozen=True, slots=True)
class BM25:
    """Indexes the words of `fields`, as one text. Its scores are exact, and those of every document cost one pass.

    `k1` says how soon more occurrences of a word stop to count, `b` how far long documents are marked down.
    """

    fields: tuple[Field, ...]
    name: str = "bm25"
    k1: float = 1.5
    b: float = 0.75
    language: str = "english"

    def __post_init__(self) -> None:
        problems = check_fields(self.name, self.fields)
        if self.k1 < 0 or not 0 <= self.b <= 1:
            problems.append(f"{self.name!r}: k1 must not be negative and b be 0 to 1, not {self.k1} and {self.b}")
        if problems:
            raise DefinitionError(problems)

    @property
    def columns(self) -> tuple[str, ...]:
        """The score, its share of the best document's, and the share of the text's words that the document has."""
        return self.name, f"{self.name}_share", f"{self.name}_covered"

    def fit(self, catalog: Table, *, seed: int, progress: Progress = silent, cache: Path | None = None) -> "FittedBM25":
        """Count the words; nothing about it is random, and nothing is worth keeping."""
        import bm25s

        items, texts = documents(catalog, self.fields)
        tokens = Tokens(self.language)
        progress("counting words", 0.0)
        words = [tokens(text) for text in texts]
        # In order of the alphabet: bm25s numbers words as a set gives them, which is different in every process.
        vocabulary = {word: i for i, word in enumerate(sorted(set(chain.from_iterable(words))))}
        numbers = [[vocabulary[word] for word in some] for some in words]
        index = bm25s.BM25(k1=self.k1, b=self.b)
        index.index((numbers, {**vocabulary, "": len(vocabulary)}), show_progress=False)
        progress("counting words", 1.0)
        known = column(list(vocabulary), str)
        return FittedBM25(self.name, tokens, Catalogue(items), known, {k: index.scores[k] for k in _PARTS})

    def load(self, folder: Path) -> "FittedBM25":
        """The saved model."""
        return load(folder)


_PARTS = ("data", "indices", "indptr")


class FittedBM25:
    """The index: for each word the documents that have it, and what it adds to their scores."""

    def __init__(
        self, name: str, tokens: Tokens, catalogue: Catalogue, vocabulary: Array, postings: dict[str, Array]
    ) -> None:
        import bm25s

        self._name, self._tokens, self._catalogue, self._vocabulary = name, tokens, catalogue, vocabulary
        self._number = {word: i for i, word in enumerate(vocabulary.tolist())}
        self._postings, self._allowed = postings, Allowed(catalogue)
        self._index = bm25s.BM25()
        self._index.scores = {**postings, "num_docs": len(catalogue)}
        self._index.nonoccurrence_array = None
        # What a request asks of one text comes one after the other: the scores of all documents are made once.
        self._last: tuple[str, Array] = "", np.zeros(len(catalogue), np.float32)

    @property
    def items(self) -> Array:
        """The keys of the documents, (n_items,)."""
        return self._catalogue.keys

    def search(self, text: str, k: int, among: Array | None = None) -> tuple[Array, Array]:
        """The k best documents that share a word with the text: keys, float32 scores, ties by catalogue order."""
        scores = self._all(text)
        if among is None:
            rows = top_rows(scores, k)
        else:
            allowed = self._allowed.rows(among)
            rows = allowed[top_rows(scores[allowed], k)]
        rows = rows[scores[rows] > 0]
        return self.items[rows], scores[rows]

    def scores(self, text: str, keys: Array) -> Array:
        """The exact scores, (n_keys,) float32; NaN for keys that are not known."""
        return of_rows(self._all(text), self._catalogue.rows(keys))

    def evidence(self, text: str, keys: Array) -> Table:
        """See `BM25.columns`; of the share that is covered, rare words are worth more."""
        scores, rows = self._all(text), self._catalogue.rows(keys)
        best = float(scores.max(initial=0.0)) or 1.0
        found = of_rows(scores, rows).astype(np.float64)
        name, covered = self._name, self._covered(text, rows)
        return Table({name: found, f"{name}_share": found / best, f"{name}_covered": covered})

    def save(self, folder: Path) -> None:
        """Write model.json and arrays.npz."""
        settings = {"name": self._name, "tokens": self._tokens.language}
        arrays = {"items": self.items, "vocabulary": self._vocabulary, **self._postings}
        write_model(folder, _KIND, settings, arrays)

    def _all(self, text: str) -> Array:
        """The score of every document."""
        if self._last[0] != text:
            numbers = [self._number[word] for word in self._tokens(text) if word in self._number]
            self._last = text, self._index.get_scores_from_ids(np.array(numbers, np.int32))
        return self._last[1]

    def _covered(self, text: str, rows: Array) -> Array:
        worth, covered = 0.0, np.zeros(len(rows))
        pointers, documents = self._postings["indptr"], self._postings["indices"]
        for word in sorted(set(self._tokens(text))):
            number = self._number.get(word)
            having = documents[:0] if number is None else documents[pointers[number] : pointers[number + 1]]
            rarity = float(np.log1p((len(self.items) - len(having) + 0.5) / (len(having) + 0.5)))
            worth += rarity
            if len(having):
                place = np.minimum(np.searchsorted(having, rows), len(having) - 1)
                covered += rarity * (having[place] == rows)
        return np.where(rows >= 0, covered / max(worth, 1e-9), np.nan)


def load(folder: Path) -> FittedBM25:
    """The saved model; raises ModelError if the folder holds another or a damaged one."""
    settings, arrays = read_model(folder, _KIND)
    try:
        postings = {name: arrays[name] for name in _PARTS}
        catalogue = Catalogue(arrays["items"])
        return FittedBM25(settings["name"], Tokens(settings["tokens"]), catalogue, arrays["vocabulary"], postings)
    except KeyError as error:
        raise ModelError(f"the model in {folder} lacks a part: {error}") from error


def check_fields(name: str, fields: tuple[Field, ...]) -> list[str]:
    """What is wrong with the fields of a model of text."""
    if not fields:
        return [f"{name!r} reads no text: name the fields of the catalogue that hold it"]
    problems = [f"{name!r} reads {field!r}, which is not text" for field in fields if not field.is_text]
    if len({field.events.keys for field in fields}) > 1 or len(fields[0].events.keys) != 1:
        problems.append(f"{name!r}: the fields must all be about the item alone")
    return problems


def documents(catalog: Table, fields: tuple[Field, ...]) -> tuple[Array, list[str]]:
    """The keys and, as one text each, the documents of a catalogue; raises ModelError if there are none."""
    if not catalog:
        raise ModelError("there are no documents to index", hint="ingest them first")
    if lost := [field.name for field in fields if field.name not in catalog]:
        raise InputError(f"the catalogue lacks the fields {lost}; it has {', '.join(catalog.names)}")
    parts = [catalog[field.name].tolist() for field in fields]
    return catalog["item"], [joined(some) for some in zip(*parts, strict=True)]


class Allowed:
    """The rows of the keys that a search is limited to: the last answer is kept, since filters give the same array."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._last: tuple[Array, Array] | None = None

    def rows(self, keys: Array) -> Array:
        """The rows of those keys that are known, in order of row, each once."""
        if self._last is None or self._last[0] is not keys:
            rows = np.unique(self._catalogue.rows(keys))
            self._last = keys, rows[rows >= 0]
        return self._last[1]


def of_rows(scores: Array, rows: Array) -> Array:
    """The scores at rows, NaN where the row is -1."""
    values: Any = np.where(rows >= 0, scores[rows], np.float32(np.nan))
    return np.asarray(values, np.float32)
