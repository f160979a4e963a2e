"""A stored training set of a forecast holds the rows that training learns from."""

from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import DataError, DefinitionError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY, HOUR
from sixfold.data import Calendar, Events, Label
from sixfold.engines.memory.log import MemoryLog
from sixfold.features import FeatureSet, beforehand, season
from sixfold.features.calendar_rows import CalendarRows
from sixfold.features.dataset import Recipe, open_dataset, write_dataset
from sixfold.frame import Entity
from sixfold.models.training_set import build_dataset

PRODUCT = Entity("product", str)
SALE = Events("sale", keys=(PRODUCT,), fields={"quantity": float})
CALENDAR = Calendar(SALE, per=PRODUCT, steps=3, apart="2d", at_least=2, over="10d")
SOLD = Label("sold", SALE.quantity, of=CALENDAR, within="1d", matures="3d")
FEATURES = FeatureSet(season(SALE.quantity, CALENDAR), beforehand(CALENDAR))


def small_log() -> MemoryLog:
    rng = np.random.default_rng(0)
    at = np.sort(rng.integers(100 * DAY, 140 * DAY, 300))
    columns = {"id": column([f"s{i}" for i in range(300)], str), "at": at, "arrived": at + HOUR}
    keys = column(rng.choice(list("abcd"), 300).tolist(), str)
    log = MemoryLog()
    log.append({"sale": Table({**columns, "product": keys, "quantity": rng.poisson(2, 300) * 1.0})}, now=0)
    return log


@pytest.mark.parametrize("n_rows", [7, 10_000])
def test_it_is_what_training_learns_from(n_rows: int, tmp_path: Path) -> None:
    log = small_log()
    end, now = log.end()
    recipe = Recipe(FEATURES, (SOLD,), end, now, utc_offset_s=-18_000)
    stored = write_dataset(tmp_path / "set", recipe, log, n_rows=n_rows)
    history = log.read(0, end)
    whole = build_dataset(FEATURES, (SOLD,), history, within=(90 * DAY, 150 * DAY), now=now, utc_offset_s=-18_000)
    written = Table.concat(list(open_dataset(tmp_path / "set").batches()))
    assert len(written) == len(whole) == stored.rows > 100
    for name in FEATURES.names:
        assert written[name].tobytes() == whole.features[name].tobytes()
    assert written["label_sold"].tobytes() == whole.labels["sold"].tobytes()
    assert written["row_product"].tolist() == whole.spine["product"].tolist()
    assert written["row_at"].tolist() == whole.spine["at"].tolist()
    assert write_dataset(tmp_path / "set", recipe, log, n_rows=n_rows).reused


def test_only_what_is_over_and_in_range_is_written(tmp_path: Path) -> None:
    log = small_log()
    end, now = log.end()
    within = (110 * DAY, 150 * DAY)
    write_dataset(tmp_path / "set", Recipe(FEATURES, (SOLD,), end, now, within), log)
    at = Table.concat(list(open_dataset(tmp_path / "set").batches()))["row_at"]
    assert at.min() >= within[0] and at.max() + 3 * DAY <= now and (at % (2 * DAY) == 0).all()
    with pytest.raises(DataError, match="no mature 'calendar' events"):
        write_dataset(tmp_path / "none", Recipe(FEATURES, (SOLD,), end, now, (0, DAY)), log)


def test_labels_of_a_stream_have_no_calendar() -> None:
    shown = Events("shown", keys=(PRODUCT,))
    label = Label("sold", SALE.quantity, of=shown, within="1d", matures="3d")
    with pytest.raises(DefinitionError, match="no label of a calendar"):
        CalendarRows(small_log(), (label,), stop=10, within=(0, DAY), now=DAY, utc_offset_s=0)
