"""Judging searches, on a trial whose every list is known."""

import msgspec
import numpy as np
import pytest

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Table, column
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.evaluate.measures import OURS, STATIC, Trial
from sixfold.evaluate.search import SearchQuality
from sixfold.frame import Entity
from sixfold.serve.decision import Answer, Decision, Item, Reason, pack
from sixfold.serve.stages import DecisionRequest

QUERY, DOC = Entity("query", str), Entity("doc")
SHOWN = Events("shown", keys=(QUERY, DOC))
JUDGED = Events("judged", keys=(QUERY, DOC), fields={"relevant": bool, "grade": float})
RELEVANT = Label("relevant", JUDGED.relevant, of=SHOWN, within="1h", matures="1h")
FOUND = {"words": [3, 1, 2], "meaning": [2, 4, 3]}
SERVED = [1, 2, 3, 4]


class Rows:
    """A ranker that predicts a column as it is."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def heads(self) -> tuple[str, ...]:
        return ("relevant",)

    def predict(self, features: Table) -> Table:
        return Table({"relevant": features[self.name]})

    def save(self, folder: object) -> None:
        raise NotImplementedError


def decide(request: DecisionRequest) -> Decision:
    """The same four documents for every query, for c by meaning alone; a fifth from the list for everybody."""
    items = [
        Item(
            i,
            key,
            1.0 - i / 10,
            1.0,
            False,
            [
                Reason(source, keys.index(key), 3.0 - keys.index(key))
                for source, keys in FOUND.items()
                if key in keys and (source, request.subject) != ("words", "c")
            ],
        )
        for i, key in enumerate(SERVED)
    ]
    items.append(Item(4, 9, None, 1.0, False, [Reason("fallback", 0, None)]))
    answer = Answer(request.id, request.subject, 0, 0, "r", [], True, "", items)
    record = {
        "ids": SERVED,
        "features": pack(Table({"known": np.zeros(4)})),
        "evidence": pack(Table({"said": np.array([0.0, 0.0, 0.1, 0.9])})),
    }
    return Decision(request, 0, "r", 0, (), True, msgspec.json.encode(answer), record, {})


def trial() -> Trial:
    queries = column(["a", "a", "b", "c"], str)
    spine = Table({"query": queries, "doc": np.array([1, 7, 4, 5]), "at": np.zeros(4, np.int64)})
    labels = Table({"relevant": np.array([1.0, 0.0, 1.0, 0.0])})
    heads = Table({"relevant": np.zeros(4)})

    def request(row: int) -> DecisionRequest:
        return DecisionRequest(f"t-{row}", spine["query"][row], 10, 0)

    return Trial(
        spine=spine,
        features=Table({}, n_rows=4),
        labels=labels,
        predictions={OURS: heads, STATIC: heads},
        history={},
        people=queries,
        start=0,
        decide=decide,
        request=request,
        seed=0,
        rankers={OURS: Rows("known"), STATIC: Rows("said")},
    )


def test_every_list_is_judged_over_the_queries_with_something_to_find() -> None:
    comparison, figures = SearchQuality(RELEVANT, k=2, deep=3).measure(trial())
    table = {entry.name: {name: float(value) for name, value in entry.metrics.items()} for entry in comparison.entries}
    second = 1 / np.log2(3)
    # Query a wants 1, query b wants 4, query c nothing.
    assert table["words alone"] == pytest.approx({"ndcg@2": second / 2, "recall@3": 0.5})
    assert table["meaning alone"] == pytest.approx({"ndcg@2": second / 2, "recall@3": 0.5})
    # Places fused: 3 has 1/61 + 1/63, 2 has 1/63 + 1/61, then 1 and 4 with 1/62.
    assert table["reciprocal rank fusion, k = 60"] == pytest.approx({"ndcg@2": 0.0, "recall@3": 0.5})
    assert table["static features, on the same candidates"] == pytest.approx({"ndcg@2": 0.5, "recall@3": 1.0})
    assert table["as served"] == pytest.approx({"ndcg@2": 0.5, "recall@3": 0.5})
    # Both give 3, 2, 1 to their three: standardised and added, 2 and 3 come before 1 and 4.
    assert table["standardised scores added"] == pytest.approx({"ndcg@2": 0.0, "recall@3": 0.5})
    assert [entry.name for entry in comparison.entries if entry.ours] == ["as served"]
    assert set(figures) == set(SearchQuality(RELEVANT, k=2, deep=3).metrics)
    assert float(figures["ndcg@2_gain"]) == pytest.approx(0.5)


def test_what_is_no_judgement_is_refused() -> None:
    grade = Label("grade", JUDGED.grade, of=SHOWN, within="1h", matures="1h")
    with pytest.raises(DefinitionError, match="binary label"):
        SearchQuality(grade)
    with pytest.raises(DefinitionError, match="1 <= k <= deep"):
        SearchQuality(RELEVANT, k=20, deep=10)
