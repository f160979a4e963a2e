"""What a relational plan reads: the columns to write for each stream, and the features grouped by key.

Everything in the plan is int64: offsets, instants, lanes, the bits of floats and the numbers of texts. A key that is
not known is null.
"""

from dataclasses import dataclass, field
from typing import Any

from sixfold._core.errors import FeatureError
from sixfold._core.hashing import canonical
from sixfold.data.events import Events, Field
from sixfold.data.expr import Expr
from sixfold.features.algebra import Lane
from sixfold.features.definitions import Age, Aggregate, Key, Recent, Request
from sixfold.features.plan import Aggregated, Plan, key_spec
from sixfold.features.windows import hop_of
from sixfold.frame import Entity

__all__ = ["Keyed", "Layout", "Newest", "StreamColumns", "key_column", "value_column"]


@dataclass(frozen=True, slots=True, eq=False)
class Newest:
    """Features of the newest `n` events under one key that satisfy a condition (the column `where`, if any)."""

    name: str
    where: str | None
    n: int
    values: tuple[Key, ...]
    members: tuple[tuple[Recent | Age, int], ...]


@dataclass(slots=True, eq=False)
class Keyed:
    """All features over one stream under one key. `lanes` are names of the stream's lane columns."""

    name: str
    stream: Events
    by: tuple[Key, ...]
    lanes: dict[str, Lane] = field(default_factory=dict)
    aggregates: list[tuple[Aggregated, tuple[str, ...]]] = field(default_factory=list)
    newest: list[Newest] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """The names of the key columns."""
        return [key_column(part) for part in self.by]

    def lanes_of(self, window: int | None, *, adds: bool) -> list[str]:
        """The adding lanes, or the others, that a window needs."""
        names = {n: None for a, lanes in self.aggregates if a.feature.window == window for n in lanes}
        return [name for name in names if self.lanes[name].adds == adds]

    def windows(self, *, adds: bool) -> list[int | None]:
        """The windows that need adding lanes, or others."""
        windows = dict.fromkeys(a.feature.window for a, _ in self.aggregates)
        return [window for window in windows if self.lanes_of(window, adds=adds)]


@dataclass(slots=True, eq=False)
class StreamColumns:
    """The columns of one stream's events besides `at` and `offset`; lanes hold nothing where their `where` fails.

    `keys` are entities, `fields` those of its fields that cross keys, `crosses` the streams whose fields its own keys
    need, `hops` those of windows over it.
    """

    stream: Events
    keys: dict[str, Entity] = field(default_factory=dict)
    fields: dict[str, Field] = field(default_factory=dict)
    values: dict[str, Key] = field(default_factory=dict)
    wheres: dict[str, Expr] = field(default_factory=dict)
    lanes: dict[str, tuple[Expr | None, Lane]] = field(default_factory=dict)
    hops: set[int] = field(default_factory=set)
    crosses: set[str] = field(default_factory=set)


class Layout:
    """The keyed groups of a plan, and what they need of each stream.

    `windows` are all that are not for all time, with a name each. Raises FeatureError
    for a feature that merged lanes or newest events cannot give.
    """

    def __init__(self, plan: Plan) -> None:
        check_supported(plan)
        self.plan = plan
        self.streams = {stream.name: StreamColumns(stream) for stream in plan.features.streams}
        self.keyed: list[Keyed] = []
        self.windows: dict[int, str] = {}
        self._named: dict[tuple[str, bytes], str] = {}
        groups: dict[bytes, Keyed] = {}
        for group in plan.groups:
            name = canonical([group.stream.name, key_spec(group.by)])
            if name not in groups:
                groups[name] = Keyed(f"keyed_{len(groups)}", group.stream, group.by)
                self._add_keys(groups[name])
            self._add(groups[name], group)
        self.keyed = list(groups.values())

    def _add_keys(self, keyed: Keyed) -> None:
        columns = self.streams[keyed.stream.name]
        for part in keyed.by:
            if isinstance(part, Entity):
                columns.keys[key_column(part)] = part
                continue
            source = self.streams[part.events.name]
            source.fields[key_column(part)] = part
            for entity in part.events.keys:
                source.keys[key_column(entity)] = entity
                columns.keys[key_column(entity)] = entity
            columns.crosses.add(part.events.name)

    def _add(self, keyed: Keyed, group: Any) -> None:
        columns = self.streams[keyed.stream.name]
        where = None if group.where is None else group.where.spec()
        names = []
        for lane in group.lanes:
            name = self._name(keyed.stream, "lane", [where, lane.spec()])
            columns.lanes[name] = (group.where, lane)
            keyed.lanes[name] = lane
            names.append(name)
        for aggregated in group.aggregates:
            window = aggregated.feature.window
            keyed.aggregates.append((aggregated, tuple(names[i] for i in aggregated.lanes)))
            hop = hop_of(window)
            if window is not None and hop is not None:
                self.windows.setdefault(window, f"w{len(self.windows)}")
                columns.hops.add(hop)
        if group.newest:
            flag = None
            if group.where is not None:
                flag = self._name(keyed.stream, "where", where)
                columns.wheres[flag] = group.where
            values = {value_column(f.value): f.value for f, _ in group.newest if isinstance(f, Recent)}
            columns.values |= values
            n = max(f.n if isinstance(f, Recent) else 1 for f, _ in group.newest)
            name = f"{keyed.name}_newest_{len(keyed.newest)}"
            keyed.newest.append(Newest(name, flag, n, tuple(values.values()), group.newest))

    def _name(self, stream: Events, what: str, spec: Any) -> str:
        name = (stream.name, canonical([what, spec]))
        return self._named.setdefault(name, f"{what}_{len(self._named)}")


def check_supported(plan: Plan) -> None:
    """Raise FeatureError naming the features that the relational plan has no form for."""
    known = (Aggregate, Recent, Age, Request)
    strange = [f.name for f in plan.features.primitives if type(f) not in known]
    if strange:
        raise FeatureError(
            f"the relational engine cannot compute {', '.join(strange)}",
            hint="leave these features out, or compute them with sixfold.features.as_of",
        )


def key_column(part: Key) -> str:
    """The name of a key column."""
    return f"key_{part.name}" if isinstance(part, Entity) else f"key_{part.events.name}__{part.name}"


def value_column(value: Key) -> str:
    """The name of a value column of the value's own stream."""
    return f"value_{value.name}"
