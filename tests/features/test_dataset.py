"""Training sets on disk: what is in them, that they come out the same, and that memory does not grow with the rows."""

import tracemalloc
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import DataError, DefinitionError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY, HOUR, MINUTE, SECOND
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.data.log import Log
from sixfold.engines.memory.log import MemoryLog
from sixfold.features import FeatureSet, attribute, count, mean, request, sequence
from sixfold.features.dataset import Recipe, StoredDataset, open_dataset, write_dataset
from sixfold.features.impressions import Impressions
from sixfold.frame import Entity
from sixfold.models.training_set import build_dataset
from sixfold.testing.compare import differences

user, video = Entity("user"), Entity("video")
meta = Events("video_meta", keys=(video,), fields={"topic": str})
shown = Events("shown", keys=(user, video), fields={"tab": str})
watch = Events("watch", keys=(user, video), fields={"share": float, "long": bool})
long_view = Label("long_view", watch.long, of=shown, within="30m", matures="1h", weight=watch.share)
watched = Label("watched", watch.share, of=shown, within="10m", matures="1h")
FEATURES = FeatureSet(
    count(watch, by=user, over=("1h", "1d")),
    mean(watch.share, by=(user, meta.topic), over="7d"),
    sequence(watch, by=user, of=video, last=3),
    sequence(watch, by=video, of=watch.share, last=2),
    attribute(meta.topic),
    request("tab", str),
)


def busy_log(n: int = 600, seed: int = 3) -> MemoryLog:
    """A few people who see few videos again and again, some of it reported days late."""
    rng, log = np.random.default_rng(seed), MemoryLog()
    log.append({"video_meta": Table({
        "id": column([f"m{i}" for i in range(5)], str), "at": np.arange(5), "video": np.arange(5),
        "topic": column(["a", "b", None, "a", "b"], str)})}, now=DAY)  # fmt: skip
    at = DAY + np.sort(rng.integers(0, 6 * HOUR, n))
    late = rng.choice([0, 0, 0, 0, MINUTE, 3 * DAY], n)
    keys = {"user": rng.integers(0, 4, n), "video": rng.integers(0, 5, n)}
    share = rng.uniform(0, 1, n)
    tables = {
        "shown": Table({
            "id": column([f"s{i}" for i in range(n)], str), "at": at, "arrived": at + late, **keys,
            "tab": column(rng.choice(["x", "y"], n).tolist(), str)}),
        "watch": Table({
            "id": column([f"w{i}" for i in range(n)], str), "at": at + rng.integers(0, 40 * MINUTE, n),
            "arrived": at + rng.choice([40 * MINUTE, DAY], n), **keys,
            "share": np.where(rng.random(n) < 0.1, np.nan, share), "long": share > 0.5}),
    }  # fmt: skip
    log.append({name: table.take(np.argsort(table["arrived"], kind="stable")) for name, table in tables.items()}, now=0)
    return log


def recipe(log: Log, **changes: object) -> Recipe:
    end, now = log.end()
    options = {"features": FEATURES, "labels": (long_view, watched), "stop": end, "now": now} | changes
    return Recipe(**options)  # type: ignore[arg-type]


def whole(stored: StoredDataset) -> Table:
    return Table.concat(list(stored.batches()))


def test_a_stored_set_is_what_is_built_in_memory(tmp_path: Path) -> None:
    log = busy_log()
    made = recipe(log)
    expected = build_dataset(
        FEATURES, made.labels, log.read(0, made.stop), within=(0, made.now - HOUR + 1), now=made.now
    )
    found = whole(write_dataset(tmp_path / "set", made, log, n_rows=50))
    assert len(found) == len(expected) > 500
    assert differences(expected.features, found.select(FEATURES.names)) == []
    for kind, part in (("label", expected.labels), ("weight", expected.weights)):
        assert differences(part, Table({name: found[f"{kind}_{name}"] for name in part})) == []
    assert found["row_offset"].tolist() == expected.spine["offset"].tolist()
    assert found["row_user"].tolist() == expected.spine["user"].tolist()


