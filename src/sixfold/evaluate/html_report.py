"""The report as one HTML page that needs nothing else: styles and pictures are inside, every value is escaped."""

from importlib.resources import files
from typing import Any

from sixfold.evaluate.report import Comparison, Report, direction, figure

__all__ = ["render_html"]

_TITLES = {
    "problem": "The problem",
    "data": "The data",
    "features": "The features",
    "models": "The models",
    "quality": "Calibration and slices",
    "gates": "The gates",
    "latency": "Latency",
    "next": "What to try next",
}


def render_html(report: Report) -> str:
    """The page; parts of the report that are empty are left out."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": figure, "direction": direction, "count": lambda n: f"{n:,}", "when": _when}
    template = environment.from_string(files("sixfold.evaluate").joinpath("report.html").read_text("utf-8"))
    present = {
        "data": report.streams or report.split or report.days,
        "models": report.comparisons,
        "quality": report.calibration or report.slices or report.scores,
    }
    sections = [(key, title) for key, title in _TITLES.items() if present.get(key, getattr(report, key, ()))]
    return template.render(
        report=report,
        sections=sections,
        numbers={key: i for i, (key, _) in enumerate(sections, 1)},
        pictures=_pictures(report),
        alts=_alternatives(report),
        slice_metrics=tuple(dict.fromkeys(name for part in report.slices for name in part.metrics)),
    )


def _when(iso: str) -> str:
    """An ISO time in UTC to the minute."""
    return iso.removesuffix("Z").replace("T", " ")[:16]


def _pictures(report: Report) -> dict[str, Any]:
    """The SVG of every picture that there is data for."""
    from markupsafe import Markup

    from sixfold.evaluate import plots

    drawn = dict.fromkeys(("days", "recall", "calibration", "scores", "latency"), "")
    if report.days:
        drawn["days"] = plots.daily_bars([(day.day, day.impressions, day.part) for day in report.days])
    for i, comparison in enumerate(report.comparisons):
        rows = [(entry.name, entry.ours, entry.metrics) for entry in comparison.entries]
        wanted = rows and comparison.pictured
        drawn[f"comparison {i}"] = plots.interval_panels(rows, comparison.pictured) if wanted else ""
    if report.recall:
        lines = {name: ([k for k, _ in line], [y for _, y in line]) for name, line in report.recall.items()}
        drawn["recall"] = plots.curves(lines, ours=report.primary_method, x="k, places in the list", y="recall@k")
    if known := {name: curve for name, curve in report.calibration.items() if curve.predicted}:
        drawn["calibration"] = plots.calibration_panels(known)
    if report.scores:
        drawn["scores"] = plots.score_panels({name: (s.edges, s.rows) for name, s in report.scores.items()})
    if report.latency:
        drawn["latency"] = plots.latency_bars([(s.stage, s.p50_ms, s.p99_ms) for s in report.latency])
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704  drawn here; matplotlib escapes all text


def _alternatives(report: Report) -> dict[str, str]:
    """What each picture shows, for those who cannot see it."""
    texts = {
        "days": "Bar chart of impressions per day: " + "; ".join(f"{d.day} {d.impressions:,}" for d in report.days),
        "recall": "Line chart of recall against the number of places: "
        + "; ".join(f"{name} {line[-1][1]:.3f} at {line[-1][0]}" for name, line in report.recall.items() if line),
        "calibration": "Calibration curves, predicted and observed share: "
        + "; ".join(
            f"{name} " + ", ".join(f"{p:.3f} {o:.3f}" for p, o in zip(c.predicted, c.observed, strict=True))
            for name, c in report.calibration.items()
        ),
        "scores": "Histograms of the predictions of " + ", ".join(report.scores),
        "latency": "Bar chart of latency: "
        + "; ".join(f"{s.stage} median {s.p50_ms:.2f}, 99th percentile {s.p99_ms:.2f} ms" for s in report.latency),
    }
    return texts | {f"comparison {i}": _alternative(c) for i, c in enumerate(report.comparisons)}


def _alternative(comparison: Comparison) -> str:
    rows = (
        f"{entry.name} "
        + ", ".join(f"{m} {figure(entry.metrics[m].value)}" for m in comparison.pictured if m in entry.metrics)
        for entry in comparison.entries
    )
    return f"Dots with intervals, {comparison.title}: " + "; ".join(rows)
