"""The pictures of a report, as SVG that takes its colours and type from the page around it.

Every function returns one `<svg>` element without outside references. Colours are drawn as fixed values and then
replaced by style variables, so that one picture serves light and dark pages; text stays text.
"""

import io
import re
from collections.abc import Mapping, Sequence
from itertools import cycle, product
from typing import Any

import numpy as np

from sixfold._core.hashing import fingerprint
from sixfold.evaluate.bootstrap import Estimate
from sixfold.evaluate.calibration import CalibrationCurve

__all__ = ["calibration_panels", "curves", "daily_bars", "interval_panels", "latency_bars", "score_panels"]

INK, MUTED, RULE, ACCENT, SECOND, THIRD, QUIET = (
    "#1c1e26", "#5d6470", "#d9dce1", "#2f5bd0", "#0b7a75", "#a8620b", "#b7bdc8",
)  # fmt: skip
_VARIABLES = {
    INK: "--ink", MUTED: "--muted", RULE: "--rule", ACCENT: "--accent", SECOND: "--second", THIRD: "--third",
    QUIET: "--quiet",
}  # fmt: skip
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sixfold",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
}


def interval_panels(rows: Sequence[tuple[str, bool, Mapping[str, Estimate]]], metrics: Sequence[str]) -> str:
    """One panel per metric: a dot and its interval for each (name, is it ours, figures), the first row on top."""
    names = [name for name, _, _ in rows]

    def draw(axes: Any) -> None:
        for ax, metric in zip(axes, metrics, strict=True):
            for i, (_, ours, figures) in enumerate(rows):
                estimate = figures.get(metric)
                if estimate is None or np.isnan(estimate.value):
                    continue
                color = ACCENT if ours else MUTED
                ax.plot([estimate.low, estimate.high], [i, i], color=color, linewidth=3 if ours else 2, alpha=0.45)
                ax.plot(estimate.value, i, "o", color=color, markersize=6.5 if ours else 5)
            ax.set_title(metric)
            ax.set_ylim(len(rows) - 0.4, -0.6)
            ax.set_yticks(range(len(rows)), names)
            ax.grid(axis="x")
            ax.locator_params(axis="x", nbins=4)
            ax.spines["left"].set_visible(False)
            ax.tick_params(axis="y", length=0, labelcolor=INK)

    return _svg(draw, panels=len(metrics), size=(8.6, 0.75 + 0.27 * len(rows)), sharey=True)


