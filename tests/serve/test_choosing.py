"""Choosing an action for an event: the same pipeline, wire, log and replay, with other stages."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest

from sixfold._core.errors import DefinitionError, InputError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY
from sixfold.data.events import Events
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import FeatureSet, count, request
from sixfold.features.definitions import Feature
from sixfold.features.online import OnlineFeatures
from sixfold.frame import Choose, Entity
from sixfold.serve.bound import BoundPipeline, Content
from sixfold.serve.decision import Answer, unpack
from sixfold.serve.pipeline import Pipeline
from sixfold.serve.scoring import Score
from sixfold.serve.selection import TopK
from sixfold.serve.stages import Act, DecisionRequest, View
from sixfold.serve.wire import Wire
from sixfold.testing.small_service import Named, SumRanker

customer, terminal = Entity("customer"), Entity("terminal")
payment = Events("payment", keys=(customer, terminal), fields={"amount": float})
task = Choose(("approve", "review"), per=customer, about=(terminal,))
amount = request("amount", float)
seen = count(payment, by=terminal, over="1d")
features = FeatureSet(seen, amount)


@dataclass(frozen=True)
class Dear:
    """Reviews what is dear: the amount against a limit that was learnt."""

    name: str = "dear"
    default: str = "approve"
    broken: bool = False
    features: tuple[Feature, ...] = (amount,)

    def fit(self, truth: Table, predictions: Table, spine: Table) -> Mapping[str, float]:
        return {"limit": float(spine["amount"].mean())}

    def act(self, view: View, heads: Table, settings: Mapping[str, float]) -> Act:
        if self.broken:
            raise RuntimeError("no idea")
        worth = float(view.value(amount)) - settings["limit"]
        return Act(
            "review" if worth > 0 else "approve", {"review": worth, "approve": 0.0}, {"limit": settings["limit"]}
        )


def bound(actor: Dear, ranker: SumRanker | None = None) -> BoundPipeline:
    pipeline = Pipeline(score=Score(Named("ranker")), act=actor)
    state = OnlineFeatures(features, MemoryStore())
    n = np.arange(10)
    events = {"id": column([f"p{i}" for i in n], str), "offset": n, "at": DAY + n, "arrived": DAY + n}
    state.fold({"payment": Table({**events, "customer": n, "terminal": n % 2, "amount": n * 1.0})}, 10)
    models = {"ranker": ranker or SumRanker({seen.name: 0.1, "amount": 0.0})}
    return pipeline.bind(Content("r", models, features.names, settings={"limit": 50.0}), state, task=task)


def ask(amount: float = 80.0) -> DecisionRequest:
    return DecisionRequest("d1", 3, 1, 2 * DAY, {"terminal": 1, "amount": amount})


def test_the_action_its_worth_and_its_features_are_logged_and_replayed() -> None:
    pipeline = bound(Dear())
    decision = pipeline.decide(ask())
    answer = msgspec.json.decode(decision.response, type=Answer)
    (item,) = answer.items
    assert (item.id, item.value, item.detail) == ("review", 30.0, {"limit": 50.0})
    assert answer.complete and answer.rungs == [] and answer.subject == 3
    record = msgspec.json.decode(decision.row(customer).row(0)["record"])
    logged = unpack(record["features"])
    assert logged["amount"].tolist() == [80.0] and logged[seen.name].tolist() == [5.0]
    assert record["values"] == {"review": 30.0, "approve": 0.0}
    assert pipeline.decide(ask(), rungs=()).response == decision.response
    assert msgspec.json.decode(pipeline.decide(ask(20.0)).response, type=Answer).items[0].id == "approve"


def test_where_nothing_can_be_predicted_the_default_is_done_and_said() -> None:
    class Broken(SumRanker):
        def predict(self, features: Table) -> Table:
            raise RuntimeError("no model")

    pipeline = bound(Dear(), Broken({}))
    decision = pipeline.decide(ask())
    answer = msgspec.json.decode(decision.response, type=Answer)
    assert answer.rungs == ["no_score"] and answer.items[0].id == "approve" and answer.items[0].value is None
    assert not answer.complete and "nothing could be predicted" in answer.why
    assert pipeline.decide(ask(), rungs=decision.rungs).response == decision.response
    silent = msgspec.json.decode(bound(Dear(broken=True)).decide(ask()).response, type=Answer)
    assert silent.rungs == ["no_act"] and silent.items[0].id == "approve"


def test_a_request_must_say_what_it_is_about() -> None:
    wire = Wire(task, {"amount": float})
    asked = wire.ask(b'{"customer": 3, "context": {"terminal": 1, "amount": 2}}')
    assert (asked.subject, asked.context) == (3, {"terminal": 1, "amount": 2})
    for body, said in (
        (b'{"customer": 3, "context": {"amount": 2}}', "does not say which terminal"),
        (b'{"customer": 3, "context": {"terminal": -1}}', "does not say which terminal"),
        (b'{"customer": 3, "context": {"terminal": "x"}}', "'terminal' must be a whole number"),
        (b'{"customer": 3, "context": {"customer": 4}}', "cannot hold 'customer'"),
    ):
        with pytest.raises(InputError, match=said):
            wire.ask(body)


def test_stages_that_do_not_fit_a_choice_are_refused() -> None:
    score = Score(Named("ranker"))
    with pytest.raises(DefinitionError, match="give `select` for items, or `act`"):
        Pipeline(score=score)
    with pytest.raises(DefinitionError, match="give `select` for items, or `act`"):
        Pipeline(score=score, select=TopK(1), act=Dear())
    with pytest.raises(DefinitionError, match="at least two different actions"):
        Choose(("approve", "approve"), per=customer)
    with pytest.raises(DefinitionError, match="names an entity twice"):
        Choose(("approve", "review"), per=customer, about=(customer,))
