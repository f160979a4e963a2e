"""Auctions: who is shown is who bids most, for what the next one bid."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array
from sixfold.features.definitions import Feature
from sixfold.serve.candidates import Candidates
from sixfold.serve.pacing import Pace
from sixfold.serve.stages import Selection, View

__all__ = ["Auction", "second_prices"]


@dataclass(frozen=True, slots=True)
class Auction:
    """Sells `slots` places to the highest bids, each for the next bid or the reserve: a generalised second price.

    `bid` is what one unit of the objective is worth to the owner of an item, such as a click to a campaign; the bid for
    being shown once is that, times the value that the ranker expects, times what `pace` allows now. `reserve` is the
    least price of being shown, in the same currency: a number, or a feature such as request("floor"). A place that
    nobody bids the reserve for is not sold, and an item without a bid, or whose bid is 0, takes no part.

    For one place this is Vickrey's auction: nobody gains by bidding anything but the worth. For several that is not so
    (Edelman, Ostrovsky and Schwarz 2007). Prices are for being shown, whether a click follows or not. The answer says
    of each item its `bid`, its `price` and, where there is a pace, the multiplier as `pace`.
    """

    bid: Feature
    reserve: float | Feature = 0.0
    slots: int = 1
    pace: Pace | None = None

    def __post_init__(self) -> None:
        problems = [] if self.slots >= 1 else [f"Auction: slots must be at least 1, not {self.slots}"]
        if not isinstance(self.reserve, Feature) and not 0 <= self.reserve < np.inf:
            problems.append(f"Auction: the reserve is a price, not {self.reserve}")
        if problems:
            raise DefinitionError(problems)

    @property
    def n(self) -> int:
        """The places."""
        return self.slots

    @property
    def features(self) -> tuple[Feature, ...]:
        """What bids, the reserve and pacing are made of."""
        reserve = (self.reserve,) if isinstance(self.reserve, Feature) else ()
        return (self.bid, *reserve, *(self.pace.features if self.pace else ()))

    def select(self, view: View, ranked: Candidates, rng: np.random.Generator) -> Selection:
        """Who is shown, best bid first; fewer than there are places where fewer bid enough."""
        if ranked.values is None:
            return Selection(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_), ("nobody knows what to bid",))
        pace = np.ones(len(ranked)) if self.pace is None else self.pace.multipliers(view, ranked.keys)
        bids = ranked.values * view.values(self.bid, ranked.keys) * pace
        reserve: Any = self.reserve
        if isinstance(reserve, Feature):
            floors = view.values(reserve, ranked.keys)
            reserve = float(np.nan_to_num(floors[0])) if len(floors) else 0.0
        rows, prices = second_prices(bids, reserve=max(reserve, 0.0), slots=view.request.n)
        details = [{"bid": float(bids[row]), "price": price} for row, price in zip(rows, prices.tolist(), strict=True)]
        if self.pace is not None:
            details = [{**detail, "pace": float(pace[row])} for row, detail in zip(rows, details, strict=True)]
        places = min(view.request.n, len(ranked))
        unsold = f"{len(rows)} of {places} places sold: no other bid reaches the reserve of {reserve:g}"
        notes = (unsold,) if len(rows) < places else ()
        return Selection(rows, np.ones(len(rows)), np.zeros(len(rows), np.bool_), notes, tuple(details))


def second_prices(bids: Array, *, reserve: float = 0.0, slots: int = 1) -> tuple[Array, Array]:
    """The winning rows, best bid first, ties in their order, and the price of each; both (at most `slots`,).

    A price is the next bid, or the reserve if that is more. Bids that are not finite, not positive or below the reserve
    take no part.

    >>> rows, prices = second_prices(np.array([1.0, 5.0, 3.0]), reserve=2.0, slots=2)
    >>> rows.tolist(), prices.tolist()
    ([1, 2], [3.0, 2.0])
    """
    able = np.flatnonzero(np.isfinite(bids) & (bids > 0) & (bids >= reserve))
    order = able[np.argsort(-bids[able], kind="stable")]
    following = np.append(bids[order], reserve)[1:]
    return order[:slots], np.maximum(following, reserve)[:slots]
