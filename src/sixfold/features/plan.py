"""What has to be computed for a feature set: definitions grouped so that work is shared, expressions compiled once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sixfold._core.hashing import canonical
from sixfold._core.table import Array
from sixfold.data.events import Events
from sixfold.data.expr import Expr, compiled
from sixfold.features.algebra import Lane, lanes_of
from sixfold.features.definitions import Age, Aggregate, Computed, Feature, Key, Recent, Request
from sixfold.features.featureset import FeatureSet
from sixfold.frame import Entity

__all__ = ["Aggregated", "Group", "Plan", "key_spec"]

Made = Callable[[Sequence[Array]], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Aggregated:
    """An aggregate to compute: the slot its column goes to, and the group's lanes it is finalised from."""

    feature: Aggregate
    slot: int
    lanes: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Features over the same events under the same key: aggregates, and those that need single events.

    With an `item` all are aggregates over how often each of its values occurs.
    """

    stream: Events
    where: Expr | None
    by: tuple[Key, ...]
    lanes: tuple[Lane, ...]
    aggregates: tuple[Aggregated, ...]
    newest: tuple[tuple[Recent | Age, int], ...]
    item: Expr | None = None


class Plan:
    """A feature set, ready to be evaluated: columns are computed into slots, first primitives, then expressions.

    `requests` are (feature, slot); `computed` are (function of the slots, slot) in order; `outputs` name -> slot.
    """

    def __init__(self, features: FeatureSet) -> None:
        self.features = features
        self._slots: dict[bytes, int] = {}
        self._names: dict[Expr, bytes] = {}
        primitives = features.primitives
        for feature in primitives:
            self._slots[self._name(feature)] = len(self._slots)
        self.requests = tuple((f, self._slot(f)) for f in primitives if isinstance(f, Request))
        self.groups = self._group([f for f in primitives if not isinstance(f, Request)])
        self.computed: list[tuple[Made, int]] = []
        self.inputs: dict[int, frozenset[int]] = {slot: frozenset([slot]) for slot in self._slots.values()}
        self.outputs = {feature.name: self._place(feature) for feature in features}
        self.n_slots = len(self._slots)

    def _slot(self, feature: Feature) -> int:
        return self._slots[self._name(feature)]

    def _name(self, feature: Expr) -> bytes:
        """The definition as bytes, made once: it is asked for often."""
        if feature not in self._names:
            self._names[feature] = canonical(feature.spec())
        return self._names[feature]

    def _place(self, feature: Expr) -> int:
        """The slot of a feature; a computed one is compiled on the way, after all it needs."""
        name = self._name(feature)
        if name not in self._slots and isinstance(feature, Computed):
            used: set[int] = set()

            def place(leaf: Expr) -> int:
                slot = self._place(leaf)
                used.update(self.inputs[slot])
                return slot

            function = compiled(feature.expr, place)
            slot = self._slots[name] = len(self._slots)
            self.computed.append((function, slot))
            self.inputs[slot] = frozenset(used)
        return self._slots[name]

    def _group(self, features: Sequence[Aggregate | Recent | Age]) -> tuple[Group, ...]:
        """One group for each (stream, where, key, item)."""
        members: dict[bytes, list[Aggregate | Recent | Age]] = {}
        for feature in features:
            where = None if feature.where is None else feature.where.spec()
            item = _item(feature)
            spec = [feature.stream.name, where, key_spec(feature.by), None if item is None else item.spec()]
            members.setdefault(canonical(spec), []).append(feature)
        return tuple(self._build(group) for group in members.values())

    def _build(self, members: Sequence[Aggregate | Recent | Age]) -> Group:
        lanes: dict[bytes, tuple[int, Lane]] = {}
        aggregates = []
        for feature in members:
            if isinstance(feature, Aggregate):
                wanted = [(canonical(lane.spec()), lane) for lane in lanes_of(feature)]
                for name, lane in wanted:
                    lanes.setdefault(name, (len(lanes), lane))
                aggregates.append(Aggregated(feature, self._slot(feature), tuple(lanes[name][0] for name, _ in wanted)))
        newest = tuple((f, self._slot(f)) for f in members if not isinstance(f, Aggregate))
        first = members[0]
        kept = tuple(lane for _, lane in lanes.values())
        return Group(first.stream, first.where, first.by, kept, tuple(aggregates), newest, _item(first))


def _item(feature: Aggregate | Recent | Age) -> Expr | None:
    return feature.item if isinstance(feature, Aggregate) else None


def key_spec(by: tuple[Key, ...]) -> Any:
    """A key as plain values."""
    return [part.name if isinstance(part, Entity) else part.spec() for part in by]
