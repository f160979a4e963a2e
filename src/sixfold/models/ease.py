"""EASE: the best linear item-to-item model in closed form, which on data of this size is hard to beat."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack

from sixfold._core.errors import DefinitionError, ModelError
from sixfold._core.table import Array
from sixfold.models.catalogue import checked, top_rows
from sixfold.models.contract import Interactions, Progress, silent
from sixfold.models.neighbours import FittedNeighbours, consumption

__all__ = ["EASE", "ease_weights"]

_BLOCK = 512
"""How many columns are worked on at a time where a copy of all would be as large as the matrix."""


@dataclass(frozen=True, slots=True)
class EASE:
    """Every item predicted from all others by ridge regression with weight 0 on itself.

    Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019 (arXiv:1905.03375). `l2` is the penalty
    where weights have a mean square of 1; `keep` weights of each item are served. Time grows with the cube and memory
    with the square of the items, so only the `max_items` that were consumed most take part; others are never found.
    """

    name: str = "ease"
    l2: float = 1_000.0
    keep: int = 1_000
    max_items: int = 20_000

    def __post_init__(self) -> None:
        if self.l2 <= 0 or self.keep < 1 or self.max_items < 1:
            raise DefinitionError([f"{self.name!r}: l2 must be above 0, keep and max_items at least 1"])

    def fit(self, data: Interactions, *, seed: int, progress: Progress = silent) -> FittedNeighbours:
        """Solve the normal equations; nothing is drawn, so `seed` changes nothing."""
        catalogue, rows = checked(data)
        chosen = np.arange(len(catalogue))
        if len(catalogue) > self.max_items:
            chosen = np.sort(top_rows(np.bincount(rows[rows >= 0], minlength=len(catalogue)), self.max_items))
            place = np.full(len(catalogue) + 1, -1)
            place[chosen] = np.arange(len(chosen))
            rows = place[rows]
        users, items, weights, n_users = consumption(data, rows, len(chosen))
        progress("multiplying", 0.1)
        x = sp.csr_array((weights.astype(np.float32), (users, items)), shape=(n_users, len(chosen)))
        b = ease_weights(_gram(x), self.l2)
        progress("keeping the largest weights", 0.7)
        return FittedNeighbours.from_dense(catalogue.keys[chosen], b, self.keep)


def _gram(x: sp.csr_array) -> Array:
    """x' x, (n_items, n_items) float32 in columns, some at a time: all of the sparse product is as large again."""
    n = x.shape[1]
    out = np.empty((n, n), np.float32, order="F")
    by_item = x.tocsc()
    for start in range(0, n, _BLOCK):
        out[:, start : start + _BLOCK] = (x.T @ by_item[:, start : start + _BLOCK]).toarray()
    return out


def ease_weights(gram: Array, l2: float) -> Array:
    """B of EASE for a Gram matrix (n, n), float32: B = I - P / diag(P) with P = (G + l2 I)^-1, so diag(B) = 0.

    Steck 2019, equations 7 and 8. Raises ModelError if the matrix cannot be factored. A `gram` of float32 in columns
    is overwritten, and takes the result: nothing else of its size is needed.

    >>> print(ease_weights(np.array([[2.0, 1.0], [1.0, 2.0]], np.float32), 1.0).round(3))
    [[0.    0.333]
     [0.333 0.   ]]
    """
    g = np.asfortranarray(gram, np.float32)
    diagonal = np.diag_indices_from(g)
    g[diagonal] += l2
    factor, failed = lapack.spotrf(g, lower=1, overwrite_a=1)
    inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1) if not failed else (factor, 0)
    if failed or failed_too:
        raise ModelError(f"the normal equations cannot be solved with l2={l2}", hint="give a larger l2")
    p: Array = inverse.T
    for start in range(0, len(p), _BLOCK):
        block = slice(start, start + _BLOCK)
        p[block, :start] = p[:start, block].T
        p[block, block] = np.triu(p[block, block]) + np.triu(p[block, block], 1).T
    p /= -np.diag(p).copy()
    p[diagonal] = 0.0
    return p
