"""Generated histories on which every evaluator must say what the oracle says, to the bit.

History `n` of a seed is the same everywhere, so a mismatch is found again by its number.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sixfold._core.table import Table
from sixfold.data.retraction import RETRACTION
from sixfold.features.batch import as_of
from sixfold.features.featureset import FeatureSet
from sixfold.testing.compare import differences
from sixfold.testing.everything import EVERYTHING, draw_features
from sixfold.testing.histories import Case, build, draw
from sixfold.testing.oracle import oracle
from sixfold.testing.places import STORES, Place
from sixfold.testing.replay import asked_online

__all__ = ["ENGINES", "Mismatch", "compared", "history_of"]

Evaluate = Callable[[FeatureSet, Mapping[str, Table], Table, np.random.Generator], Table]

ENGINES = ("batch", *STORES, "duckdb")
"""The vectorised batch, online features over each store, and the relational plan."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An engine that differs from the oracle on a history, and how."""

    engine: str
    history: int
    what: str


def history_of(seed: int, number: int) -> tuple[FeatureSet, Case, np.random.Generator]:
    """Features, a history with questions, and what else is left to chance.

    Every third has features drawn as well, and in every second some events are taken back.
    """
    rng = np.random.default_rng([seed, number])
    features = draw_features(rng, 10) if number % 3 == 0 else EVERYTHING
    return features, draw(rng, int(rng.integers(0, 24)), int(rng.integers(1, 5)), retractions=0.15 * (number % 2)), rng


def compared(
    every: Mapping[str, int], seed: int, numbers: Iterable[int], *, url: str = ""
) -> tuple[dict[str, int], list[Mismatch]]:
    """How many of the histories each engine was tried on, and where one was wrong.

    An engine takes part in every `every[engine]`-th history; the relational plan refuses those in which events are
    taken back. `url` is the address of a Redis server for the engine of that name; what its database holds is removed.
    """
    tried, wrong = dict.fromkeys(every, 0), []
    with _evaluators(tuple(every), url) as evaluators:
        for number in numbers:
            features, case, rng = history_of(seed, number)
            history, spine = build(case)
            expected = oracle(features, history, spine)
            for engine, evaluate in evaluators.items():
                if number % every[engine] or (engine == "duckdb" and RETRACTION in history):
                    continue
                tried[engine] += 1
                if found := _difference(expected, evaluate, features, (history, spine, rng)):
                    wrong.append(Mismatch(engine, number, found))
    return tried, wrong


def _difference(
    expected: Table,
    evaluate: Evaluate,
    features: FeatureSet,
    asked: tuple[Mapping[str, Table], Table, np.random.Generator],
) -> str:
    """The first difference, or the error that there was instead of an answer; empty if there is none."""
    try:
        found = differences(expected, evaluate(features, *asked))
    except Exception as error:  # whatever it is, the engine has not given the value
        return f"{type(error).__name__}: {error}"
    return found[0] if found else ""


@contextmanager
def _evaluators(engines: Sequence[str], url: str) -> Iterator[dict[str, Evaluate]]:
    """The engines by name, with a folder that goes away with them."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield {engine: _evaluator(engine, root, url) for engine in engines}
        if "redis" in engines:
            import redis

            with redis.Redis.from_url(url) as client:
                client.flushdb()


def _evaluator(engine: str, root: Path, url: str) -> Evaluate:
    if engine == "batch":
        return lambda features, history, spine, rng: as_of(features, history, spine)
    if engine == "duckdb":
        from sixfold.engines.relational.duckdb import DuckDbEngine

        duckdb = DuckDbEngine(memory="256MB", threads=1, folder=root)
        return lambda features, history, spine, rng: duckdb.as_of(features, history, spine)
    return lambda features, history, spine, rng: _online(
        features, history, spine, rng, engine=engine, root=root, url=url
    )


def _online(
    features: FeatureSet,
    history: Mapping[str, Table],
    spine: Table,
    rng: np.random.Generator,
    *,
    engine: str,
    root: Path,
    url: str,
) -> Table:
    place = Place(Path(tempfile.mkdtemp(dir=root)), lambda _: None, STORES[engine], url)  # type: ignore[arg-type, return-value]
    n_stores = iter(range(10_000))
    try:
        return asked_online(
            features, history, spine, make_store=lambda: place.open_store(f"{next(n_stores)}"), rng=rng, restarts=0.05
        )
    finally:
        place.close()
