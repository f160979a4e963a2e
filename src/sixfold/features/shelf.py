"""The aggregates under one key, kept finalised: a row of values each, renewed where an event or a tail changed it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from sixfold._core.hashing import canonical
from sixfold._core.table import Array
from sixfold.features.algebra import finalize, value_kind
from sixfold.features.definitions import Aggregate
from sixfold.features.grouping import KeyPath, TileGroup
from sixfold.features.store import NEUTRAL, Joint, Store
from sixfold.features.tails import Tail

__all__ = ["WIDEST", "Shelf"]

WIDEST = 32
"""Groups that one shelf may have: which of them are to be renewed for a row is told by the bits of a number."""
_CHUNK = 8192
_FEW = 64
_NEVER = -1
_EVER = int(np.iinfo(np.int64).max)
_ALIKE = frozenset(["count", "sum", "mean", "rate", "min", "max"])
"""Kinds that are finalised element by element, so that those of several windows may be done at once."""


@dataclass(frozen=True, slots=True)
class _Step:
    """Aggregates finalised by one call: `lanes` are the places of the first lane of each, of the second, and so on."""

    feature: Aggregate
    lanes: tuple[Any, ...]
    places: Any
    is_joint: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """How some groups are renewed: where the lane is of each that tells whether it is empty, and what it then is."""

    groups: tuple[int, ...]
    families: tuple[tuple[list[str], list[int]], ...]
    stamps: Any
    steps: tuple[_Step, ...]
    telling: Array
    neutral: Array
    can_tell: Array


class Shelf:
    """What is kept for the groups of tiles of one key, read together.

    A cell is int64. A row has a stamp for each group, the epoch until which its values hold (0 when an event has
    changed them), and after the stamps the bits of its float64 values. Row 0, which nothing is known of, holds for
    ever.
    """

    def __init__(self, path: KeyPath, groups: Sequence[TileGroup], store: Store) -> None:
        self.path, self.groups, self._store = path, groups, store
        self._joint = store if isinstance(store, Joint) else None
        self.tails = [Tail(group) for group in groups]
        self._n = len(groups)
        members = [(g, *member) for g, group in enumerate(groups) for member in group.members]
        members.sort(key=lambda member: _alike(member[1]))
        self.places: dict[int, Any] = {}
        width = 0
        for _, feature, slot, _, _ in members:
            span = feature.width or 1
            self.places[slot] = width if feature.width is None else slice(width, width + span)
            width += span
        self._members = members
        self._plans: dict[int, _Plan] = {}
        self._bits = 1 << np.arange(self._n)
        self._epochs, self._dusks = np.full((2, self._n, 1), _NEVER)
        self._since, self._until = 1, 0
        self._cells = np.zeros((1, self._n + width), np.int64)
        self._renew(np.zeros(1, np.int64), (1 << self._n) - 1, nothing=True)

    def touch(self, group: int, rows: Array) -> None:
        """Take note of events of these rows."""
        n_kept = len(self._cells)
        if n_kept > 1:
            self._cells[rows if int(rows.max()) < n_kept else rows[rows < n_kept], group] = 0

    def move(self, at: int) -> None:
        """Let all windows end as of the instant `at`."""
        if self._since <= at < self._until:
            return
        for tail in self.tails:
            tail.move(at)
        self._since, self._until = max(t.since for t in self.tails), min(t.until for t in self.tails)
        self._epochs = np.array([[tail.epoch] for tail in self.tails])
        self._dusks = np.array([[tail.dusk] for tail in self.tails])

    def epochs(self, wanted: Array | None) -> Array:
        """The stamps that rows must have at least; those of groups that are not wanted need none."""
        epochs = self._epochs[:, 0]
        return epochs if wanted is None else np.where(wanted, epochs, _NEVER)

    def stale(self, rows: Array, wanted: Array | None) -> list[Array]:
        """For each group the rows that have to be read from the store, as of the last `move`."""
        self._widen()
        stale = [rows[:0]] * self._n
        for _, part, which in self._late(rows, self._cells.take(rows, axis=0), wanted):
            stale = [np.append(mine, part) if which >> g & 1 else mine for g, mine in enumerate(stale)]
        return stale

    def read(self, rows: Array, wanted: Array | None = None) -> Array:
        """The values of rows in the wanted groups as of the last `move`, (n_rows, width) float64; `places` say where.

        Those of other groups may be old.
        """
        self._widen()
        cells = self._cells.take(rows, axis=0)
        for where, part, which in self._late(rows, cells, wanted):
            self._renew(part, which)
            cells[where] = self._cells.take(part, axis=0)
        return cells[:, self._n :].view(np.float64)

    def _late(self, rows: Array, cells: Array, wanted: Array | None) -> Iterator[tuple[Any, Array, int]]:
        """Where rows are that have to be read, which rows, and the groups to read them of, as bits.

        A few are read of all groups that any of them needs: that takes less time than to tell them apart.
        """
        late = cells[:, : self._n] < self.epochs(wanted)
        if not late.any():
            return
        if len(rows) == 1:
            yield slice(None), rows, int(late[0] @ self._bits)
            return
        which = late @ self._bits
        where = which.nonzero()[0]
        if len(where) <= _FEW:
            yield where, rows[where], int(np.bitwise_or.reduce(which))
            return
        for each in set(which[where].tolist()):
            mine = (which == each).nonzero()[0]
            yield mine, rows[mine], each

    def _widen(self) -> None:
        size, n_kept = len(self.path.rows), len(self._cells)
        if size > n_kept:
            cells = np.zeros((2 * size, self._cells.shape[1]), np.int64)  # takes memory as it is written
            cells[:n_kept] = self._cells
            self._cells = cells

    def _renew(self, rows: Array, which: int, *, nothing: bool = False) -> None:
        """Read these rows of the groups whose bits are set; with `nothing` they are what is without events."""
        plan = self._plans.get(which) or self._planned(which)
        for i in range(0, len(rows), _CHUNK):
            part = rows[i : i + _CHUNK]
            read = [_neutral(self.groups[g], len(part)) for g in plan.groups] if nothing else self._read(plan, part)
            lanes = read[0] if len(read) == 1 else np.concatenate(read)
            # A row alone is changed where it is.
            cells = self._cells[int(part[0]) :][:1] if len(part) == 1 else self._cells.take(part, axis=0)
            values = cells[:, self._n :].view(np.float64)
            for step in plan.steps:
                out = finalize(step.feature, [lanes[place] for place in step.lanes])
                values[:, step.places] = out.T if step.is_joint else out
            is_empty = (lanes[plan.telling] == plan.neutral) & plan.can_tell
            stamps = np.where(is_empty, self._dusks[plan.stamps], self._epochs[plan.stamps])
            cells[:, plan.stamps] = _EVER if nothing else stamps.T
            if len(part) > 1:
                self._cells[part] = cells

    def _read(self, plan: _Plan, rows: Array) -> list[Array]:
        """The lanes of each group of a plan, (cuts * lanes, n_rows)."""
        read: list[Array] = []
        for names, places in plan.families:
            lowest = [self.tails[place].lowest for place in places]
            if self._joint is not None and len(names) > 1:
                read += self._joint.read_together(names, rows, lowest)
            else:
                read += [self._store.read(name, rows, low) for name, low in zip(names, lowest, strict=True)]
        return [lanes.reshape(-1, len(rows)) for lanes in read]

    def _planned(self, which: int) -> _Plan:
        """What to do where just these groups have to be read."""
        groups = tuple(g for g in range(self._n) if which >> g & 1)
        first = dict(zip(groups, np.cumsum([0, *(_n_lanes(self.groups[g]) for g in groups)]).tolist(), strict=False))
        steps: dict[Any, list[tuple[Aggregate, list[int], Any]]] = {}
        for g, feature, slot, cuts, lanes in self._members:
            if g in first:
                width = len(self.groups[g].lanes)
                used = [first[g] + cut * width + lane for cut in cuts for lane in lanes]
                alike = _alike(feature) or canonical([slot])
                steps.setdefault(alike, []).append((feature, used, self.places[slot]))
        telling = [_telling(self.groups[g]) for g in groups]
        by_family = groupby(groups, lambda g: self.groups[g].family)
        families = [zip(*((self.groups[g].name, g) for g in mine), strict=True) for _, mine in by_family]
        plan = self._plans[which] = _Plan(
            groups,
            tuple((list(names), list(places)) for names, places in families),
            _slice(list(groups)),
            tuple(_step(members) for members in steps.values()),
            np.array([first[g] + (at or 0) for g, (at, _) in zip(groups, telling, strict=True)]),
            np.array([[neutral] for _, neutral in telling]),
            np.array([[at is not None] for at, _ in telling]),
        )
        return plan


def _step(members: Sequence[tuple[Aggregate, list[int], Any]]) -> _Step:
    feature, used, place = members[0]
    if not _alike(feature):
        return _Step(feature, tuple(used), place, is_joint=False)
    lanes = tuple(_slice([mine[i] for _, mine, _ in members]) for i in range(len(used)))
    # Each row of lanes with the prior of its own feature: arrays add to arrays as numbers do to numbers.
    prior: Any = tuple(np.array([[feature.prior[i]] for feature, _, _ in members]) for i in range(2))
    return _Step(replace(feature, prior=prior), lanes, _slice([place for _, _, place in members]), is_joint=True)


def _slice(places: list[int]) -> Any:
    """Places one after the other, or evenly apart, as a slice: a view instead of a copy."""
    step = places[1] - places[0] if len(places) > 1 else 1
    even = step > 0 and places == list(range(places[0], places[0] + step * len(places), step))
    return slice(places[0], places[-1] + 1, step) if even else places


def _alike(feature: Aggregate) -> bytes:
    """What aggregates have in common that one call can finalise; nothing for those that cannot share one."""
    if feature.kind not in _ALIKE:
        return b""
    is_scaled = feature.kind in ("sum", "mean") and feature.value is not None and value_kind(feature.value) is float
    return canonical([feature.kind, is_scaled])


def _n_lanes(group: TileGroup) -> int:
    return len(group.cuts) * len(group.lanes)


def _neutral(group: TileGroup, n_rows: int) -> Array:
    """What a store gives for rows without events, (cuts * lanes, n_rows)."""
    lanes = [lane.neutral for lane in group.lanes] * len(group.cuts)
    return np.repeat(np.array(lanes, np.int64)[:, None], n_rows, axis=1)


def _telling(group: TileGroup) -> tuple[int | None, int]:
    """Which merged lane says that there are no events in the longest window, and by which value.

    A count of events does, and one of the values that are present if all lanes are made of just these.
    """
    longest = max(range(len(group.cuts)), key=lambda i: group.cuts[i].back) * len(group.lanes)
    forms = [lane.form for lane in group.lanes]
    if "events" in forms:
        return longest + forms.index("events"), 0
    values = {canonical(None if lane.value is None else lane.value.spec()) for lane in group.lanes}
    if "present" in forms and len(values) == 1:
        return longest + forms.index("present"), 0
    if len(forms) == 1 and forms[0] in ("high", "low"):
        return longest, NEUTRAL
    return None, 0
