"""Which rows of a group have been seen, in which order, and whether any has changed."""

import numpy as np

from sixfold._core.table import Array

__all__ = ["RowsSeen"]


class RowsSeen:
    """Per row of a group: whether it has been seen, and the order in which that first happened."""

    def __init__(self) -> None:
        self._is_seen = np.zeros(1, np.bool_)
        self._order = np.zeros(64, np.int64)
        self.n_seen = 0
        self.version = 0

    @property
    def seen(self) -> Array:
        """The rows that had an event, by the offset of their first one."""
        return self._order[: self.n_seen]

    @seen.setter
    def seen(self, rows: Array) -> None:
        self.__init__()  # type: ignore[misc]
        self.touch(rows)

    def touch(self, rows: Array) -> None:
        """Take note of events of these rows, in order of offset."""
        self.version += 1
        top = int(rows.max(initial=0)) + 1
        if top > len(self._is_seen):
            self._is_seen = np.append(self._is_seen, np.zeros(max(top, 64), np.bool_))
        fresh = rows[~self._is_seen[rows]]
        if len(fresh) == 0:
            return
        _, first = np.unique(fresh, return_index=True)
        first.sort()
        fresh = fresh[first]
        self._is_seen[fresh] = True
        if self.n_seen + len(fresh) > len(self._order):
            self._order = np.append(self._order, np.zeros(self.n_seen + len(fresh), np.int64))
        self._order[self.n_seen : self.n_seen + len(fresh)] = fresh
        self.n_seen += len(fresh)
