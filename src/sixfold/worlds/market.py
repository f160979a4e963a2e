"""A simulated market of advertising: three days of sold auctions, then viewers who are shown what wins, and click."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, MINUTE, instant
from sixfold.data.source import Visit, by_arrival

__all__ = ["FLOOR", "MARKETS", "Market", "MarketConfig", "open_world"]

FLOOR = 1.0
"""The reserve of every place, in the currency of bids and prices."""

_SITES, _DEVICES, _RIVALS, _CLICK = 12, 3, 4, 100.0
_NUMBERS, _CATEGORIES = tuple(f"n{i}" for i in range(1, 14)), tuple(f"c{i}" for i in range(1, 27))


@dataclass(frozen=True, slots=True)
class MarketConfig:
    """How large a market is: `auctions` are those of a day, of which a viewer sees a few."""

    viewers: int = 4_000
    campaigns: int = 40
    auctions: int = 20_000
    days: int = 3
    start: int = field(default=instant("2026-03-02T00:00:00Z"))


@dataclass(frozen=True)
class Market:
    """Viewers, campaigns and sites with a true chance of a click for each of them; deterministic in `seed`.

    The chance rises with what a viewer clicks at all, with how well the campaign suits the site (c1), with the device
    (c2) and with n1, which the exchange measures of the moment. In the history each place went to the highest of a few
    bids that only knew the average click rate of a campaign, for the next bid. A campaign's budget is half of what it
    spent in a day: whoever goes on like that is out of the market by noon.
    """

    config: MarketConfig = field(default_factory=MarketConfig)
    seed: int = 0

    @property
    def name(self) -> str:
        """`market`."""
        return "market"

    @property
    def utc_offset_s(self) -> int:
        """The market lives in UTC."""
        return 0

    @property
    def end(self) -> int:
        """The midnight after the last day."""
        return self.config.start + self.config.days * DAY

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival."""
        yield from by_arrival(self._history)

    def chance(self, viewer: Array, campaign: Array, site: Array, device: Array, moment: Array) -> Array:
        """The true chance of a click, of the shape that the arguments have together."""
        truth = self._truth
        logit = -3.6 + truth["eager"][viewer] + truth["pull"][campaign] + truth["fit"][campaign, site]
        return np.asarray(1 / (1 + np.exp(-(logit + truth["device"][device] + 0.6 * moment))))

    def budgets(self) -> Array:
        """What each campaign may spend in a day, (n_campaigns,)."""
        return np.asarray(self._history["campaign_meta"]["budget"][: self.config.campaigns])

    def visits(self, n: int, *, seed: int, prefix: str) -> list[Visit]:
        """The next `n` places to be sold, and the viewers who see what is shown there."""
        places = self._places(n, np.random.default_rng(derive_seed(self.seed, "visits", seed)))
        return [_Visit(self, row, f"{prefix}-{i}") for i, row in enumerate(places.rows())]

    @cached_property
    def _truth(self) -> dict[str, Array]:
        rng = np.random.default_rng(derive_seed(self.seed, "truth"))
        campaigns, viewers = self.config.campaigns, self.config.viewers
        return {
            "eager": rng.normal(0, 0.5, viewers),
            "pull": rng.normal(0, 0.4, campaigns),
            "fit": rng.normal(0, 0.7, (campaigns, _SITES)),
            "device": np.array([0.0, 0.4, -0.5]),
            "worth": np.round(_CLICK * rng.lognormal(0, 0.4, campaigns), 1),
        }

    def _places(self, n: int, rng: np.random.Generator) -> Table:
        """Places to be sold: viewer, site, device and moment."""
        columns = {"viewer": rng.integers(0, self.config.viewers, n), "site": rng.integers(0, _SITES, n)}
        return Table({**columns, "device": rng.choice(_DEVICES, n, p=(0.5, 0.35, 0.15)), "moment": rng.normal(size=n)})

    @cached_property
    def _history(self) -> dict[str, Table]:
        rng = np.random.default_rng(derive_seed(self.seed, "history"))
        config, truth = self.config, self._truth
        n = config.auctions * config.days
        at = np.sort(config.start + rng.integers(0, config.days * DAY, n))
        places = self._places(n, rng)
        rivals = rng.integers(0, config.campaigns, (n, _RIVALS))
        bids = truth["worth"][rivals] * 0.04 * np.exp(truth["pull"][rivals] + rng.normal(0, 0.3, rivals.shape))
        order = np.argsort(-bids, axis=1)
        campaign = rivals[np.arange(n), order[:, 0]]
        price = np.round(np.maximum(bids[np.arange(n), order[:, 1]], FLOOR), 3)
        given = (places[name] for name in ("viewer", "site", "device", "moment"))
        viewer, site, device, moment = given
        clicked = rng.random(n) < self.chance(viewer, campaign, site, device, moment)
        keys = {"id": column([f"auction-{i}" for i in range(n)], str), "viewer": viewer, "campaign": campaign}
        nobody = {"position": np.zeros(n, np.int64), "decision": column([None] * n, str), "pace": np.full(n, np.nan)}
        shown = {**keys, "at": at, "arrived": at, **nobody, **_context(site, device, moment), "price": price}
        outcome = {**keys, "at": at + MINUTE, "arrived": at + MINUTE, "clicked": clicked}
        return {"campaign_meta": self._stated(campaign, price), "shown": Table(shown), "click": Table(outcome)}

    def _stated(self, campaign: Array, price: Array) -> Table:
        """What campaigns state at the start of each day, and once more after the last."""
        config = self.config
        spent = np.bincount(campaign, price, minlength=config.campaigns) / config.days
        at = np.repeat(config.start + np.arange(config.days + 1) * DAY, config.campaigns)
        which = np.tile(np.arange(config.campaigns), config.days + 1)
        names = [f"campaign-{c}-{t}" for c, t in zip(which.tolist(), at.tolist(), strict=True)]
        advertiser = column([f"advertiser {c}" for c in which.tolist()], str)
        columns = {"id": column(names, str), "at": at, "arrived": at, "campaign": which, "advertiser": advertiser}
        return Table({**columns, "bid": self._truth["worth"][which], "budget": np.round(0.5 * spent[which], 2)})


