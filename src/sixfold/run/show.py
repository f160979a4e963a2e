"""Results as a person reads them on a terminal."""

from collections.abc import Iterator
from functools import singledispatch
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from sixfold._core.times import format_duration, iso
from sixfold.features.audit import AuditReport
from sixfold.run import show_features, show_privacy  # noqa: F401 (they register their forms)
from sixfold.run.evaluate import Evaluated
from sixfold.run.forms import grid, render
from sixfold.run.ingest import Ingested
from sixfold.run.inspect import Answered, LogView, Monitored, Replayed
from sixfold.run.live import LiveResult
from sixfold.run.release import Released
from sixfold.run.starter import Started
from sixfold.run.train import Trained
from sixfold.system import System

__all__ = ["in_short", "render"]


@render.register
def _(system: System) -> RenderableType:
    problem = system.problem
    lines = grid("contract", "")
    lines.columns[1].justify = "left"
    for name, text in _contract(system):
        lines.add_row(name, text)
    stages = " → ".join(_stages(system))
    return Group(
        Text(f"{system.name}: {problem.goal}", style="bold"), lines, Text(stages), Text("no contradictions found")
    )


def _stages(system: System) -> Iterator[str]:
    pipeline = system.pipeline
    if pipeline.sources:
        yield " + ".join(source.name for source in pipeline.sources)
        yield f"blend to {pipeline.blend.keep}"
    yield from (filter_.name for filter_ in pipeline.filters)
    yield system.ranker_name
    if pipeline.select is not None:
        yield f"{type(pipeline.select).__name__} of {pipeline.n}"
    yield from (stage.name for stage in (pipeline.act, pipeline.render) if stage is not None)


def _contract(system: System) -> Iterator[tuple[str, str]]:
    problem, plan = system.problem, system.plan
    yield "version", system.fingerprint
    yield "task", str(problem.task)
    if problem.objective is not None:
        yield "objective", " ".join(f"{w:+g} × {o.name}" for o, w in problem.objective.worth.items())
    for limit in problem.limits:
        low = "" if limit.at_least is None else f"≥ {limit.at_least:g} "
        high = "" if limit.at_most is None else f"≤ {limit.at_most:g}"
        yield f"limit {limit.metric}", low + high
    for label in system.labels:
        windows = f"within {label.within}, final after {format_duration(label.maturity)}"
        yield f"label {label.name}", f"of {label.outcome.name}, {windows}"
    for stream in system.streams:
        marked = {name: f"{name} (personal)" for name in stream.personal}
        yield f"stream {stream.name}", ", ".join(marked.get(name, name) for name in stream.columns)
    yield "features", f"{len(system.features)} for the ranker, {len(system.online_features)} in the service"
    split = plan.split
    yield "split", f"train {split.train}, validate {split.validate}, test {split.test}, gap {split.gap}"
    if plan.beat:
        yield "must beat", f"{plan.beat[0].name} on recall@{plan.k}"
    for measure in plan.measures:
        yield "measured", ", ".join(measure.metrics)


@render.register
def _(result: Ingested) -> RenderableType:
    rate = f", {result.accepted / result.seconds:,.0f} events/s" if result.seconds > 0 else ""
    how = "in the log already" if result.resumed else f"read in {result.seconds:.1f} s{rate}"
    table = grid("stream", "events")
    for stream, n in result.by_stream.items():
        table.add_row(stream, f"{n:,}")
    parts: list[RenderableType] = [Text(f"{result.source}: {result.accepted:,} events {how}"), table]
    gone = f", {sum(result.erased.values()):,} dropped: about who was erased" if result.erased else ""
    parts.append(Text(f"{result.duplicates:,} duplicates ignored, {result.quarantined:,} rows in quarantine{gone}"))
    if result.reasons:
        reasons = grid("quarantined because", "rows")
        for why, n in sorted(result.reasons.items(), key=lambda item: -item[1])[:8]:
            reasons.add_row(why, f"{n:,}")
        parts.append(reasons)
    return Group(*parts)


