"""Laws checked on the store itself, against a dictionary: `replace`, which folding alone never asks for."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from sixfold._core.times import HOUR
from sixfold.features.store import NEUTRAL, Newest, Store, Tiles
from sixfold.testing.histories import Case, Fact

__all__ = ["replacing"]

_ROWS = np.arange(6)

_Call = tuple[int, int, int | None]
"""A row, a tile or instant, and a value that is summed, maximised and kept; None for nothing in its place."""


class _Model:
    """What a group of tiles and one of newest events hold, as plain dictionaries."""

    def __init__(self) -> None:
        self._tiles: dict[tuple[int, int], tuple[int, int]] = defaultdict(lambda: (0, NEUTRAL))
        self._newest: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        self._n_folded = 0

    def fold(self, calls: Sequence[_Call], *, replace: bool) -> None:
        for row, order, _ in calls if replace else ():
            self._tiles.pop((row, order), None)
            self._newest.pop(row, None)
        for row, order, value in calls:
            if value is not None:
                total, top = self._tiles[row, order]
                self._tiles[row, order] = ((total + value + 2**63) % 2**64 - 2**63, max(top, value))
                self._n_folded += 1
                self._newest[row].append((order, self._n_folded, value))

    def tiles(self, lowest: int) -> list[list[int]]:
        """The sum and the maximum of each row."""
        out = []
        for row in _ROWS.tolist():
            inside = [lanes for (r, tile), lanes in self._tiles.items() if r == row and tile >= lowest]
            total = (sum(add for add, _ in inside) + 2**63) % 2**64 - 2**63
            out.append([total, max((top for _, top in inside), default=NEUTRAL)])
        return out

    def newest(self) -> list[list[list[int]]]:
        """Instant and value of the last two events of each row."""
        return [[[at, value] for at, _, value in sorted(self._newest[row])[-2:]] for row in _ROWS.tolist()]


def replacing(make_store: Callable[[], Store], case: Case) -> list[str]:
    """Whether folds with and without `replace`, three facts each, leave what the protocol says; what differs."""
    store, model = make_store(), _Model()
    store.open({"tiles": Tiles(adds=1, maxima=1), "newest": Newest(n=2, width=1)})
    for i in range(0, len(case.facts), 3):
        facts = case.facts[i : i + 3]
        replace = facts[0].flag
        calls = [_call(fact) for fact in facts if replace or fact.text is not None]
        _fold(store, calls, replace=replace)
        model.fold(calls, replace=replace)
        where = f"after {i + len(facts)} facts, the last {len(calls)} folded with replace={replace},"
        for low in (NEUTRAL + 1, 4):
            held = store.read("tiles", _ROWS, [low])[0].T.tolist()
            if held != model.tiles(low):
                return [f"{where} tiles >= {low} hold {held}, expected {model.tiles(low)}"]
        events = store.read("newest", _ROWS, ()).transpose(1, 2, 0).tolist()
        newest = [[event for event in row if event[0] != NEUTRAL] for row in events]
        if newest != model.newest():
            return [f"{where} the newest events are {newest}, expected {model.newest()}"]
    return []


def _call(fact: Fact) -> _Call:
    return (1 + fact.user % 4, fact.gap // HOUR % 8, None if fact.text is None else fact.whole)


def _fold(store: Store, calls: Sequence[_Call], *, replace: bool) -> None:
    if not calls:
        return
    rows, order = (np.array([call[i] for call in calls], np.int64) for i in range(2))
    given = np.array([call[2] is not None for call in calls])
    values = np.array([call[2] or 0 for call in calls], np.int64)
    lanes = np.stack([values, np.where(given, values, NEUTRAL)])
    store.fold("tiles", rows, order=order, lanes=lanes, keep_from=NEUTRAL, replace=replace)
    order = np.where(given, order, NEUTRAL)
    store.fold("newest", rows, order=order, lanes=values[None], keep_from=0, replace=replace)