def test_the_same_call_gives_the_same_bytes_and_the_size_of_a_slice_changes_no_value(tmp_path: Path) -> None:
    log = busy_log()
    first = write_dataset(tmp_path / "a", recipe(log), log, n_rows=50)
    second = write_dataset(tmp_path / "b", recipe(log), log, n_rows=50)
    assert first.fingerprint == second.fingerprint
    for name in ("rows.parquet", "dataset.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    other = write_dataset(tmp_path / "c", recipe(log), log, n_rows=1000)
    assert differences(whole(first), whole(other)) == []


def test_a_set_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    log = busy_log()
    write_dataset(tmp_path / "set", recipe(log), log)
    written = (tmp_path / "set" / "rows.parquet").stat().st_mtime_ns
    log.append({"other": Table({"id": column(["o"], str), "at": np.array([9 * DAY])})}, now=9 * DAY)
    again = write_dataset(tmp_path / "set", recipe(log), log)
    assert again.reused and (tmp_path / "set" / "rows.parquet").stat().st_mtime_ns == written
    assert differences(whole(again), whole(open_dataset(tmp_path / "set"))) == []


def test_other_definitions_or_another_prefix_are_another_set(tmp_path: Path) -> None:
    log = busy_log()
    write_dataset(tmp_path / "set", recipe(log), log)
    for changed in (
        recipe(log, features=FeatureSet(count(watch, by=user, over="1h"))),
        recipe(log, labels=(long_view,)),
        recipe(log, stop=log.end()[0] - 300),
        recipe(log, within=(DAY, DAY + HOUR)),
    ):
        with pytest.raises(DataError, match="holds another training set"):
            write_dataset(tmp_path / "set", changed, log)
    assert not list(tmp_path.glob(".*"))


def test_a_damaged_set_is_rejected(tmp_path: Path) -> None:
    log = busy_log()
    folder = tmp_path / "set"
    write_dataset(folder, recipe(log), log)
    data = folder / "rows.parquet"
    good = data.read_bytes()
    data.write_bytes(good[:-1])
    with pytest.raises(DataError, match="does not match its checksum"):
        write_dataset(folder, recipe(log), log)
    data.unlink()
    with pytest.raises(DataError, match="is gone"):
        open_dataset(folder)
    (folder / "dataset.json").write_text("{")
    with pytest.raises(DataError, match="no training set, or a damaged one"):
        open_dataset(folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(DataError, match="no training set"):
        write_dataset(tmp_path / "mine", recipe(log), log)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep me"


def test_only_mature_rows_are_taken(tmp_path: Path) -> None:
    log = busy_log()
    now = DAY + 3 * HOUR
    found = whole(write_dataset(tmp_path / "set", recipe(log, now=now), log))
    assert found["row_at"].max() <= now - HOUR
    with pytest.raises(DataError, match="no mature 'shown' events"):
        write_dataset(tmp_path / "none", recipe(log, now=DAY), log)
    assert not (tmp_path / "none").exists()


def test_rows_stand_for_the_decisions_that_made_them(tmp_path: Path) -> None:
    log = busy_log()

    def earlier(rows: Table) -> Table:
        return rows.with_columns({"at": rows["at"] - SECOND, "offset": np.maximum(rows["offset"] - 7, 0)})

    plain = whole(write_dataset(tmp_path / "a", recipe(log), log))
    moved = whole(write_dataset(tmp_path / "b", recipe(log, resolve=earlier), log))
    assert (moved["row_at"] == plain["row_at"] - SECOND).all()
    assert moved["label_watched"].tolist() == plain["label_watched"].tolist()
    assert moved["count_watch_by_user_1d"].tolist() != plain["count_watch_by_user_1d"].tolist()


def test_an_outcome_belongs_to_the_last_impression_even_of_another_slice() -> None:
    log = MemoryLog()
    at = np.array([0, 10, 20]) * MINUTE
    keys = {"user": np.array([1, 1, 1]), "video": np.array([2, 2, 2])}
    ids = column(["a", "b", "c"], str)
    tabs = column(["x"] * 3, str)
    log.append({"shown": Table({"id": ids, "at": at, "arrived": at, **keys, "tab": tabs})}, now=0)
    one = {name: values[:1] for name, values in keys.items()}
    row = {"share": np.array([0.5]), "long": np.array([True])}
    log.append({"watch": Table({"id": ids[:1], "at": np.array([15 * MINUTE]), **one, **row})}, now=DAY)
    found = Impressions(log, [long_view], stop=4, within=(0, DAY), now=2 * DAY)
    found.survey(lambda rows: rows, lambda share: None)
    slices = [values["long_view"].tolist() for _, values, _ in found.slices(1)]
    assert slices == [[0.0], [1.0], [0.0]]


def test_what_was_taken_back_is_no_row_no_outcome_and_in_no_feature(tmp_path: Path) -> None:
    log = busy_log()
    plain = whole(write_dataset(tmp_path / "a", recipe(log), log))
    hit = int(np.flatnonzero(plain["label_long_view"])[-1])
    events = log.read(0, log.end()[0])
    watches, gone = events["watch"], int(plain["row_offset"][hit // 2])
    mine = (watches["user"] == plain["row_user"][hit]) & (watches["video"] == plain["row_video"][hit])
    after = mine & (watches["at"] >= plain["row_at"][hit]) & (watches["at"] < plain["row_at"][hit] + 30 * MINUTE)
    targets = np.append(watches["offset"][after & watches["long"]], gone)
    log.append({"retraction": Table({
        "id": column([f"r{i}" for i in range(len(targets))], str), "at": np.full(len(targets), 9 * DAY),
        "target": targets})}, now=9 * DAY)  # fmt: skip
    found = whole(write_dataset(tmp_path / "b", recipe(log), log))
    assert gone not in found["row_offset"] and len(found) >= len(plain) - 1
    row = found["row_offset"].tolist().index(plain["row_offset"][hit])
    assert found["label_long_view"][row] == 0 and plain["label_long_view"][hit] == 1


def test_a_feature_named_like_another_column_is_refused() -> None:
    features = FeatureSet(count(watch, by=user, over="1h").named("label_watched"))
    with pytest.raises(DefinitionError, match="label_watched"):
        Recipe(features, (watched,), 1, 1)


class EndlessLog(MemoryLog):
    """A thousand watch events, then as many impressions as asked for, made when they are read."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n
        ids = column([f"w{i}" for i in range(1000)], str)
        keys = {"user": np.arange(1000) % 50, "video": np.arange(1000) % 30}
        values = {"share": np.full(1000, 0.5), "long": np.ones(1000, np.bool_)}
        self.append({"watch": Table({"id": ids, "at": np.arange(1000), **keys, **values})}, now=DAY)

    def read(self, start: int, stop: int, streams: Iterable[str] | None = None) -> Mapping[str, Table]:
        found = dict(super().read(start, min(stop, 1000), streams))
        offset = np.arange(max(start, 1000), min(stop, self.n))
        if len(offset) and (streams is None or "shown" in set(streams)):
            found["shown"] = Table({
                "offset": offset, "at": DAY + offset * SECOND, "arrived": DAY + offset * SECOND,
                "user": offset % 50, "video": offset % 30})  # fmt: skip
        return found

    def end(self) -> tuple[int, int]:
        return self.n, DAY + (self.n + 7200) * SECOND


def peak(folder: Path, n: int) -> int:
    log = EndlessLog(n)
    features = FeatureSet(count(watch, by=user, over=("1d", "lifetime")), mean(watch.share, by=video, over="30d"))
    made = recipe(log, features=features, labels=(watched,))
    tracemalloc.start()
    try:
        stored = write_dataset(folder, made, log, n_rows=32_768)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert stored.rows > n - 10_000


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    few, many = peak(tmp_path / "few", 400_000), peak(tmp_path / "many", 1_600_000)
    assert many < 1.1 * few, f"{many / 2**20:.0f} MB for 1.6 M rows, {few / 2**20:.0f} MB for 0.4 M"
