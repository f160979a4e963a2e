import numpy as np
import pytest

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Table
from sixfold.models.contract import Interactions
from sixfold.models.item_to_item import ItemToItem
from sixfold.testing.model_kit import check_retriever, consumed_keys, example_interactions


def test_keeps_the_contract() -> None:
    check_retriever(ItemToItem)


def test_is_the_damped_cosine() -> None:
    users, items = [1, 1, 2, 2, 3], [10, 20, 10, 20, 20]
    events = Table({
        "user": np.array(users), "item": np.array(items), "at": np.arange(5), "weight": np.ones(5),
        "satisfied": np.ones(5, np.bool_),
    })  # fmt: skip
    data = Interactions(events, np.full((5, 2), -1), Table({"item": np.array([10, 20, 30])}), "hand-made")
    scores = ItemToItem(shrinkage=1.0).fit(data, seed=1).scores(np.array([[-1, 10], [10, 20], [20, 20]]))
    similar = 2 / (np.sqrt(2 * 3) + 1)
    assert scores == pytest.approx(np.array([[0, similar, 0], [similar, similar, 0], [similar, 0, 0]]), rel=1e-6)


def test_repeated_events_of_a_pair_count_once_with_the_largest_weight() -> None:
    data = example_interactions(80)
    again = np.concatenate([np.arange(len(data.events)), np.arange(30)])
    low = np.concatenate([data.events["weight"], np.full(30, 0.25)])
    twice = Interactions(
        data.events.take(again).with_columns({"weight": low}), data.histories[again], data.catalog, "twice"
    )
    one, two = (ItemToItem().fit(d, seed=1).scores(consumed_keys(data, slice(20))) for d in (data, twice))
    assert one.tobytes() == two.tobytes()


def test_keeps_only_the_nearest() -> None:
    data = example_interactions(100)
    all_of_them, few = (ItemToItem(keep=keep).fit(data, seed=1) for keep in (60, 3))
    item = data.catalog["item"][:1][None]
    dense, sparse = all_of_them.scores(item)[0], few.scores(item)[0]
    nearest = np.argsort(-dense, kind="stable")[:3]
    assert np.flatnonzero(sparse).tolist() == sorted(nearest.tolist())
    assert sparse[nearest].tobytes() == dense[nearest].tobytes()


@pytest.mark.parametrize("bad", [{"keep": 0}, {"shrinkage": -1.0}])
def test_refuses_settings_without_a_meaning(bad: dict[str, float]) -> None:
    with pytest.raises(DefinitionError):
        ItemToItem(**bad)  # type: ignore[arg-type]
