"""What a relational plan reads: the columns to write for each stream, and the features grouped by key.

Everything in the plan is int64: offsets, instants, lanes, the bits of floats and the numbers of texts. A key that is
not known is null.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sixfold._core.errors import FeatureError
from sixfold._core.hashing import canonical
from sixfold.data.events import Events, Field
from sixfold.data.expr import Expr
from sixfold.features.algebra import Lane
from sixfold.features.definitions import Age, Aggregate, Key, Recent, Request
from sixfold.features.kinds import KINDS
from sixfold.features.plan import Aggregated, Group, Plan, key_spec
from sixfold.features.windows import Cut
from sixfold.frame import Entity

__all__ = ["EVERYTHING", "Keyed", "Layout", "Newest", "StreamColumns", "key_column", "value_column"]

EVERYTHING = "key_of_everything"
"""The key column of features that have no key."""


@dataclass(frozen=True, slots=True, eq=False)
class Newest:
    """Features of the newest `n` events under one key, or of the `oldest`, that satisfy a condition (a column)."""

    name: str
    where: str | None
    oldest: bool
    n: int
    values: tuple[Key, ...]
    members: tuple[tuple[Recent | Age, int], ...]


@dataclass(slots=True, eq=False)
class Keyed:
    """All features over one stream under one key. `lanes` are names of the stream's lane columns.

    With an `item`, a column and what it holds, all are aggregates over how often each of its values occurs.
    """

    name: str
    stream: Events
    by: tuple[Key, ...]
    lanes: dict[str, Lane] = field(default_factory=dict)
    aggregates: list[tuple[Aggregated, tuple[str, ...]]] = field(default_factory=list)
    newest: list[Newest] = field(default_factory=list)
    item: tuple[str, Expr] | None = None

    @property
    def keys(self) -> list[str]:
        """The names of the key columns."""
        return [key_column(part) for part in self.by] or [EVERYTHING]

    def lanes_of(self, cuts: Sequence[Cut], *, adds: bool) -> list[str]:
        """The adding lanes, or the others, that these cuts need."""
        names = {n: None for a, lanes in self.aggregates if set(a.feature.cuts) & set(cuts) for n in lanes}
        return [name for name in names if self.lanes[name].adds == adds]

    def cuts(self, *, adds: bool) -> list[Cut]:
        """The cuts that need adding lanes, or others; but for those of all time."""
        cuts = dict.fromkeys(cut for a, _ in self.aggregates for cut in a.feature.cuts if cut.hop is not None)
        return [cut for cut in cuts if self.lanes_of([cut], adds=adds)]

    def passes(self) -> list[tuple[Cut, ...]]:
        """The cuts of adding lanes, and all time, in parts of much the same lanes: windows, and each half-life."""
        if self.item is not None:
            return list(dict.fromkeys(aggregated.feature.cuts for aggregated, _ in self.aggregates))
        passes: dict[int | None, dict[Cut, None]] = {None: {}}
        for aggregated, lanes in self.aggregates:
            if any(self.lanes[name].adds for name in lanes) or Cut(None) in aggregated.feature.cuts:
                own = passes.setdefault(aggregated.feature.window if aggregated.feature.decays else None, {})
                own |= dict.fromkeys(aggregated.feature.cuts)
        return [tuple(cuts) for cuts in passes.values() if cuts]


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
    items: dict[str, Expr] = field(default_factory=dict)
    lanes: dict[str, tuple[Expr | None, Lane]] = field(default_factory=dict)
    hops: set[int] = field(default_factory=set)
    crosses: set[str] = field(default_factory=set)


class Layout:
    """The keyed groups of a plan, and what they need of each stream.

    `asks` are the passes with the entities that their keys need; `maxima` the cuts of other lanes, with a name each.
    Raises FeatureError for a feature that merged lanes or newest events cannot give.
    """

    def __init__(self, plan: Plan) -> None:
        check_supported(plan)
        self.plan = plan
        self.streams = {stream.name: StreamColumns(stream) for stream in plan.features.streams}
        self.keyed: list[Keyed] = []
        self.asks: dict[tuple[Cut, ...], dict[str, Entity]] = {}
        self.maxima: dict[Cut, str] = {}
        self._named: dict[tuple[str, bytes], str] = {}
        groups: dict[bytes, Keyed] = {}
        for group in plan.groups:
            spec = [group.stream.name, key_spec(group.by)]
            if group.item is not None:
                spec += [group.item.spec(), None if group.where is None else group.where.spec()]
            name = canonical(spec)
            if name not in groups:
                groups[name] = Keyed(f"keyed_{len(groups)}", group.stream, group.by)
                self._add_keys(groups[name])
            if group.item is not None:
                column = self._name(group.stream, "item", group.item.spec())
                groups[name].item = (column, group.item)
                self.streams[group.stream.name].items[column] = group.item
            self._add(groups[name], group)
        self.keyed = list(groups.values())
        for keyed in self.keyed:
            for cuts in keyed.passes():
                asked = self.asks.setdefault(cuts, {})
                asked |= {key_column(part): part for part in keyed.by if isinstance(part, Entity)}
            for cut in keyed.cuts(adds=False):
                self.maxima.setdefault(cut, f"cut{len(self.maxima)}")

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

    def _add(self, keyed: Keyed, group: Group) -> None:
        columns = self.streams[keyed.stream.name]
        where = None if group.where is None else group.where.spec()
        names = []
        for lane in group.lanes:
            name = self._name(keyed.stream, "lane", [where, lane.spec()])
            columns.lanes[name] = (group.where, lane)
            keyed.lanes[name] = lane
            names.append(name)
        for aggregated in group.aggregates:
            keyed.aggregates.append((aggregated, tuple(names[i] for i in aggregated.lanes)))
            for cut in aggregated.feature.cuts:
                if cut.hop is not None:
                    columns.hops.add(cut.hop)
        for oldest in (False, True):
            members = [pair for pair in group.newest if (isinstance(pair[0], Recent) and pair[0].oldest) == oldest]
            if members:
                self._add_newest(keyed, group, oldest, members)

    def _add_newest(
        self, keyed: Keyed, group: Group, oldest: bool, members: Sequence[tuple[Recent | Age, int]]
    ) -> None:
        columns, flag = self.streams[keyed.stream.name], None
        if group.where is not None:
            flag = self._name(keyed.stream, "where", group.where.spec())
            columns.wheres[flag] = group.where
        values = {value_column(f.value): f.value for f, _ in members if isinstance(f, Recent)}
        columns.values |= values
        name = f"{keyed.name}_newest_{len(keyed.newest)}"
        n = max(feature.n for feature, _ in members)
        keyed.newest.append(Newest(name, flag, oldest, n, tuple(values.values()), tuple(members)))

    def _name(self, stream: Events, what: str, spec: Any) -> str:
        name = (stream.name, canonical([what, spec]))
        return self._named.setdefault(name, f"{what}_{len(self._named)}")


def check_supported(plan: Plan) -> None:
    """Raise FeatureError naming the features that the relational plan has no form for."""
    known = (Aggregate, Recent, Age, Request)
    strange = [f.name for f in plan.features.primitives if type(f) not in known]
    for feature in plan.features.primitives:
        if isinstance(feature, Aggregate) and (feature.kind not in KINDS or KINDS[feature.kind].lanes is None):
            strange.append(feature.name)
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
