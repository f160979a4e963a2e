"""The machine that appends, folds, asks, saves, seals and dies in any order, over every log and store there is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from sixfold._core.table import Array, Table
from sixfold.engines.memory.log import MemoryLog
from sixfold.engines.memory.store import MemoryStore
from sixfold.engines.sqlite.store import SqliteStore
from sixfold.features.store import Held, Shape
from sixfold.testing.machine import serving
from sixfold.testing.places import LOGS, STORES, OpenLog, OpenStore, Place, opened
from sixfold.testing.servers import has_redis

NO_REDIS = pytest.mark.skipif(not has_redis(), reason="redis-server is not installed: apt-get install redis-server")
PLACES = [
    ("memory", "memory"),
    *(pytest.param("sqlite", name, marks=[NO_REDIS] if name == "redis" else []) for name in STORES),
]
MakePlace = Callable[[str, str], Place]


@pytest.fixture(scope="module")
def make_place() -> Iterator[MakePlace]:
    with opened(redis=has_redis()) as make:
        yield make


def run(make_place: Callable[[], Place], examples: int, steps: int, phases: Sequence[Phase] = tuple(Phase)) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=phases,
    )
    run_state_machine_as_test(serving(make_place), settings=chosen)


@pytest.mark.parametrize(("log", "store"), PLACES)
def test_nothing_that_happens_changes_a_value(make_place: MakePlace, log: str, store: str) -> None:
    run(lambda: make_place(log, store), 5, 12)


@pytest.mark.slow
@pytest.mark.parametrize(("log", "store"), PLACES)
def test_nothing_that_happens_for_long_changes_a_value(make_place: MakePlace, log: str, store: str) -> None:
    run(lambda: make_place(log, store), 60, 40)


class ForgetsTooEarly(MemoryStore):
    """Drops tiles that are still asked for."""

    def fold(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int, replace: bool = False
    ) -> None:
        super().fold(group, rows, order=order, lanes=lanes, keep_from=keep_from + 13, replace=replace)


class ReplacesNothing(MemoryStore):
    """Adds where it should replace, as taking an event back asks it to."""

    def fold(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int, replace: bool = False
    ) -> None:
        super().fold(group, rows, order=order, lanes=lanes, keep_from=keep_from)


class CommitsHalves(SqliteStore):
    """Makes each piece of a fold durable by itself."""

    def fold(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int, replace: bool = False
    ) -> None:
        super().fold(group, rows, order=order, lanes=lanes, keep_from=keep_from, replace=replace)
        self.commit(self._clock, b"")

    def resume(self, version: str, shapes: Mapping[str, Shape]) -> Held | None:
        held = super().resume(version, shapes)
        self._clock = {"offset": 0, "last_arrival": 0} if held is None else held.clock
        return held

    def commit(self, clock: Mapping[str, int], ledger: bytes) -> None:
        self._clock = clock
        super().commit(clock, ledger)


class LosesSealed(MemoryLog):
    """Forgets the first event when it seals."""

    def read(self, start: int, stop: int, streams: Iterable[str] | None = None) -> Mapping[str, Table]:
        return super().read(max(start, min(self._sealed, 1)), stop, streams)


@pytest.mark.parametrize(
    ("log", "store"),
    [
        (LOGS["memory"], lambda folder, name, url: ForgetsTooEarly()),
        (LOGS["memory"], lambda folder, name, url: ReplacesNothing()),
        (LOGS["memory"], lambda folder, name, url: CommitsHalves(folder / name)),
        (lambda folder: LosesSealed(), STORES["memory"]),
    ],
)
def test_the_machine_finds_what_is_wrong(tmp_path: Path, log: OpenLog, store: OpenStore) -> None:
    numbers = count()

    def place() -> Place:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return Place(folder, log, store)

    with pytest.raises((AssertionError, LookupError)):  # half of a fold may not even be read
        run(place, 60, 30, (Phase.generate,))
