"""Rows of a backfill see what had arrived before their moment less the declared lag."""

import numpy as np
import pytest

from sixfold._core.errors import FeatureError, InputError
from sixfold._core.table import Table
from sixfold._core.times import DAY, duration
from sixfold.features import as_of, offsets_as_known
from sixfold.testing.compare import differences
from sixfold.testing.histories import EVERYTHING, build, draw
from sixfold.testing.oracle import oracle


def known(history: dict[str, Table], moment: int) -> dict[str, Table]:
    """What had arrived before a moment, and nothing else."""
    return {name: table.take(table["arrived"] < moment) for name, table in history.items()}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("lag", ["0s", "5m", "1d"])
def test_a_row_equals_the_oracle_over_what_had_arrived_by_then(seed: int, lag: str) -> None:
    rng = np.random.default_rng(seed)
    history, spine = build(draw(rng, 30, 5, retractions=0.15))
    arrived = np.concatenate([table["arrived"] for table in history.values()])
    at = rng.choice(np.append(arrived, arrived + duration(lag)), len(spine)) + rng.integers(0, 2, len(spine)) * DAY
    spine = spine.with_columns({"at": at, "offset": offsets_as_known(history, at, lag=lag)})
    found = as_of(EVERYTHING, history, spine)
    for i, moment in enumerate((at - duration(lag)).tolist()):
        row = spine.take([i]).with_columns({"offset": np.array([10**9])})
        assert differences(oracle(EVERYTHING, known(history, moment), row), found.take([i])) == []


def test_what_is_not_known_has_no_answer() -> None:
    assert offsets_as_known({}, np.array([5, 6]), lag="5m").tolist() == [0, 0]
    with pytest.raises(FeatureError, match="when they arrived"):
        offsets_as_known({"watch": Table({"offset": np.array([0])})}, np.array([5]), lag="5m")
    with pytest.raises(InputError, match="is not a duration"):
        offsets_as_known({}, np.array([5]), lag="soon")
