"""A pipeline whose people and items go by text."""

import msgspec
import numpy as np

from sixfold._core.table import Table, column
from sixfold._core.times import DAY
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import FeatureSet, count, sequence
from sixfold.features.online import OnlineFeatures
from sixfold.frame import Entity, Objective, Rank
from sixfold.serve import Blend, DecisionRequest, Pipeline, Popular, Retrieve, Score, Seen, TopK
from sixfold.serve.bound import Content
from sixfold.serve.decision import Answer, unpack
from sixfold.testing.small_service import DotRetriever, Named, SumRanker

reader, page = Entity("reader", str), Entity("page", str)
read = Events("read", keys=(reader, page), fields={"liked": bool, "topic": str})
liked = Label("long_view", read.liked, of=read, within="1h", matures="1h")
pages = column([f"page-{i:02d}" for i in range(30)], str)


def test_text_keys_go_all_the_way() -> None:
    history = sequence(read, by=reader, of=page, last=5)
    popular = Popular(count(read, by=page, over="7d"), 10)
    ranked = FeatureSet(count(read, by=page, over="1d"), sequence(read, by=reader, of=read.topic, last=3))
    pipeline = Pipeline(
        sources=(Retrieve(Named("near"), 10, history), popular),
        blend=Blend({}),
        filters=(Seen(read, last=10),),
        score=Score(Named("ranker"), Objective({liked: 1.0})),
        select=TopK(5, explore=1),
        fallback=popular,
    )
    features = OnlineFeatures(FeatureSet(ranked, pipeline.features), MemoryStore())
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, 30, 100)
    table = {
        "id": column([f"e{i}" for i in range(100)], str),
        "offset": np.arange(100),
        "at": DAY + np.arange(100),
        "arrived": DAY + np.arange(100),
        "reader": column([f"reader-{i % 5}" for i in range(100)], str),
        "page": pages[chosen],
        "liked": chosen % 2 == 0,
        "topic": column([None if i % 7 == 0 else f"topic-{i % 3}" for i in range(100)], str),
    }
    features.fold({"read": Table(table)}, 100)
    models = {"near": DotRetriever(pages, 1), "ranker": SumRanker({"count_read_by_page_1d": 0.1})}
    bound = pipeline.bind(Content("r", models, ranked.names, pages), features, task=Rank(page, per=reader))
    decision = bound.decide(DecisionRequest("d", "reader-1", 25, 2 * DAY))
    answer = msgspec.json.decode(decision.response, type=Answer)
    assert answer.subject == "reader-1" and answer.rungs == []
    seen = {pages[chosen[i]] for i in range(100) if i % 5 == 1 and i > 50}
    shown = [item.id for item in answer.items]
    assert len(set(shown)) == len(shown) and set(shown) <= set(pages.tolist()) - seen
    row = decision.row(reader).row(0)
    assert row["reader"] == "reader-1"
    record = msgspec.json.decode(row["record"])
    logged = unpack(record["features"])
    again = features.now(list(logged.names), {"reader": "reader-1"}, {"page": column(record["ids"], str)}, 2 * DAY)
    assert all(logged[name].tolist() == again[name].tolist() for name in logged)
    assert bound.decide(DecisionRequest("d", "reader-1", 25, 2 * DAY), rungs=()).response == decision.response
