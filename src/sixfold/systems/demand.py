"""Demand: how much of each product will be sold on each of the next fourteen days, and how sure that is."""

from sixfold.data import Calendar, Contract, Events, Label, TimeSplit
from sixfold.evaluate import Plan, Rival, RollingOrigin, StepByStep
from sixfold.features import FeatureSet, age, attribute, beforehand, computed, count, maximum, mean, season, std
from sixfold.features import sum as total
from sixfold.frame import Entity, Forecast, Limit, Problem, Scale
from sixfold.models import Forecaster, Persistence
from sixfold.serve import Horizon, Pipeline, Score
from sixfold.system import System

product = Entity("product", str)
meta = Events("product_meta", keys=(product,), fields={"description": str, "department": str})
sale = Events("sale", keys=(product,), fields={"quantity": float, "price": float, "customer": str},
              personal=("customer",))  # fmt: skip

# A return is a sale of a negative quantity on its own day: it does not undo that the day before had its demand.
units = maximum(sale.quantity, 0)
calendar = Calendar(
    sale, per=product, steps=14, apart="5d", at_least=20, over="56d",
    holidays=("01-01", "12-25", "12-26", "2010-04-02", "2010-04-05", "2010-05-03", "2010-05-31", "2010-08-30",
              "2017-01-02", "2017-04-16", "2017-05-29", "2017-07-04", "2017-09-04", "2017-11-23"),
)  # fmt: skip
sold = Label("sold", units, of=calendar, within="1d", matures="14d")

problem = Problem(
    goal="shelves are neither empty nor full of what nobody buys",
    task=Forecast(per=product, steps=14),
    limits=(Limit("wmape_gain", at_least=0.0), Limit("pinball_gain", at_least=0.0),
            Limit("coverage", at_least=0.75, at_most=0.85), Limit("p99_ms", at_most=50.0)),
    scale=Scale(users=2_000, items=14, decisions_per_s=50),
    privacy=("who bought what: customer numbers, of which no feature is made",),
)  # fmt: skip

months = total(units, by=product, over=("28d", "56d"))
level = computed("level", months[0] / 56 + months[1] / 112)
lately = total(units, by=product, over=("1d", "2d", "3d", "7d", "14d"))
weeks = tuple(season(units, calendar, back=back) for back in (1, 2, 3, (1, 2, 3, 4)))
sizes = (*months, *lately, *weeks, std(units, by=product, over="56d"))
features = FeatureSet(
    level, sizes, beforehand(calendar, "step", "weekday", "day", "holiday", "to_holiday", "since_holiday"),
    count(sale, by=product, over=("7d", "28d", "56d")), mean(sale.price, by=product, over=("7d", "56d")),
    age(sale, by=product), total(units, by=(), over=("1d", "7d", "28d")), attribute(meta.department),
)  # fmt: skip

system = System(
    "demand", problem=problem, spine=calendar, labels=(sold,), features=features, data="shop",
    contracts=(Contract(sale, {"a price is not negative": sale.price >= 0}),),
    plan=Plan(
        split=TimeSplit(train="260d", validate="35d", test="42d", gap="14d"),
        rivals=(Rival("seasonal naive", Persistence((sold,), of=weeks[0], level=level), features),
                Rival("moving average", Persistence((sold,), of=level, level=level), features)),
        measures=(RollingOrigin(sold), StepByStep(sold, steps=(1, 2, 3, 5, 7, 10, 14))),
    ),
    pipeline=Pipeline(score=Score(Forecaster((sold,), level=level, relative=sizes)), select=Horizon(calendar)),
)  # fmt: skip
