"""How much each source of candidates counts, chosen on the validation range."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sixfold._core.hashing import derive_seed
from sixfold.models.blend import Query, tune_weights
from sixfold.models.contract import FittedRanker, FittedRetriever, Progress
from sixfold.run.prepare import Prepared, fold_until, targets_of
from sixfold.serve import DecisionRequest
from sixfold.serve.bound import Content
from sixfold.system import System

__all__ = ["tune_blend"]

_PEOPLE = 2_000
"""How many of the satisfied people of the validation range the weights are chosen on."""


def tune_blend(
    system: System,
    prepared: Prepared,
    models: Mapping[str, FittedRetriever | FittedRanker],
    *,
    seed: int,
    progress: Progress,
) -> Mapping[str, float]:
    """The weights that find most of what people wanted in the validation range, seen items excluded.

    `models` must not have learned from that range.
    """
    start = prepared.bounds.validate[0]
    pipeline = replace(system.pipeline, blend=replace(system.pipeline.blend, weights={}))
    content = Content("tuning", models, system.features.names)
    bound = pipeline.bind(content, fold_until(system, prepared, start), task=system.problem.task)
    users, targets = targets_of(system, prepared.validate)
    chosen = np.random.default_rng(derive_seed(seed, "blend")).permutation(len(users))[:_PEOPLE]
    names = [source.name for source in pipeline.sources]
    queries = []
    for done, i in enumerate(chosen.tolist()):
        if done % 200 == 0:
            progress("weighing the sources", done / len(chosen))
        found = bound.candidates(DecisionRequest(f"tune-{i}", users[i : i + 1].tolist()[0], 20, start))
        scores = np.full((len(names), len(found)), np.nan)
        for row, source in enumerate(found.sources):
            scores[names.index(source)] = found.scores[row]
        queries.append(Query(scores, np.isin(found.keys, targets[i]), len(np.unique(targets[i]))))
    return tune_weights(names, queries, k=system.plan.k)[0]
