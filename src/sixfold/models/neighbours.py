"""A sparse item-to-item table as a retriever: the score of an item is what the consumed items say about it."""

from pathlib import Path
from typing import Self

import numpy as np

from sixfold._core.errors import InputError, ModelError
from sixfold._core.table import Array
from sixfold.models.catalogue import Catalogue, top_rows
from sixfold.models.contract import Interactions
from sixfold.models.storage import read_model, write_model

__all__ = ["FittedNeighbours", "consumption", "load"]


class FittedNeighbours:
    """score(j) = the sum over the different items i of a history of weight[i, j]; unknown items say nothing.

    `index` (n_items, keep) int32 names the neighbours of each item by row, `weight` (n_items, keep) float32 how much
    it says about them; unused places weigh 0. An empty history scores every item 0, in the order of the catalogue.
    """

    kind = "neighbours"

    def __init__(self, items: Array, index: Array, weight: Array) -> None:
        if index.shape != weight.shape or len(index) != len(items):
            raise ModelError(f"{len(items)} items, but neighbours {index.shape} and weights {weight.shape}")
        self._catalogue = Catalogue(items)
        self._index, self._weight = index, weight

    @classmethod
    def from_dense(cls, items: Array, weights: Array, keep: int) -> Self:
        """Keep the `keep` weights of each row of (n_items, n_items) that are largest in size; overwrites `weights`."""
        keep = min(keep, len(items))
        index = np.empty((len(items), keep), np.int32)
        kept = np.empty((len(items), keep), np.float32)
        for row, values in enumerate(weights):
            # Ascending rows let the serving sum walk through memory forwards.
            index[row] = np.sort(top_rows(np.abs(values), keep))
            kept[row] = values[index[row]]
        return cls(items, index, kept)

    @property
    def items(self) -> Array:
        """The keys that can be retrieved, (n_items,)."""
        return self._catalogue.keys

    def scores(self, histories: Array) -> Array:
        """Scores of all items for each history (n, length) of item keys: (n, n_items) float32."""
        if histories.ndim != 2:
            raise InputError(f"expected histories of shape (n, length), found {histories.shape}")
        out = np.empty((len(histories), len(self.items)), np.float32)
        for row, history in enumerate(histories):
            out[row] = self._score(history)
        return out

    def retrieve(self, history: Array, k: int) -> tuple[Array, Array]:
        """The best k items for one history (length,): keys and float32 scores, best first, ties by catalogue order."""
        scores = self._score(history)
        rows = top_rows(scores, k)
        return self.items[rows], scores[rows]

    def _score(self, history: Array) -> Array:
        rows = np.unique(self._catalogue.rows(history))
        rows = rows[rows >= 0]
        sums = np.bincount(self._index[rows].ravel(), self._weight[rows].ravel(), minlength=len(self.items))
        return sums.astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write model.json and arrays.npz into an existing empty folder."""
        arrays = {"items": self.items, "index": self._index, "weight": self._weight}
        write_model(folder, self.kind, {}, arrays)


def load(folder: Path) -> FittedNeighbours:
    """The saved model; raises ModelError if the folder holds another or a damaged one."""
    _, arrays = read_model(folder, FittedNeighbours.kind)
    try:
        return FittedNeighbours(arrays["items"], arrays["index"], arrays["weight"])
    except KeyError as error:
        raise ModelError(f"the model in {folder} lacks its array {error}") from error


def consumption(data: Interactions, rows: Array, n_items: int) -> tuple[Array, Array, Array, int]:
    """Who consumed what and how much: user codes, item rows and weights of the different pairs, and how many users.

    `rows` are the events' item rows, -1 for items to leave out. Of a pair's events the largest weight counts. Weights
    are scaled to a mean square of 1, so that a regularisation means the same whatever the unit of the weights.
    """
    kept = (rows >= 0) & (data.events["weight"] > 0)
    _, users = np.unique(data.events["user"][kept], return_inverse=True)
    pair, place = np.unique(users * n_items + rows[kept], return_inverse=True)
    weight = np.zeros(len(pair))
    np.maximum.at(weight, place, data.events["weight"][kept])
    weight /= np.sqrt(np.mean(weight**2))
    return pair // n_items, pair % n_items, weight, int(users.max()) + 1
