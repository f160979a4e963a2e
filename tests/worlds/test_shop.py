"""The shop: as declared, deterministic, and with the seasons that it says."""

import numpy as np
import pytest

from sixfold._core.errors import InputError
from sixfold._core.hashing import fingerprint
from sixfold._core.table import Table
from sixfold._core.times import DAY
from sixfold.worlds import open_world
from sixfold.worlds.shop import Shop, ShopConfig

SMALL = ShopConfig("small", products=12, days=140)


def read(world: Shop) -> dict[str, Table]:
    chunks = list(world.chunks())
    return {n: Table.concat([chunk[n] for chunk in chunks if n in chunk]) for n in ("product_meta", "sale")}


def test_the_same_seed_is_the_same_shop() -> None:
    assert fingerprint(*read(Shop(SMALL, 3)).values()) == fingerprint(*read(Shop(SMALL, 3)).values())
    assert fingerprint(*read(Shop(SMALL, 3)).values()) != fingerprint(*read(Shop(SMALL, 4)).values())


def test_sales_are_those_of_the_truth_and_some_come_back() -> None:
    world = Shop(SMALL, 1)
    streams = read(world)
    sale = streams["sale"]
    bought = sale["quantity"] > 0
    day = (sale["at"] - world.start) // DAY
    assert (day >= 0).all() and (day < SMALL.days).all() and (np.diff(sale["at"]) >= 0).all()
    # Poisson: the total lies within four roots of its mean.
    assert abs(bought.sum() - world.baskets.sum()) < 4 * np.sqrt(world.baskets.sum())
    assert 0.005 < (~bought).mean() < 0.04
    sundays = world.baskets[:, (world.start // DAY + 3 + np.arange(SMALL.days)) % 7 == 6]
    assert sundays.mean() < 0.5 * world.baskets.mean()
    assert set(sale["product"].tolist()) <= set(streams["product_meta"]["product"].tolist())


def test_worlds_are_opened_by_name_and_must_have_products() -> None:
    assert open_world("shop-tiny", 0).name == "shop-tiny"
    with pytest.raises(InputError, match="needs products"):
        ShopConfig(products=0)
