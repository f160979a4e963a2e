"""The engine kit passes the engines that there are, and finds engines that are wrong."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pytest

from sixfold._core.errors import FeatureError
from sixfold._core.table import Table
from sixfold.data.retraction import RETRACTION
from sixfold.engines.relational import DuckDbEngine
from sixfold.features import FeatureSet, as_of
from sixfold.features.definitions import Aggregate
from sixfold.features.engine import NumpyEngine
from sixfold.testing.engine_kit import check_engine

History = Mapping[str, Table]


class SeesItself(NumpyEngine):
    """Takes in the event at the row's own offset."""

    def as_of(self, features: FeatureSet, history: History, spine: Table) -> Table:
        return super().as_of(features, history, spine.with_columns({"offset": spine["offset"] + 1}))


class ForgetsLate(NumpyEngine):
    """Leaves out what arrived a day late."""

    def as_of(self, features: FeatureSet, history: History, spine: Table) -> Table:
        kept = {name: table.take(table["arrived"] - table["at"] < 86_400_000_000) for name, table in history.items()}
        return super().as_of(features, {name: table for name, table in kept.items() if table}, spine)


class TakesNothingBack(NumpyEngine):
    """Does not look at retractions."""

    def as_of(self, features: FeatureSet, history: History, spine: Table) -> Table:
        return super().as_of(features, {n: t for n, t in history.items() if n != RETRACTION}, spine)


class LosesDoubles(NumpyEngine):
    """Answers equal rows once."""

    def as_of(self, features: FeatureSet, history: History, spine: Table) -> Table:
        _, first = np.unique(spine["offset"], return_index=True)
        return super().as_of(features, history, spine.take(np.sort(first)) if len(spine) > 6 else spine)


class FirstChunkOnly(NumpyEngine):
    """Reads one chunk of the history."""

    def stream(self, features: FeatureSet, history: Iterable[History], spine: Iterable[Table]) -> Iterator[Table]:
        first: History = next(iter(history), {})
        return (as_of(features, first, rows) for rows in spine)


class Remembers(NumpyEngine):
    """Keeps the first history it was given."""

    def __init__(self) -> None:
        self.history: History = {}

    def as_of(self, features: FeatureSet, history: History, spine: Table) -> Table:
        self.history = self.history or history
        return super().as_of(features, self.history, spine)


class CountsOnly(NumpyEngine):
    """Refuses all but counts."""

    def as_of(self, features: FeatureSet, history: History, spine: Table) -> Table:
        if not all(isinstance(feature, Aggregate) and feature.kind == "count" for feature in features):
            raise FeatureError("this engine only counts")
        return super().as_of(features, history, spine)


class RefusesAll(NumpyEngine):
    """Computes nothing."""

    def as_of(self, features: FeatureSet, history: History, spine: Table) -> Table:
        raise FeatureError("no")


def test_numpy_keeps_the_laws() -> None:
    check_engine(NumpyEngine, n_histories=20)


def test_duckdb_keeps_the_laws() -> None:
    check_engine(lambda: DuckDbEngine(memory="500MB", threads=1), n_histories=2, seed=1)


@pytest.mark.slow
def test_duckdb_keeps_the_laws_on_many_histories() -> None:
    check_engine(lambda: DuckDbEngine(memory="500MB", threads=1), n_histories=40, seed=2)


def test_an_engine_may_refuse_what_it_cannot_do_but_not_everything() -> None:
    check_engine(CountsOnly, n_histories=5)
    with pytest.raises(FeatureError, match="refuses every feature"):
        check_engine(RefusesAll, n_histories=5)


@pytest.mark.parametrize(
    ("make_engine", "law"),
    [
        (SeesItself, "values are those of the oracle"),
        (ForgetsLate, "values are those of the oracle"),
        (TakesNothingBack, "values are those of the oracle"),
        (LosesDoubles, "a row's values do not depend"),
        (FirstChunkOnly, "chunks of the history"),
        (Remembers, "nothing is kept"),
    ],
)
def test_a_wrong_engine_is_found_and_the_history_that_shows_it_is_short(make_engine: object, law: str) -> None:
    with pytest.raises(FeatureError, match=f"breaks the law [\"']{law}") as found:
        check_engine(make_engine, n_histories=200)  # type: ignore[arg-type]
    events = [line for line in str(found.value).splitlines() if line[:2].strip().isdecimal()]
    assert len(events) <= 4, str(found.value)
