"""Results as a person reads them on a terminal."""

from collections import Counter
from collections.abc import Iterator
from functools import singledispatch
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from sixfold._core.times import SECOND, format_duration, iso
from sixfold.features.audit import AuditReport
from sixfold.features.explain import Explained
from sixfold.features.lineage import Lineage
from sixfold.run.evaluate import Evaluated
from sixfold.run.features import Explanation, Listed, Written
from sixfold.run.ingest import Ingested
from sixfold.run.inspect import Answered, LogView, Monitored, Replayed
from sixfold.run.lineage import Compared, Traced
from sixfold.run.live import LiveResult
from sixfold.run.release import Released
from sixfold.run.train import Trained
from sixfold.system import System

__all__ = ["in_short", "render"]


def grid(*columns: str, title: str = "") -> Grid:
    """A table whose first column is text and whose others are figures."""
    table = Grid(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, name in enumerate(columns):
        table.add_column(
            name, justify="left" if i == 0 else "right", header_style="dim", overflow="fold", no_wrap=i == 0
        )
    return table


@singledispatch
def render(result: Any) -> RenderableType:
    """What to print for a result; plain text for kinds that have no form of their own."""
    return Text(str(result))


@render.register
def _(system: System) -> RenderableType:
    problem = system.problem
    lines = grid("contract", "")
    lines.columns[1].justify = "left"
    for name, text in _contract(system):
        lines.add_row(name, text)
    stages = " → ".join(
        [
            " + ".join(source.name for source in system.pipeline.sources),
            f"blend to {system.pipeline.blend.keep}",
            *(filter_.name for filter_ in system.pipeline.filters),
            system.ranker_name,
            f"top {system.pipeline.select.n}",
        ]
    )
    return Group(
        Text(f"{system.name}: {problem.goal}", style="bold"), lines, Text(stages), Text("no contradictions found")
    )


def _contract(system: System) -> Iterator[tuple[str, str]]:
    problem, plan = system.problem, system.plan
    yield "version", system.fingerprint
    yield "task", f"rank {problem.task.item.name} for each {problem.task.per.name}"
    yield "objective", " ".join(f"{w:+g} × {o.name}" for o, w in problem.objective.worth.items())
    for limit in problem.limits:
        low = "" if limit.at_least is None else f"≥ {limit.at_least:g} "
        high = "" if limit.at_most is None else f"≤ {limit.at_most:g}"
        yield f"limit {limit.metric}", low + high
    for label in system.labels:
        windows = f"within {label.within}, final after {format_duration(label.maturity)}"
        yield f"label {label.name}", f"of {label.outcome.name}, {windows}"
    for stream in system.streams:
        yield f"stream {stream.name}", ", ".join(stream.columns)
    yield "features", f"{len(system.features)} for the ranker, {len(system.online_features)} in the service"
    split = plan.split
    yield "split", f"train {split.train}, validate {split.validate}, test {split.test}, gap {split.gap}"
    yield "must beat", ", ".join(config.name for config in plan.beat[:1]) + f" on recall@{plan.k}"


@render.register
def _(result: Ingested) -> RenderableType:
    rate = f", {result.accepted / result.seconds:,.0f} events/s" if result.seconds > 0 else ""
    how = "in the log already" if result.resumed else f"read in {result.seconds:.1f} s{rate}"
    table = grid("stream", "events")
    for stream, n in result.by_stream.items():
        table.add_row(stream, f"{n:,}")
    parts: list[RenderableType] = [Text(f"{result.source}: {result.accepted:,} events {how}"), table]
    parts.append(Text(f"{result.duplicates:,} duplicates ignored, {result.quarantined:,} rows in quarantine"))
    if result.reasons:
        reasons = grid("quarantined because", "rows")
        for why, n in sorted(result.reasons.items(), key=lambda item: -item[1])[:8]:
            reasons.add_row(why, f"{n:,}")
        parts.append(reasons)
    return Group(*parts)


@render.register
def _(result: Listed) -> RenderableType:
    table = grid("feature", "kind", "key", "window", "from", "version")
    for title, lines in (("what the ranker reads", result.ranker), ("what other stages read", result.stages)):
        if lines:
            table.add_row(Text(title, style="bold"))
        for line in lines:
            table.add_row(*_listed(line))
    for made in table.columns:
        made.justify = "left"
    count = len(result.ranker) + len(result.stages)
    return Group(Text(f"{result.system}: {count} features, {result.fingerprint}"), table)


def _listed(line: Lineage) -> Iterator[str]:
    source = ", ".join(line.parts or line.fields or line.streams)
    yield from (line.name, line.kind, " × ".join(line.key), line.window, source or "the request", line.version)


@render.register
def _(result: Explanation) -> RenderableType:
    moment = dict(result.moment)
    at, offset = moment.pop("at"), moment.pop("offset")
    who = ", ".join(f"{name}={value}" for name, value in moment.items())
    table = grid("feature", "value", "from")
    table.columns[1].justify, table.columns[2].justify = "left", "left"
    for one in result.features:
        for line in _explained(one, ""):
            table.add_row(*line)
    return Group(Text(f"{who} at {iso(at)}, log prefix {offset}", style="bold"), table)


def _explained(one: Explained, indent: str) -> Iterator[tuple[RenderableType, ...]]:
    key = ", ".join(f"{name}={value}" for name, value in one.key.items())
    parts = [f"{one.stream} of {key}" if key else one.stream] if one.stream else []
    if one.window is not None and one.hop is not None:
        tiles = "tile" if len(one.tiles) == 1 else "tiles"
        parts.append(f"since {iso(one.window[0])}: {len(one.tiles)} {tiles} of {format_duration(one.hop)} with events")
    if one.stream:
        parts.append(
            f"{one.events:,} event{'' if one.events == 1 else 's'}" + (f", {one.late:,} late" * bool(one.late))
        )
    yield Text(indent + one.name, style="bold" if not indent else ""), _short(one.value), "; ".join(parts) or one.kind
    for event in one.newest[:3]:
        text = f"#{event.offset} at {iso(event.at // SECOND * SECOND)}, known {event.late_s:,.3f} s later"
        style = "dim red" if event.late else "dim"
        yield "", Text(f"+ {_short(event.value)}", style=style), Text(text + ": late" * event.late, style=style)
    for part in one.parts:
        yield from _explained(part, indent + "  ")


def _short(value: Any) -> str:
    if isinstance(value, list):
        known = [item for item in value if item not in (None, -1)]
        return f"[{len(known)}] … " + ", ".join(map(_short, known[-3:])) if known else "[0]"
    return "missing" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


@render.register
def _(result: Traced) -> RenderableType:
    table = grid("what", "version", "made of")
    table.columns[1].justify = table.columns[2].justify = "left"
    for node in result.nodes:
        if node.kind != "field" or result.about:
            table.add_row(node.id, node.version, _counted(node.needs) if not result.about else ", ".join(node.needs))
    if not result.about:
        return Group(Text(f"{result.system}: {len(table.rows)} definitions"), table)
    far = grid("made of, however far", "")
    far.columns[1].justify = "left"
    for title, ids in (("made of", result.upstream), ("feeds into", result.downstream)):
        for i, id_ in enumerate(ids or ("nothing",)):
            far.add_row(title if i == 0 else "", id_)
    far.show_header = False
    return Group(Text(f"{result.system}: {result.about}", style="bold"), table, far)


def _counted(ids: tuple[str, ...]) -> str:
    """Ids in short: names where they are few, else how many of each kind."""
    if len(ids) <= 3:
        return ", ".join(ids)
    kinds = Counter(id_.partition(" ")[0] for id_ in ids)
    return ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in kinds.items())


