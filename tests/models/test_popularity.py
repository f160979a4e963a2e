import numpy as np
import pytest

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Table
from sixfold._core.times import DAY, HOUR
from sixfold.models.contract import Interactions
from sixfold.models.popularity import Popularity
from sixfold.testing.model_kit import check_retriever


def interactions(items: list[int], at: list[int], weight: list[float]) -> Interactions:
    events = Table({
        "user": np.arange(len(items)), "item": np.array(items), "at": np.array(at), "weight": np.array(weight),
        "satisfied": np.array(weight) >= 0.5,
    })  # fmt: skip
    catalog = Table({"item": np.array([5, 4, 3, 2])})
    return Interactions(events, np.full((len(items), 3), -1), catalog, "hand-made")


def test_keeps_the_contract() -> None:
    check_retriever(Popularity, personal=False)


def test_counts_the_weights_of_the_window_alone() -> None:
    data = interactions([2, 2, 2, 3, 4], [0, 0, 0, 9 * DAY, 10 * DAY], [1, 1, 1, 1, 0.5])
    keys, scores = Popularity(window="3d").fit(data, seed=1).retrieve(np.array([-1]), 4)
    assert keys.tolist() == [3, 4, 5, 2], "items without an event come last, in the order of the catalogue"
    assert np.expm1(scores) == pytest.approx([1, 0.5, 0, 0], rel=1e-6)


def test_what_did_not_satisfy_does_not_count() -> None:
    data = interactions([2, 3, 3], [0, 0, 0], [1, 0.25, 0.25])
    assert np.flatnonzero(Popularity().fit(data, seed=1).scores(np.full((1, 1), -1))[0]).tolist() == [3]


def test_the_window_ends_with_the_last_event_and_is_open_at_its_start() -> None:
    data = interactions([2, 3, 4], [0, 1, 3 * DAY], [1, 1, 1])
    scores = Popularity(window="3d").fit(data, seed=1).scores(np.full((1, 1), -1))
    assert (scores[0] > 0).tolist() == [False, True, True, False]


def test_with_a_half_life_older_events_count_less() -> None:
    data = interactions([2, 3], [0, 6 * HOUR], [1, 1])
    scores = Popularity(window="3d", half_life="6h").fit(data, seed=1).scores(np.full((1, 1), -1))
    assert np.expm1(scores[0]) == pytest.approx([0, 0, 1, 0.5], rel=1e-6)


@pytest.mark.parametrize("bad", [{"window": "0s"}, {"half_life": "0d"}])
def test_refuses_windows_of_nothing(bad: dict[str, str]) -> None:
    with pytest.raises(DefinitionError):
        Popularity(**bad)  # type: ignore[arg-type]
