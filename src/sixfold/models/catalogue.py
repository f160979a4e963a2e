"""The items a retriever knows: keys to rows and back, and the best rows of a score vector."""

from typing import Any

import numpy as np

from sixfold._core.errors import InputError, ModelError
from sixfold._core.table import Array
from sixfold.models.contract import Interactions

__all__ = ["Catalogue", "checked", "top_rows"]


class Catalogue:
    """Unique item keys in the order that breaks ties; int64, or object holding text.

    >>> catalogue = Catalogue(np.array([30, 10, 20]))
    >>> catalogue.rows(np.array([[-1, 20], [99, 30]])).tolist()
    [[-1, 2], [-1, 0]]
    """

    def __init__(self, keys: Array) -> None:
        self.keys = keys
        self._row_of: dict[Any, int] | None = None
        if keys.dtype == object:
            self._row_of = {key: row for row, key in enumerate(keys.tolist())}
            unique = len(self._row_of)
        else:
            self._order = np.argsort(keys, kind="stable")
            self._sorted = keys[self._order]
            self._table = _table(keys)
            unique = len(np.unique(keys))
        if unique < len(keys):
            raise InputError(f"the catalogue names {len(keys) - unique} items twice: keys must be unique")

    def __len__(self) -> int:
        """The number of items."""
        return len(self.keys)

    def rows(self, keys: Array) -> Array:
        """The row of each key, int64 of the same shape; -1 for padding and for unknown items."""
        if self._row_of is not None:
            get = self._row_of.get
            found = np.array([get(key, -1) for key in keys.ravel().tolist()], np.int64)
            return found.reshape(keys.shape)
        if len(self.keys) == 0:
            return np.full(keys.shape, -1, np.int64)
        if keys.dtype == object:
            raise InputError("the items have integer keys; the history holds text")
        if self._table is not None:
            return self._table.take(keys + 1, mode="clip")
        place = np.minimum(np.searchsorted(self._sorted, keys), len(self.keys) - 1)
        return np.where(self._sorted[place] == keys, self._order[place], -1)


def _table(keys: Array) -> Array | None:
    """The row of every key from -1 to the greatest and one beyond, if keys are small: look-ups then need no search."""
    if len(keys) == 0 or keys.min() < 0 or keys.max() > 4 * len(keys) + 65_536:
        return None
    table = np.full(int(keys.max()) + 3, -1, np.int64)
    table[keys + 1] = np.arange(len(keys))
    return table


def checked(data: Interactions) -> tuple[Catalogue, Array]:
    """The catalogue and the row of each event's item (n_events,), -1 where the catalogue lacks it.

    Raises ModelError if there are no events, no items, or no event about an item of the catalogue; InputError if the
    parts do not fit together.
    """
    if len(data.events) == 0 or len(data.catalog) == 0:
        raise ModelError(
            f"nothing to learn from: {len(data.events)} interactions over {len(data.catalog)} items",
            hint="ingest more history, or train on a longer range",
        )
    if len(data.histories) != len(data.events):
        raise InputError(f"{len(data.events)} events came with {len(data.histories)} histories: expected one each")
    weight = data.events["weight"]
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise InputError("the weights of interactions must be finite and not negative")
    catalogue = Catalogue(data.catalog["item"])
    rows = catalogue.rows(data.events["item"])
    if not (weight[rows >= 0] > 0).any():
        raise ModelError("no interaction with a positive weight is about an item of the catalogue")
    return catalogue, rows


def top_rows(scores: Array, k: int) -> Array:
    """The rows of the k best scores (n_items,), best first; equal scores in order of row. At most n_items rows.

    >>> top_rows(np.array([0.5, 2.0, 0.5, 0.5]), 3).tolist()
    [1, 0, 2]
    """
    if k < 0:
        raise InputError(f"k must not be negative, found {k}")
    n = len(scores)
    if k == 0:
        return np.empty(0, np.int64)
    if k < n:
        threshold = np.partition(scores, n - k)[n - k]
        above = np.flatnonzero(scores > threshold)
        equal = np.flatnonzero(scores == threshold)[: k - len(above)]
        rows = np.concatenate([above, equal])
        rows.sort()
    else:
        rows = np.arange(n)
    order = np.argsort(-scores[rows], kind="stable")
    return np.asarray(rows[order], np.int64)
