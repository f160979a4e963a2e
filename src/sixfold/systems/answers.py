"""Answers: what stands in the documents, quoted with its sentence, and a refusal where the evidence is thin."""

from sixfold.data import Events, Label, TimeSplit
from sixfold.evaluate import Answering, Plan
from sixfold.features import FeatureSet, attribute, computed
from sixfold.frame import Entity, Limit, Objective, Problem, Rank, Scale
from sixfold.models import TreeRanker
from sixfold.models.reading import SpanReader
from sixfold.models.text import BM25
from sixfold.serve import Blend, Extract, Match, Pipeline, Score, TopK
from sixfold.system import System

question, passage = Entity("question", str), Entity("passage")  # the text of the question is its key
meta = Events("passage_meta", keys=(passage,), fields={"title": str, "text": str})
asked = Events("asked", keys=(question, passage), fields={"position": int, "decision": str})
answer = Events("answer", keys=(question, passage), fields={"accepted": str, "found": bool})  # nothing accepted: None

about = Label("about", answer.found >= 0, of=asked, within="1h", matures="1h")  # answerable there or not
problem = Problem(
    goal="people get the answer that stands in the documents, and none where it does not",
    task=Rank(passage, per=question),
    objective=Objective({about: 1.0}),
    online=("answers given, and taken back",),
    limits=(
        Limit("passage_recall@k", at_least=0.85),
        Limit("f1", at_least=0.3),
        Limit("grounded", at_least=0.95),
        Limit("p99_ms", at_most=100.0),
    ),
    scale=Scale(users=10_000, items=100_000, decisions_per_s=20),
    privacy=("questions as they were typed",),
)

words = BM25((meta.title, meta.text))
features = FeatureSet(computed("named", ~attribute(meta.title).is_missing()))
reading = Extract(SpanReader(), attribute(meta.text), truth=answer.accepted)

system = System(
    "answers",
    problem=problem,
    spine=asked,
    labels=(about,),
    features=features,
    data="handbook",
    plan=Plan(
        split=TimeSplit(train="19d", validate="4d", test="12d", gap="1h"),
        satisfied=about,
        measures=(Answering(reading, baseline=words),),
    ),
    pipeline=Pipeline(
        sources=(Match(words, 50),),
        blend=Blend(keep=50),
        score=Score(TreeRanker((about,), depth=4, rising=words.columns), problem.objective, also=(words,)),
        select=TopK(5),
        render=reading,
        budget_ms=100.0,
    ),
)
