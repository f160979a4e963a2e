"""The store kit passes the memory store, and finds stores that are wrong."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array
from sixfold.engines.memory.store import MemoryStore
from sixfold.features.store import Newest, Shape, Tiles
from sixfold.testing.store_kit import check_store


class SumsMaxima(MemoryStore):
    """Tiles whose maximum is summed."""

    def open(self, shapes: Mapping[str, Shape]) -> None:
        super().open({n: Tiles(s.width, 0) if isinstance(s, Tiles) else s for n, s in shapes.items()})


class KeepsOneLess(MemoryStore):
    """Sequences that are one short."""

    def read(self, group: str, rows: Array, lowest: Sequence[int]) -> Array:
        state = super().read(group, rows, lowest)
        if group.startswith("newest") and state.shape[2] > 2:
            state[0, :, 0] = np.iinfo(np.int64).min
        return state


class ForgetsTooEarly(MemoryStore):
    """Tiles dropped a day before they may be."""

    def fold(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int, replace: bool = False
    ) -> None:
        super().fold(group, rows, order=order, lanes=lanes, keep_from=keep_from + 24 + 12, replace=replace)


class ReplacesNothing(MemoryStore):
    """A store that adds where it should replace."""

    def fold(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int, replace: bool = False
    ) -> None:
        super().fold(group, rows, order=order, lanes=lanes, keep_from=keep_from)


class SavesNothing(MemoryStore):
    """A store that forgets on restart."""

    def load(self, folder: Path) -> None:
        pass


SHARED = MemoryStore()


def test_the_memory_store_keeps_the_laws() -> None:
    check_store(MemoryStore, n_histories=25)


@pytest.mark.parametrize(
    ("make_store", "law"),
    [
        (SumsMaxima, "values are those of the oracle"),
        (KeepsOneLess, "values are those of the oracle"),
        (ForgetsTooEarly, "."),
        (SavesNothing, "a restored store goes on"),
        (ReplacesNothing, "a fold that replaces"),
        (lambda: SHARED, "stores do not share state"),
    ],
)
def test_a_wrong_store_is_found_and_the_history_that_shows_it_is_short(make_store: object, law: str) -> None:
    with pytest.raises(FeatureError, match=f"breaks the law '{law}") as found:
        check_store(make_store, n_histories=300)  # type: ignore[arg-type]
    assert str(found.value).count("Fact(") <= 6
    assert str(found.value).count("Moment(") == 1


def test_newest_is_a_shape_of_its_own() -> None:
    assert Newest(2, 1) != Tiles(2, 1)