@dataclass(frozen=True, slots=True)
class _Visit:
    """A place that is sold, and its viewer, who sees the winner and clicks or not: time does not pass while we wait."""

    market: Market
    place: Mapping[str, Any]
    id: str

    def ask(self) -> dict[str, Any]:
        return {"viewer": self.place["viewer"], "context": {**self._told(), "floor": FLOOR}, "id": self.id}

    def react(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        for item in answer["items"]:
            common = {"viewer": self.place["viewer"], "campaign": item["id"], "at": answer["at"]}
            common["id"] = f"{answer['decision']}-{item['position']}"
            rng = np.random.default_rng(derive_seed(self.market.seed, "react", common["id"]))
            given = (np.array(self.place[name]) for name in ("site", "device", "moment"))
            clicked = rng.random() < float(self.market.chance(common["viewer"], item["id"], *given))
            paid = {name: item["detail"][name] for name in ("price", "pace") if name in item.get("detail", {})}
            shown = {**self._told(), "position": item["position"], "decision": answer["decision"], **paid}
            events.append({"stream": "shown", **common, **shown})
            events.append({"stream": "click", **common, "clicked": clicked})
        return events

    def _told(self) -> dict[str, Any]:
        """What the exchange tells of the place."""
        return {"c1": f"site {self.place['site']}", "c2": f"device {self.place['device']}", "n1": self.place["moment"]}


def _context(site: Array, device: Array, moment: Array) -> dict[str, Array]:
    """The columns of a place; of most nothing is told."""
    n = len(site)
    told = {name: np.full(n, np.nan) for name in _NUMBERS} | {name: column([None] * n, str) for name in _CATEGORIES}
    told["c1"] = column([f"site {i}" for i in site.tolist()], str)
    told["c2"] = column([f"device {i}" for i in device.tolist()], str)
    return told | {"n1": moment}


MARKETS = {"market": MarketConfig(), "market-tiny": MarketConfig(viewers=300, campaigns=8, auctions=1_500)}
"""The sizes that can be opened by name; the tiny one is for trying everything in seconds."""


def open_world(name: str, seed: int) -> Market:
    """The world of that size."""
    return Market(MARKETS[name], seed)
