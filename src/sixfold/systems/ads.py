"""Advertising: how likely is a click, who wins the place and for what price, and how is a day's budget spent evenly."""

from sixfold.data import Contract, Events, Label, TimeSplit
from sixfold.evaluate import PacedBidding, Plan, Probabilities, Rival
from sixfold.features import FeatureSet, attribute, count, mean, request
from sixfold.features import sum as total
from sixfold.frame import Entity, Limit, Objective, Problem, Rank, Scale
from sixfold.models import Downsampled, HashedRanker, TreeRanker
from sixfold.serve import Auction, Blend, Fresh, Pace, Pipeline, Score
from sixfold.system import System

viewer, campaign = Entity("viewer"), Entity("campaign")

# What an exchange tells of a place and of who sees it: numbers and categories, named by nobody.
numbers = {f"n{i}": float for i in range(1, 14)}
categories = {f"c{i}": str for i in range(1, 27)}
# `bid` is what a click is worth to the campaign, `budget` what it may spend in a day, in the currency of the prices.
meta = Events("campaign_meta", keys=(campaign,), fields={"advertiser": str, "bid": float, "budget": float})
# An auction that was won: `price` is what was paid for being shown, `pace` by what the bid was multiplied.
shown = Events("shown", keys=(viewer, campaign), fields={
    "position": int, "decision": str, **numbers, **categories, "price": float, "pace": float})  # fmt: skip
click = Events("click", keys=(viewer, campaign), fields={"clicked": bool})

clicked = Label("clicked", click.clicked, of=shown, within="10m", matures="10m")
problem = Problem(
    goal="advertisers get as many clicks as their budgets can buy, and no place is sold below its worth",
    task=Rank(campaign, per=viewer),
    objective=Objective({clicked: 1.0}),
    online=("clicks per unit spent", "share of the budgets that is spent"),
    limits=(
        Limit("ece_beyond_noise", at_most=0.01),
        Limit("paced_spend", at_least=0.95),
        Limit("paced_off_plan", at_most=0.05),
        Limit("p99_ms", at_most=50.0),
    ),
    scale=Scale(users=1_000_000, items=1_000, decisions_per_s=200),
    privacy=("a viewer is an address or a cookie of the exchange, kept to count what it was shown",),
)

known = [*(request(name, kind) for name, kind in (numbers | categories).items()), attribute(meta.advertiser)]
features = FeatureSet(known, [count(shown, by=key, over=("1h", "1d")) for key in (viewer, (viewer, campaign))])
trees = TreeRanker((clicked,), depth=4, learning_rate=0.05)
worth = attribute(meta.bid)
pace = Pace(
    spent=total(shown.price, by=campaign, over="today"), budget=attribute(meta.budget),
    opening=mean(shown.pace, by=campaign, over="1d"), gain=40.0, most=3.0,
)  # fmt: skip

system = System(
    "ads", problem=problem, spine=shown, labels=(clicked,), features=features, data="market",
    contracts=(Contract(meta, {"a bid is positive": meta.bid > 0, "a budget is not negative": ~(meta.budget < 0)}),
               Contract(shown, {"a price is not negative": ~(shown.price < 0)})),
    plan=Plan(
        split=TimeSplit(train="1d", validate="1d", test="1d", gap="10m"), satisfied=clicked,
        rivals=(Rival("hashed", HashedRanker((clicked,)), FeatureSet(known)), Rival("all_rows", trees, features),
                Rival("uncorrected", Downsampled(trees, keep=0.25, correct=False), features)),
        measures=(Probabilities(clicked, slices=(shown.c1, shown.c2)),
                  PacedBidding(clicked, item=campaign, price=shown.price, bid=worth, pace=pace)),
        slices=(shown.c1,),
    ),
    pipeline=Pipeline(
        sources=(Fresh(meta, 300, name="campaigns"),),
        blend=Blend(keep=300),
        score=Score(Downsampled(trees, keep=0.25), problem.objective),
        select=Auction(worth, reserve=request("floor"), slots=1, pace=pace),
    ),
)  # fmt: skip
