"""The conformance kit of engines: `check_engine(make_engine)` runs a stranger's engine through the laws of features.

Each law is a sentence about values at past moments, checked on generated histories against the oracle. When one is
broken, the history is cut down to what the fault needs, and told in words. What an engine refuses with a FeatureError
is left out, as long as it refuses it before it has seen anything.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sixfold._core.errors import FeatureError, SixfoldError
from sixfold._core.table import Table
from sixfold.features.engine import Engine
from sixfold.features.featureset import FeatureSet
from sixfold.testing.compare import Difference, compare
from sixfold.testing.histories import EVERYTHING, Case, between, build, draw, draw_features
from sixfold.testing.oracle import oracle
from sixfold.testing.shrinking import shrunk
from sixfold.testing.story import described, told

__all__ = ["LAWS", "Law", "accepted", "check_engine"]

MakeEngine = Callable[[], Engine]


@dataclass(frozen=True, slots=True)
class Law:
    """A sentence that holds for every engine, and how to try it."""

    name: str
    check: Callable[[MakeEngine, FeatureSet, Case], list[Difference]]


def check_engine(make_engine: MakeEngine, *, n_histories: int = 50, seed: int = 0) -> None:
    """Raise FeatureError naming the law broken and the shortest history found, if the engine breaks one.

    `make_engine` gives an engine, a new one or always the same. Every law is tried on `n_histories` histories; the
    same seed gives the same ones. Raises FeatureError also if the engine refuses every feature.
    """
    rng = np.random.default_rng(seed)
    everything = accepted(make_engine(), EVERYTHING)
    if not len(everything):
        raise FeatureError("the engine refuses every feature", hint="an engine must at least be able to count")
    for i in range(n_histories):
        most = 3 + 60 * i // n_histories  # small ones first: what they show needs little explaining
        features = everything if i % 4 == 0 else accepted(make_engine(), draw_features(rng, 8))
        case = draw(rng, int(rng.integers(0, most)), int(rng.integers(1, 7)), retractions=0.15 * (i % 2))
        for law in LAWS:
            if _try(law, make_engine, features, case):
                raise FeatureError(_report(law, make_engine, features, case))


def accepted(engine: Engine, features: FeatureSet) -> FeatureSet:
    """The features that the engine does not refuse."""

    def is_accepted(part: FeatureSet) -> bool:
        try:
            engine.as_of(part, {}, build(Case((), ()))[1])
        except FeatureError:
            return False
        return True

    if is_accepted(features):
        return features
    return FeatureSet([feature for feature in features if is_accepted(FeatureSet(feature))])


def _try(law: Law, make_engine: MakeEngine, features: FeatureSet, case: Case) -> list[Difference]:
    """What the law finds; an error of the engine counts."""
    try:
        return law.check(make_engine, features, case)
    except (SixfoldError, ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
        return [Difference("", -1, "an answer", f"{type(error).__name__}: {error}")]


def _report(law: Law, make_engine: MakeEngine, features: FeatureSet, case: Case) -> str:
    """The fault in its shortest form: one feature if that is enough, and as few events as possible."""
    columns = [difference.column for difference in _try(law, make_engine, features, case)]
    for name in dict.fromkeys(column for column in columns if column in features):
        if _try(law, make_engine, part := FeatureSet(features[name]), case):
            features = part
            break
    case = shrunk(case, lambda other: bool(_try(law, make_engine, features, other)))
    worst = _try(law, make_engine, features, case)[0]
    marks = {min(moment.seen, len(case.facts)): "the question is about what is above" for moment in case.moments}
    lines = [f"the engine breaks the law {law.name!r}", "", *told(case, features, marks), ""]
    if len(features) == 1:
        feature = next(iter(features))
        lines.append(f"feature   {feature.name}: {described(feature)}")
    return "\n".join([*lines, f"expected  {worst.expected}", f"found     {worst.found}"])


def _values(make_engine: MakeEngine, features: FeatureSet, case: Case) -> list[Difference]:
    history, spine = build(case)
    return compare(oracle(features, history, spine), make_engine().as_of(features, history, spine))


def _order(make_engine: MakeEngine, features: FeatureSet, case: Case) -> list[Difference]:
    history, spine = build(case)
    rows = np.repeat(np.arange(len(spine))[::-1], 2)
    expected = oracle(features, history, spine).take(rows)
    return compare(expected, make_engine().as_of(features, history, spine.take(rows)))


def _chunks(make_engine: MakeEngine, features: FeatureSet, case: Case) -> list[Difference]:
    history, spine = build(case)
    end = sum(map(len, history.values()))
    edges = [0, *range(1, end, 4), end]

    def parts() -> Iterator[dict[str, Table]]:
        for start, stop in itertools.pairwise(edges):
            yield between(history, start, stop)

    pieces = [spine.take(slice(i, i + 2)) for i in range(0, len(spine), 2)]
    found = list(make_engine().stream(features, parts(), iter(pieces)))
    if [len(table) for table in found] != [len(piece) for piece in pieces]:
        return [Difference("", -1, [len(piece) for piece in pieces], [len(table) for table in found])]
    return compare(oracle(features, history, spine), Table.concat(found)) if found else []


def _nothing_kept(make_engine: MakeEngine, features: FeatureSet, case: Case) -> list[Difference]:
    history, spine = build(case)
    some = sum(map(len, history.values())) // 2
    engine = make_engine()
    engine.as_of(features, between(history, 0, some), spine)
    return compare(oracle(features, history, spine), engine.as_of(features, history, spine))


LAWS = (
    Law("values are those of the oracle, which sees no event from a row's own offset on", _values),
    Law("a row's values do not depend on the rows that are asked with it, or on their order", _order),
    Law("chunks of the history and the spine change nothing, and a table comes for each chunk of the spine", _chunks),
    Law("nothing is kept from one call to the next", _nothing_kept),
)
"""What an engine must keep to."""
