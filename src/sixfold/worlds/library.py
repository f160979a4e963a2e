"""A generated library: articles about made-up things, searched for by people who know which article they want.

Every thing has two names. Articles use one of them, searches now and then the other, so words alone do not find all.
Some articles are asked for much more often than others, so what was relevant before tells something.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, SECOND, instant
from sixfold.data.source import by_arrival

__all__ = ["Library", "LibraryConfig", "open_world"]

_SYLLABLES = "ba be bi bo da de di do fa fe ga go ka ke ki ko la le li lo ma me mi mo na ne ni no pa ra re ri ro sa ta"
_PHRASES = (
    "The {0} of the {1} depends on {2}.",
    "In most cases {0} and {1} go together.",
    "We measured {0} before {1}, and found {2} unchanged.",
    "Without {0} there is no {1}.",
)
_QUERIES = ("{0} without {1}", "how {0} changes {1}", "{0}, {1} and {2}", "does {2} need {0} or {1}")
_EVERY = 20 * 60 * SECOND


@dataclass(frozen=True, slots=True)
class LibraryConfig:
    """The size of the world; `end` is a midnight in UTC. `aside` is the share of names that a search puts otherwise."""

    name: str = "library"
    articles: int = 400
    things: int = 300
    days: int = 37
    searches: int = 20
    shown: int = 15
    aside: float = 0.3
    end: str = "2026-03-02T00:00:00Z"

    def __post_init__(self) -> None:
        if min(self.articles, self.days, self.searches, self.shown) < 1 or self.things < 6 or self.searches > 30:
            raise InputError(f"a library needs articles, at least 6 things, and 1 to 30 searches a day; found {self}")


class Library:
    """A source of the streams `doc_meta`, `shown` and `judged`, deterministic in (config, seed).

    What is `shown` for a search are the articles that share most of its words, and the ones that are relevant: those
    about all that is asked for. They are `judged` a minute later; judgements of a day arrive together before midnight.
    """

    utc_offset_s = 0

    def __init__(self, config: LibraryConfig | None = None, seed: int = 0) -> None:
        self.config = config or LibraryConfig()
        rng = np.random.default_rng(derive_seed(seed, "articles"))
        n, things = self.config.articles, self.config.things
        self._names = _names(things, rng)
        self._about = np.array([rng.choice(things, 6, replace=False) for _ in range(n)])
        self._wanted = 1.0 / (5 + rng.permutation(n))
        self._titles = [self._say("{0} and {1}", about, rng, 0.0) for about in self._about]
        self._texts = [
            " ".join(self._say(phrase, rng.permutation(about), rng, 0.0) for phrase in _PHRASES)
            for about in self._about
        ]
        self._kinds = [("report", "essay", "letter")[i] for i in rng.integers(0, 3, n).tolist()]
        self._seed = seed

    @property
    def name(self) -> str:
        """The configured name."""
        return self.config.name

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival."""
        config, rng = self.config, np.random.default_rng(derive_seed(self._seed, "searches"))
        start = instant(config.end) - config.days * DAY
        words = [set(f"{title} {text}".lower().split()) for title, text in zip(self._titles, self._texts, strict=True)]
        shown: list[tuple[str, int, str, int, int]] = []
        judged: list[tuple[str, int, str, int]] = []
        for number in range(config.days * config.searches):
            at = start + number // config.searches * DAY + 13 * 3600 * SECOND + number % config.searches * _EVERY
            article = int(rng.choice(config.articles, p=self._wanted / self._wanted.sum()))
            asked = rng.choice(self._about[article], 3, replace=False)
            query = f"{self._say(str(rng.choice(_QUERIES)), asked, rng, config.aside)} ({number})"
            relevant = np.flatnonzero([set(asked) <= set(about) for about in self._about.tolist()]).tolist()
            common = [len(mine & set(query.lower().replace(",", "").split())) for mine in words]
            listed = np.argsort(-np.array(common), kind="stable")[: config.shown].tolist()
            listed += [key for key in relevant if key not in listed]
            shown += [(f"{number}-{key}", at, query, key, place) for place, key in enumerate(listed)]
            judged += [(f"{number}-{key}", at + 60 * SECOND, query, key) for key in relevant]
        yield from by_arrival({"doc_meta": self._meta(start), "shown": _shown(shown), "judged": _judged(judged)})

    def _say(self, phrase: str, things: Array, rng: np.random.Generator, aside: float) -> str:
        names = [self._names[thing][int(rng.random() < aside)] for thing in things.tolist()]
        said = phrase.format(*names)
        return said[0].upper() + said[1:]

    def _meta(self, start: int) -> Table:
        n = self.config.articles
        at = np.full(n, start)
        texts = {"title": self._titles, "text": self._texts, "kind": self._kinds}
        ids = column([f"doc-{i}" for i in range(n)], str)
        told = {name: column(values, str) for name, values in texts.items()}
        return Table({"id": ids, "at": at, "arrived": at, "doc": np.arange(n), **told})


def open_world(name: str, seed: int) -> Library:
    """The library, of its usual size or a tiny one."""
    return Library(LibraryConfig(name, *((120, 90) if name.endswith("-tiny") else ())), seed)


def _names(n: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Two names for each of n things, no name twice."""
    syllables, names = _SYLLABLES.split(), list[str]()
    while len(names) < 2 * n:
        name = "".join(rng.choice(syllables, 3).tolist())
        if name not in names:
            names.append(name)
    return list(zip(names[:n], names[n:], strict=True))


def _shown(rows: list[tuple[str, int, str, int, int]]) -> Table:
    ids, at, queries, keys, places = (list(part) for part in zip(*rows, strict=True))
    when = np.array(at, np.int64)
    return Table({
        "id": column(ids, str), "at": when, "arrived": when, "query": column(queries, str), "doc": column(keys, int),
        "position": column(places, int), "decision": column([None] * len(ids), str),
    })  # fmt: skip


def _judged(rows: list[tuple[str, int, str, int]]) -> Table:
    ids, at, queries, keys = (list(part) for part in zip(*rows, strict=True))
    when = np.array(at, np.int64)
    return Table({
        "id": column(ids, str), "at": when, "arrived": when // DAY * DAY + DAY - 60 * SECOND,
        "query": column(queries, str), "doc": column(keys, int), "relevant": np.ones(len(ids), np.bool_),
    })  # fmt: skip
