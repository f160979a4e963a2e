"""The oracle: what a feature's value *is*, as a naive loop. Every fast path is compared with it, to the bit.

The value at (t, o) is agg{ e : offset(e) < o and tile(at(e)) >= tile(t - W) }. Slow on purpose: use it on small data.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.data.events import Events, Field, field_values
from sixfold.data.expr import Expr, evaluate
from sixfold.features.definitions import Age, Aggregate, Computed, Feature, Key, Recent, Request
from sixfold.features.featureset import FeatureSet
from sixfold.features.windows import hop_of
from sixfold.frame import Entity

__all__ = ["oracle"]

Row = dict[str, Any]


def oracle(features: FeatureSet, history: Mapping[str, Table], spine: Table) -> Table:
    """The features of every row of the spine (entities, `at`, `offset`, request columns), one column each."""
    world = _World(history)
    rows = spine.rows()
    return Table({f.name: _column(f, [world.value(f, row) for row in rows]) for f in features}, n_rows=len(rows))


class _World:
    def __init__(self, history: Mapping[str, Table]) -> None:
        self.history = history
        self.seen: dict[tuple[str, str], list[tuple[Any, Row]]] = {}

    def value(self, feature: Feature, row: Row) -> Any:
        match feature:
            case Request(name=name):
                return row.get(name)
            case Computed(expr=expr):
                return evaluate(expr, lambda leaf: _column(leaf, [self.value(leaf, row)]), 1)[0]  # type: ignore[arg-type]
            case Aggregate():
                return _aggregate(
                    feature, self.visible(feature.stream, feature.by, row, feature.where, feature.value), row
                )
            case Recent(n=n, single=single):
                newest = self.newest(feature.stream, feature.by, row, feature.where)[-n:]
                values = [event[feature.value.name] for event in newest]
                return (values or [None])[0] if single else values
            case Age():
                newest = self.newest(feature.stream, feature.by, row)
                return float(row["at"] - newest[-1]["at"]) / 1e6 if newest else None
        raise AssertionError(feature)

    def visible(
        self, stream: Events, by: tuple[Key, ...], row: Row, where: Expr | None, value: Expr | None
    ) -> list[Row]:
        """The events of the row's key with a smaller offset that satisfy `where`, each with its `value`."""
        key = self.key(by, row)
        spec = (stream.name, str([part if isinstance(part, Entity) else part.spec() for part in by]))
        if spec not in self.seen:
            events = self.history[stream.name].rows() if stream.name in self.history else []
            self.seen[spec] = [(self.key(by, event), event) for event in events]
        holds = self.values(stream, where)
        values = self.values(stream, value)
        return [
            {**event, "value": values[i]}
            for i, (its_key, event) in enumerate(self.seen[spec])
            if key is not None and its_key == key and event["offset"] < row["offset"] and holds[i]
        ]

    def values(self, stream: Events, expr: Expr | None) -> list[Any]:
        table = self.history.get(stream.name, Table({}))
        return [True] * len(table) if expr is None else field_values(expr, table).tolist() if table else []

    def newest(self, stream: Events, by: tuple[Key, ...], row: Row, where: Expr | None = None) -> list[Row]:
        events = self.visible(stream, by, row, where, None)
        return sorted(events, key=lambda event: (event["at"], event["offset"]))

    def key(self, by: tuple[Key, ...], row: Row) -> tuple[Any, ...] | None:
        """The row's key; None if a part is not known. An attribute is the newest one before the row's own offset."""
        parts = []
        for part in by:
            if isinstance(part, Entity):
                value = row[part.name]
            else:
                stated = self.newest(part.events, part.events.keys, row)
                value = stated[-1][part.name] if stated else None
            if _missing(value):
                return None
            parts.append(value)
        return tuple(parts)


def _aggregate(feature: Aggregate, events: list[Row], row: Row) -> Any:
    if feature.window is not None and (hop := hop_of(feature.window)) is not None:
        events = [event for event in events if event["at"] // hop >= (row["at"] - feature.window) // hop]
    values = [event["value"] for event in events if not _missing(event["value"])]
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


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _sum(values: list[Any], divisor: int = 1) -> float:
    """Exact, in 64-bit fixed point that wraps: whole numbers as they are, floats to 2**-20, clipped to +-2**31."""
    fraction = any(isinstance(value, float) for value in values)
    limit = 2.0**31
    parts = [round(max(-limit, min(limit, value)) * 2**20) if fraction else int(value) for value in values]
    total = (sum(parts) + 2**63) % 2**64 - 2**63
    return float(total) / divisor / (2**20 if fraction else 1)


def _column(feature: Feature, values: list[Any]) -> Array:
    """The values with their type and their missing value: NaN, None, or -1 in sequences of whole numbers."""
    kind: type = float
    if isinstance(feature, Request):
        kind = str if feature.kind is str else float
    elif isinstance(feature, Recent):
        kind = feature.value.kind if isinstance(feature.value, Field) else feature.value.key
    dtype, missing = {str: (object, None), float: (np.float64, np.nan)}.get(kind, (np.int64, -1))
    if isinstance(feature, Recent) and not feature.single:
        out = np.full((len(values), feature.n), missing, dtype)
        for line, sequence in zip(out, values, strict=True):
            line[feature.n - len(sequence) :] = sequence
        return out
    if dtype is np.int64:
        dtype, missing = np.float64, np.nan
    return np.array([missing if value is None else value for value in values], dtype)
