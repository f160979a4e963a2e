"""A simulated shop: a year of sales with weekly seasons, trends, promotions, and products that hardly sell."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, HOUR, instant
from sixfold.data.source import by_arrival

__all__ = ["SHOPS", "Shop", "ShopConfig", "open_world"]

_DEPARTMENTS = ("bakery", "dairy", "fruit", "household", "drinks")


@dataclass(frozen=True, slots=True)
class ShopConfig:
    """The size of the shop; `end` is a midnight of its clock. A share of the products hardly sells."""

    name: str = "shop"
    products: int = 80
    days: int = 366
    end: str = "2026-03-02T00:00:00Z"
    rare: float = 0.25

    def __post_init__(self) -> None:
        if self.products < 1 or self.days < 1 or not 0 <= self.rare <= 1:
            raise InputError(f"a shop needs products, days, and a share of rare ones in 0..1; found {self}")


SHOPS = {"shop": ShopConfig(), "shop-tiny": ShopConfig("shop-tiny", products=16)}
"""The sizes that come with Sixfold: the full one, and one that everything can be tried on in seconds."""


class Shop:
    """A source of events whose truth can be asked: deterministic in (config, seed).

    Each product sells so many baskets a day, by its size, its weekday, its trend over the year and whether it is
    promoted, which doubles it for a week; a basket holds one or more units. One basket in fifty comes back two days
    later, as a sale of a negative quantity.
    """

    def __init__(self, config: ShopConfig | None = None, seed: int = 0) -> None:
        self.config = config or ShopConfig()
        self.seed = seed
        self.end = instant(self.config.end)
        self.start = self.end - self.config.days * DAY

    @property
    def name(self) -> str:
        """The name of the config."""
        return self.config.name

    @property
    def utc_offset_s(self) -> int:
        """The shop lives in UTC."""
        return 0

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The log as of the end of the year, in order of arrival."""
        yield from by_arrival(self._history)

    @cached_property
    def baskets(self) -> Array:
        """The true mean of baskets with each product on each day, (n_products, n_days)."""
        rng = np.random.default_rng(derive_seed(self.seed, "shop"))
        n, days = self.config.products, self.config.days
        size = rng.lognormal(1.0, 0.8, n)
        size[rng.random(n) < self.config.rare] *= 0.1
        weekday = rng.dirichlet(np.full(7, 8.0), n) * 7
        weekday[:, 6] *= 0.2
        number = (self.start // DAY + 3 + np.arange(days)) % 7  # 1970-01-01 was a Thursday
        trend = 1 + rng.uniform(-0.4, 0.6, (n, 1)) * np.linspace(0, 1, days)
        promoted = np.repeat(rng.random((n, -(-days // 7))) < 0.08, 7, axis=1)[:, :days]
        return np.asarray(size[:, None] * weekday[:, number] * trend * np.where(promoted, 2.0, 1.0))

    @cached_property
    def _history(self) -> dict[str, Table]:
        rng = np.random.default_rng(derive_seed(self.seed, "sales"))
        n = self.config.products
        names = column([f"P{i:03d}" for i in range(n)], str)
        sold = rng.poisson(self.baskets)
        product, day = (np.repeat(axis, sold.ravel()) for axis in np.indices(sold.shape).reshape(2, -1))
        at = self.start + day * DAY + 8 * HOUR + rng.integers(0, 12 * HOUR, len(day))
        quantity = 1.0 + rng.poisson(0.5, len(day))
        price = np.round(rng.lognormal(1.0, 0.5, n), 2)[product]
        customer = rng.integers(0, 40 * n, len(day))
        back = np.flatnonzero((rng.random(len(day)) < 0.02) & (at + 2 * DAY < self.end))
        rows = np.concatenate([np.arange(len(day)), back])
        happened = at[rows] + 2 * DAY * (np.arange(len(rows)) >= len(day))
        order = np.argsort(happened, kind="stable")
        rows, happened = rows[order], happened[order]
        sale = {
            "id": column([f"sale-{i}" for i in range(len(rows))], str),
            "at": happened,
            "arrived": happened,
            "product": names[product[rows]],
            "quantity": quantity[rows] * np.where(order >= len(day), -1.0, 1.0),
            "price": price[rows],
            "customer": column([f"C{c}" for c in customer[rows].tolist()], str),
        }
        known = np.full(n, self.start)
        meta = {
            "id": column([f"product-{i}" for i in range(n)], str),
            "at": known,
            "arrived": known,
            "product": names,
            "description": column([f"{_DEPARTMENTS[i % 5]} no. {i}" for i in range(n)], str),
            "department": column([_DEPARTMENTS[i % 5] for i in range(n)], str),
        }
        return {"product_meta": Table(meta), "sale": Table(sale)}


def open_world(name: str, seed: int) -> Shop:
    """The shop of that size."""
    return Shop(SHOPS[name], seed)
