"""The report as tables for a terminal: the same figures as the page, without the pictures."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sixfold.evaluate.bootstrap import Estimate
from sixfold.evaluate.report import Comparison, Report, direction, figure

__all__ = ["render_console"]

_ARROWS = {"higher": "↑", "lower": "↓", "near 1": "→1", "near 0.8": "→0.8"}


def render_console(report: Report) -> RenderableType:
    """What to print; parts of the report that are empty are left out. Values are shown as they are, never as markup."""
    return Group(*_parts(report))


def _parts(report: Report) -> Iterator[RenderableType]:
    color = "green" if report.passed else "red" if report.gates else "yellow"
    head = Text.assemble((report.goal, ""), "\n", (report.verdict, f"bold {color}"))
    yield Panel(head, title=Text(report.system, "bold"), title_align="left", border_style=color, box=box.ROUNDED)
    if report.headlines:
        yield _headlines(report)
    if report.problem:
        yield _table("The problem", "", "", rows=list(report.problem.items()), header=False)
    if report.streams:
        counts = [(s.stream, f"{s.events:,}", f"{s.quarantined:,}", f"{s.duplicates:,}") for s in report.streams]
        yield _table("The data", "stream", "events", "quarantined", "duplicates", rows=counts)
    if report.quarantine:
        reasons = [(f"{stream}: {reason}", f"{rows:,}") for stream, reason, rows in report.quarantine]
        yield _table("Why rows are in quarantine", "reason", "rows", rows=reasons)
    if report.split:
        ranges = [(r.name, r.start, r.stop, f"{r.impressions:,}", f"{r.users:,}") for r in report.split]
        yield _table("Split in time", "range", "from", "until", "impressions", "users", rows=ranges)
    yield from (_comparison(comparison) for comparison in report.comparisons)
    if report.slices:
        yield _slices(report)
    if report.gates:
        yield _gates(report)
    if report.latency:
        times = [(s.stage, f"{s.p50_ms:.2f}", f"{s.p95_ms:.2f}", f"{s.p99_ms:.2f}") for s in report.latency]
        yield _table("Latency in milliseconds", "stage", "p50", "p95", "p99", rows=times)
    if report.next:
        yield Text("\nWhat to try next", "bold")
        for command in report.next:
            yield Text.assemble("  ", (command.command, "cyan"), ("  " + command.what, "dim"))


def _table(title: str, *columns: str, rows: Sequence[tuple[str, ...]], header: bool = True) -> Table:
    """A table whose first column is text; others that hold figures are set to the right."""
    table = _empty(title, header=header)
    for i, name in enumerate(columns):
        numbers = i > 0 and all(row[i][:1].isdigit() and "T" not in row[i] for row in rows) and header
        table.add_column(Text(name), justify="right" if numbers else "left", no_wrap=numbers)
    for row in rows:
        table.add_row(*(Text(value, "dim" if i == 0 and not header else "") for i, value in enumerate(row)))
    return table


def _empty(title: str, *, header: bool = True) -> Table:
    return Table(
        title=Text("\n" + title, "bold"), title_justify="left", box=box.SIMPLE_HEAD, show_header=header, pad_edge=False
    )


def _headlines(report: Report) -> Table:
    grid = Table.grid(padding=(0, 4), expand=False)
    for part in ("label", "value", "note"):
        style = {"label": "dim", "value": "bold cyan", "note": "dim"}[part]
        grid.add_row(*(Text(getattr(headline, part), style) for headline in report.headlines))
    return grid


def _comparison(comparison: Comparison) -> Table:
    table = _empty(comparison.title)
    table.caption, table.caption_justify = Text(comparison.note, "dim"), "left"
    table.add_column("model")
    for metric in comparison.metrics:
        table.add_column(Text(f"{metric} {_ARROWS[direction(metric)]}"), justify="right")
    for entry in comparison.entries:
        cells = [_cell(entry.metrics.get(metric), comparison.best(metric)) for metric in comparison.metrics]
        table.add_row(Text(entry.name, "bold cyan" if entry.ours else ""), *cells)
    return table


def _slices(report: Report) -> Table:
    names = tuple(dict.fromkeys(name for part in report.slices for name in part.metrics))
    table = _empty("Slices" + (f": {report.slices_note}" if report.slices_note else ""))
    table.add_column("slice")
    for name in ("rows", "users", *(f"{metric} {_ARROWS[direction(metric)]}" for metric in names)):
        table.add_column(Text(name), justify="right")
    for part in report.slices:
        cells = [_cell(part.metrics.get(name)) for name in names]
        table.add_row(Text(part.name), f"{part.n_rows:,}", f"{part.n_users:,}", *cells)
    return table


def _gates(report: Report) -> Table:
    table = _empty("The gates", header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for gate in report.gates:
        mark = Text("✓ passed", "green") if gate.passed else Text("✕ failed", "bold red")
        table.add_row(mark, Text(gate.why))
    return table


def _cell(estimate: Estimate | None, best: float | None = None) -> Text:
    """The figure with half the width of its interval, as figure ± half; the best of a column is bold."""
    if estimate is None:
        return Text("–")
    text = Text(figure(estimate.value), "bold" if estimate.value == best else "")
    half = (estimate.high - estimate.low) / 2
    return text.append(f" ±{figure(half)}", "dim not bold") if half > 0 else text
