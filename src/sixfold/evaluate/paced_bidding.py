"""What pacing buys: recorded auctions bid for again, each day with a budget, beside other ways to bid."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table
from sixfold._core.times import DAY
from sixfold.data.events import Field
from sixfold.data.labels import Label
from sixfold.evaluate.bidding import Day, best_multiplier, off_plan, paced, throttled, until_spent
from sixfold.evaluate.bootstrap import Estimate, bootstrap
from sixfold.evaluate.measures import OURS, Trial
from sixfold.evaluate.report import Comparison, Entry
from sixfold.features.batch import as_of
from sixfold.features.definitions import Feature
from sixfold.features.featureset import FeatureSet
from sixfold.frame import Entity
from sixfold.serve.pacing import Pace

__all__ = ["PACED", "PacedBidding"]

PACED = "paced"
"""The name of our way to bid in the table."""

_CONSTANT = "constant bid"


@dataclass(frozen=True, slots=True)
class PacedBidding:
    """Every day of auctions in the test range once more, with budgets that are shares of what winning all costs.

    A row of the spine is an auction of one `item` at the market price `price`, which the winner pays (a second price);
    what the label says happened is what winning it buys. `bid` is the worth of that, so that an auction is worth `bid`
    times our prediction. The ways to bid, each until the budget is spent:

    - a constant bid, such that it would have spent the same share in the auctions of the item before the test range;
    - the worth (a bid linear in the prediction), and the same taking part by chance to keep to the plan;
    - the worth times the multiplier of `pace`, which is ours: nothing in it is tuned on the test range;
    - the best multiplier and the best constant bid in hindsight: what one can do who knows the whole day.

    A bid changes neither the prices of others nor what happens. Of the items, the `top` with the most auctions count.
    """

    label: Label
    item: Entity
    price: Field
    bid: Feature
    pace: Pace
    budgets: tuple[float, ...] = (0.5, 0.25, 0.125)
    top: int = 2

    @property
    def metrics(self) -> tuple[str, ...]:
        """Ours, over all items and budgets: the least share of a budget that is spent, the greatest distance from the
        plan at any time of the day, and how much more of the label is bought than by the constant bid, as a share."""
        return ("paced_spend", "paced_off_plan", "paced_gain")

    def measure(self, trial: Trial) -> tuple[Comparison, Mapping[str, Estimate | float]]:
        """The table of ways to bid by item and budget, and our figures."""
        rows = self._rows(trial)
        entries: list[Entry] = []
        bought: list[tuple[Array, Array, Array]] = []
        for item, part in self._items(rows):
            past = self._past_prices(trial, item)
            for budget in self.budgets:
                days = [self._day(auctions, budget) for auctions in _by_day(part)]
                ways = self._ways(days, part, past, budget, derive_seed(trial.seed, item, budget))
                bought.append((part["row"], part["happened"] * ways[PACED], part["happened"] * ways[_CONSTANT]))
                for name, won in ways.items():
                    figures = self._figures(days, part, won, ways[_CONSTANT], trial.seed)
                    entries.append(Entry(f"{item}, {budget:g}: {name}", figures, ours=name == PACED))
        if not entries:
            title, note = "Budgets", "no auction of the test range has a price: there is nothing to pace"
            return Comparison(title, note, (), ()), {"paced_spend": 1.0, "paced_off_plan": 0.0, "paced_gain": 0.0}
        ours = [entry.metrics for entry in entries if entry.ours]
        auction, mine, its = (np.concatenate(column) for column in zip(*bought, strict=True))
        gain = _gain(auction, mine, its, 1.0, trial.seed)
        note = (
            f"{len(rows):,} auctions; a budget is a share of what winning all of a day costs. Gains are over the "
            f"constant bid, per unit of budget and per unit spent, with intervals over the auctions in which "
            f"{self.label.name} happened. All items and budgets together: "
            f"{gain.value:+.1%} [{gain.low:+.1%}, {gain.high:+.1%}]"
        )
        found: dict[str, Estimate | float] = {
            "paced_spend": min(float(metrics["spent"]) for metrics in ours),
            "paced_off_plan": max(float(metrics["off plan"]) for metrics in ours),
            "paced_gain": gain,
        }
        return Comparison("Budgets: what the same money buys", note, tuple(entries), ("spent", "off plan")), found

    def _rows(self, trial: Trial) -> Table:
        """The auctions with a price, in order: item, instant, price, what winning is worth, and whether it happened."""
        spine = trial.spine
        bid = as_of(FeatureSet(self.bid), trial.history, spine)[self.bid.name]
        columns = {
            "item": spine[self.item.name],
            "at": spine["at"],
            "price": spine[self.price.name],
            "worth": np.nan_to_num(bid * trial.predictions[OURS][self.label.name]),
            "happened": trial.labels[self.label.name],
            "row": np.arange(len(spine)),
        }
        order = np.lexsort((spine["offset"], spine["at"]))
        return Table(columns).take(order[spine[self.price.name][order] >= 0])

    def _items(self, rows: Table) -> Iterator[tuple[int | str, Table]]:
        names, counts = np.unique(rows["item"], return_counts=True)
        for name in names[np.argsort(-counts, kind="stable")][: self.top].tolist():
            yield name, rows.take(np.flatnonzero(rows["item"] == name))

    def _past_prices(self, trial: Trial, item: int | str) -> Array:
        """What the item's auctions cost before the test range."""
        past = trial.history[self.label.of.name]
        mine = (past["at"] < trial.start) & (past[self.item.name] == item) & (past[self.price.name] >= 0)
        return np.asarray(past[self.price.name][mine])

    def _day(self, auctions: Table, budget: float) -> Day:
        return Day(auctions["at"], auctions["price"], auctions["worth"], budget * float(auctions["price"].sum()))

    def _ways(self, days: list[Day], part: Table, past: Array, budget: float, seed: int) -> dict[str, Array]:
        """Which auctions each way to bid wins, all days one after the other."""
        ones = np.ones(len(part))
        constant = best_multiplier(past, np.ones(len(past)), budget * float(past.sum()))
        ways: dict[str, Callable[[Day], Array]] = {
            _CONSTANT: lambda day: until_spent(day, np.full(len(day.price), constant)),
            "bid the worth": lambda day: until_spent(day, day.worth),
            "bid the worth, by chance": lambda day: throttled(day, self.pace, seed),
            PACED: lambda day: paced(day, self.pace),
            "best multiplier in hindsight": lambda day: until_spent(
                day, day.worth * best_multiplier(day.price, day.worth, day.budget)
            ),
            "best constant in hindsight": lambda day: until_spent(
                day, np.full(len(day.price), best_multiplier(day.price, ones[: len(day.price)], day.budget))
            ),
        }
        return {name: np.concatenate([way(day) for day in days]) for name, way in ways.items()}

    def _figures(self, days: list[Day], part: Table, won: Array, constant: Array, seed: int) -> dict[str, Estimate]:
        cost, other = (float(part["price"][mask].sum()) for mask in (won, constant))
        ends = np.cumsum([len(day.price) for day in days])
        plans = [off_plan(day, self.pace, mask) for day, mask in zip(days, np.split(won, ends[:-1]), strict=True)]
        mine, its = (part["happened"] * mask for mask in (won, constant))
        return {
            "spent": _exactly(cost / sum(day.budget for day in days)),
            "off plan": _exactly(max(plans)),
            self.label.name: _exactly(float(mine.sum())),
            "gain per budget": _gain(part["row"], mine, its, 1.0, seed),
            "gain per spend": _gain(part["row"], mine, its, other / cost if cost else np.nan, seed),
        }


def _by_day(part: Table) -> list[Table]:
    """The auctions of each day of UTC, in order."""
    starts = np.flatnonzero(np.diff(part["at"] // DAY, prepend=-1))
    return [part.take(slice(start, stop)) for start, stop in zip(starts, [*starts[1:], len(part)], strict=True)]


def _gain(rows: Array, mine: Array, its: Array, factor: float, seed: int) -> Estimate:
    """How much more is bought, as a share: mine / its x factor - 1, over the auctions in which there was something.

    An auction without an outcome adds nothing to either side, so it need not be drawn.
    """
    some = np.flatnonzero((mine > 0) | (its > 0))
    one, other = mine[some], its[some]

    def ratio(weights: Array) -> Array:
        bought = weights @ other
        share = np.divide(weights @ one, bought, out=np.full(len(weights), np.nan), where=bought > 0)
        return np.asarray(share * factor - 1)

    return bootstrap(ratio, users=rows[some], seed=derive_seed(seed, "gain"))


def _exactly(value: float) -> Estimate:
    return Estimate(value, value, value, 0)
