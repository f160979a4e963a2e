"""The conformance kit of stores: `check_store(make_store)` runs a stranger's store through the laws of features.

Each law is a sentence about values, checked on generated histories against the oracle. When one is broken, the history
is cut down to what the fault needs, and told in words.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from sixfold import features as f
from sixfold._core.errors import FeatureError, SixfoldError
from sixfold._core.table import Table
from sixfold._core.times import DAY, HOUR, MINUTE
from sixfold.features.featureset import FeatureSet
from sixfold.features.online import OnlineFeatures
from sixfold.features.store import Store
from sixfold.testing.compare import Difference, compare
from sixfold.testing.histories import EVERYTHING, Case, between, build, draw, draw_features, user, watch
from sixfold.testing.oracle import oracle
from sixfold.testing.shrinking import shrunk
from sixfold.testing.store_protocol import check_protocol
from sixfold.testing.story import described, told

__all__ = ["LAWS", "Law", "check_store"]

MakeStore = Callable[[], Store]

_BY_HOP = {
    hop: FeatureSet(
        f.count(watch, by=user, over=windows),
        f.sum(watch.share, by=user, over=windows),
        f.max(watch.stars, by=user, over=windows),
        f.min(watch.share, by=user, over=windows[::-1]),
    )
    for hop, windows in {
        5 * MINUTE: ("1h", "5m", "6h"),
        HOUR: ("7d", "12h", "1d"),
        DAY: ("13d", "30d"),
    }.items()
}
"""Several windows over the tiles of one hop, neither from short to long nor from long to short."""


@dataclass(frozen=True, slots=True)
class Law:
    """A sentence that holds for every store: how to draw a history of some events at most, and how to try it.

    `marks` tells, for a history of so many events, what the law does after how many of them.
    """

    name: str
    draw: Callable[[np.random.Generator, int], tuple[FeatureSet, Case]]
    check: Callable[[MakeStore, FeatureSet, Case], list[Difference]]
    marks: Callable[[int], Mapping[int, str]] = lambda _: {}


def check_store(make_store: MakeStore, *, n_histories: int = 200, seed: int = 0) -> None:
    """Raise FeatureError naming the law broken and the shortest history found, if the store breaks one.

    `make_store` gives a new, empty store each time. Every law is tried on `n_histories` histories; the same seed
    gives the same ones. Needs nothing but the package.
    """
    rng = np.random.default_rng(seed)
    for i in range(n_histories):
        most = 3 + 30 * i // n_histories  # small ones first: what they show needs little explaining
        for law in LAWS:
            features, case = law.draw(rng, most)
            if _try(law, make_store, features, case):
                raise FeatureError(_report(_plainest(law, make_store, features, case), make_store, features, case))
    check_protocol(make_store, n_histories=n_histories, seed=seed)


def _try(law: Law, make_store: MakeStore, features: FeatureSet, case: Case) -> list[Difference]:
    """What the law finds; an error of the store counts."""
    try:
        return law.check(make_store, features, case)
    except (SixfoldError, ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
        return [Difference("", -1, "an answer", f"{type(error).__name__}: {error}")]


def _plainest(law: Law, make_store: MakeStore, features: FeatureSet, case: Case) -> Law:
    """The first law that this history breaks; only that of expiry knows of questions about the past."""
    if any(moment.wait < 0 for moment in case.moments):
        return law
    return next(other for other in LAWS if _try(other, make_store, features, case))


def _report(law: Law, make_store: MakeStore, features: FeatureSet, case: Case) -> str:
    """The fault in its shortest form: one feature if that is enough, and as few events as possible."""

    def least(part: FeatureSet) -> Case:
        return shrunk(case, lambda other: bool(_try(law, make_store, part, other)))

    found = [(part, least(part)) for part in _alone(law, make_store, features, case)]
    part, case = min(found or [(features, least(features))], key=lambda item: len(item[1].facts))
    law = _plainest(law, make_store, part, case)
    worst = _try(law, make_store, part, case)[0]
    if 0 <= worst.row < len(case.moments):
        case = replace(case, moments=(case.moments[worst.row],))
    marks = law.marks(sum(not fact.again for fact in case.facts))
    lines = [f"the store breaks the law {law.name!r}", *told(case, part, marks)]
    if len(part) == 1 or worst.column in part:
        feature = part[worst.column] if worst.column in part else next(iter(part))
        lines.append(f"feature   {feature.name}: {described(feature)}")
    return "\n".join([*lines, f"expected  {_words(worst.expected)}", f"found     {_words(worst.found)}"])


def _alone(law: Law, make_store: MakeStore, features: FeatureSet, case: Case) -> Iterator[FeatureSet]:
    """Up to two features that show the fault by themselves."""
    columns = [difference.column for difference in _try(law, make_store, features, case)]
    names = [name for name in columns if name in features] or list(features.names)
    shown = 0
    for name in names:
        part = FeatureSet(features[name])
        if shown < 2 and _try(law, make_store, part, case):
            shown += 1
            yield part


def _words(value: object) -> str:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return str(value.item() if isinstance(value, np.generic) else value)


def ask(online: OnlineFeatures, spine: Table) -> Table:
    """The features of the spine's rows, of which only keys, `at` and request columns are used."""
    names = online.features.names
    shared = [name for name in spine if name not in ("at", "offset", "video")]
    rows = [
        online.now(names, {name: row[name] for name in shared}, {"video": np.array([row["video"]])}, row["at"])
        for row in spine.rows()
    ]
    return Table.concat(rows)


