"""Features, lineage and training sets as a person reads them on a terminal."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from sixfold._core.times import SECOND, format_duration, iso
from sixfold.features.explain import Explained
from sixfold.features.lineage import Lineage
from sixfold.run.features import Explanation, Listed, Written
from sixfold.run.forms import grid, render
from sixfold.run.lineage import Compared, Traced

__all__: list[str] = []


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
    if one.answered:
        parts.append(
            {"unknown": "declared for a key never seen", "stale": "declared for a stream too old"}[one.answered]
        )
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