@render.register
def _(result: Started) -> RenderableType:
    events = ", ".join(f"{n:,} {stream}" for stream, n in result.events.items())
    todo = [Text(f"  {command}") for command in result.next]
    return Group(Text(f"{result.file}: the system"), Text(f"{result.data}: {events}"), Text("try now"), *todo)


@render.register
def _(result: Trained) -> RenderableType:
    rows = ", ".join(f"{n:,} {name}" for name, n in result.impressions.items())
    if result.reused:
        return Text(f"nothing changed since the last training ({rows} impressions): candidate kept")
    table = grid("trained", "seconds")
    for name, seconds in result.seconds.items():
        table.add_row(name, f"{seconds:.1f}")
    weights = ", ".join(f"{name} {weight:g}" for name, weight in result.weights.items())
    head = Text(f"{rows} impressions; {result.satisfied:,} satisfied in training")
    return Group(head, table, Text(f"weights of the sources: {weights}"))


@render.register
def _(result: Answered) -> RenderableType:
    answer = result.answer
    table = grid("item", "value", "propensity", "because")
    table.columns[3].justify = "left"
    for item in answer["items"]:
        because = [f"{reason['source']} #{reason['rank'] + 1}" for reason in item["reasons"]]
        why = ", ".join([*because, *(f"{name} {_brief(value)}" for name, value in item.get("detail", {}).items())])
        value = "–" if item["value"] is None else f"{item['value']:.4f}"
        table.add_row(
            str(item["id"]), value, f"{item['propensity']:.3f}", why + (" (explored)" if item["explored"] else "")
        )
    rungs = f", rungs {', '.join(answer['rungs'])}" if answer["rungs"] else ""
    who = f"decision {answer['decision']} for {answer['subject']}"
    head = f"{who}, release {answer['release']}, log prefix {answer['as_of']}"
    tail = f"replay it: sixfold replay {answer['decision']}"
    refused = f"refused: {answer['detail'].get('why', '')}" if answer.get("refused") else ""
    quotes = [f"  [{i}] {c['item']}: {c['quote']}" for i, c in enumerate(answer.get("citations", ()), 1)]
    said = [Text(text) for text in (answer.get("text"), *quotes, refused, answer["why"]) if text]
    return Group(Text(head + rungs), table, *said, Text(tail))