@render.register
def _(result: Compared) -> RenderableType:
    if not result.changed and not result.invalid:
        return Text(f"nothing changed from {result.before} to {result.after}")
    table = grid("definition", "", "before", "now")
    for change in result.changed:
        table.add_row(change.id, change.what, change.before or "–", change.after or "–")
    lost = grid("no longer valid", "because")
    lost.columns[1].justify = "left"
    for id_, why in result.invalid.items():
        lost.add_row(id_, why)
    return Group(Text(f"from {result.before} to {result.after}", style="bold"), table, lost)


@render.register
def _(result: Written) -> RenderableType:
    how = "was there already" if result.reused else f"written in {result.seconds:.1f} s"
    size = f"{result.rows:,} rows of {result.columns} columns"
    return Text(f"training set {result.fingerprint[:16]} in {result.folder}: {size}, {how}")


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
        why = ", ".join(f"{reason['source']} #{reason['rank'] + 1}" for reason in item["reasons"])
        value = "–" if item["value"] is None else f"{item['value']:.4f}"
        table.add_row(
            str(item["id"]), value, f"{item['propensity']:.3f}", why + (" (explored)" if item["explored"] else "")
        )
    rungs = f", rungs {', '.join(answer['rungs'])}" if answer["rungs"] else ""
    who = f"decision {answer['decision']} for {answer['subject']}"
    head = f"{who}, release {answer['release']}, log prefix {answer['as_of']}"
    tail = f"replay it: sixfold replay {answer['decision']}"
    return Group(Text(head + rungs), table, *([Text(answer["why"])] if answer["why"] else []), Text(tail))


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