def _anything(rng: np.random.Generator, most: int) -> tuple[FeatureSet, Case]:
    features = EVERYTHING if rng.random() < 0.7 else draw_features(rng, 8)
    return features, _at_the_end(
        draw(rng, int(rng.integers(0, most)), int(rng.integers(1, 5)), retractions=float(rng.choice((0, 0, 0.15))))
    )


def _at_the_end(case: Case) -> Case:
    """All questions asked when everything has arrived: a store has no past."""
    return replace(case, moments=tuple(replace(moment, seen=2**31) for moment in case.moments))


def _built(case: Case) -> tuple[dict[str, Table], Table, int]:
    history, spine = build(case)
    return history, spine, sum(map(len, history.values()))


def _opened(make_store: MakeStore, features: FeatureSet, history: Mapping[str, Table]) -> OnlineFeatures:
    """Features over a new store, with the log that events are looked up in once they are taken back."""
    return OnlineFeatures(features, make_store(), read=partial(between, history))


def _values(make_store: MakeStore, features: FeatureSet, case: Case) -> list[Difference]:
    history, spine, end = _built(case)
    online = _opened(make_store, features, history)
    online.fold(history, end)
    return compare(oracle(features, history, spine), ask(online, spine))


def _cuts(make_store: MakeStore, features: FeatureSet, case: Case) -> list[Difference]:
    history, spine, end = _built(case)
    online = _opened(make_store, features, history)
    for stop in (*_cut_points(end), end):
        online.fold(between(history, online.offset, stop), stop)
        found = ask(online, spine)  # reading in between must leave no trace
    return compare(oracle(features, history, spine), found)


def _cut_points(end: int) -> list[int]:
    """Pieces of 1, 3, 2, 1, 3, 2, ... events."""
    return [offset for offset in range(1, end) if offset % 6 in (1, 4, 0)]


def _recovery(make_store: MakeStore, features: FeatureSet, case: Case) -> list[Difference]:
    history, spine, end = _built(case)
    before, after = (_opened(make_store, features, history) for _ in range(2))
    before.fold(between(history, 0, end // 2), end // 2)
    after.fold(history, end)  # what a store held before it loads must be gone
    with tempfile.TemporaryDirectory() as folder:
        before.snapshot(Path(folder))
        before.fold(between(history, end // 2, end), end)  # what comes after a save must not be in it
        after.restore(Path(folder))
    after.fold(between(history, end // 2, end), end)
    expected = oracle(features, history, spine)
    return compare(expected, ask(after, spine)) or compare(expected, ask(before, spine))


def _isolation(make_store: MakeStore, features: FeatureSet, case: Case) -> list[Difference]:
    history, spine, end = _built(case)
    some = (end + 1) // 2
    early = spine.with_columns({"offset": np.full(len(spine), some)})
    first, second = (_opened(make_store, features, history) for _ in range(2))
    first.fold(history, end)
    second.fold(between(history, 0, some), some)
    return compare(oracle(features, history, early), ask(second, early))


def _edges(rng: np.random.Generator, most: int) -> tuple[FeatureSet, Case]:
    """Events and questions at the very tiles where windows end and forgetting begins."""
    hop = int(rng.choice(list(_BY_HOP)))
    features = _BY_HOP[hop]
    windows = [feature.window for feature in features if isinstance(feature, f.Aggregate) and feature.window]
    last = max(windows) + 12 * hop  # what is still kept when an event arrives, seen from its arrival
    reach = [0, hop, *windows, last - hop, last, last, last + hop]
    case = draw(rng, int(rng.integers(0, most + 8)), 4)
    facts = tuple(
        replace(fact, stream=1, user=fact.user % 2, gap=int(rng.choice((0, 0, 0, *reach))), lag=int(rng.choice(reach)))
        for fact in case.facts
    )
    waits = (0, hop, -11 * hop, -12 * hop, -12 * hop, -13 * hop)
    moments = tuple(replace(m, wait=int(rng.choice(waits)), user=int(rng.choice((0, 1)))) for m in case.moments)
    return features, _at_the_end(Case(facts, moments))


def _expiry(make_store: MakeStore, features: FeatureSet, case: Case) -> list[Difference]:
    history, spine, end = _built(case)
    online = _opened(make_store, features, history)
    for stop in (*_cut_points(end), end):
        online.fold(between(history, online.offset, stop), stop)
    expected = oracle(features, history, spine)
    for i in range(len(spine)):
        try:
            found = ask(online, spine.take([i]))
        except FeatureError:  # a moment too far back for what is kept: refused, and so never wrong
            continue
        if wrong := compare(expected.take([i]), found):
            return [replace(difference, row=i) for difference in wrong]
    return []


def _read_marks(end: int) -> Mapping[int, str]:
    return dict.fromkeys(_cut_points(end), "what is above is folded, and the question asked a first time")


def _saved_mark(end: int) -> Mapping[int, str]:
    return {end // 2: "the state is saved; another store loads it and goes on from here"}


def _two_mark(end: int) -> Mapping[int, str]:
    return {(end + 1) // 2: "one store has everything; the other, which is asked, has only what is above"}


LAWS = (
    Law("values are those of the oracle", _anything, _values),
    Law("values do not depend on how the log is cut into folds", _anything, _cuts, _read_marks),
    Law("stores do not share state", _anything, _isolation, _two_mark),
    Law("a restored store goes on as if nothing had happened", _anything, _recovery, _saved_mark),
    Law("several windows are read at once, and nothing is forgotten that can still be asked", _edges, _expiry),
)
"""What a store must keep to; a history that breaks several is told as a breach of the first."""
