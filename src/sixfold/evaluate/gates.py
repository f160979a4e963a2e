"""Gates: whether what was measured lets a release ship. What nobody measured does not pass."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sixfold._core.times import format_duration
from sixfold.evaluate.bootstrap import Estimate
from sixfold.frame import Limit

__all__ = ["Verdict", "judge", "passed"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one gate: `measured` is None where nobody measured it; `why` is a sentence for a person."""

    name: str
    passed: bool
    measured: float | None
    bound: str
    why: str


def judge(
    measured: Mapping[str, Estimate | float],
    limits: Iterable[Limit],
    *,
    primary: str = "",
    beat: Mapping[str, Estimate | None] | None = None,
) -> tuple[Verdict, ...]:
    """One verdict per limit, then one per baseline that must be beaten.

    `measured` maps the names that limits use to figures; a limit is held against the measured value itself, not the
    interval. `beat` maps each baseline to the paired difference (release - baseline) in the metric `primary`, oriented
    so that more is better: the lower end of its interval must be above 0. None: it was not compared, and that fails.

    >>> verdicts = judge({"ece": 0.02}, [Limit("ece", at_most=0.01)])
    >>> print(verdicts[0].why)
    ece is 0.02, above the limit of 0.01.
    """
    verdicts = [_held(limit, measured.get(limit.metric)) for limit in limits]
    verdicts += [_beaten(name, difference, primary) for name, difference in (beat or {}).items()]
    return tuple(verdicts)


def passed(verdicts: Iterable[Verdict]) -> bool:
    """Whether every gate passed."""
    return all(verdict.passed for verdict in verdicts)


def _held(limit: Limit, measured: Estimate | float | None) -> Verdict:
    low, high = (None if bound is None else float(bound) for bound in (limit.at_least, limit.at_most))
    show = _shown(limit.metric)
    bound = " and ".join(f"{sign} {show(value)}" for sign, value in (("≥", low), ("≤", high)) if value is not None)
    if measured is None:
        why = f"{limit.metric} has a limit ({bound}) but nobody measured it: measure it, or take the limit away."
        return Verdict(limit.metric, False, None, bound, why)
    value = float(measured)
    interval = (
        f" (95 % interval {show(measured.low)} to {show(measured.high)})" if isinstance(measured, Estimate) else ""
    )
    if math.isnan(value):
        why = f"{limit.metric} could not be computed from these rows, so its limit ({bound}) is not known to hold."
    elif low is not None and value < low:
        why = f"{limit.metric} is {show(value)}{interval}, below the limit of {show(low)}."
    elif high is not None and value > high:
        why = f"{limit.metric} is {show(value)}{interval}, above the limit of {show(high)}."
    else:
        why = f"{limit.metric} is {show(value)}{interval}, within the limit ({bound})."
    return Verdict(limit.metric, not limit.broken_by(value), value, bound, why)


def _beaten(name: str, difference: Estimate | None, primary: str) -> Verdict:
    title, bound = f"beats {name}", f"Δ {primary} > 0".replace("  ", " ")
    if difference is None or math.isnan(difference.value):
        return Verdict(title, False, None, bound, f"{name} is a baseline to beat but was not compared on {primary}.")
    amount = f"{difference.value:+.4f} in {primary} [{difference.low:+.4f}, {difference.high:+.4f}]"
    if difference.above_zero:
        return Verdict(title, True, difference.value, bound, f"It beats {name} by {amount}.")
    if difference.high < 0:
        why = f"It is worse than {name}: {amount}."
    else:
        why = f"It does not surely beat {name}: the interval of {amount} does not stay above 0."
    return Verdict(title, False, difference.value, bound, why)


def _shown(metric: str) -> Callable[[float], str]:
    return _as_duration if metric == "freshness" or metric.endswith("_us") else _as_number


def _as_number(value: float) -> str:
    return f"{value:.4g}"


def _as_duration(value: float) -> str:
    return format_duration(round(value)) if math.isfinite(value) else str(value)
