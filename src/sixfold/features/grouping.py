"""What online state a feature set needs: groups of tiles, groups of newest events, and the paths to their keys."""

from dataclasses import dataclass, field

import numpy as np

from sixfold._core.hashing import canonical, fingerprint
from sixfold.data.events import Events, Field
from sixfold.data.expr import Expr
from sixfold.features.algebra import Lane, value_kind
from sixfold.features.definitions import Age, Aggregate, Key, Recent
from sixfold.features.interned import Chained, Interned, Joined
from sixfold.features.plan import Group, Plan, key_spec
from sixfold.features.store import Newest, Shape, Tiles
from sixfold.features.windows import Cut
from sixfold.frame import Entity

__all__ = ["Items", "KeyPath", "NewestGroup", "Part", "Schema", "TileGroup", "value_type"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One part of a key: an entity, or a field found at `path` (the key of the field's own stream).

    The global key has one part without a key.
    """

    key: Key | None
    numbers: Interned
    path: "KeyPath | None" = None


@dataclass(frozen=True, slots=True, eq=False)
class KeyPath:
    """How to come from entities to the row of a key: number each part, then join the numbers from left to right."""

    parts: tuple[Part, ...]
    joins: tuple[Chained, ...]

    @property
    def rows(self) -> Interned:
        """The space that the rows are numbered in."""
        return self.joins[-1] if self.joins else self.parts[-1].numbers

    @property
    def entity(self) -> Entity | None:
        """The entity that this is the key of, if it is one."""
        only = self.parts[0].key if len(self.parts) == 1 else None
        return only if isinstance(only, Entity) else None


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """The values that occurrences are counted of, numbered, and the pairs of a key's row and such a number."""

    item: Expr
    numbers: Interned
    pairs: Joined


@dataclass(frozen=True, slots=True, eq=False)
class TileGroup:
    """Aggregates over the same events and key whose cuts have one hop. With `items`, rows of the store are pairs.

    A member is (feature, slot, the places of its cuts in `cuts`, its places in `lanes`, adding lanes first). Groups
    that differ in their hop alone are a family.
    """

    name: str
    family: str
    stream: Events
    where: Expr | None
    path: KeyPath
    hop: int | None
    cuts: tuple[Cut, ...]
    lanes: tuple[Lane, ...]
    members: tuple[tuple[Aggregate, int, tuple[int, ...], tuple[int, ...]], ...]
    items: Items | None = None

    @property
    def shape(self) -> Shape:
        """The state to keep."""
        adds = sum(lane.adds for lane in self.lanes)
        return Tiles(adds, len(self.lanes) - adds, self.family)


@dataclass(slots=True, eq=False)
class NewestGroup:
    """Features of the newest n events of the same key, or of the oldest one.

    A lane is (value, whether its number in a space is kept). The oldest is the newest by -at, the first folded of
    equal ones.
    """

    name: str
    stream: Events
    where: Expr | None
    path: KeyPath
    n: int
    single: bool
    oldest: bool = False
    lanes: list[tuple[Key, bool]] = field(default_factory=list)
    members: list[tuple[Recent | Age, int, int]] = field(default_factory=list)

    @property
    def shape(self) -> Shape:
        """The state to keep."""
        return Newest(self.n, len(self.lanes))

    def lane(self, value: Key, numbered: bool) -> int:
        """The place of a lane, which is added if there is none."""
        known = [(canonical(key_spec((key,))), is_numbered) for key, is_numbered in self.lanes]
        wanted = (canonical(key_spec((value,))), numbered)
        if wanted not in known:
            self.lanes.append((value, numbered))
            known.append(wanted)
        return known.index(wanted)


class Schema:
    """All groups of a plan. `spaces` are the numbered values and keys, by name; `attributes` field -> (group, lane)."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.spaces: dict[str, Interned] = {}
        self.tiles: list[TileGroup] = []
        self.newest: dict[bytes, NewestGroup] = {}
        self.attributes: dict[str, tuple[NewestGroup, int]] = {}
        self._paths: dict[bytes, KeyPath] = {}
        for group in plan.groups:
            self._add_tiles(group)
            for feature, slot in group.newest:
                self._add_newest(group, feature, slot)

    def shapes(self) -> dict[str, Shape]:
        """The state to keep, by group name."""
        tiles: dict[str, Shape] = {group.name: group.shape for group in self.tiles}
        return tiles | {group.name: group.shape for group in self.newest.values()}

    def path(self, by: tuple[Key, ...]) -> KeyPath:
        """The way to a key, one for each key."""
        name = canonical(key_spec(by))
        if name not in self._paths:
            parts = tuple(self._part(key) for key in by) or (Part(None, self._everything()),)
            names = [value_name(key) for key in by]
            joins = tuple(self._space("*".join(names[: i + 1]), Chained()) for i in range(1, len(by)))
            self._paths[name] = KeyPath(parts, joins)  # type: ignore[arg-type]
        return self._paths[name]

    def _everything(self) -> Interned:
        """The space of the global key, which is 0."""
        space = self._space("*", Interned(int))
        space.add(np.zeros(1, np.int64))
        return space

    def numbers(self, value: Key) -> Interned:
        """The space that numbers an entity's keys or a field's values."""
        return self._space(value_name(value), Interned(value_type(value)))

    def _items(self, by: tuple[Key, ...], item: Expr) -> Items:
        name, kind = repr(item), value_kind(item)
        if not isinstance(item, Field):
            name = f"{kind.__name__}.{fingerprint(item.spec())}"
        numbers, pairs = self._space(name, Interned(kind)), Joined()
        return Items(item, numbers, self._space("*".join([*map(value_name, by), "", name]), pairs))  # type: ignore[arg-type]

    def _space(self, name: str, new: Interned) -> Interned:
        return self.spaces.setdefault(name, new)

    def _part(self, key: Key) -> Part:
        if isinstance(key, Entity):
            return Part(key, self.numbers(key))
        path = self.path(key.events.keys)
        group = self._newest_group(key.events, None, path, 1, True)
        self.attributes[value_name(key)] = (group, group.lane(key, True))
        return Part(key, self.numbers(key), path)

    def _add_tiles(self, group: Group) -> None:
        hops = dict.fromkeys(a.feature.cuts[0].hop for a in group.aggregates)
        family = f"family_{len(self.tiles)}"
        for hop in hops:
            mine = [a for a in group.aggregates if a.feature.cuts[0].hop == hop]
            used = sorted({i for a in mine for i in a.lanes}, key=lambda i: not group.lanes[i].adds)
            cuts = tuple(dict.fromkeys(cut for a in mine for cut in a.feature.cuts))
            members = tuple(
                (a.feature, a.slot, tuple(map(cuts.index, a.feature.cuts)), tuple(map(used.index, a.lanes)))
                for a in mine
            )
            lanes = tuple(group.lanes[i] for i in used)
            name = f"tiles_{len(self.tiles)}"
            path = self.path(group.by)
            items = None if group.item is None else self._items(group.by, group.item)
            self.tiles.append(
                TileGroup(name, family, group.stream, group.where, path, hop, cuts, lanes, members, items)
            )

    def _add_newest(self, group: Group, feature: Recent | Age, slot: int) -> None:
        path = self.path(group.by)
        oldest = isinstance(feature, Recent) and feature.oldest
        target = self._newest_group(group.stream, group.where, path, feature.n, feature.single, oldest=oldest)
        if isinstance(feature, Age):
            target.members.append((feature, slot, -1))
            return
        lane = target.lane(feature.value, value_type(feature.value) is str)
        target.members.append((feature, slot, lane))

    def _newest_group(
        self, stream: Events, where: Expr | None, path: KeyPath, n: int, single: bool, *, oldest: bool = False
    ) -> NewestGroup:
        keys = key_spec(tuple(part.key for part in path.parts if part.key is not None))
        name = canonical([stream.name, None if where is None else where.spec(), keys, n, single, oldest])
        if name not in self.newest:
            self.newest[name] = NewestGroup(f"newest_{len(self.newest)}", stream, where, path, n, single, oldest)
        return self.newest[name]


def value_type(value: Key) -> type:
    """int, float, bool or str: the type of an entity's keys or of a field."""
    return value.kind if isinstance(value, Field) else value.key


def value_name(value: Key) -> str:
    """A name for the values of an entity or a field."""
    return f"{value.events.name}.{value.name}" if isinstance(value, Field) else value.name
