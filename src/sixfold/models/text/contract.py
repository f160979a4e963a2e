"""What models of text promise: a matcher compares texts with documents, an encoder turns texts into vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sixfold._core.table import Array, Table
from sixfold.data.events import Field
from sixfold.models.contract import Progress, silent

__all__ = ["Encoder", "FittedEncoder", "FittedMatcher", "Matcher"]


class FittedEncoder(Protocol):
    """Turns texts into vectors of length 1: the nearer in meaning, the larger the inner product."""

    def encode(self, texts: Sequence[str]) -> Array:
        """One vector for each text, (n_texts, dim) float32; a text's vector does not depend on the others."""
        ...

    def save(self, folder: Path) -> None:
        """Write all that serving needs into an existing empty folder, with a `model.json` that names the kind."""
        ...


class Encoder(Protocol):
    """The config of an encoder."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def open(self) -> FittedEncoder:
        """The encoder, ready to encode and to be saved; raises ModelError if its weights cannot be had."""
        ...

    def load(self, folder: Path) -> FittedEncoder:
        """The encoder that was saved in a folder; raises ModelError if it is damaged."""
        ...


class FittedMatcher(Protocol):
    """Compares texts with the documents of a catalogue."""

    @property
    def items(self) -> Array:
        """The keys of the documents, (n_items,)."""
        ...

    def search(self, text: str, k: int, among: Array | None = None) -> tuple[Array, Array]:
        """The k documents, of the keys `among` if given, that go best with a text: keys, float32 scores, best first."""
        ...

    def scores(self, text: str, keys: Array) -> Array:
        """The exact score of any documents, found or not: (n_keys,) float32, NaN for keys that are not known."""
        ...

    def evidence(self, text: str, keys: Array) -> Table:
        """What the model can say of these documents and a text: a float64 column for each of its config's `columns`."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model into an existing empty folder."""
        ...


class Matcher(Protocol):
    """The config of a matcher; fitting it is deterministic in (catalogue, config, seed)."""

    @property
    def name(self) -> str:
        """What stages, releases and reports call it."""
        ...

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of the catalogue that hold the text."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what the fitted model's `evidence` tells: the greater, the more speaks for the document."""
        ...

    def fit(
        self, catalog: Table, *, seed: int, progress: Progress = silent, cache: Path | None = None
    ) -> FittedMatcher:
        """Index the documents: column `item` and one for each of `fields`; raises ModelError if there are none.

        What was worked out for the same texts before may be kept below `cache`; it never changes the result.
        """
        ...

    def load(self, folder: Path) -> FittedMatcher:
        """The fitted model that was saved in a folder; raises ModelError if it is damaged."""
        ...
