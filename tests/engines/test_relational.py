"""The relational plan on DuckDB is the oracle, to the bit, and keeps to its contract at the edges."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import FeatureError
from sixfold._core.table import Table
from sixfold._core.times import DAY
from sixfold.engines.relational import DuckDbEngine
from sixfold.features import FeatureSet, as_of, count
from sixfold.features.engine import Engine, NumpyEngine
from sixfold.testing.compare import differences
from sixfold.testing.histories import EVERYTHING, STREAMS, Case, between, build, draw, draw_features
from sixfold.testing.oracle import oracle

ENGINE = DuckDbEngine(memory="500MB", threads=1)


def cases(seed: int, n: int, most_facts: int) -> Iterator[tuple[FeatureSet, Case, np.random.Generator]]:
    rng = np.random.default_rng(seed)
    for i in range(n):
        case = draw(rng, int(rng.integers(0, most_facts)), 6, retractions=float(rng.choice((0, 0.15))))
        yield EVERYTHING if i % 2 else draw_features(rng, 10), case, rng


@pytest.mark.parametrize("seed", range(3))
def test_drawn_histories(seed: int) -> None:
    for features, case, _ in cases(seed, 2, 90):
        history, spine = build(case)
        assert differences(oracle(features, history, spine), ENGINE.as_of(features, history, spine)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
def test_many_histories(seed: int) -> None:
    for features, case, _ in cases(seed, 25, 90):
        history, spine = build(case)
        assert differences(oracle(features, history, spine), ENGINE.as_of(features, history, spine)) == []


@pytest.mark.slow
def test_long_histories() -> None:
    for features, case, rng in cases(9, 6, 600):
        history, spine = build(case)
        spine = spine.with_columns({"at": spine["at"] - rng.integers(0, 40 * DAY, len(spine))})
        assert differences(oracle(features, history, spine), ENGINE.as_of(features, history, spine)) == []


@pytest.mark.parametrize("engine", [ENGINE, NumpyEngine()])
def test_chunks_change_nothing(engine: Engine) -> None:
    rng = np.random.default_rng(5)
    history, spine = build(draw(rng, 60, 7))
    whole = as_of(EVERYTHING, history, spine)
    parts = engine.stream(
        EVERYTHING,
        (between(history, i, i + 7) for i in range(0, 60, 7)),
        (spine.take(slice(i, i + 3)) for i in range(0, 7, 3)),
    )
    found = list(parts)
    assert [len(part) for part in found] == [3, 3, 1]
    assert differences(whole, Table.concat(found)) == []


def test_a_spine_without_rows_has_columns_of_the_right_types() -> None:
    history, spine = build(draw(np.random.default_rng(1), 20, 2))
    none = spine.take(slice(0, 0))
    assert differences(as_of(EVERYTHING, history, none), ENGINE.as_of(EVERYTHING, history, none)) == []


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    history, spine = build(draw(np.random.default_rng(1), 20, 2))
    list(DuckDbEngine(memory="500MB", folder=tmp_path).stream(EVERYTHING, [history], [spine]))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_used_is_refused() -> None:
    history, spine = build(draw(np.random.default_rng(1), 20, 2))
    features = FeatureSet(count(STREAMS[1], by=STREAMS[1].keys[0], over="1h"))
    with pytest.raises(FeatureError, match=r"lacks the columns \['user'\]"):
        ENGINE.as_of(features, history, Table({"at": np.array([1]), "offset": np.array([0])}))
    with pytest.raises(FeatureError, match="not in order"):
        list(ENGINE.stream(EVERYTHING, [history, history], [spine]))
    with pytest.raises(FeatureError, match="not an amount of memory"):
        DuckDbEngine(memory="lots")
