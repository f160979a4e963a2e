"""A feature set with every kind of feature over three small streams, and random ones of the same."""

from typing import Any

import numpy as np

from sixfold import features as f
from sixfold.data.events import Events, Field
from sixfold.features.featureset import FeatureSet
from sixfold.frame import Entity

__all__ = ["EVERYTHING", "STREAMS", "draw_features", "meta", "search", "term", "user", "video", "watch"]

user, video, term = Entity("user"), Entity("video"), Entity("term", str)
meta = Events("meta", keys=(video,), fields={"topic": str, "length": float, "author": int, "kids": bool})
watch = Events("watch", keys=(user, video), fields={"share": float, "stars": int, "liked": bool, "tab": str})
search = Events("search", keys=(user, term), fields={"results": int, "took": float})
STREAMS = (meta, watch, search)

EVERYTHING = FeatureSet(
    f.count(watch, by=user, over=("1h", "7d", "30d", "lifetime")),
    f.count(watch, by=video, over="1d", where=watch.liked & (watch.share > 0.2)),
    f.sum(watch.stars, by=user, over=("1h", "lifetime")),
    f.sum(watch.share, by=(user, video), over=("6h", "14d")),
    f.sum(watch.liked, by=video, over=("12h", "today")),
    f.mean(watch.share, by=(user, meta.topic), over=("1h", "30d")),
    f.mean(watch.stars, by=meta.author, over="7d"),
    f.rate(watch.share >= 0.7, by=video, over=("1h", "30d"), prior=(1, 20)),
    f.rate(watch.liked, by=meta.topic, over="1h"),
    f.min(watch.share, by=user, over=("1h", "13d")),
    f.max(watch.share, by=(user, meta.length), over=("7d", "today")),
    f.min(watch.stars, by=meta.kids, over="30d"),
    f.max(watch.stars, by=user, over=("1h", "lifetime"), where=watch.share < 1),
    f.count(meta, by=meta.topic, over="7d"),
    f.count(search, by=term, over=("1h", "7d")),
    f.sum(search.took, by=(user, term), over="7d"),
    f.sequence(watch, by=user, of=watch.tab, last=2),
    f.sequence(watch, by=user, of=video, last=3),
    f.sequence(watch, by=meta.topic, of=watch.share, last=2),
    f.sequence(watch, by=video, of=watch.liked, last=2, where=watch.stars > 0),
    f.sequence(search, by=user, of=term, last=3),
    f.last(watch.share, by=(user, meta.topic)),
    f.attribute(meta.topic),
    f.attribute(meta.length),
    f.attribute(meta.author),
    f.attribute(meta.kids),
    f.age(meta),
    f.age(watch),
    f.var(watch.stars, by=user, over="13d"),
    f.std(watch.share, by=(user, meta.topic), over=("1h", "7d")),
    f.std(watch.liked, by=video, over="lifetime"),
    f.decayed_count(watch, by=user, half_life="1h", where=watch.stars > 0),
    f.decayed_sum(watch.share, by=video, half_life="7d"),
    f.decayed_mean(watch.stars, by=(user, meta.kids), half_life="100m"),
    f.histogram(watch.tab, by=user, over=("1h", "30d"), categories=("a", "b", "z")),
    f.count(watch, by=(), over="7d"),
    f.rate(watch.liked, by=(), over="1h", where=watch.tab.equals("a")),
    f.first(watch.tab, by=user),
    f.first(watch.share, by=(), where=watch.stars > 0),
    f.sequence(watch, by=(user, meta.topic), of=watch.stars, last=2, times=True),
    f.time_since_last(watch, by=user, where=watch.liked),
    f.age(search, by=()),
    f.burstiness(watch, by=user, short="1h", long="7d"),
    f.zscore(watch.stars, by=video, against=meta.topic, over="30d"),
    f.histogram(watch.share.buckets(0.2, 0.7), by=video, over="30d", categories=(0, 1, 2)),
    f.sum(f.if_else(watch.liked, watch.share.fill(2).clip(0, 1), -1), by=user, over="7d"),
    f.count(watch, by=user, over="7d", where=~watch.tab.is_missing() & (watch.tab.hash_bucket(2) >= 1)),
    f.distinct(watch, of=video, by=user, over=("1h", "7d", "today")),
    f.distinct(search, of=term, by=(), over="30d", where=search.results > 0),
    f.top_k(watch, of=watch.tab, k=2, by=user, over="30d"),
    f.top_k(watch, of=watch.share, k=3, by=(meta.topic, user), over="lifetime"),
    f.quantile(watch.share, 0.5, by=video, over=("1h", "30d")),
    f.quantile(watch.stars, 0.9, by=(), over="7d", where=watch.liked),
    topic := f.attribute(meta.topic).named("subject"),
    tab := f.request("tab", str),
    score := f.request("score"),
    lift := f.computed("lift", f.count(watch, by=user, over="1h") / f.count(watch, by=user, over="7d")),
    f.computed("blend", f.if_else(topic.equals(tab), f.maximum(abs(-score), lift).log(), topic.hash_bucket(50))),
    f.computed("part", f.age(meta).fill(-1).buckets(0, 60, 86_400) + f.minimum(score, tab.is_missing())),
    f.computed("bold", (lift.log1p() - score * 2) / (tab.equals("a") | (lift > 0.5)) + f.age(meta)),
)


