import numpy as np
import pytest

from sixfold._core.errors import DataError, DefinitionError
from sixfold._core.table import Table, column
from sixfold._core.times import HOUR
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.features import sequence
from sixfold.frame import Entity
from sixfold.models.training_set import UNSATISFIED, build_interactions, catalog, offset_at

user, video = Entity("user"), Entity("video")
meta = Events("meta", keys=(video,), fields={"topic": str})
shown = Events("shown", keys=(user, video))
watch = Events("watch", keys=(user, video), fields={"long": bool})
long_view = Label("long_view", watch.long, of=shown, within="30m", matures="1h")
watched = sequence(watch, by=user, of=video, last=3)


def history() -> dict[str, Table]:
    """Two users; events arrive an hour apart, and video 9 is described anew after it was watched."""
    rows = [(0, 7, 5, True), (1, 7, 9, False), (2, 8, 9, True), (4, 7, 9, True), (5, 7, 5, False)]
    offset, users, videos, long = zip(*rows, strict=True)
    when = np.array(offset) * HOUR
    watches = {"user": users, "video": videos, "long": long, "offset": offset}
    return {
        "meta": Table({
            "video": np.array([9, 9]), "topic": column(["old", "new"], str), "at": np.array([-1, 3]) * HOUR,
            "arrived": np.array([-1, 3]) * HOUR, "offset": np.array([-1, 3]), "id": column(["a", "b"], str),
        }),
        "watch": Table({
            **{name: np.array(values) for name, values in watches.items()},
            "at": when, "arrived": when, "id": column([f"w{i}" for i in offset], str),
        }),
    }  # fmt: skip


def interactions(consumed=watched, upto=10 * HOUR, items=(5, 9)):  # type: ignore[no-untyped-def]
    known = Table({"item": np.array(items)})
    return build_interactions(long_view, consumed, history(), item=video, per=user, upto=upto, items=known)


def test_every_consumption_is_an_event_and_the_satisfying_ones_weigh_more() -> None:
    data = interactions()
    assert data.events["item"].tolist() == [5, 9, 9, 9, 5]
    assert data.events["satisfied"].tolist() == [True, False, True, True, False]
    assert data.events["weight"].tolist() == [1, UNSATISFIED, 1, 1, UNSATISFIED]


def test_histories_hold_what_came_before_and_never_the_event_itself() -> None:
    expected = [[-1, -1, -1], [-1, -1, 0], [-1, -1, -1], [-1, 0, 1], [0, 1, 1]]
    assert interactions().histories.tolist() == expected


def test_an_item_that_the_catalogue_lacks_leaves_a_gap_in_histories() -> None:
    data = interactions(items=(9,))
    assert data.histories.tolist() == [[-1, -1, -1], [-1, -1, -1], [-1, -1, -1], [-1, -1, 0], [-1, 0, 0]]


def test_only_what_the_history_counts_is_learnt_from() -> None:
    loved = sequence(watch, by=user, of=video, last=3, where=watch.long)
    data = interactions(loved)
    assert data.events["item"].tolist() == [5, 9, 9]
    assert data.events["weight"].tolist() == [1, 1, 1]
    assert data.histories.tolist() == [[-1, -1, -1], [-1, -1, -1], [-1, -1, 0]]


def test_the_cut_is_strict() -> None:
    assert interactions(upto=4 * HOUR).events["at"].tolist() == [0, HOUR, 2 * HOUR]
    assert interactions(upto=4 * HOUR).fingerprint != interactions().fingerprint


def test_refuses_a_prefix_in_which_nobody_was_satisfied_and_a_history_of_another_stream() -> None:
    with pytest.raises(DataError, match="nobody was satisfied"):
        interactions(upto=0)
    with pytest.raises(DefinitionError, match="one stream"):
        interactions(sequence(shown, by=user, of=video, last=3))


def test_the_catalogue_knows_items_and_attributes_as_of_then() -> None:
    known = catalog((meta, watch), history(), item=video, at=3 * HOUR)
    assert known.names == ("item", "topic")
    assert known["item"].tolist() == [5, 9]
    assert known["topic"].tolist() == [None, "old"]
    assert catalog((meta, watch), history(), item=video, at=10 * HOUR)["topic"].tolist() == [None, "new"]


def test_a_prefix_ends_before_the_first_event_that_arrived_at_the_instant() -> None:
    assert [offset_at(history(), hour * HOUR) for hour in (-5, 0, 1, 3, 4, 100)] == [0, 0, 1, 3, 4, 6]
