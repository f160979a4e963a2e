"""How well searches find what was judged relevant: over the whole collection, each source alone beside the pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array
from sixfold.data.labels import Label
from sixfold.evaluate.bootstrap import Estimate, bootstrap, compare, mean
from sixfold.evaluate.measures import OURS, Trial
from sixfold.evaluate.report import Comparison, Entry
from sixfold.evaluate.retrieval import Hits, find_hits, ndcg, recall
from sixfold.serve.candidates import Blend, Fuse
from sixfold.serve.decision import Answer, unpack

__all__ = ["SearchQuality"]

_ALL = 100_000
_SERVED = "as served"
_FUSIONS = {"reciprocal rank fusion, k = 60": Fuse(keep=_ALL), "standardised scores added": Blend(keep=_ALL)}


@dataclass(frozen=True, slots=True)
class SearchQuality:
    """nDCG at `k` and recall at `deep` of whole searches, over the queries of the test range with a relevant item.

    Every query is asked once, of the state as of the start of the range: what is judged during it teaches nothing.
    Lists come from the whole collection, items that nobody judged count as not relevant, and intervals are over
    queries. Beside the pipeline stand each of its sources alone, all of them fused by places and by scores with equal
    weights, and every other ranker of the trial on the same candidates. The gain is over the better fusion.
    """

    relevant: Label
    k: int = 10
    deep: int = 100

    def __post_init__(self) -> None:
        if not self.relevant.binary or not 1 <= self.k <= self.deep:
            raise DefinitionError([
                f"search is judged by a binary label, with 1 <= k <= deep; found {self.relevant!r}, k={self.k}, "
                f"deep={self.deep}"
            ])  # fmt: skip

    @property
    def metrics(self) -> tuple[str, ...]:
        """`ndcg@k`, `recall@deep`, and `ndcg@k_gain` over fusing, with the numbers in the places of k and deep."""
        return f"ndcg@{self.k}", f"recall@{self.deep}", f"ndcg@{self.k}_gain"

    def measure(self, trial: Trial) -> tuple[Comparison, Mapping[str, Estimate | float]]:
        """All lists against the judgements, ours last; the gain is paired by query."""
        queries, rows, row = np.unique(trial.people.astype(str), return_index=True, return_inverse=True)
        items = trial.spine[self.relevant.of.keys[-1].name]
        hit = trial.labels[self.relevant.name] > 0
        wanted = [items[hit & (row == number)] for number in range(len(queries))]
        found = [self._lists(trial, asked) for asked in rows.tolist()]
        # A source that finds nothing for a query has an empty list there, not one query fewer; ours comes last.
        names = [name for name in dict.fromkeys(name for lists in found for name in lists) if name != _SERVED]
        lists = {name: [mine.get(name, items[:0])[: self.deep] for mine in found] for name in (*names, _SERVED)}
        hits = {name: find_hits(_padded(found, self.deep, items.dtype), wanted) for name, found in lists.items()}
        figures = {name: self._figures(mine) for name, mine in hits.items()}
        estimate = partial(bootstrap, users=queries, seed=trial.seed)
        entries = [
            Entry(name, {metric: estimate(partial(mean, values)) for metric, values in mine.items()}, name == _SERVED)
            for name, mine in figures.items()
        ]
        first = f"ndcg@{self.k}"
        best = max(_FUSIONS, key=lambda name: float(np.nan_to_num(np.nanmean(figures[name][first]))))
        ours, fused = (partial(mean, figures[name][first]) for name in (_SERVED, best))
        gain = compare(ours, fused, users=queries, seed=trial.seed)
        served = next(entry for entry in entries if entry.ours)
        note = f"{len(queries)} queries over the whole collection, as of the start of the test range"
        comparison = Comparison("Search", note, tuple(entries), self.metrics[:2])
        return comparison, {**served.metrics, f"{first}_gain": gain}

    def _figures(self, hits: Hits) -> dict[str, Array]:
        return {f"ndcg@{self.k}": ndcg(hits, self.k), f"recall@{self.deep}": recall(hits, self.deep)}

    def _lists(self, trial: Trial, row: int) -> dict[str, Array]:
        """What each method finds for one query, best first."""
        decision = trial.decide(replace(trial.request(row), n=_ALL))
        answer = msgspec.json.decode(decision.response, type=Answer)
        dtype = trial.spine[self.relevant.of.keys[-1].name].dtype
        items = [item for item in answer.items if item.value is not None]  # the others are the list for everybody
        served = np.array([item.id for item in items], dtype)
        proposed: dict[str, list[tuple[int, int | str, float]]] = {}
        for item in items:
            for reason in item.reasons:
                proposed.setdefault(reason.source, []).append((reason.rank, item.id, reason.score or 0.0))
        alone = {
            name: (np.array([key for _, key, _ in found], dtype), np.array([score for *_, score in found]))
            for name, found in ((name, sorted(found)) for name, found in sorted(proposed.items()))
        }
        lists = {f"{name} alone": keys for name, (keys, _) in alone.items()}
        lists |= {name: blend.merge(alone).keys for name, blend in _FUSIONS.items()}
        if "features" in decision.record:
            known = unpack(decision.record["features"])
            known = known.with_columns(unpack(decision.record.get("evidence", {**_NOTHING, "rows": len(known)})))
            ranked = np.array(decision.record["ids"], dtype)
            for name, model in trial.rankers.items():
                if name != OURS:
                    scores = model.predict(known)[self.relevant.name]
                    lists[f"{name}, on the same candidates"] = ranked[np.argsort(-scores, kind="stable")]
        return lists | {_SERVED: served}


_NOTHING = {"order": [], "floats": [], "matrix": "", "others": {}}


def _padded(lists: list[Array], length: int, dtype: np.dtype[np.generic]) -> Array:
    """Ragged lists as one array (n_lists, length): -1 or None where a list is short."""
    out = np.full((len(lists), length), None if dtype.kind == "O" else -1, dtype)
    for row, keys in enumerate(lists):
        out[row, : len(keys)] = keys
    return out
