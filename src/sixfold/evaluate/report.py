"""The report of one evaluation as plain frozen data; `html_report` and `console_report` show it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from sixfold._core.table import Array
from sixfold.evaluate.bootstrap import Estimate
from sixfold.evaluate.calibration import CalibrationCurve
from sixfold.evaluate.gates import Verdict, passed
from sixfold.evaluate.slices import Slice

__all__ = [
    "Command",
    "Comparison",
    "Day",
    "Entry",
    "FeatureRow",
    "Headline",
    "Report",
    "Scores",
    "SplitRange",
    "StageLatency",
    "StreamCount",
    "direction",
    "figure",
    "score_histogram",
    "to_json",
]

_MERIT: Mapping[str, Callable[[float], float]] = {
    "higher": lambda value: value,
    "lower": lambda value: -value,
    "near 1": lambda value: -abs(value - 1),
    "near 0.8": lambda value: -abs(value - 0.8),
}
"""How good a value is, by the direction of its metric."""


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure that a reader should take away, with what it is beside."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class StreamCount:
    """What became of the events of one stream; `first` and `last` are ISO times."""

    stream: str
    events: int
    quarantined: int = 0
    duplicates: int = 0
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class SplitRange:
    """One range of the time split."""

    name: str
    start: str
    stop: str
    impressions: int
    users: int


@dataclass(frozen=True, slots=True)
class Day:
    """Impressions of one local day, and the range of the split it belongs to ("" for none)."""

    day: str
    impressions: int
    part: str = ""


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One feature: what it is in words, and the share of training rows in which it is missing."""

    name: str
    what: str
    missing: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of a comparison; `ours` marks what would be released, the others stand beside it."""

    name: str
    metrics: Mapping[str, Estimate]
    ours: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Models and baselines on the same rows; `note` states the protocol (seen items in or out, which days).

    `pictured` names the metrics that are drawn, at most four; all of `entries` are in the table.
    """

    title: str
    note: str
    entries: tuple[Entry, ...]
    pictured: tuple[str, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics, in order of first appearance."""
        return tuple(dict.fromkeys(name for entry in self.entries for name in entry.metrics))

    def best(self, metric: str) -> float:
        """The best value of a metric over the entries, NaN if there is none."""
        values = [float(e.metrics[metric]) for e in self.entries if metric in e.metrics]
        values = [value for value in values if not math.isnan(value)]
        return max(values, key=_MERIT[direction(metric)], default=math.nan)


@dataclass(frozen=True, slots=True)
class Scores:
    """A histogram of a head's predictions: bin edges, and rows per bin for each outcome."""

    edges: tuple[float, ...]
    rows: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class StageLatency:
    """How long one stage of a decision takes, in milliseconds."""

    stage: str
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Command:
    """Something to try next."""

    command: str
    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one evaluation says. Empty parts are left out of the page.

    `problem` maps terms such as "Objective" to sentences; `quarantine` holds (stream, reason, rows); `recall` maps a
    method to its (k, recall@k) points, `primary_method` being ours; `facts` are what is needed to repeat the run.
    """

    system: str
    goal: str
    created: str
    problem: Mapping[str, str] = field(default_factory=dict)
    headlines: tuple[Headline, ...] = ()
    streams: tuple[StreamCount, ...] = ()
    quarantine: tuple[tuple[str, str, int], ...] = ()
    split: tuple[SplitRange, ...] = ()
    days: tuple[Day, ...] = ()
    features: tuple[FeatureRow, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    recall: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    primary_method: str = ""
    calibration: Mapping[str, CalibrationCurve] = field(default_factory=dict)
    scores: Mapping[str, Scores] = field(default_factory=dict)
    slices: tuple[Slice, ...] = ()
    slices_note: str = ""
    gates: tuple[Verdict, ...] = ()
    latency: tuple[StageLatency, ...] = ()
    next: tuple[Command, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every gate passed; a report without gates has not passed."""
        return bool(self.gates) and passed(self.gates)

    @property
    def verdict(self) -> str:
        """The outcome in a few words."""
        if not self.gates:
            return "not gated"
        failed = sum(not gate.passed for gate in self.gates)
        return (
            f"refused: {failed} of {len(self.gates)} gates failed" if failed else f"passed all {len(self.gates)} gates"
        )


def direction(metric: str) -> str:
    """Which way a metric is better, by its name: "higher", "lower", "near 1", or "near 0.8" for 80 % intervals.

    >>> direction("recall@100"), direction("ne"), direction("mean ratio")
    ('higher', 'lower', 'near 1')
    >>> direction("coverage"), direction("coverage@100")  # of intervals, and of the catalogue
    ('near 0.8', 'higher')
    """
    name = metric.split("@", maxsplit=1)[0].strip().lower().replace("_", " ")
    if name in ("mean ratio", "ratio", "spent"):
        return "near 1"
    if name == "coverage" and "@" not in metric:
        return "near 0.8"
    lower = (
        "wmape",
        "mape",
        "mase",
        "pinball",
        "width",
        "ece",
        "ne",
        "log loss",
        "mae",
        "rmse",
        "normalised entropy",
        "expected calibration error",
        "off plan",
        "cost per day",
    )
    return "lower" if name in lower else "higher"


def figure(value: float) -> str:
    """A number as a person reads it: four decimals below 10, fewer above, a dash if there is none.

    >>> figure(0.75861), figure(17.3912), figure(12345.0), figure(float("nan"))
    ('0.7586', '17.39', '12,345', '–')
    """
    if math.isnan(value):
        return "–"
    size = abs(value)
    return f"{value:.4f}" if size < 10 else f"{value:.2f}" if size < 1000 else f"{value:,.0f}"


def score_histogram(scores: Array, outcomes: Array | None = None, *, bins: int = 40) -> Scores:
    """The histogram of predictions (n_rows,), apart for rows with and without the outcome where labels are given.

    Bins are evenly spaced from 0 (or the least) to the 99.5th percentile; what lies above is left out.
    """
    low, high = min(0.0, float(scores.min(initial=0.0))), float(np.quantile(scores, 0.995)) if len(scores) else 1.0
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    parts = (
        {"all": scores}
        if outcomes is None
        else {"it happened": scores[outcomes > 0], "it did not": scores[outcomes <= 0]}
    )
    rows = {name: tuple(np.histogram(part, edges)[0].tolist()) for name, part in parts.items()}
    return Scores(tuple(edges.tolist()), rows)


def to_json(report: Report) -> str:
    """The report as indented JSON; what is not a number is null."""
    values = {"passed": report.passed, "verdict": report.verdict, **msgspec.to_builtins(report)}
    return msgspec.json.format(msgspec.json.encode(values), indent=2).decode()
