"""Popularity: what everybody consumes lately. The baseline that every system has to beat, and a source of its own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sixfold._core.errors import DefinitionError, InputError, ModelError
from sixfold._core.table import Array
from sixfold._core.times import duration
from sixfold.models.catalogue import Catalogue, checked, top_rows
from sixfold.models.contract import Interactions, Progress, silent
from sixfold.models.storage import read_model, write_model

__all__ = ["FittedPopularity", "Popularity", "load"]


@dataclass(frozen=True, slots=True)
class Popularity:
    """The same list for everybody: log(1 + the weight of an item's satisfied events in the last `window`).

    The window ends with the newest event of all. With `half_life`, an event that old counts half, one twice as old a
    quarter, and so on.
    """

    name: str = "popularity"
    window: str = "3d"
    half_life: str | None = None

    def __post_init__(self) -> None:
        for text in (self.window, self.half_life):
            if text is not None and duration(text) == 0:
                raise DefinitionError([f"{self.name!r}: a window or half life must be longer than nothing"])

    def fit(self, data: Interactions, *, seed: int, progress: Progress = silent) -> "FittedPopularity":
        """Add up the events of the window; nothing is drawn, so `seed` changes nothing."""
        catalogue, rows = checked(data)
        at, weight = data.events["at"], data.events["weight"]
        age = at.max() - at
        counted = (rows >= 0) & data.events["satisfied"] & (age < duration(self.window))
        if self.half_life is not None:
            weight = weight * 0.5 ** (age / duration(self.half_life))
        mass = np.bincount(rows[counted], weight[counted], minlength=len(catalogue))
        return FittedPopularity(catalogue.keys, np.log1p(mass).astype(np.float32))


class FittedPopularity:
    """One score an item, whoever asks."""

    kind = "popularity"

    def __init__(self, items: Array, scores: Array) -> None:
        if scores.shape != items.shape:
            raise ModelError(f"expected one score for each of {len(items)} items, found {scores.shape}")
        self._catalogue = Catalogue(items)
        self._scores = scores
        self._ranking = top_rows(scores, len(items))

    @property
    def items(self) -> Array:
        """The keys that can be retrieved, (n_items,)."""
        return self._catalogue.keys

    def scores(self, histories: Array) -> Array:
        """Scores of all items for each history (n, length) of item keys: (n, n_items) float32."""
        if histories.ndim != 2:
            raise InputError(f"expected histories of shape (n, length), found {histories.shape}")
        return np.tile(self._scores, (len(histories), 1))

    def retrieve(self, history: Array, k: int) -> tuple[Array, Array]:
        """The best k items, the same for every history: keys and float32 scores, ties by catalogue order."""
        if k < 0:
            raise InputError(f"k must not be negative, found {k}")
        rows = self._ranking[:k]
        return self.items[rows], self._scores[rows]

    def save(self, folder: Path) -> None:
        """Write model.json and arrays.npz into an existing empty folder."""
        write_model(folder, self.kind, {}, {"items": self.items, "scores": self._scores})


def load(folder: Path) -> FittedPopularity:
    """The saved model; raises ModelError if the folder holds another or a damaged one."""
    _, arrays = read_model(folder, FittedPopularity.kind)
    try:
        return FittedPopularity(arrays["items"], arrays["scores"])
    except KeyError as error:
        raise ModelError(f"the model in {folder} lacks its array {error}") from error