def calibration_panels(heads: Mapping[str, CalibrationCurve]) -> str:
    """Observed against predicted share for each head, with intervals; the diagonal is perfect."""

    def draw(axes: Any) -> None:
        for ax, (name, curve) in zip(axes, heads.items(), strict=True):
            top = 1.04 * max([*curve.predicted, *curve.high, 1e-3])
            ax.plot([0, top], [0, top], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
            ax.vlines(curve.predicted, curve.low, curve.high, color=ACCENT, linewidth=2, alpha=0.45)
            ax.plot(curve.predicted, curve.observed, "o", color=ACCENT, markersize=4.5)
            ax.set(xlim=(0, top), ylim=(0, top), xlabel="predicted", box_aspect=1)
            ax.set_title(name)
            ax.grid()
            ax.locator_params(nbins=5)
        axes[0].set_ylabel("observed")

    return _svg(draw, panels=len(heads), size=(8.6, 3.0))


def score_panels(heads: Mapping[str, tuple[Sequence[float], Mapping[str, Sequence[int]]]]) -> str:
    """For each head the (bin edges, rows per bin by outcome) of its scores.

    The first outcome is drawn in the accent colour, the second in the third colour; each has area 1.
    """

    def draw(axes: Any) -> None:
        for ax, (name, (edges, outcomes)) in zip(axes, heads.items(), strict=True):
            width = np.diff(edges)
            for color, counts in zip((ACCENT, THIRD), outcomes.values(), strict=False):
                density = np.array(counts) / max(sum(counts), 1) / width
                ax.stairs(density, edges, color=color, fill=True, alpha=0.18)
                ax.stairs(density, edges, color=color, linewidth=1.4)
            ax.set_title(name)
            ax.set_xlabel("score")
            ax.set_yticks([])
            ax.spines["left"].set_visible(False)
            ax.set_ylim(bottom=0)
            ax.locator_params(axis="x", nbins=5)

    return _svg(draw, panels=len(heads), size=(8.6, 2.3))


def curves(lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, ours: str, x: str, y: str) -> str:
    """One line (xs, ys) per name on a logarithmic x axis, named where it ends; `ours` stands out."""

    def draw(axes: Any) -> None:
        (ax,) = axes
        others = cycle(product(("-", (0, (4, 2)), (0, (1, 1.5))), (SECOND, THIRD, MUTED)))
        ends = []
        for name, (xs, ys) in lines.items():
            style, color = ("-", ACCENT) if name == ours else next(others)
            width = 2.6 if name == ours else 1.5
            ax.plot(xs, ys, color=color, linewidth=width, linestyle=style, marker="o", markersize=3)
            ends.append((name, xs[-1], ys[-1], color))
        low, high = ax.get_ylim()
        for (name, at, _, color), place in zip(
            ends, _apart([end[2] for end in ends], (high - low) * 0.07), strict=True
        ):
            weight = "bold" if name == ours else "normal"
            ax.annotate(
                name, (at, place), xytext=(9, 0), textcoords="offset points", va="center", color=color, weight=weight,
                fontsize=8.5, annotation_clip=False,
            )  # fmt: skip
        ticks = sorted({float(v) for xs, _ in lines.values() for v in xs})
        ax.set_xscale("log")
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.set(xlabel=x, ylabel=y)
        ax.grid()

    return _svg(draw, panels=1, size=(8.6, 3.2))


def daily_bars(days: Sequence[tuple[str, int, str]]) -> str:
    """Impressions per day as (day, rows, range of the split), the ranges in different colours."""

    def draw(axes: Any) -> None:
        (ax,) = axes
        ranges = list(dict.fromkeys(part for _, _, part in days))
        for part, color in zip(ranges, _shades(ranges), strict=True):
            at = [i for i, day in enumerate(days) if day[2] == part]
            ax.bar(at, [days[i][1] for i in at], width=0.82, color=color, alpha=0.8, label=part or "not used")
        step = max(1, -(-len(days) // 10))
        ax.set_xticks(range(0, len(days), step), [days[i][0] for i in range(0, len(days), step)])
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        ax.locator_params(axis="y", nbins=4)
        ax.grid(axis="y")
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.set_ylabel("impressions")
        ax.legend(
            frameon=False,
            ncols=4,
            loc="lower right",
            bbox_to_anchor=(1, 1),
            labelcolor=MUTED,
            handlelength=1,
            fontsize=8,
        )

    return _svg(draw, panels=1, size=(8.6, 2.3))


def latency_bars(stages: Sequence[tuple[str, float, float]]) -> str:
    """A bar to the median and a line to the 99th percentile for each (stage, p50 ms, p99 ms)."""

    def draw(axes: Any) -> None:
        (ax,) = axes
        at = np.arange(len(stages))
        p50, p99 = (np.array([row[i] for row in stages]) for i in (1, 2))
        ax.barh(at, p50, height=0.55, color=ACCENT, label="median")
        ax.hlines(at, p50, p99, color=ACCENT, linewidth=1.6, alpha=0.5)
        ax.plot(p99, at, "|", color=ACCENT, markersize=10, markeredgewidth=1.8, label="99th percentile")
        ax.set_yticks(at, [row[0] for row in stages])
        ax.set_ylim(len(stages) - 0.4, -0.6)
        ax.set_xlim(left=0)
        ax.set_xlabel("milliseconds")
        ax.grid(axis="x")
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0, labelcolor=INK)
        ax.legend(frameon=False, loc="best", labelcolor=MUTED, fontsize=8)

    return _svg(draw, panels=1, size=(8.6, 0.8 + 0.28 * len(stages)))


def _shades(ranges: Sequence[str]) -> list[str]:
    known = {"train": QUIET, "validate": THIRD, "test": ACCENT}
    return [known.get(part, RULE) for part in ranges]


def _apart(values: Sequence[float], gap: float) -> list[float]:
    """The values moved so that labels are `gap` apart: swept upwards, then all moved back by half of what that took."""
    out, last = np.array(values, float), -np.inf
    for i in np.argsort(out, kind="stable"):
        last = out[i] = max(out[i], last + gap)
    moved = out - np.array(values)
    return [float(v) for v in out - moved.max(initial=0.0) / 2]


def _svg(draw: Any, *, panels: int, size: tuple[float, float], sharey: bool = False) -> str:
    """Draw on `panels` axes, at most 4 a row of (width, height) inches, and give the picture as an element."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = panels if sharey or panels == 1 else min(max(panels, 3), 4)
    rows = -(-panels // columns)
    with mpl.rc_context(_STYLE):
        layout = ConstrainedLayoutEngine(wspace=0.06, hspace=0.06)
        figure = Figure(figsize=(size[0], size[1] * rows), layout=layout, facecolor="none")
        axes = figure.subplots(rows, columns, sharey=sharey, squeeze=False).ravel()
        for ax in axes:
            ax.set_facecolor("none")
        draw(axes[:panels])
        for ax in axes[panels:]:
            ax.set_axis_off()
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _themed(buffer.getvalue())


def _themed(text: str) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"font: (?:\w+ )*?([\d.]+px)[^;\"]*", r"font: \1 var(--sans)", text)
    for color, variable in _VARIABLES.items():
        text = text.replace(color, f"var({variable})")
    # ids of separate pictures meet on one page: name each after its picture
    mark = f"p{fingerprint(text)[:8]}"
    text = re.sub(r'\bid="([^"]+)"', rf'id="{mark}-\1"', text)
    return re.sub(r'(url\(|href=")#([^")]+)', rf"\1#{mark}-\2", text)
