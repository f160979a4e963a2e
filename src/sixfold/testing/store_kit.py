"""The conformance kit of stores: `check_store(make_store)` runs a stranger's store through the laws of features.

Every law is checked on many small histories with all kinds of features at once, against the oracle. When one is
broken, the history is shrunk as far as the fault survives, and shown.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from sixfold._core.errors import FeatureError, SixfoldError
from sixfold._core.table import Table
from sixfold.features.online import OnlineFeatures
from sixfold.features.store import Store
from sixfold.testing.compare import differences
from sixfold.testing.histories import EVERYTHING, Case, between, build, draw, smaller
from sixfold.testing.oracle import oracle
from sixfold.testing.store_laws import replacing

__all__ = ["LAWS", "check_store", "whole"]

MakeStore = Callable[[], Store]
Law = Callable[[MakeStore, Case], list[str]]


def check_store(make_store: MakeStore, *, n_histories: int = 200, seed: int = 0) -> None:
    """Raise FeatureError naming the law broken and the shortest history found, if the store breaks one.

    `make_store` gives a new, empty store each time.
    """
    rng = np.random.default_rng(seed)
    for _ in range(n_histories):
        case = draw(rng, int(rng.integers(0, 30)), int(rng.integers(1, 5)))
        for name, law in LAWS.items():
            if _broken(law, make_store, case):
                least = _shrunk(law, make_store, case)
                what = "\n".join(_broken(law, make_store, least)[:3])
                facts = "\n".join(f"  {fact}" for fact in (*least.facts, *least.moments))
                raise FeatureError(f"the store breaks the law {name!r}:\n{what}\non the history\n{facts}")


def _broken(law: Law, make_store: MakeStore, case: Case) -> list[str]:
    """What is wrong; an error counts."""
    try:
        return law(make_store, case)
    except (SixfoldError, ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
        return [f"{type(error).__name__}: {error}"]


def _shrunk(law: Law, make_store: MakeStore, case: Case) -> Case:
    """The case with everything taken away that the fault does not need."""
    while True:
        found = next((other for other in smaller(case) if _broken(law, make_store, other)), None)
        if found is None:
            return case
        case = found


def ask(online: OnlineFeatures, spine: Table) -> Table:
    """The features of the spine's rows, of which only keys, `at` and request columns are used."""
    shared = ("user", "term", "tab", "score")
    rows = [
        online.now(
            EVERYTHING.names, {name: row[name] for name in shared}, {"video": np.array([row["video"]])}, row["at"]
        )
        for row in spine.rows()
    ]
    return Table.concat(rows)


def whole(case: Case) -> tuple[dict[str, Table], Table, int]:
    """History, spine and end, with all questions asked at the end: a store has no past."""
    history, spine = build(replace(case, moments=tuple(replace(m, seen=len(case.facts)) for m in case.moments)))
    return history, spine, max((int(table["offset"][-1]) + 1 for table in history.values()), default=0)


def _values(make_store: MakeStore, case: Case) -> list[str]:
    history, spine, end = whole(case)
    online = OnlineFeatures(EVERYTHING, make_store())
    online.fold(history, end)
    return differences(oracle(EVERYTHING, history, spine), ask(online, spine))


def _cuts(make_store: MakeStore, case: Case) -> list[str]:
    history, spine, end = whole(case)
    online = OnlineFeatures(EVERYTHING, make_store())
    sizes = (1, 3, 2)
    while online.offset < end:
        stop = min(online.offset + sizes[online.offset % 3], end)
        online.fold(between(history, online.offset, stop), stop)
        ask(online, spine.take(slice(0, 1)))  # reading in between must leave no trace
    return differences(oracle(EVERYTHING, history, spine), ask(online, spine))


def _recovery(make_store: MakeStore, case: Case) -> list[str]:
    history, spine, end = whole(case)
    before = OnlineFeatures(EVERYTHING, make_store())
    before.fold(between(history, 0, end // 2), end // 2)
    with tempfile.TemporaryDirectory() as folder:
        before.snapshot(Path(folder))
        after = OnlineFeatures(EVERYTHING, make_store())
        after.restore(Path(folder))
    after.fold(between(history, after.offset, end), end)
    return differences(oracle(EVERYTHING, history, spine), ask(after, spine))


def _isolation(make_store: MakeStore, case: Case) -> list[str]:
    history, spine, end = whole(case)
    half = spine.with_columns({"offset": np.full(len(spine), end // 2)})
    first, second = (OnlineFeatures(EVERYTHING, make_store()) for _ in range(2))
    second.fold(between(history, 0, end // 2), end // 2)
    first.fold(history, end)
    return differences(oracle(EVERYTHING, history, half), ask(second, half))


LAWS: dict[str, Law] = {
    "values are those of the oracle": _values,
    "values do not depend on how the log is cut into folds": _cuts,
    "a restored store goes on as if nothing had happened": _recovery,
    "stores do not share state": _isolation,
    "a fold that replaces empties what it names, and no more": replacing,
}
"""What a store must keep to, by name."""
