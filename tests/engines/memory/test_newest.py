"""Rings that grow, against a list of events per row."""

import numpy as np
import pytest

from sixfold._core.table import Array
from sixfold.engines.memory.newest import NewestRings
from sixfold.features.store import NEUTRAL, Newest

ROWS = np.arange(1, 9)


def expected(events: dict[int, list[tuple[int, int]]], rows: Array, n: int) -> Array:
    out = np.full((2, len(rows), n), NEUTRAL)
    for i, row in enumerate(rows.tolist()):
        newest = sorted(events.get(row, []), key=lambda event: event[0])[-n:]
        if newest:
            out[:, i, n - len(newest) :] = np.array(newest).T
    return out


@pytest.mark.parametrize("n", [1, 3, 4, 50])
@pytest.mark.parametrize("late", [False, True])
def test_rings_hold_the_newest_events_of_each_row(n: int, late: bool) -> None:
    rng = np.random.default_rng(n)
    rings, events = NewestRings(Newest(n, 1)), dict[int, list[tuple[int, int]]]()
    for step in range(60):
        rows = rng.choice(ROWS[:-1], rng.integers(1, 12), p=np.array([8, 8, 4, 2, 2, 1, 1]) / 26)
        at = 10 * step + (rng.integers(-30, 30, len(rows)) if late else np.sort(rng.integers(0, 10, len(rows))))
        lane = rng.integers(0, 99, len(rows))
        rings.fold(rows, at, lane[None])
        for row, *event in zip(rows.tolist(), at.tolist(), lane.tolist(), strict=True):
            events.setdefault(row, []).append((event[0], event[1]))
        if step % 7 == 6:
            gone = rng.choice(ROWS, 2)
            rings.empty(gone)
            for row in gone.tolist():
                events.pop(row, None)
        if step % 11 == 10:
            saved, rings = rings.arrays(), NewestRings(Newest(n, 1))
            rings.restore(saved)
        assert np.array_equal(rings.read(ROWS), expected(events, ROWS, n))
        for row in ROWS:
            assert np.array_equal(rings.read(np.array([row])), expected(events, np.array([row]), n))


def test_rows_of_few_events_take_few_places() -> None:
    rings = NewestRings(Newest(500, 1))
    rings.fold(np.repeat(np.arange(1, 10_001), 3), np.tile(np.arange(3), 10_000), np.zeros((1, 30_000), np.int64))
    assert rings.arrays()["places"].shape[1] <= 4 * 10_000 + 1
