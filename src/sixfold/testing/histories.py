"""Histories to compare evaluators on: small, nasty, and the same for a seed.

A `Case` is a list of facts and of moments at which features are asked for, both as plain values that can be shrunk;
`build` makes the tables. `EVERYTHING` is a feature set that has every kind of feature over the streams.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sixfold._core.table import Table, column
from sixfold._core.times import DAY, HOUR, MINUTE, SECOND
from sixfold.data.events import Events
from sixfold.data.retraction import RETRACTION
from sixfold.testing.everything import EVERYTHING, STREAMS, draw_features, user, watch

__all__ = [
    "EVERYTHING",
    "STREAMS",
    "Case",
    "Fact",
    "Moment",
    "between",
    "build",
    "cases",
    "draw",
    "draw_features",
    "smaller",
    "user",
    "watch",
]


@dataclass(frozen=True, slots=True)
class Fact:
    """One event: which stream, how long after the one before it arrived, how late that was, and what it says.

    With `undoes` it says nothing of its own: it retracts the event that many places before it, or the first.
    """

    stream: int
    gap: int
    lag: int
    user: int
    video: int
    number: float
    whole: int
    flag: bool
    text: str | None
    again: bool = False
    undoes: int = 0


@dataclass(frozen=True, slots=True)
class Moment:
    """One question: after how many events, how long after the last of them, and about whom."""

    seen: int
    wait: int
    user: int
    video: int
    term: str | None
    tab: str | None
    score: float


@dataclass(frozen=True, slots=True)
class Case:
    """A history and the questions asked of it."""

    facts: tuple[Fact, ...]
    moments: tuple[Moment, ...]


START = 20_000 * DAY
_GAPS = (0, 0, 0, 1, SECOND, MINUTE, 5 * MINUTE, HOUR - 1, HOUR, 5 * HOUR, DAY, 3 * DAY, 9 * DAY)
_LAGS = (0, 0, 0, 0, 1, MINUTE, 5 * MINUTE, HOUR, 12 * HOUR, DAY, 8 * DAY, 40 * DAY, -MINUTE)
_WAITS = (0, 0, 1, MINUTE, 5 * MINUTE, HOUR - 1, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY, 100 * DAY)
_KEYS = (0, 1, 2, 3, 2**40)
_NUMBERS = (0.1, 0.5, 0.7, 1.0, -3.25, -0.0, np.nan, np.nan, np.inf, -np.inf, 1e18, -1e18, 2.0**31, 1e-7, 5e-324)
_WHOLES = (0, 1, 2, 5, -1, 2**31, -(2**31), 2**53 + 1, 2**62, 2**63 - 1, -(2**63), 3 * 10**18)
_TEXTS = ("a", "b", "c", "", None)


def draw(rng: np.random.Generator, n_facts: int, n_moments: int, *, retractions: float = 0.0) -> Case:
    """A random case; the same for the same state of the generator. About that share of the facts are retractions."""

    def some(values: Sequence[Any], n: int) -> list[Any]:
        return [values[i] for i in rng.integers(0, len(values), n).tolist()]

    # A third has nothing late (paths of their own); a third a few keys and instants, so that much ties and overlaps.
    mood = rng.choice(["calm", "crowded", "any"])
    gaps, lags = ((0, MINUTE), (0, MINUTE, 2 * MINUTE)) if mood == "crowded" else (_GAPS, _LAGS)
    keys = (0, 1) if mood == "crowded" else _KEYS
    facts = zip(
        rng.integers(0, len(STREAMS), n_facts).tolist(),
        some(gaps, n_facts),
        [0] * n_facts if mood == "calm" else some(lags, n_facts),
        some(keys, n_facts),
        some(keys, n_facts),
        some(_NUMBERS, n_facts),
        some(_WHOLES, n_facts),
        some((False, True), n_facts),
        some(_TEXTS, n_facts),
        (rng.random(n_facts) < 0.05).tolist(),
        ((rng.random(n_facts) < retractions) * rng.integers(1, 12, n_facts)).tolist() if retractions else [0] * n_facts,
        strict=True,
    )
    moments = zip(
        rng.integers(0, n_facts + 1, n_moments).tolist(),
        some(_WAITS, n_moments),
        some((*keys, 9), n_moments),
        some((*keys, 9), n_moments),
        some(_TEXTS, n_moments),
        some(_TEXTS, n_moments),
        some(_NUMBERS, n_moments),
        strict=True,
    )
    return Case(tuple(Fact(*fact) for fact in facts), tuple(Moment(*moment) for moment in moments))


def cases(*, retractions: bool = False) -> Any:
    """A hypothesis strategy of cases; needs hypothesis to be installed."""
    from hypothesis import strategies as st

    numbers = st.sampled_from(_NUMBERS) | st.floats(width=32)
    fact = st.builds(
        Fact,
        stream=st.integers(0, len(STREAMS) - 1),
        gap=st.sampled_from(_GAPS) | st.integers(0, 40 * DAY),
        lag=st.sampled_from(_LAGS) | st.integers(0, 40 * DAY),
        user=st.sampled_from(_KEYS),
        video=st.sampled_from(_KEYS),
        number=numbers,
        whole=st.sampled_from(_WHOLES) | st.integers(-(2**63), 2**63 - 1),
        flag=st.booleans(),
        text=st.sampled_from(_TEXTS),
        again=st.sampled_from((False, False, False, True)),
        undoes=st.sampled_from((0, 0, 0, 1, 2, 3, 8)) if retractions else st.just(0),
    )
    moment = st.builds(
        Moment,
        seen=st.integers(0, 20),
        wait=st.sampled_from(_WAITS) | st.integers(0, 40 * DAY),
        user=st.sampled_from((*_KEYS, 9)),
        video=st.sampled_from((*_KEYS, 9)),
        term=st.sampled_from(_TEXTS),
        tab=st.sampled_from(_TEXTS),
        score=numbers,
    )
    return st.builds(Case, st.lists(fact, max_size=20).map(tuple), st.lists(moment, max_size=6).map(tuple))


def build(case: Case) -> tuple[dict[str, Table], Table]:
    """The history as a log would give it, and the spine. A fact that comes `again` repeats an id and is dropped."""
    arrived, clock, kept = [], START, []
    for fact in case.facts:
        if not fact.again:
            clock += fact.gap
            arrived.append(clock)
            kept.append(fact)
    history = {}
    for i, stream in enumerate(STREAMS):
        mine = [(offset, fact) for offset, fact in enumerate(kept) if fact.stream == i and not fact.undoes]
        if mine:
            history[stream.name] = _table(stream, mine, arrived)
    if undoing := [(offset, fact) for offset, fact in enumerate(kept) if fact.undoes]:
        target = column([max(offset - fact.undoes, 0) for offset, fact in undoing], int)
        history[RETRACTION] = Table({**_clocks(undoing, arrived), "target": target})
    ends = [min(moment.seen, len(kept)) for moment in case.moments]
    moments = case.moments
    spine = {
        "at": column(
            [(arrived[end - 1] if end else START) + m.wait for m, end in zip(moments, ends, strict=True)], int
        ),
        "offset": column(ends, int),
        "user": column([m.user for m in moments], int),
        "video": column([m.video for m in moments], int),
        "term": column([m.term for m in moments], str),
        "tab": column([m.tab for m in moments], str),
        "score": column([m.score for m in moments], float),
    }
    return history, Table(spine)


def _table(stream: Events, mine: list[tuple[int, Fact]], arrived: list[int]) -> Table:
    values: dict[type, list[Any]] = {
        int: [fact.whole for _, fact in mine],
        float: [fact.number for _, fact in mine],
        bool: [fact.flag for _, fact in mine],
        str: [fact.text for _, fact in mine],
    }
    columns = {name: column(values[kind], kind) for name, kind in stream.columns.items()}
    columns |= {
        key.name: column([getattr(fact, key.name) for _, fact in mine], int) for key in stream.keys if key.key is int
    }
    return Table({**_clocks(mine, arrived), **columns})


def _clocks(mine: list[tuple[int, Fact]], arrived: list[int]) -> dict[str, Any]:
    """The columns that every stream has."""
    return {
        "id": column([f"e{offset}" for offset, _ in mine], str),
        "offset": column([offset for offset, _ in mine], int),
        "at": column([arrived[offset] - fact.lag for offset, fact in mine], int),
        "arrived": column([arrived[offset] for offset, _ in mine], int),
    }


def between(
    history: Mapping[str, Table], start: int, stop: int, streams: Iterable[str] | None = None
) -> dict[str, Table]:
    """The events with start <= offset < stop, of all streams or some, as a log would read them."""
    out = {}
    for name, table in history.items():
        if streams is not None and name not in streams:
            continue
        low, high = np.searchsorted(table["offset"], [start, stop])
        if low < high:
            out[name] = table.take(slice(low, high))
    return out


def smaller(case: Case) -> Iterator[Case]:
    """Simpler cases to try when this one shows a fault: with less in it, then with plainer facts."""
    for i in range(len(case.moments)):
        if len(case.moments) > 1:
            yield replace(case, moments=(case.moments[i],))
    for i in range(len(case.facts)):
        after = (
            replace(fact, undoes=fact.undoes - (fact.undoes > j + 1)) for j, fact in enumerate(case.facts[i + 1 :])
        )
        yield replace(case, facts=(*case.facts[:i], *after))  # what is retracted stays so
    for i, fact in enumerate(case.facts):
        for plainer in _plainer(fact):
            if plainer != fact:
                yield replace(case, facts=(*case.facts[:i], plainer, *case.facts[i + 1 :]))


def _plainer(fact: Fact) -> Iterator[Fact]:
    yield replace(fact, lag=0)
    yield replace(fact, gap=0)
    yield replace(fact, number=0.5, whole=1, text="a")
    yield replace(fact, undoes=0)
