"""The relational plan on data that is more than four times the memory it is given."""

from collections.abc import Iterator

import numpy as np
import pytest

from sixfold._core.table import Table
from sixfold._core.times import DAY, HOUR
from sixfold.data.events import Events
from sixfold.engines.relational import DuckDbEngine
from sixfold.engines.relational.engine import bytes_of
from sixfold.features import FeatureSet, count, last
from sixfold.features import max as highest
from sixfold.features import sum as total
from sixfold.features.engine import NumpyEngine
from sixfold.frame import Entity
from sixfold.testing.compare import differences

user, video = Entity("user"), Entity("video")
watch = Events("watch", keys=(user, video), fields={"ms": int, "share": float, "liked": bool})
FEATURES = FeatureSet(
    count(watch, by=user, over=("1h", "7d")),
    total(watch.ms, by=video, over=("1d", "30d")),
    count(watch, by=(), over="7d", where=watch.liked),
    highest(watch.share, by=user, over="7d"),
    last(watch.ms, by=user),
)
MEMORY = "50MB"
N_CHUNKS, CHUNK, SPAN = 40, 100_000, 60 * DAY
STEP = SPAN // (N_CHUNKS * CHUNK)


def history() -> Iterator[dict[str, Table]]:
    """Four million events, one in a hundred up to six hours late, a few videos far more watched than others."""
    for i in range(N_CHUNKS):
        rng = np.random.default_rng(i)
        offset = np.arange(i * CHUNK, (i + 1) * CHUNK)
        late = np.where(rng.random(CHUNK) < 0.01, rng.integers(0, 6 * HOUR, CHUNK), 0)
        columns = {
            "offset": offset,
            "arrived": offset * STEP,
            "at": offset * STEP - late,
            "user": rng.integers(0, 50_000, CHUNK),
            "video": np.minimum(rng.geometric(1e-3, CHUNK), 20_000),
            "ms": rng.integers(0, 60_000, CHUNK),
            "share": rng.random(CHUNK),
            "liked": rng.random(CHUNK) < 0.1,
        }
        yield {"watch": Table(columns)}


def spine() -> Iterator[Table]:
    for i in range(0, N_CHUNKS, 4):
        rng = np.random.default_rng(1000 + i)
        offset = np.sort(rng.integers(i * CHUNK, (i + 4) * CHUNK, 5_000))
        keys = {"user": rng.integers(0, 50_000, 5_000), "video": rng.integers(0, 10_000, 5_000)}
        yield Table({"offset": offset, "at": offset * STEP, **keys})


@pytest.mark.slow
def test_data_four_times_the_memory_limit() -> None:
    sum_of_bytes = 0
    for chunk in history():
        sum_of_bytes += sum(column.nbytes for column in chunk["watch"].values())
    assert sum_of_bytes >= 4 * bytes_of(MEMORY)
    found = DuckDbEngine(memory=MEMORY, threads=1).stream(FEATURES, history(), spine())
    expected = NumpyEngine().stream(FEATURES, history(), spine())
    for ours, theirs in zip(found, expected, strict=True):
        assert differences(theirs, ours) == []
