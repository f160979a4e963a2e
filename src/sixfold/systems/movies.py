"""Top picks: of all movies, twenty that this person would rate four stars or more."""

from functools import partial

from sixfold.data import Contract, Events, Label, TimeSplit
from sixfold.evaluate import Plan
from sixfold.features import FeatureSet, attribute, count, mean, rate, sequence
from sixfold.frame import Entity, Limit, Objective, Problem, Rank, Scale
from sixfold.models import EASE, DeepRanker, ItemToItem, Popularity, TwoTower
from sixfold.serve import Blend, Cap, Pipeline, Popular, Retrieve, Score, Seen, TopK
from sixfold.system import System

user, movie = Entity("user"), Entity("movie")
told = {"gender": str, "age": str, "occupation": str}
person = Events("user_meta", keys=(user,), fields=told, personal=tuple(told))
meta = Events("movie_meta", keys=(movie,), fields={"title": str, "genre": str, "genres": str, "year": float})
shown = Events("shown", keys=(user, movie), fields={"tab": str, "position": int, "decision": str})
rating = Events("rating", keys=(user, movie), fields={"rating": float, "loved": bool})

outcome = partial(Label, of=shown, within="1h", matures="1d")
loved, stars = outcome("loved", rating.loved), outcome("stars", rating.rating)
problem = Problem(
    goal="people find a movie they will love without searching",
    task=Rank(movie, per=user),
    objective=Objective({loved: 1.0, stars: 0.1}),
    limits=(Limit("ece", at_most=0.05), Limit("p99_ms", at_most=50.0)),
    scale=Scale(users=10_000, items=5_000, decisions_per_s=50),
    privacy=("age group, gender and occupation, as the user gave them",),
)

genre_of_user = (user, meta.genre)
features = FeatureSet(
    *(rate(rating.loved, by=key, over=("30d", "lifetime"), prior=(6, 10)) for key in (movie, user, genre_of_user)),
    *(mean(rating.rating, by=key, over="lifetime") for key in (movie, user, genre_of_user)),
    *(count(rating, by=key, over=("1d", "lifetime")) for key in (movie, user)),
    attribute(meta.genre), attribute(meta.year), attribute(person.gender), attribute(person.age),
    attribute(person.occupation),
)  # fmt: skip
rated = sequence(rating, by=user, of=movie, last=50)

system = System(
    "movies", problem=problem, spine=shown, labels=(loved, stars), features=features, data="movielens-1m",
    contracts=(Contract(rating, {"rating is 1 to 5": (rating.rating >= 1) & (rating.rating <= 5)}),),
    plan=Plan(split=TimeSplit(train="390d", validate="60d", test="425d", gap="1d"), satisfied=loved,
              beat=(Popularity(window="90d"), ItemToItem())),
    pipeline=Pipeline(
        sources=(Retrieve(TwoTower(), 300, history=rated), Retrieve(EASE(), 300, history=rated),
                 Popular(count(rating, by=movie, over="90d", where=rating.loved), 300)),
        blend=Blend(keep=300),
        filters=(Seen(shown, last=1000),),
        score=Score(DeepRanker(heads=(loved, stars)), problem.objective),
        select=TopK(20, cap=Cap(meta.genre, 6), explore=1),
        fallback=Popular(count(rating, by=movie, over="lifetime"), 200, name="fallback"),
    ),
)  # fmt: skip
