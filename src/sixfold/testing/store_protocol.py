"""The promises of the store protocol itself, without features: state of both shapes against a plain dictionary.

Features use a part of what the protocol says; a store may serve them all and still fail the next one.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import FeatureError, SixfoldError
from sixfold._core.table import Array
from sixfold.features.store import NEUTRAL, Joint, Newest, Shape, Store, Tiles

__all__ = ["check_protocol"]

SHAPES: dict[str, Shape] = {
    "sums": Tiles(adds=2, maxima=0, family="every"),
    "maxima": Tiles(adds=0, maxima=2, family="every"),
    "both": Tiles(adds=1, maxima=2, family="every"),
    "alone": Tiles(adds=1, maxima=1),
    "one": Newest(n=1, width=1),
    "three": Newest(n=3, width=2),
    "instants": Newest(n=2, width=0),
}
_VALUES = (0, 1, 2, -1, 7, 2**62, -(2**62), 2**63 - 1, NEUTRAL)
_ORDERS = (-(2**40), -5, -1, 0, 1, 2, 3, 4, 5, 6, 12, 2**40)
_ROWS = (1, 2, 3, 40)
_ASKED = np.array([1, 2, 3, 40, 5, 999, 1])
_MARKS = (-6, -1, 0, 2, 3, 7, 2**41)


@dataclass(frozen=True, slots=True)
class _Event:
    row: int
    order: int
    lanes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Fold:
    """One call of `fold`; with `reload`, the state is saved and loaded into a new store afterwards."""

    group: str
    events: tuple[_Event, ...]
    keep_from: int
    replace: bool
    reload: bool

    def __str__(self) -> str:
        order = "tile" if isinstance(SHAPES[self.group], Tiles) else "at"
        events = "; ".join(f"row {e.row}, {order} {e.order}, lanes {list(e.lanes)}" for e in self.events)
        extra = (", replace" if self.replace else "") + (", then save and load" if self.reload else "")
        return f"fold {self.group!r} (keep_from {self.keep_from}{extra}): {events or 'nothing'}"


def check_protocol(make_store: Callable[[], Store], *, n_histories: int, seed: int) -> None:
    """Raise FeatureError, with the calls that show it, unless the store answers as a dictionary would."""
    for number in range(n_histories):
        folds = _drawn(np.random.default_rng([seed, number]))
        if _fault(make_store, folds):
            folds = _least(make_store, folds)
            calls = [f"{i:2}. {fold}" for i, fold in enumerate(folds, 1)]
            groups = {fold.group for fold in folds}
            shapes = [f"    {name!r} is {shape}" for name, shape in SHAPES.items() if name in groups]
            lines = ["the store breaks the law 'state is what the protocol says'", *shapes, *calls]
            raise FeatureError("\n".join([*lines, _fault(make_store, folds)]))


def _drawn(rng: np.random.Generator) -> list[_Fold]:
    mark, folds = NEUTRAL, []
    for _ in range(int(rng.integers(1, 9))):
        group = str(rng.choice(list(SHAPES)))
        mark = max(mark, int(rng.choice(_MARKS))) if rng.random() < 0.2 else mark
        events = tuple(_event(rng, SHAPES[group].width) for _ in range(int(rng.integers(0, 7))))
        is_replacing = bool(rng.random() < 0.3)
        if is_replacing and isinstance(SHAPES[group], Newest) and events and rng.random() < 0.3:
            events = (replace(events[0], order=NEUTRAL), *(e for e in events[1:] if e.row != events[0].row))
        folds.append(_Fold(group, events, mark, is_replacing, bool(rng.random() < 0.2)))
    return folds


def _event(rng: np.random.Generator, width: int) -> _Event:
    lanes = tuple(_VALUES[i] for i in rng.integers(0, len(_VALUES), width).tolist())
    return _Event(int(rng.choice(_ROWS)), int(rng.choice(np.array(_ORDERS))), lanes)


def _fault(make_store: Callable[[], Store], folds: Sequence[_Fold]) -> str:
    """The first read that is not what it should be, in words; empty if there is none. An error of the store counts."""
    try:
        return _first_fault(make_store, folds)
    except (SixfoldError, ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
        return f"expected an answer, found {type(error).__name__}: {error}"


def _first_fault(make_store: Callable[[], Store], folds: Sequence[_Fold]) -> str:
    store, truth, mark = make_store(), _Plain(), NEUTRAL
    store.open(SHAPES)
    for fold in folds:
        mark = max(mark, fold.keep_from)
        rows = np.array([event.row for event in fold.events], np.int64)
        order = np.array([event.order for event in fold.events], np.int64)
        lanes = (
            np.array([event.lanes for event in fold.events], np.int64).reshape(len(rows), SHAPES[fold.group].width).T
        )
        store.fold(fold.group, rows, order=order, lanes=lanes, keep_from=mark, replace=fold.replace)
        truth.fold(fold)
        if fold.reload:
            store = _reloaded(store, make_store)
        lowest = [low for low in (3, -6, mark, 2**40, 0, 5) if low >= mark]
        for group, shape in SHAPES.items():
            found = store.read(group, _ASKED, lowest if isinstance(shape, Tiles) else ())
            expected = truth.read(group, lowest)
            if found.shape != expected.shape or found.dtype != np.int64:
                return f"read of {group!r}: expected int64 {expected.shape}, found {found.dtype} {found.shape}"
            if isinstance(shape, Newest):
                found = np.concatenate([found[:1], np.where(found[0] == NEUTRAL, 0, found[1:])])
            if not np.array_equal(expected, found):
                return _told(group, lowest, expected, found)
        if isinstance(store, Joint) and (groups := _unlike(store, lowest)):
            return f"read_together of {groups}, tiles from {lowest}, does not give what read gives"
    return ""


def _unlike(store: Any, lowest: Sequence[int]) -> list[str]:
    """Groups of one family that are read together otherwise than alone."""
    asked = {"both": lowest, "sums": lowest[:1], "maxima": lowest[1:3]}
    asked = {group: low for group, low in asked.items() if low}
    together = store.read_together(list(asked), _ASKED, list(asked.values()))
    alone = [store.read(group, _ASKED, low) for group, low in asked.items()]
    return [group for group, a, b in zip(asked, together, alone, strict=True) if not np.array_equal(a, b)]


def _told(group: str, lowest: Sequence[int], expected: Array, found: Array) -> str:
    place = tuple(int(i) for i in np.argwhere(expected != found)[0])
    if isinstance(SHAPES[group], Tiles):
        where = f"row {_ASKED[place[2]]}, tiles from {lowest[place[0]]}, lane {place[1]}"
    else:
        where = f"row {_ASKED[place[1]]}, {'at' if place[0] == 0 else f'lane {place[0] - 1}'}, place {place[2]}"
    return f"read of {group!r}, {where}\nexpected  {expected[place]}\nfound     {found[place]}"


def _reloaded(store: Store, make_store: Callable[[], Store]) -> Store:
    again = make_store()
    again.open(SHAPES)
    with tempfile.TemporaryDirectory() as folder:
        store.save(Path(folder))
        again.load(Path(folder))
    return again


def _least(make_store: Callable[[], Store], folds: list[_Fold]) -> list[_Fold]:
    """Without the calls, then without the events, that the fault does not need."""
    i = 0
    while i < len(folds):
        fold = folds[i]
        fewer = [replace(fold, events=fold.events[:j] + fold.events[j + 1 :]) for j in range(len(fold.events))]
        for instead in ([], *([other] for other in fewer)):
            if _fault(make_store, rest := [*folds[:i], *instead, *folds[i + 1 :]]):
                folds, i = rest, -1
                break
        i += 1
    return folds


class _Plain:
    """The protocol as a dictionary: per group and row, tiles or all events ever, forgetting nothing."""

    def __init__(self) -> None:
        self._tiles: dict[tuple[str, int], dict[int, list[int]]] = {}
        self._events: dict[tuple[str, int], list[tuple[int, tuple[int, ...]]]] = {}

    def fold(self, fold: _Fold) -> None:
        shape = SHAPES[fold.group]
        for event in fold.events if fold.replace else ():
            self._tiles.get((fold.group, event.row), {}).pop(event.order, None)
            self._events.pop((fold.group, event.row), None)
        for event in fold.events:
            key = (fold.group, event.row)
            if isinstance(shape, Newest):
                if event.order != NEUTRAL:
                    self._events.setdefault(key, []).append((event.order, event.lanes))
                continue
            tile = self._tiles.setdefault(key, {}).setdefault(event.order, _nothing(shape))
            _merge(shape, tile, event.lanes)

    def read(self, group: str, lowest: Sequence[int]) -> Array:
        shape, rows = SHAPES[group], _ASKED.tolist()
        if isinstance(shape, Tiles):
            return np.array([[self._over(group, row, low) for row in rows] for low in lowest]).transpose(0, 2, 1)
        out = np.zeros((1 + shape.width, len(rows), shape.n), np.int64)
        out[0] = NEUTRAL
        for i, row in enumerate(rows):
            newest = sorted(self._events.get((group, row), []), key=lambda event: event[0])[-shape.n :]
            for place, (at, lanes) in enumerate(newest, shape.n - len(newest)):
                out[:, i, place] = (at, *lanes)
        return out

    def _over(self, group: str, row: int, low: int) -> list[int]:
        shape: Any = SHAPES[group]
        out = _nothing(shape)
        for tile, lanes in self._tiles.get((group, row), {}).items():
            if tile >= low:
                _merge(shape, out, lanes)
        return out


def _nothing(shape: Tiles) -> list[int]:
    return [0] * shape.adds + [NEUTRAL] * shape.maxima


def _merge(shape: Tiles, into: list[int], lanes: Sequence[int]) -> None:
    for i, lane in enumerate(lanes):
        into[i] = (into[i] + lane + 2**63) % 2**64 - 2**63 if i < shape.adds else max(into[i], lane)
