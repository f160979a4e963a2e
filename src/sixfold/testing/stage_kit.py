"""The kit that every serving stage passes: `check_stage` raises AssertionError where a stage breaks a rule."""

from dataclasses import replace
from typing import Any

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.features.definitions import Feature
from sixfold.frame import Choose
from sixfold.serve.bound import BoundPipeline
from sixfold.serve.stages import Actor, DecisionRequest, Filter, Selector, Source, View
from sixfold.serve.view import RequestView

__all__ = ["check_stage"]


def check_stage(stage: Any, pipeline: BoundPipeline, request: DecisionRequest) -> None:
    """Hold a source, a filter, a selector or an actor to what the pipeline relies on.

    `pipeline` gives the stage its models and a state that has the stage's features; `request` is one that it serves.
    """
    kinds = [kind for kind in (Source, Filter, Selector, Actor) if isinstance(stage, kind)]
    assert len(kinds) == 1, f"{stage!r} must be exactly one of a source, a filter, a selector and an actor, not {kinds}"
    params = getattr(type(stage), "__dataclass_params__", None)
    assert params is not None and params.frozen, f"{stage!r} must be a frozen dataclass"
    assert isinstance(stage.features, tuple), "features must be a tuple"
    assert all(isinstance(feature, Feature) for feature in stage.features), "features must be definitions"
    assert all(feature.name in pipeline.features.features for feature in stage.features), "the state lacks a feature"
    view = pipeline.view(request)
    if isinstance(stage, Source):
        _check_source(stage, view)
    elif isinstance(stage, Filter):
        _check_filter(stage, view, pipeline)
    elif isinstance(stage, Actor):
        _check_actor(stage, request, pipeline)
    else:
        _check_selector(stage, view, pipeline)


def _check_source(stage: Source, view: View) -> None:
    assert stage.name and isinstance(stage.name, str), "a source needs a name"
    keys, scores = stage.propose(view)
    assert keys.ndim == scores.ndim == 1 and len(keys) == len(scores), "one score for each key"
    assert keys.dtype in (np.int64, object), f"keys are int64 or text, not {keys.dtype}"
    assert len(set(keys.tolist())) == len(keys), "an item is proposed twice"
    falling = np.diff(scores[np.isfinite(scores)].astype(np.float64)) <= 0
    assert falling.all(), "items must come best first"
    _same(keys, stage.propose(view)[0], "the same request must get the same items")


def _check_filter(stage: Filter, view: View, pipeline: BoundPipeline) -> None:
    assert stage.name and isinstance(stage.name, str), "a filter needs a name"
    keys = _some_keys(view, pipeline)
    keep = stage.keep(view, keys)
    assert keep.dtype == np.bool_ and keep.shape == keys.shape, "one boolean for each key"
    assert stage.keep(view, keys[:0]).shape == (0,), "no keys, no answers"
    _same(keep, stage.keep(view, keys), "the same request must get the same answer")
    backwards = stage.keep(view, keys[::-1].copy())
    _same(keep[::-1], backwards, "whether an item may be shown must not depend on its place")


def _check_selector(stage: Selector, view: View, pipeline: BoundPipeline) -> None:
    found = pipeline.candidates(view.request)
    ranked = replace(found, values=np.linspace(1.0, 0.1, len(found)))
    for size in {0, 1, len(ranked)}:
        some = ranked.take(slice(size))
        chosen = stage.select(view, some, np.random.default_rng(1))
        wanted = min(view.request.n, size)
        assert len(chosen.rows) == wanted, f"{wanted} of {size} candidates must be shown, not {len(chosen.rows)}"
        assert len(set(chosen.rows.tolist())) == wanted, "an item is shown twice"
        assert ((chosen.rows >= 0) & (chosen.rows < max(size, 1))).all(), "a row that is no candidate"
        assert len(chosen.propensities) == len(chosen.explored) == wanted, "one propensity and one mark for each item"
        assert ((chosen.propensities > 0) & (chosen.propensities <= 1)).all(), "what was shown had a chance in (0, 1]"
        assert len(chosen.details) in (0, wanted), "details for each item, or for none"
        again = stage.select(view, some, np.random.default_rng(1))
        _same(chosen.rows, again.rows, "the same chance must give the same slate")


def _check_actor(stage: Actor, request: DecisionRequest, pipeline: BoundPipeline) -> None:
    view = RequestView(pipeline, request)
    view.read_subject([feature.name for feature in stage.features])
    task = pipeline.task
    assert stage.name and isinstance(stage.name, str), "an actor needs a name"
    assert isinstance(task, Choose) and stage.default in task.actions, "the default must be one of the task's actions"
    heads = pipeline.ranker().heads
    for probability in (0.0, 0.5, 1.0):
        said = Table({head: np.array([probability]) for head in heads})
        act, again = (stage.act(view, said, pipeline.content.settings) for _ in range(2))
        assert act == again, "the same request must get the same action"
        assert act.action in task.actions, f"{act.action!r} is none of the task's actions"
        assert set(act.values) == set(task.actions), "what every action is worth must be said"
        assert np.isfinite(list(act.values.values())).all(), "an action must be worth a number"
    n = 50
    spine = Table({**{e.name: np.zeros(n, np.int64) for e in task.known}, "at": np.arange(n), "offset": np.arange(n)})
    spine = spine.with_columns({feature.name: np.full(n, np.nan) for feature in stage.features})
    truth = Table({head: (np.arange(n) % 5 == 0).astype(np.float64) for head in heads})
    learnt = stage.fit(truth, truth, spine)
    assert all(isinstance(value, float) for value in learnt.values()), "settings are numbers: a release keeps them"


def _some_keys(view: View, pipeline: BoundPipeline) -> Array:
    return pipeline.pipeline.blend.merge({s.name: s.propose(view) for s in pipeline.pipeline.sources}).keys


def _same(first: Array, second: Array, why: str) -> None:
    assert first.tolist() == second.tolist(), why
