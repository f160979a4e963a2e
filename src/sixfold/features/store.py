"""Where online state lives: a protocol small enough for a process, a file or a server of keyed bytes to implement.

State is kept in named groups, per row (a key that the caller has numbered from 1; row 0 is never written). A store
knows two shapes of state and nothing about features; its lanes are int64 and merge by wrapping addition or maximum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from sixfold._core.table import Array

__all__ = ["NEUTRAL", "Distant", "Durable", "Held", "Joint", "Newest", "Shape", "Store", "Tiles", "Usage"]

NEUTRAL = int(np.iinfo(np.int64).min)
"""The neutral element of a maximum lane, and the `at` of a place that holds no event."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Per row, lanes per tile: the first `adds` lanes are summed (modulo 2**64), the `maxima` after keep a maximum.

    Groups of one `family` number the same keys and hold the same events, in tiles of different length: what is worth
    keeping side by side. A store may well ignore it.
    """

    adds: int
    maxima: int
    family: str = ""

    @property
    def width(self) -> int:
        """The number of lanes."""
        return self.adds + self.maxima


@dataclass(frozen=True, slots=True)
class Newest:
    """Per row, the newest `n` events by `at`, of equal ones the later folded; `width` lanes each."""

    n: int
    width: int


Shape = Tiles | Newest


class Store(Protocol):
    """Keyed state that events are folded into. Not for use by several threads at once."""

    def open(self, shapes: Mapping[str, Shape]) -> None:
        """Start empty, with these groups."""
        ...

    def fold(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int, replace: bool = False
    ) -> None:
        """Merge events into their rows, (n_events,) int64 >= 1, in order of offset; rows may repeat.

        `order` is the tile of each event, or its `at` for `Newest`; `lanes` is (width, n_events) int64. Tiles below
        `keep_from` will not be read any more: forgetting them is allowed, not asked for. With `replace`, what the call
        names is emptied first: for `Tiles` every (row, tile), for `Newest` every row. There, neutral lanes of a tile
        and an `at` of NEUTRAL mean that nothing comes in its place.
        """
        ...

    def read(self, group: str, rows: Array, lowest: Sequence[int]) -> Array:
        """The state of rows, int64; rows never folded are empty.

        Tiles: (len(lowest), width, n_rows), lanes merged over the tiles >= each of `lowest`, 0 or NEUTRAL over none.
        Newest: (1 + width, n_rows, n), `at` before the lanes, oldest first and filled from the right; NEUTRAL `at`
        where there is no event.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write all state into an existing empty folder."""
        ...

    def load(self, folder: Path) -> None:
        """Replace all state by what `save` wrote; the groups are those of `open`. Raises DataError if it is damaged."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """What a store was given with its last commit: the clock, and the ledger from its first byte."""

    clock: Mapping[str, int]
    ledger: bytes


@runtime_checkable
class Durable(Protocol):
    """What a store has besides if its state outlives the process. Without it, state is rebuilt from snapshot and log.

    Folds take effect for reads at once, for good only with `commit`: whole or not at all, together with the clock,
    which says up to which offset of the log they go. So whoever comes back after a crash goes on from exactly there.
    """

    def resume(self, version: str, shapes: Mapping[str, Shape]) -> Held | None:
        """Instead of `open`: go on with these groups from the last commit; None, and empty, if there is none.

        `version` names what the state means: it must never be mixed with another's. Raises FeatureError if the store
        holds another version and cannot keep both.
        """
        ...

    def commit(self, clock: Mapping[str, int], ledger: bytes) -> None:
        """Make everything since the last commit durable, with `clock` in place of the last one.

        `ledger` is appended to what was given before: the numbers of keys and such, which only grow. Raises
        ServiceError, and from then on until `resume` or `open`, if it cannot be known that all has been written.
        """
        ...


@runtime_checkable
class Distant(Protocol):
    """What a store has besides if it is far away."""

    def expect(self, wants: Mapping[str, Array]) -> None:
        """Reads of these rows of these groups follow: fetch them in one round trip. Rows may repeat or be 0."""
        ...


@runtime_checkable
class Joint(Protocol):
    """What a store has besides if it keeps the groups of a family side by side."""

    def read_together(self, groups: Sequence[str], rows: Array, lowest: Sequence[Sequence[int]]) -> Sequence[Array]:
        """What `read` gives for the same rows in each of some groups of one family, with that group's lowest tiles."""
        ...


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a group takes in a store that can tell: its rows that hold anything, and the bytes of their state."""

    rows: int
    n_bytes: int

    @property
    def bytes_per_row(self) -> float:
        """The mean; 0 without rows."""
        return self.n_bytes / self.rows if self.rows else 0.0
