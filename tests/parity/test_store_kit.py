"""The store kit passes the memory store, and finds stores that are wrong by a short history told in words."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array
from sixfold.engines.memory.store import MemoryStore
from sixfold.features.store import NEUTRAL, Shape, Tiles
from sixfold.testing import check_store
from sixfold.testing.store_protocol import check_protocol


class Altered(MemoryStore):
    """A store that is about to be made wrong in one place."""

    def open(self, shapes: Mapping[str, Shape]) -> None:
        super().open(shapes)
        self.shapes = shapes

    def has_tiles(self, group: str) -> bool:
        return isinstance(self.shapes[group], Tiles)

    def fold(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int, replace: bool = False
    ) -> None:
        if len(rows):
            order, lanes, keep_from = self.altered(group, rows, order=order, lanes=lanes, keep_from=keep_from)
        super().fold(group, rows, order=order, lanes=lanes, keep_from=keep_from, replace=replace)

    def altered(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int
    ) -> tuple[Array, Array, int]:
        return order, lanes, keep_from


class SumsMaxima(Altered):
    """Adds up the maxima of events in one tile."""

    def altered(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int
    ) -> tuple[Array, Array, int]:
        shape, lanes = self.shapes[group], lanes.copy()
        for i in range(len(rows)) if isinstance(shape, Tiles) else ():
            there = super().read(group, rows[i : i + 1], [int(order[i])])[0, :, 0]
            both = (there != NEUTRAL) & (lanes[:, i] != NEUTRAL)
            both[: shape.adds] = False
            lanes[both, i] += there[both]
        return order, lanes, keep_from


class KeepsOneLess(MemoryStore):
    """Sequences that are one short."""

    def read(self, group: str, rows: Array, lowest: Sequence[int]) -> Array:
        state = super().read(group, rows, lowest)
        if group.startswith("newest") and state.shape[2] > 2:
            state[0, :, 0] = NEUTRAL
        return state


class ForgetsTooEarly(Altered):
    """Drops one tile more than it may."""

    def altered(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int
    ) -> tuple[Array, Array, int]:
        return order, lanes, keep_from + 1


class LateIsOnTime(Altered):
    """Counts a late event where the newest one is."""

    def open(self, shapes: Mapping[str, Shape]) -> None:
        super().open(shapes)
        self.newest: dict[str, int] = {}

    def altered(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int
    ) -> tuple[Array, Array, int]:
        if self.has_tiles(group):
            order = np.maximum.accumulate(np.append(self.newest.get(group, NEUTRAL), order))[1:]
            self.newest[group] = int(order[-1])
        return order, lanes, keep_from


class AnswersOneWindow(MemoryStore):
    """Takes the first window for all that are asked for at once."""

    def read(self, group: str, rows: Array, lowest: Sequence[int]) -> Array:
        state = super().read(group, rows, lowest)
        if len(lowest):
            state[:] = state[0]
        return state


class ReplacesNothing(MemoryStore):
    """Adds where it should replace."""

    def fold(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int, replace: bool = False
    ) -> None:
        super().fold(group, rows, order=order, lanes=lanes, keep_from=keep_from)


class SavesNothing(MemoryStore):
    """Forgets when it restarts."""

    def load(self, folder: Path) -> None:
        pass


class SavesAReference(MemoryStore):
    """Hands over what the other store holds when it loads, not what it held when it saved."""

    def save(self, folder: Path) -> None:
        (folder / "who").write_text(str(len(SAVED)))
        SAVED.append(self)

    def load(self, folder: Path) -> None:
        with tempfile.TemporaryDirectory() as now:
            MemoryStore.save(SAVED[int((folder / "who").read_text())], Path(now))
            super().load(Path(now))


SAVED: list[MemoryStore] = []
SHARED = MemoryStore()
VALUES = "values are those of the oracle"
CUTS = "values do not depend on how the log is cut into folds"
SEVERAL = "several windows are read at once, and nothing is forgotten that can still be asked"
RESTORED = "a restored store goes on as if nothing had happened"
PROTOCOL = "state is what the protocol says"


def test_the_memory_store_keeps_the_laws() -> None:
    check_store(MemoryStore, n_histories=25)


@pytest.mark.parametrize(
    ("make_store", "laws", "at_most"),
    [
        (SumsMaxima, (CUTS,), 3),
        (KeepsOneLess, (VALUES,), 3),
        (ForgetsTooEarly, (SEVERAL,), 6),
        (LateIsOnTime, (VALUES, SEVERAL), 3),
        (AnswersOneWindow, (VALUES, SEVERAL), 2),
        (SavesNothing, (RESTORED,), 2),
        (SavesAReference, (RESTORED,), 2),
        (lambda: SHARED, ("stores do not share state",), 2),
    ],
)
def test_a_wrong_store_is_found_by_a_short_history(make_store: object, laws: tuple[str, ...], at_most: int) -> None:
    with pytest.raises(FeatureError) as found:
        check_store(make_store)  # type: ignore[arg-type]
    said = str(found.value)
    assert any(f"breaks the law {law!r}" in said for law in laws), said
    assert 1 <= len(re.findall(r"^ *\d+\. (user|video) ", said, re.MULTILINE)) <= at_most, said
    assert len(re.findall(r"^ \?  asked at .* about (user|video|term|everything)", said, re.MULTILINE)) == 1, said
    assert re.search(r"^feature   \w+: (\w+|newest \d+) of .*\nexpected  .+\nfound     .+$", said, re.MULTILINE), said


def test_the_history_of_the_summed_maximum() -> None:
    with pytest.raises(FeatureError) as found:
        check_store(SumsMaxima)
    lines = str(found.value).splitlines()
    assert sum(" watched " in line or " described " in line for line in lines) <= 3


WRONG = (SumsMaxima, ForgetsTooEarly, LateIsOnTime, AnswersOneWindow, ReplacesNothing, SavesNothing)


@pytest.mark.parametrize("make_store", WRONG)
def test_the_protocol_alone_finds_it_too(make_store: type[MemoryStore]) -> None:
    with pytest.raises(FeatureError, match=PROTOCOL):
        check_protocol(make_store, n_histories=200, seed=0)


def test_a_store_that_is_not_one_is_told_what_failed() -> None:
    class Half(MemoryStore):
        def read(self, group: str, rows: Array, lowest: Sequence[int]) -> Array:
            raise KeyError(group)

    with pytest.raises(FeatureError, match="expected  an answer\nfound     KeyError"):
        check_store(Half)
