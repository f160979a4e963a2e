"""Item-to-item collaborative filtering: who consumed this also consumed that."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from sixfold._core.errors import DefinitionError
from sixfold.models.catalogue import checked, top_rows
from sixfold.models.contract import Interactions, Progress, silent
from sixfold.models.neighbours import FittedNeighbours, consumption

__all__ = ["ItemToItem"]


@dataclass(frozen=True, slots=True)
class ItemToItem:
    """Cosine similarity of the items' consumers, damped where few people stand behind it.

    weight[i, j] = x_i . x_j / (|x_i| |x_j| + shrinkage), for the `keep` nearest neighbours of each item; x_i is the
    column of weights of item i over users. Sarwar et al., "Item-based collaborative filtering", WWW 2001.
    """

    name: str = "item_to_item"
    keep: int = 400
    shrinkage: float = 10.0

    def __post_init__(self) -> None:
        if self.keep < 1 or self.shrinkage < 0:
            raise DefinitionError([f"{self.name!r}: keep must be at least 1 and shrinkage at least 0"])

    def fit(self, data: Interactions, *, seed: int, progress: Progress = silent) -> FittedNeighbours:
        """Count who consumed what together; nothing is drawn, so `seed` changes nothing."""
        catalogue, rows = checked(data)
        n = len(catalogue)
        users, items, weights, n_users = consumption(data, rows, n)
        x = sp.csc_array((weights, (users, items)), shape=(n_users, n))
        length = np.sqrt(np.asarray((x**2).sum(axis=0)))
        keep = min(self.keep, n)
        index, weight = np.zeros((n, keep), np.int32), np.zeros((n, keep), np.float32)
        step = 512
        for start in range(0, n, step):
            progress("counting neighbours", start / n)
            together = (x[:, start : start + step].T @ x).toarray()
            for row, dots in enumerate(together, start):
                similar = dots / np.maximum(length[row] * length + self.shrinkage, 1e-12)
                similar[row] = 0.0
                index[row] = np.sort(top_rows(similar, keep))
                weight[row] = similar[index[row]]
        return FittedNeighbours(catalogue.keys, index, weight)
