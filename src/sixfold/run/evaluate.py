"""Step 5, evaluate: the candidate on the test range, beside its baselines, against the contract."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.memory import release_freed
from sixfold.evaluate.bootstrap import Estimate
from sixfold.evaluate.gates import Verdict, judge
from sixfold.evaluate.measures import OURS, Trial
from sixfold.evaluate.report import Comparison
from sixfold.models.contract import Progress, silent
from sixfold.run.evidence import with_evidence
from sixfold.run.home import Home, read_json, write_json
from sixfold.run.prepare import Prepared, fold_until, prepare
from sixfold.run.ranking import RankingResult, judge_ranking
from sixfold.run.requests import request_of
from sixfold.run.retrieval import Method, judge_retrieval
from sixfold.run.serve import bind_content, one_thread
from sixfold.serve import Decision, DecisionRequest
from sixfold.serve.bound import BoundPipeline
from sixfold.system import System

__all__ = ["Evaluated", "evaluate"]

_TIMED = 300


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What was measured on the test range, and what the gates said; intervals are 95 %, over users."""

    fingerprint: str
    retrieval: tuple[Method, ...]
    ranking: RankingResult
    comparisons: tuple[Comparison, ...]
    measured: Mapping[str, Estimate | float]
    gates: tuple[Verdict, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(gate.passed for gate in self.gates)


def evaluate(
    home: Home, system: System, *, seed: int, prepared: Prepared | None = None, progress: Progress = silent
) -> Evaluated:
    """Judge the candidate of the home; InputError if there is none, or the data or the definitions have moved on."""
    began = time.perf_counter()
    trained = read_json(home.candidate / "train.json")
    if not trained:
        raise InputError("there is no candidate to evaluate", hint="run `sixfold train` first")
    if trained["system"] != system.fingerprint:
        raise InputError("the system has changed since the candidate was trained", hint="run `sixfold train` again")
    prepared = prepared or prepare(home, system, progress=progress)
    release_freed()
    progress("folding the log up to the test range", 0.0)
    features = fold_until(system, prepared, prepared.bounds.test[0])
    release_freed()
    bound = bind_content(system, home.candidate / "content", features, release="candidate")
    baselines = home.candidate / "baselines"
    matchers = {name: bound.matcher(name) for name in system.pipeline.matchers}
    prepared = replace(prepared, test=with_evidence(system, prepared.test, matchers))
    retrieval: list[Method] = []
    with one_thread():
        if system.retrievers:
            retrieval = judge_retrieval(system, prepared, bound, baselines, seed=seed, progress=progress)
        latency = _latency(system, prepared, bound)
    progress("evaluating the ranker", 0.9)
    ranking = judge_ranking(system, prepared, bound.ranker(), baselines, seed=seed)
    measured = _measured(system, retrieval, ranking) | latency
    trial = _trial(system, prepared, bound, ranking, seed)
    comparisons = []
    for measure in system.plan.measures:
        progress(f"measuring {', '.join(measure.metrics)}", 0.95)
        comparison, figures = measure.measure(trial)
        comparisons.append(comparison)
        measured |= figures
    must_beat = [config.name for config in system.plan.beat[:1]] if retrieval else []
    gains = {name: next((m.gain for m in retrieval if m.name == name), None) for name in must_beat}
    gates = judge(measured, system.problem.limits, primary=f"recall@{system.plan.k}", beat=gains)
    took = time.perf_counter() - began
    result = Evaluated(trained["fingerprint"], tuple(retrieval), ranking, tuple(comparisons), measured, gates, took)
    write_json(home.candidate / "evaluation.json", _summary(result))
    return result


def _trial(system: System, prepared: Prepared, bound: BoundPipeline, ranking: RankingResult, seed: int) -> Trial:
    test, start = prepared.test, prepared.bounds.test[0]

    def request(row: int) -> DecisionRequest:
        return request_of(system, test.spine.take(slice(row, row + 1)).row(0), f"trial-{row}", start)

    return Trial(
        spine=test.spine,
        features=test.features,
        labels=test.labels,
        predictions=ranking.predictions,
        history=prepared.history,
        people=test.spine[system.problem.task.per.name],
        start=start,
        decide=partial(_unhurried, bound),
        vary=lambda **stages: partial(_unhurried, bound.vary(**stages)),
        request=request,
        seed=seed,
        rankers=ranking.rankers,
        settings=bound.content.settings,
    )


def _unhurried(bound: BoundPipeline, request: DecisionRequest) -> Decision:
    """The decision with all its stages, however long they take."""
    pending = bound.begin(request, rungs=())
    pending.listen()
    return pending.finish()


def _measured(system: System, retrieval: list[Method], ranking: RankingResult) -> dict[str, Estimate | float]:
    """The figures that limits can bound, by the names of `system.MEASURED`."""
    out: dict[str, Estimate | float] = {}
    if retrieval:
        out["recall@k"] = retrieval[0].metrics[f"recall@{system.plan.k}"]
    best = {head.head: head.models[OURS] for head in ranking.heads}
    for name, worst in (("auc", min), ("ne", max), ("ece", max), ("xauc", min)):
        found = [figures[name] for figures in best.values() if name in figures]
        if found:
            out[name] = worst(found, key=float)
    ratios = [figures["mean ratio"] for figures in best.values() if "mean ratio" in figures]
    if ratios:
        out["mean_ratio"] = max(ratios, key=lambda ratio: abs(float(ratio) - 1))
    return out


def _latency(system: System, prepared: Prepared, bound: BoundPipeline) -> dict[str, float]:
    """Milliseconds that the whole pipeline takes for requests of the test range, one at a time, warm."""
    chosen = np.random.default_rng(0).integers(0, len(prepared.test), _TIMED + 20)
    at = prepared.bounds.test[0]
    took = []
    for i, row in enumerate(prepared.test.spine.take(chosen).rows()):
        request = request_of(system, row, f"time-{i}", at)
        began = time.perf_counter_ns()
        bound.decide(request)
        took.append((time.perf_counter_ns() - began) / 1e6)
    return {f"p{p}_ms": float(np.percentile(took[20:], p)) for p in (50, 99)}


def _summary(result: Evaluated) -> dict[str, Any]:
    """What a release keeps: figures that are the same whenever the same candidate is judged, and the gates."""
    figures = {name: float(value) for name, value in result.measured.items()}
    gates = [
        {"name": g.name, "passed": g.passed, "measured": g.measured, "bound": g.bound, "why": g.why}
        for g in result.gates
    ]
    steady = {name: value for name, value in figures.items() if not name.endswith("_ms")}
    return {"fingerprint": result.fingerprint, "measured": steady, "all": figures, "gates": gates}
