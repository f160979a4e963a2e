"""Serving by text: what Match finds, what Where leaves, how Fuse joins, and what is logged of the models' word."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError, ModelError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import FeatureSet, count
from sixfold.features.online import OnlineFeatures
from sixfold.frame import Entity, Objective, Rank
from sixfold.models.text import BM25, Dense
from sixfold.serve import DecisionRequest, Fuse, Match, Pipeline, Score, TopK, Where
from sixfold.serve.bound import BoundPipeline, Content
from sixfold.serve.decision import Answer, unpack
from sixfold.testing.small_service import Named, SumRanker
from sixfold.testing.stage_kit import check_stage
from sixfold.testing.text_kit import LetterEncoder, example_documents

query, doc = Entity("query", str), Entity("doc")
meta = Events("doc_meta", keys=(doc,), fields={"title": str, "text": str, "kind": str})
judged = Events("judged", keys=(query, doc), fields={"relevant": bool})
relevant = Label("long_view", judged.relevant, of=judged, within="1h", matures="1h")
words = BM25((meta.title, meta.text))
meaning = Dense((meta.title, meta.text), encoder=LetterEncoder())
kind = Where(meta.kind)
known = FeatureSet(count(judged, by=doc, over="7d"))
pipeline = Pipeline(
    sources=(Match(words, 8, where=kind), Match(meaning, 8, where=kind)),
    blend=Fuse(keep=50),
    filters=(kind,),
    score=Score(Named("ranker"), Objective({relevant: 1.0}), also=(words, meaning)),
    select=TopK(5),
)


def bound(declared: Pipeline = pipeline) -> BoundPipeline:
    catalog = example_documents()
    n = len(catalog)
    kinds = [None if i == 0 else ("rare" if i % 20 == 1 else "usual") for i in range(n)]
    table = {
        "id": column([f"e{i}" for i in range(n)], str),
        "offset": np.arange(n),
        "at": np.full(n, DAY),
        "arrived": np.full(n, DAY),
        "doc": catalog["item"],
        "title": catalog["title"],
        "text": catalog["text"],
        "kind": column(kinds, str),
    }
    features = OnlineFeatures(FeatureSet(known, declared.features), MemoryStore())
    features.fold({"doc_meta": Table(table)}, n)
    ranker = SumRanker({"bm25": 1.0, "dense": 0.5, "count_judged_by_doc_7d": 0.0})
    models = {"bm25": words.fit(catalog, seed=0), "dense": meaning.fit(catalog, seed=0), "ranker": ranker}
    return declared.bind(Content("r", models, known.names), features, task=Rank(doc, per=query))


def ask(text: str, n: int = 5, **context: str) -> DecisionRequest:
    return DecisionRequest(f"d-{text}-{n}", text, n, 2 * DAY, context)


def ids(pipeline: BoundPipeline, request: DecisionRequest) -> list[int]:
    answer = msgspec.json.decode(pipeline.decide(request, rungs=()).response, type=Answer)
    return [int(item.id) for item in answer.items]


def test_a_query_finds_what_it_is_about() -> None:
    served = bound()
    found = ids(served, ask("turbine torque diesel"))
    assert len(found) == 5 and {key % 3 for key in found} == {101 % 3}


@pytest.mark.parametrize("context", [{}, {"kind": "usual"}, {"kind": "rare"}, {"kind": "unheard"}])
def test_the_stages_keep_the_kit(context: dict[str, str]) -> None:
    served = bound()
    stages = (*pipeline.sources, *pipeline.filters) if context.get("kind") != "unheard" else pipeline.sources
    for stage in stages:
        check_stage(stage, served, ask("tulips and whales", **context))


def test_a_filter_that_leaves_few_is_searched_in_exactly() -> None:
    """Only 3 of 60 documents are rare: all that go with the text come out, though none is among the first 8 of all."""
    served = bound()
    rare = [key for key in range(100, 160) if (key - 100) % 20 == 1]
    assert sorted(ids(served, ask("whales", kind="rare"))) == rare
    without = replace(pipeline, sources=(Match(words, 8), Match(meaning, 8)))
    assert len(ids(bound(without), ask("whales", kind="rare"))) < len(rare)
    assert ids(served, ask("whales", kind="unheard")) == []


def test_what_models_said_is_logged_beside_the_features_and_can_be_said_again() -> None:
    served = bound()
    decision = served.decide(ask("coral and kelp"), rungs=())
    record = msgspec.json.decode(msgspec.json.encode(decision.record))
    said, features = unpack(record["evidence"]), unpack(record["features"])
    assert said.names == (*words.columns, *meaning.columns) and features.names == known.names
    for model in (words, meaning):
        again = served.matcher(model.name).evidence("coral and kelp", np.array(record["ids"]))
        assert all(again[name].tobytes() == said[name].tobytes() for name in again)
    assert served.decide(ask("coral and kelp"), rungs=()).response == decision.response


def test_a_model_that_is_missing_is_named() -> None:
    served = bound()
    models = {name: model for name, model in served.content.models.items() if name != "dense"}
    with pytest.raises(ModelError, match="lacks the models"):
        pipeline.bind(replace(served.content, models=models), served.features, task=served.task)


def test_impossible_stages_are_refused() -> None:
    with pytest.raises(DefinitionError, match="k must be at least 1"):
        Match(words, 0)
    with pytest.raises(DefinitionError, match="about the item alone"):
        Where(judged.relevant)
    with pytest.raises(DefinitionError, match="k must not be negative"):
        Fuse(k=-1)


@given(st.lists(st.permutations(range(6)).map(lambda keys: keys[:4]), min_size=1, max_size=3), st.integers(0, 60))
def test_fusion_adds_the_inverse_places(lists: list[list[int]], k: int) -> None:
    proposals = {f"s{i}": (np.array(keys), -np.arange(4.0)) for i, keys in enumerate(lists)}
    merged = Fuse({"s0": 2.0}, k=k).merge(proposals)
    expected = dict.fromkeys({key for keys in lists for key in keys}, 0.0)
    for i, keys in enumerate(lists):
        for place, key in enumerate(keys, 1):
            expected[key] += (2.0 if i == 0 else 1.0) / (k + place)
    assert np.allclose(merged.blend, [expected[key] for key in merged.keys.tolist()])
    assert (np.diff(merged.blend) <= 0).all() and set(merged.keys.tolist()) == set(expected)
