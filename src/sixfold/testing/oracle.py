"""The oracle: what a feature's value *is*, as a naive loop. Every fast path is compared with it, to the bit.

The value at (t, o) is agg{ e : offset(e) < o <= offset of e's retraction, if any, and tile(at(e)) >= tile(t - W) }.
Slow on purpose: use it on small data.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sixfold._core.table import Array, Table
from sixfold.data.events import Events, Field, field_values
from sixfold.data.expr import Expr, evaluate
from sixfold.data.retraction import RETRACTION
from sixfold.features.definitions import Age, Aggregate, Computed, Feature, Key, Recent, Request
from sixfold.features.featureset import FeatureSet
from sixfold.frame import Entity
from sixfold.testing.oracle_kinds import aggregate, missing

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
        self.computed: dict[str, list[Any]] = {}
        self.retractions = history[RETRACTION].rows() if RETRACTION in history else []

    def value(self, feature: Feature, row: Row) -> Any:
        match feature:
            case Request(name=name):
                return row.get(name)
            case Computed(expr=expr):
                return evaluate(expr, lambda leaf: _column(leaf, [self.value(leaf, row)]), 1)[0]  # type: ignore[arg-type]
            case Aggregate():
                events = self.visible(feature.stream, feature.by, row, feature.where, feature.value)
                return aggregate(feature, events, row["at"])
            case Recent(n=n, single=single, oldest=oldest):
                events = self.newest(feature.stream, feature.by, row, feature.where)
                values: list[Any] = [event[feature.value.name] for event in (events[:1] if oldest else events[-n:])]
                return (values or [None])[0] if single else values
            case Age(n=n, single=single):
                events = self.newest(feature.stream, feature.by, row, feature.where)[-n:]
                ages: list[Any] = [float(row["at"] - event["at"]) / 1e6 for event in events]
                return (ages or [None])[0] if single else ages
        raise AssertionError(feature)

    def visible(
        self, stream: Events, by: tuple[Key, ...], row: Row, where: Expr | None, value: Expr | None
    ) -> list[Row]:
        """The events of the row's key that count at its offset and satisfy `where`, each with its `value`."""
        key = self.key(by, row)
        retracted = [fact["target"] for fact in self.retractions if fact["offset"] < row["offset"]]
        spec = (stream.name, str([part if isinstance(part, Entity) else part.spec() for part in by]))
        if spec not in self.seen:
            events = self.history[stream.name].rows() if stream.name in self.history else []
            self.seen[spec] = [(self.key(by, event), event) for event in events]
        holds = self.values(stream, where)
        values = self.values(stream, value)
        return [
            {**event, "value": values[i]}
            for i, (its_key, event) in enumerate(self.seen[spec])
            if key is not None and its_key == key and holds[i]
            if event["offset"] < row["offset"] and event["offset"] not in retracted
        ]

    def values(self, stream: Events, expr: Expr | None) -> list[Any]:
        table = self.history.get(stream.name, Table({}))
        if expr is None or not table:
            return [True] * len(table)
        if (name := str(expr.spec())) not in self.computed:
            self.computed[name] = field_values(expr, table).tolist()
        return self.computed[name]

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
            if missing(value):
                return None
            parts.append(value)
        return tuple(parts)


def _column(feature: Feature, values: list[Any]) -> Array:
    """The values with their type and their missing value: NaN, None, or -1 in sequences of whole numbers."""
    kind: type = float
    if isinstance(feature, Request):
        kind = str if feature.kind is str else float
    elif isinstance(feature, Recent):
        kind = feature.value.kind if isinstance(feature.value, Field) else feature.value.key
    elif isinstance(feature, Aggregate) and feature.kind == "top_k" and feature.value is not None:
        kind = feature.value.kind if isinstance(feature.value, Field) else bool if feature.value.is_bool else float
    dtype, nothing = {str: (object, None), float: (np.float64, np.nan)}.get(kind, (np.int64, -1))
    if feature.width is not None:
        is_left = isinstance(feature, Aggregate)
        out = np.full((len(values), feature.width), nothing, dtype)
        for line, sequence in zip(out, values, strict=True):
            line[slice(0, len(sequence)) if is_left else slice(feature.width - len(sequence), None)] = sequence
        return out
    if dtype is np.int64:
        dtype, nothing = np.float64, np.nan
    return np.array([nothing if value is None else value for value in values], dtype)
