"""Card fraud: which payments somebody should look at, when a hundred a day is all there is time for."""

from sixfold.data import Contract, Events, Label, TimeSplit
from sixfold.evaluate import ActionCosts, Detection, Plan, Rival
from sixfold.features import FeatureSet, attribute, computed, count, last, mean, rate, request, std, time_since_last
from sixfold.features import max as most
from sixfold.frame import Choose, Entity, Limit, Problem, Scale
from sixfold.models import LinearRanker, TreeRanker
from sixfold.serve import AlertBudget, CostThreshold, Pipeline, Score
from sixfold.system import System

customer, terminal = Entity("customer"), Entity("terminal")
# fmt: off
transaction = Events("transaction", keys=(customer, terminal), fields={
    "amount": float, "night": bool, "weekend": bool, "decision": str})
# fmt: on
verdict = Events("verdict", keys=(customer, terminal), fields={"fraud": bool})  # arrives seven days after it happened
card = Events("card", keys=(customer,), fields={"compromised": bool})
alert = Events("alert", keys=(customer, terminal), fields={"decision": str})
paid, bad = transaction.amount, verdict.fraud
fraud = Label("fraud", bad, of=transaction, within="1s", matures="7d")

problem = Problem(
    goal="frauds are found on the day they happen, with the few looks there is time for",
    task=Choose(("approve", "review"), per=customer, about=(terminal,)),
    limits=(
        Limit("average_precision", at_least=0.4),
        Limit("auc", at_least=0.8),
        Limit("ece", at_most=0.03),
        Limit("p99_ms", at_most=50.0),
    ),
    scale=Scale(users=5_000, items=10_000, decisions_per_s=50),
    privacy=("who paid how much where, as long as windows need it",),
)

amount = request("amount")
usual, spread = mean(paid, by=customer, over="lifetime"), std(paid, by=customer, over="lifetime")
lately = {window: most(paid, by=customer, over=window) for window in ("1d", "2d", "4d", "8d", "14d", "21d")}
# A verdict of the last 7 days is not known yet: 8, 14 and 37 days hold what is known of 1, 7 and 30.
handbook = FeatureSet(
    *(amount, request("night", bool), request("weekend", bool)),
    *count(transaction, by=customer, over=("1d", "7d", "30d")),
    *mean(paid, by=customer, over=("1d", "7d", "30d")),
    *count(transaction, by=terminal, over=("1d", "7d", "30d")),
    *rate(bad, by=terminal, over=("8d", "14d", "37d")),
)
since_fraud, since_none = (time_since_last(verdict, by=terminal, where=where) for where in (bad, ~bad))
since_fraud, since_none = since_fraud.named("terminal_fraud_age"), since_none.named("terminal_good_age")
features = FeatureSet(
    *handbook,
    *(usual, spread, computed("over_usual", amount / usual), computed("deviation", (amount - usual) / spread)),
    *(computed(f"most_over_usual_{window}", top / usual) for window, top in lately.items()),
    *(since_fraud, since_none, computed("good_before_fraud", since_none - since_fraud)),
    last(bad, by=terminal),
    *count(verdict, by=terminal, over=("14d", "37d"), where=bad),
    *(rate(bad, by=customer, over="14d"), time_since_last(verdict, by=customer, where=bad)),
)
review = CostThreshold(fraud, cost=2.0, amount=amount)  # a look costs as much as losing 2
alerts = AlertBudget(review, per_day=100, spent=count(alert, by=(), over="today"))

system = System(
    "fraud", problem=problem, spine=transaction, labels=(fraud,), features=features, data="cards",
    contracts=(Contract(transaction, {"an amount is not negative": ~(paid < 0)}),),
    plan=Plan(
        split=TimeSplit(train="14d", validate="7d", test="7d", gap="7d", newest="train", rest="7d"),
        measures=(Detection(fraud, per=customer, k=100), ActionCosts(alerts)),
        only=computed("not_known_compromised", attribute(card.compromised).fill(0) < 1),
        rivals=(Rival("logistic regression, the handbook's features", LinearRanker((fraud,)), handbook),
                Rival("trees, the handbook's features", TreeRanker((fraud,)), handbook)),
    ),
    pipeline=Pipeline(
        score=Score(TreeRanker((fraud,), l2=1.0, learning_rate=0.05, members=5)),
        act=alerts,
    ),
)  # fmt: skip
