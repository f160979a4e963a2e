"""The report of a home: what evaluation and live traffic measured, as one readable page."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import numpy as np

from sixfold._core.table import Array
from sixfold._core.times import DAY, SECOND, format_duration, iso
from sixfold.data.calendar import Calendar
from sixfold.evaluate.measures import OURS, STATIC
from sixfold.evaluate.report import (
    Command,
    Comparison,
    Day,
    Entry,
    FeatureRow,
    Headline,
    Report,
    SplitRange,
    StageLatency,
    StreamCount,
    figure,
    score_histogram,
)
from sixfold.features.definitions import Aggregate, Computed, Feature, Recent, Request
from sixfold.run.evaluate import Evaluated
from sixfold.run.home import Home
from sixfold.run.live import LiveResult
from sixfold.run.prepare import Prepared
from sixfold.run.ranking import HeadResult
from sixfold.system import System

__all__ = ["make_report"]


def make_report(
    home: Home, system: System, prepared: Prepared, judged: Evaluated, live: LiveResult | None = None
) -> Report:
    """Everything that is known of the candidate, in the order of the six phases."""
    heads = [_head(head) for head in judged.ranking.heads]
    retrieval = [_retrieval(system, judged)] if judged.retrieval else []
    points = {
        method.name: tuple(
            (int(n.split("@")[1]), float(v)) for n, v in method.metrics.items() if n.startswith("recall@")
        )
        for method in judged.retrieval
    }
    labels = prepared.test.labels
    return Report(
        system=system.name,
        goal=system.problem.goal,
        created=iso(prepared.now),
        problem=dict(_problem(system)),
        headlines=tuple(_headlines(system, judged, live)),
        streams=tuple(_streams(home, prepared)),
        quarantine=tuple(_quarantine(home)),
        split=tuple(_split(system, prepared)),
        days=tuple(_days(home, system, prepared)),
        features=tuple(_features(system, prepared)),
        comparisons=(*retrieval, *judged.comparisons, *heads),
        recall=points,
        primary_method=judged.retrieval[0].name if judged.retrieval else "",
        calibration={head.head: head.curve for head in judged.ranking.heads if head.curve is not None},
        scores={
            head.head: score_histogram(head.scores, labels[head.head] if head.binary else None)
            for head in judged.ranking.heads
        },
        slices=judged.ranking.slices,
        slices_note=f"the head “{(system.plan.satisfied or system.labels[0]).name}” on parts of the test rows",
        gates=judged.gates,
        latency=tuple(_latency(live)),
        next=next_commands(home),
        facts={
            "data": home.source,
            "log": f"{sum(len(t) for t in prepared.history.values()):,} events, up to {iso(prepared.now)}",
            "system": system.fingerprint,
            "candidate": judged.fingerprint,
            "versions": ", ".join(f"{name} {version(name)}" for name in ("sixfold", "numpy", "torch", "onnxruntime")),
        },
    )


def _retrieval(system: System, judged: Evaluated) -> Comparison:
    k, success = f"recall@{system.plan.k}", system.plan.satisfied
    return Comparison(
        f"Retrieval: finding the items that people found “{success.name if success else 'good'}” among all",
        f"{judged.retrieval[0].metrics[k].n_users:,} people of the test days; state frozen at their start; "
        "items seen before are excluded; 95 % intervals over people.",
        tuple(Entry(m.name, m.metrics, i == 0, _gain(m.gain, k)) for i, m in enumerate(judged.retrieval)),
        (k, "ndcg@20"),
    )


def next_commands(home: Home) -> tuple[Command, ...]:
    """Three things to try now."""
    chosen = f"--system {home.definition} --data {home.source}"
    return (
        Command(f"sixfold serve {chosen}", "the service, at http://127.0.0.1:8600/docs"),
        Command(f"sixfold decide --user 7 {chosen}", "one decision, logged, with its reasons"),
        Command(f"sixfold audit {chosen}", "recompute what was served, from the log"),
    )


def _gain(gain: object, metric: str) -> str:
    return "" if gain is None else f"sources together are ahead by {gain} in {metric}"


def _problem(system: System) -> Iterator[tuple[str, str]]:
    problem = system.problem
    yield "Task", str(problem.task)
    if problem.objective is not None:
        yield "Objective", " ".join(f"{w:+g} × {o.name}" for o, w in problem.objective.worth.items())
    if problem.online:
        yield "Watched online", ", ".join(problem.online)
    for limit in problem.limits:
        low = "" if limit.at_least is None else f" at least {limit.at_least:g}"
        high = "" if limit.at_most is None else f" at most {limit.at_most:g}"
        yield f"Limit on {limit.metric}", f"{low}{high}".strip()
    if problem.scale:
        scale = problem.scale
        yield "Scale", f"{scale.users:,} people, {scale.items:,} items, {scale.decisions_per_s:g} decisions a second"
    if problem.privacy:
        yield "Privacy", "; ".join(problem.privacy)


def _headlines(system: System, judged: Evaluated, live: LiveResult | None) -> Iterator[Headline]:
    k = f"recall@{system.plan.k}"
    if judged.retrieval:
        first = next((m for m in judged.retrieval[1:] if m.name in [c.name for c in system.plan.beat]), None)
        beside = f"{first.name}: {float(first.metrics[k]):.3f}" if first else ""
        yield Headline(k, f"{float(judged.retrieval[0].metrics[k]):.3f}", beside)
    for comparison in judged.comparisons:
        yield from _of_measure(comparison)
    success = (system.plan.satisfied or system.labels[0]).name
    for head in judged.ranking.heads:
        if head.head == success and "auc" in head.models[OURS]:
            without = f"static: {float(head.models[STATIC]['auc']):.3f}" if STATIC in head.models else ""
            yield Headline(f"AUC of {head.head}", f"{float(head.models[OURS]['auc']):.3f}", without)
            yield Headline("calibration error", f"{float(head.models[OURS]['ece']):.4f}", f"of {head.head}")
    if live is not None:
        yield Headline("p99 of live requests", f"{live.p99_ms:.1f} ms", f"{live.concurrency} at a time, over loopback")


def _of_measure(comparison: Comparison) -> Iterator[Headline]:
    """The first pictured figure of the candidate, beside the first of its baselines."""
    ours = next((entry for entry in comparison.entries if entry.ours), None)
    other = next((entry for entry in comparison.entries if not entry.ours), None)
    for metric in comparison.pictured[:1]:
        if ours is not None and metric in ours.metrics:
            beside = (
                f"{other.name}: {figure(float(other.metrics[metric]))}" if other and metric in other.metrics else ""
            )
            yield Headline(metric, figure(float(ours.metrics[metric])), beside)


def _streams(home: Home, prepared: Prepared) -> Iterator[StreamCount]:
    ingested = home.facts().get("ingested", {})
    reasons, repeated = ingested.get("reasons", {}), ingested.get("repeated", {})
    for name, table in prepared.history.items():
        refused = sum(n for why, n in reasons.items() if why.startswith(f"{name}:"))
        first, last = (iso(int(end)) for end in (table["at"].min(), table["at"].max()))
        yield StreamCount(name, len(table), refused, repeated.get(name, 0), first, last)


def _quarantine(home: Home) -> Iterator[tuple[str, str, int]]:
    for text, n in home.facts().get("ingested", {}).get("reasons", {}).items():
        stream, _, why = text.partition(": ")
        yield stream, why, n


def _split(system: System, prepared: Prepared) -> Iterator[SplitRange]:
    for name in ("train", "validate", "test"):
        start, stop = getattr(prepared.bounds, name)
        part = getattr(prepared, name)
        users = len(np.unique(part.spine[system.problem.task.per.name]))
        yield SplitRange(name, iso(start), iso(stop), len(part), users)


def _days(home: Home, system: System, prepared: Prepared) -> Iterator[Day]:
    shift = int(home.facts().get("utc_offset_s", 0)) * SECOND
    spine = system.spine.events if isinstance(system.spine, Calendar) else system.spine
    at = prepared.history[spine.name]["at"]
    at = at[(at >= prepared.bounds.start) & (at < prepared.bounds.test[1])]
    days, counts = np.unique((at + shift) // DAY, return_counts=True)
    if len(days) > 62:
        return
    parts = {name: getattr(prepared.bounds, name) for name in ("train", "validate", "test")}
    for day, n in zip(days.tolist(), counts.tolist(), strict=True):
        start = day * DAY - shift
        part = next((name for name, (low, high) in parts.items() if low <= start < high), "")
        yield Day((datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%m-%d"), n, part)


def _features(system: System, prepared: Prepared) -> Iterator[FeatureRow]:
    for feature in system.features:
        values = prepared.train.features[feature.name]
        yield FeatureRow(feature.name, _what(feature), _missing(values))


def _missing(values: Array) -> float:
    """The share of rows without a value; a row of several is without if all are."""
    if values.dtype == object:
        absent = np.asarray(values == np.array(None, object), np.bool_)
    else:
        absent = np.isnan(values) if values.dtype == np.float64 else values == -1
    return float((absent if absent.ndim == 1 else absent.all(axis=1)).mean())


def _what(feature: Feature) -> str:
    if isinstance(feature, Aggregate):
        keys = " x ".join(key.name for key in feature.by) or "nothing: all events"
        window = "all time" if feature.window is None else format_duration(feature.window)
        window = f"half-life {window}" if feature.decays else window
        return f"{feature.kind} over {feature.stream.name} per {keys}, {window}"
    if isinstance(feature, Recent):
        if not feature.single:
            return f"last {feature.n} of {feature.stream.name}"
        return f"first of {feature.stream.name}" if feature.oldest else "attribute"
    if isinstance(feature, Request):
        return "field of the request"
    return "expression" if isinstance(feature, Computed) else "age"


def _head(head: HeadResult) -> Comparison:
    kind = "auc" if head.binary else "xauc"
    note = "Every impression of the test days, features as of each; 95 % intervals over people."
    if head.gain is not None:
        note += f" Behaviour is worth {head.gain} of {kind} over static features."
    entries = tuple(Entry(name, metrics, name == OURS) for name, metrics in head.models.items())
    pictured = ("auc", "ne", "ece") if head.binary else ("xauc", "mean ratio")
    return Comparison(f"Ranking: {head.head}", note, entries, pictured)


def _latency(live: LiveResult | None) -> Iterator[StageLatency]:
    if live is None:
        return
    yield StageLatency("request over loopback", live.p50_ms, live.p95_ms, live.p99_ms)
    for stage, times in live.stages.items():
        yield StageLatency(stage, times["p50_ms"], times["p95_ms"], times["p99_ms"])
