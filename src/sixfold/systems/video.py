"""Home-feed video recommendation: find 500 of all videos, rank them, show 20; for satisfied watching, not clicks."""

from functools import partial

from sixfold.data import Contract, Events, Label, TimeSplit
from sixfold.evaluate import Fairness, Plan
from sixfold.features import FeatureSet, age, attribute, count, last, mean, rate, request, sequence
from sixfold.frame import Entity, Limit, Objective, Problem, Rank, Scale
from sixfold.models import EASE, DeepRanker, ItemToItem, Popularity, TwoTower
from sixfold.serve import Blend, Cap, Fresh, Pipeline, Popular, Retrieve, Score, Seen, TopK
from sixfold.system import System

user, video = Entity("user"), Entity("video")

# fmt: off
segments = {f"segment_{i}": float for i in range(18)}
person = Events("user_meta", keys=(user,), fields={
    "activity": str, "follows": str, "fans": str, "friends": str, "tenure": str, **segments})
meta = Events("video_meta", keys=(video,), fields={
    "topic": str, "author": int, "kind": str, "upload": str, "music": int, "music_type": float, "duration_ms": float,
    "width": float, "height": float})
shown = Events("shown", keys=(user, video), fields={"tab": str, "position": int, "decision": str})
watch = Events("watch", keys=(user, video), fields={
    "tab": str, "watched_ms": float, "share": float, "clicked": bool, "long": bool, "liked": bool, "hated": bool})
# fmt: on
contracts = (
    Contract(watch, {"watch time is not negative": ~(watch.watched_ms < 0), "share is at most 2": ~(watch.share > 2)}),
)

outcome = partial(Label, of=shown, within="30m", matures="1h")
long_view, clicked = outcome("long_view", watch.long), outcome("clicked", watch.clicked)
liked, watched = outcome("liked", watch.liked), outcome("watched", watch.watched_ms / 1000)

problem = Problem(
    goal="people find videos that are worth their time",
    task=Rank(video, per=user),
    objective=Objective({long_view: 1.0, liked: 2.0, watched: 0.005}),
    online=("watch seconds per user and day", "long views per decision"),
    limits=(Limit("ece", at_most=0.05), Limit("p99_ms", at_most=50.0), Limit("odds_gap:activity", at_most=0.35)),
    scale=Scale(users=30_000, items=10_000, decisions_per_s=150),
    privacy=("user ids and coarse segments only, kept to recommend",),
)

hits = ((watch.long, (2, 6)), (watch.clicked, (3, 6)))
tabs = ("home", "discover", "friends", "0", "1", "2", "4")  # those of the simulated product, the busiest of KuaiRand
features = FeatureSet(
    [rate(hit, by=key, over=("1d", "7d", "lifetime"), prior=prior) for hit, prior in hits for key in (video, user)],
    [rate(hit, by=(user, of), over="lifetime", prior=prior) for hit, prior in hits for of in (meta.topic, meta.author)],
    [rate(hit, by=user, over="lifetime", prior=prior, where=watch.tab.equals(tab)).named(f"{hit.name}_rate_on_{tab}")
     for hit, prior in hits for tab in tabs],
    [rate(watch.liked, by=key, over="lifetime", prior=(0.2, 10)) for key in (video, user)],
    [mean(value, by=video, over="7d") for value in (watch.share, watch.watched_ms)],
    [mean(value, by=user, over=("1h", "7d")) for value in (watch.share, watch.watched_ms)],
    [last(value, by=user) for value in (watch.share, watch.watched_ms)],
    count(watch, by=user, over=("1h", "1d", "7d")), count(watch, by=video, over="7d"),
    count(watch, by=(user, meta.topic), over="lifetime"), age(watch, by=user), request("tab", str),
    [attribute(getattr(person, name)) for name in person.fields],
    [attribute(getattr(meta, name)) for name in ("topic", "author", "kind", "upload", "music_type", "duration_ms")],
)  # fmt: skip

heads = (long_view, clicked, liked, watched)
recent = sequence(watch, by=user, of=video, last=50)
loved = sequence(watch, by=user, of=video, last=50, where=watch.long).named("loved")
ranker = DeepRanker(heads=heads, categorical=("author", "music_type", *segments), hidden=(256, 128))

system = System(
    "video",
    problem=problem,
    spine=shown,
    labels=heads,
    features=features,
    contracts=contracts,
    data="shorts",
    plan=Plan(
        split=TimeSplit(train="11d", validate="1d", test="2d", gap="1h"),
        satisfied=long_view,
        beat=(Popularity("popularity", "3d"), ItemToItem()),
        measures=(Fairness(long_view, by=attribute(person.activity), least=50),),
        slices=(shown.tab,),
    ),
    pipeline=Pipeline(
        sources=(
            Retrieve(TwoTower(categorical=("author", "music")), 500, history=recent),
            Retrieve(EASE(), 500, history=recent),
            Retrieve(EASE("ease_loved"), 500, history=loved),
            Popular(count(watch, by=video, over="3d", where=watch.long), 500),
            Fresh(meta, 30),
        ),
        blend=Blend(keep=500),
        filters=(Seen(shown, last=500),),
        score=Score(ranker, problem.objective),
        select=TopK(20, cap=Cap(meta.topic, 5), explore=1),
        fallback=Popular(count(shown, by=video, over="7d"), 200, name="fallback"),
    ),
)
