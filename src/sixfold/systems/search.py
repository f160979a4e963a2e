"""Search: of all documents the ten that help to judge a claim, by words, by meaning and by what was judged before."""

from sixfold.data import Events, Label, TimeSplit
from sixfold.evaluate import Plan, Rival, SearchQuality
from sixfold.features import FeatureSet, count, rate
from sixfold.frame import Entity, Limit, Objective, Problem, Rank, Scale
from sixfold.models import LinearRanker, TreeRanker
from sixfold.models.text import BM25, Dense
from sixfold.serve import Blend, Match, Pipeline, Popular, Score, TopK, Where
from sixfold.system import System

query, doc = Entity("query", str), Entity("doc")  # the text of the query is its key
meta = Events("doc_meta", keys=(doc,), fields={"title": str, "text": str, "kind": str})
shown = Events("shown", keys=(query, doc), fields={"position": int, "decision": str})
judged = Events("judged", keys=(query, doc), fields={"relevant": bool})

relevant = Label("relevant", judged.relevant, of=shown, within="1h", matures="1h")
problem = Problem(
    goal="the first ten documents hold what helps to judge the claim",
    task=Rank(doc, per=query),
    objective=Objective({relevant: 1.0}),
    online=("judged relevant among the first ten",),
    limits=(Limit("ndcg@10", at_least=0.5), Limit("recall@100", at_least=0.85), Limit("p99_ms", at_most=50.0)),
    scale=Scale(users=10_000, items=100_000, decisions_per_s=50),
    privacy=("queries as they were typed, to learn from what was judged relevant to them",),
)

words, meaning = BM25((meta.title, meta.text)), Dense((meta.title, meta.text))
before = count(judged, by=doc, over="lifetime", where=judged.relevant).named("relevant_before")
features = FeatureSet(before, rate(relevant, by=doc, over="lifetime", prior=(1, 30)).named("relevant_rate"))
kind = Where(meta.kind)
found_by_text = (*words.columns, *meaning.columns)
ranker = TreeRanker((relevant,), depth=4, learning_rate=0.06, rising=(*found_by_text, *features.names))

system = System(
    "search",
    problem=problem,
    spine=shown,
    labels=(relevant,),
    features=features,
    data="library",
    plan=Plan(
        split=TimeSplit(train="23d", validate="4d", test="10d", gap="1h"),
        satisfied=relevant,
        measures=(SearchQuality(relevant),),
        rivals=(
            Rival("a linear model, by text alone", LinearRanker((relevant,)), FeatureSet()),
            Rival("a linear model", LinearRanker((relevant,)), features),
        ),
    ),
    pipeline=Pipeline(
        sources=(Match(words, 100, where=kind), Match(meaning, 100, where=kind)),
        blend=Blend({words.name: 1.0, meaning.name: 1.0}, keep=200),
        filters=(kind,),
        score=Score(ranker, problem.objective, also=(words, meaning)),
        select=TopK(10),
        fallback=Popular(before, 100, name="fallback"),
    ),
)
