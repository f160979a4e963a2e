"""The oracle's aggregations: each kind as a sentence over the list of the events in the window."""

import math
from collections import Counter
from typing import Any

from sixfold.features.definitions import Aggregate
from sixfold.features.windows import HALF_LIVES

__all__ = ["aggregate", "missing"]

Row = dict[str, Any]


def aggregate(feature: Aggregate, events: list[Row], at: int) -> Any:
    """The value over the events of the key that satisfy `where`, as of the instant `at`; None if it is missing."""
    if feature.decays:
        return _decayed(feature, [event for event in events if not missing(event["value"])], at)
    [cut] = feature.cuts
    if cut.hop is not None:
        events = [event for event in events if event["at"] // cut.hop >= (at - cut.back) // cut.hop]
    values = [event["value"] for event in events if not missing(event["value"])]
    a, b = feature.prior
    match feature.kind:
        case "count":
            return float(len(events))
        case "rate":
            return (sum(values) + a) / (len(values) + b) if len(values) + b != 0 else None
        case "sum":
            return _sum(values)
        case "mean":
            return _sum(values, len(values)) if values else None
        case "min":
            return float(min(values)) + 0.0 if values else None
        case "max":
            return float(max(values)) + 0.0 if values else None
        case "var":
            return _variance(values) if values else None
        case "std":
            return math.sqrt(_variance(values)) if values else None
        case "histogram":
            return [float(sum(value == category for value in values)) for category in feature.options]
        case "distinct":
            return float(len(counted(values)))
        case "top_k":
            return [value for value, _ in counted(values)[: feature.options[0]]]
        case "quantile":
            ranked = sorted(map(_coarse, values))
            return ranked[max(1, math.ceil(feature.options[0] * len(ranked))) - 1] if ranked else None
    raise AssertionError(feature.kind)


def missing(value: Any) -> bool:
    """Whether there is no value: None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _fixed(value: float) -> int:
    """A float in fixed point: to 2**-20, half to even, clipped to +-2**31."""
    return round(max(-(2.0**31), min(2.0**31, value)) * 2**20)


def _sum(values: list[Any], divisor: int = 1) -> float:
    """Exact, in 64-bit fixed point that wraps: whole numbers as they are."""
    fraction = any(isinstance(value, float) for value in values)
    total = sum(_fixed(value) if fraction else int(value) for value in values)
    total = (total + 2**63) % 2**64 - 2**63
    return float(total) / divisor / (2**20 if fraction else 1)


def _variance(values: list[Any]) -> float:
    """Of the values in fixed point, or of whole numbers clipped to +-2**51; rounded once."""
    fraction = any(isinstance(value, float) for value in values)
    whole = [_fixed(value) if fraction else max(-(2**51), min(2**51, int(value))) for value in values]
    n, total = len(whole), sum(whole)
    return (n * sum(x * x for x in whole) - total * total) / n**2 / (2.0**40 if fraction else 1)


def _decayed(feature: Aggregate, events: list[Row], at: int) -> Any:
    """The tiles of a half-life each, the oldest first, each counting half as much as the next; later is now."""
    half_life = feature.window or 0
    now = at // half_life
    sums, weights = 0.0, 0.0
    for tile in range(now - HALF_LIVES + 1, now + 1):
        mine = [event for event in events if min(event["at"] // half_life, now) == tile]
        parts = [_growth(event["at"], half_life) for event in mine]
        ones = [max(-(2.0**31), min(2.0**31, float(event["value"]))) for event in mine]
        sums = sums / 2 + sum(round(one * part * 2**20) for one, part in zip(ones, parts, strict=True))
        weights = weights / 2 + sum(round(part * 2**20) for part in parts)
    if feature.kind == "decayed_mean":
        return sums / weights if weights else None
    return (sums if feature.kind == "decayed_sum" else weights) / 2**20 / _growth(at, half_life)


def _growth(at: int, half_life: int) -> float:
    """2 to the power of how far `at` is into its tile, of which 20 bits count: the roots of 2 named by them."""
    bits = f"{int(at % half_life / half_life * 2**20):020b}"
    halves, root = [1.0, 1.0], 2.0
    for place, bit in enumerate(bits):
        root = math.sqrt(root)
        if bit == "1":
            halves[place // 10] *= root
    return halves[0] * halves[1]


def _coarse(value: float) -> float:
    """To 8 significant bits, half away from zero."""
    part, power = math.frexp(abs(value))
    if math.isinf(value):
        return value
    size = math.ldexp(math.floor(part * 256 + 0.5), power - 8) if abs(value) >= 2.0**-1022 else 0.0
    return math.copysign(size, value) + 0.0


def counted(values: list[Any]) -> list[tuple[Any, int]]:
    """How often each value occurs: the most frequent first, of equally frequent ones the least."""
    values = [value + 0.0 if isinstance(value, float) else value for value in values]
    return sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