def _brief(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


@render.register
def _(result: Released) -> RenderableType:
    was = f" (before: {result.before})" if result.before and result.before != result.release else ""
    verb = {"unchanged": "serves already", "promote": "promoted", "rollback": "rolled back to"}[result.action]
    return Text(f"release {result.release} {verb}{was}")


@render.register
def _(result: LiveResult) -> RenderableType:
    head = Text(
        f"{result.decisions} decisions at concurrency {result.concurrency}: {result.per_second:.0f}/s, "
        f"p50 {result.p50_ms:.1f} ms, p95 {result.p95_ms:.1f} ms, p99 {result.p99_ms:.1f} ms, {result.failed} failed; "
        f"{result.events:,} events sent back {result.verdicts or ''}"
    )
    table = grid("stage", "p50 ms", "p95 ms", "p99 ms")
    for stage, times in result.stages.items():
        table.add_row(stage, *(f"{times[p]:.2f}" for p in ("p50_ms", "p95_ms", "p99_ms")))
    return Group(head, table)


@render.register
def _(result: Replayed) -> RenderableType:
    if result.same:
        return Text(f"decision {result.decision} replays byte for byte ({len(result.expected):,} bytes)")
    if result.rewritten:
        what = "cannot be made again: the log was rewritten by an erasure after this decision"
        return Text(f"decision {result.decision} {what}, which had seen events of who was erased")
    return Group(
        Text(f"decision {result.decision} came out differently", style="bold red"),
        Text(f"answered: {result.expected}"),
        Text(f"now:      {result.got}"),
    )


@render.register
def _(result: AuditReport) -> RenderableType:
    notes = f"; {result.answered:,} answered by declaration while the store was down" if result.answered else ""
    if result.skipped:
        notes += f"; {result.skipped:,} decisions left out, made by releases with other features"
    if result.rewritten:
        notes += f"; {result.rewritten:,} values differ because the log was rewritten by an erasure since"
    if not result.wrong:
        text = f"{result.compared:,} served values of {len(result.features)} features recomputed from the log: 0 differ"
        return Text(f"{text} ({result.decisions:,} decisions{notes})")
    table = grid("feature", "compared", "missing", "extra", "mismatching", "largest")
    for row in result.features:
        if row.wrong:
            counts = (row.compared, row.missing, row.extra, row.mismatching)
            table.add_row(row.name, *(f"{n:,}" for n in counts), f"{row.largest:g}")
    head = f"{result.wrong:,} of {result.compared:,} served values differ ({result.decisions:,} decisions{notes})"
    return Group(Text(head, style="bold red"), table)


@render.register
def _(result: Monitored) -> RenderableType:
    table = grid("feature", "psi", "by chance", "ks", "shift σ", "missing before", "missing now")
    for row in result.rows[:25]:
        style = "bold red" if row.psi > max(0.2, row.psi_by_chance) else ""
        figures = (row.psi, row.psi_by_chance, row.distance, row.shift)
        shares = (row.missing_before, row.missing_now)
        table.add_row(row.feature, *(f"{v:.3f}" for v in figures), *(f"{v:.1%}" for v in shares), style=style)
    note = "shown items of served slates against the impressions of the validation range; red: psi above 0.2 and chance"
    return Group(Text(f"release {result.release}, {result.decisions} decisions; {note}"), table)


@render.register
def _(result: LogView) -> RenderableType:
    counts = grid("stream", "events")
    for stream, n in result.streams.items():
        counts.add_row(stream, f"{n:,}")
    reasons = grid("quarantined because", "rows")
    for why, n in sorted(result.quarantined.items(), key=lambda item: -item[1]):
        reasons.add_row(why, f"{n:,}")
    tail = grid("offset", "stream", "at", "event")
    tail.columns[3].justify = tail.columns[1].justify = "left"
    for row in result.tail:
        rest = {k: v for k, v in row.items() if k not in ("offset", "stream", "at", "arrived") and v is not None}
        tail.add_row(
            str(row["offset"]), row["stream"], iso(row["at"]), Text(str(rest), overflow="ellipsis", no_wrap=True)
        )
    parts: list[RenderableType] = [Text(f"{result.events:,} events"), counts]
    return Group(*parts, *([reasons] if result.quarantined else [Text("nothing in quarantine")]), tail)


@singledispatch
def in_short(result: Any) -> str:
    """One line for a step of `sixfold run`; the report at its end says the rest."""
    return str(result)


@in_short.register
def _(result: Ingested) -> str:
    how = "were there already" if result.resumed else f"in {result.seconds:.1f} s"
    return f"{result.accepted:,} events of {result.source} {how}; {result.quarantined:,} rows in quarantine"


@in_short.register
def _(result: Trained) -> str:
    if result.reused:
        return "nothing has changed since the last training: its models stand"
    models = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in result.seconds.items())
    return f"{sum(result.impressions.values()):,} impressions; {models}"


@in_short.register
def _(result: Evaluated) -> str:
    failed = [gate.why for gate in result.gates if not gate.passed]
    return " ".join(failed) or f"all {len(result.gates)} gates passed, in {result.seconds:.0f} s"


@in_short.register
def _(result: Released) -> str:
    verb = {"unchanged": "serves already", "promote": "serves now", "rollback": "serves again"}[result.action]
    return f"release {result.release} {verb}"


@in_short.register
def _(result: LiveResult) -> str:
    return (
        f"{result.decisions} live decisions, {result.failed} failed, {result.events:,} events back; "
        f"p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms at {result.concurrency} at a time"
    )