_BY: dict[Events, tuple[Any, ...]] = {
    meta: (video, meta.topic, (video, meta.kids)),
    watch: (user, video, (user, video), meta.topic, meta.length, (user, meta.author), (meta.topic, user, meta.kids)),
    search: (user, term, (term, user)),
}
_HALF_LIVES = ("1s", "7m", "1h", "1d", "7d")
_CATEGORIES: dict[type, tuple[Any, ...]] = {
    int: (0, 1, 2**62),
    float: (0.0, 0.5),
    bool: (True, False),
    str: ("a", "", "z"),
}
_OVER = ("5m", "1h", "11h", "12h", "13h", "7d", "12d", "13d", "30d", "today", "lifetime")


def draw_features(rng: np.random.Generator, n: int) -> FeatureSet:
    """A random set of `n` features over these streams, for what no list thinks of."""

    def one(values: Any) -> Any:
        return values[int(rng.integers(len(values)))]

    def feature() -> Any:
        stream = one(STREAMS)
        fields = [Field(stream, name) for name in stream.fields]
        numbers = [field for field in fields if field.kind is not str]
        number, by, over = one([*numbers, numbers[0] * 3 - 1]), one((*_BY[stream], ())), one(_OVER)
        where = one((None, None, numbers[0] > 0.4, numbers[-1].equals(numbers[-1])))
        options = {"by": by, "over": over, "where": where}
        decay = {"by": by, "half_life": one(_HALF_LIVES), "where": where}
        match int(rng.integers(14)):
            case 0:
                return f.count(stream, **options)
            case 1:
                return f.rate(numbers[0] >= 0.5, **options, prior=one(((0, 0), (1.5, 10))))
            case 2:
                return f.sequence(stream, by=by, of=one([*fields, *stream.keys]), last=one((1, 2, 5)), where=where)
            case 3:
                return one((f.first, f.last))(one(fields), by=by, where=where)
            case 4:
                return f.age(stream, by=by, where=where)
            case 5:
                return f.sequence(stream, by=by, of=fields[0], last=one((1, 3)), where=where, times=True)[1]
            case 6:
                return f.decayed_count(stream, **decay)
            case 7:
                return one((f.decayed_sum, f.decayed_mean))(number, **decay)
            case 8:
                return one((f.var, f.std))(number, **options)
            case 9:
                field = one(fields)
                return f.histogram(field, **options, categories=_CATEGORIES[field.kind])
            case 10:
                return f.quantile(number, one((0, 0.5, 0.9, 1)), **options)
            case 11:
                of = one([*fields, *stream.keys, numbers[0] > 0.4, numbers[0] * 2])
                return one((f.distinct(stream, of=of, **options), f.top_k(stream, of=of, k=one((1, 3)), **options)))
            case _:
                return one((f.sum, f.mean, f.min, f.max))(number, **options)

    return FeatureSet(tuple(feature().named(f"f{i}") for i in range(n)))
