"""Events: typed streams of facts with two clocks, and the fields that expressions are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array, Table
from sixfold.data.expr import Expr, evaluate, leaves
from sixfold.frame import Entity

__all__ = ["RESERVED", "Events", "Field", "field_values"]

RESERVED = ("id", "offset", "at", "arrived")
"""Columns of every stream besides its keys and fields: `id` text; `offset`, `at`, `arrived` int64, in microseconds."""

_TYPES = (int, float, bool, str)


@dataclass(frozen=True, slots=True)
class Events:
    """An immutable typed stream of facts about the entities in `keys`.

    Every event has `id` (text, unique in the stream), `at` (when it happened) and, once in the log, `arrived` and
    `offset`. A field typed float or str may be missing; int and bool may not. The keys and fields named in `personal`
    are masked wherever people read; that is no part of what the stream is, so no fingerprint changes by it.

    >>> user = Entity("user")
    >>> login = Events("login", keys=(user,), fields={"country": str, "seconds": float})
    >>> login.country
    login.country
    >>> login.columns
    {'user': <class 'int'>, 'country': <class 'str'>, 'seconds': <class 'float'>}
    """

    name: str
    keys: tuple[Entity, ...]
    fields: Mapping[str, type] = field(default_factory=dict)
    personal: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = []
        if not self.name.isidentifier():
            problems.append(f"stream name {self.name!r} must be a plain identifier such as 'watch'")
        if not self.keys:
            problems.append(f"stream {self.name!r} has no keys: name the entities its events are about")
        names = [key.name for key in self.keys] + list(self.fields)
        taken = {*RESERVED, *self.__slots__, "columns", "spec"}
        problems += [f"stream {self.name!r}: field {name!r} is a reserved name" for name in names if name in taken]
        problems += [
            f"stream {self.name!r}: field name {name!r} must be a plain identifier such as 'topic'"
            for name in self.fields
            if not name.isidentifier() or name.startswith("__")
        ]
        problems += [
            f"stream {self.name!r}: {name!r} is used twice" for name in sorted(set(names)) if names.count(name) > 1
        ]
        problems += [
            f"stream {self.name!r}: field {name!r} has type {kind!r}; use int, float, bool or str"
            for name, kind in self.fields.items()
            if kind not in _TYPES
        ]
        problems += [
            f"stream {self.name!r}: {name!r} is marked personal, but is no key or field of it"
            for name in self.personal
            if name not in names
        ]
        if problems:
            raise DefinitionError(problems)

    def __hash__(self) -> int:
        return hash(self.name)

    def __getattr__(self, name: str) -> "Field":
        if name.startswith("__") or name not in self.fields:
            raise AttributeError(
                f"stream {self.name!r} has no field {name!r}; it has {', '.join(self.fields) or 'none'}"
            )
        return Field(self, name)

    @property
    def columns(self) -> dict[str, type]:
        """Key and field columns with their types, in order."""
        return {**{key.name: key.key for key in self.keys}, **self.fields}

    def spec(self) -> Any:
        """The definition as plain values."""
        return ["events", self.name, {name: kind.__name__ for name, kind in self.columns.items()}]


@dataclass(frozen=True, slots=True, eq=False)
class Field(Expr):
    """One field of a stream, or one of its keys, as a leaf of expressions."""

    events: Events
    name: str

    def __repr__(self) -> str:
        return f"{self.events.name}.{self.name}"

    @property
    def kind(self) -> type:
        """The Python type of the field's values."""
        return self.events.fields.get(self.name) or self.events.columns[self.name]

    @property
    def is_bool(self) -> bool:
        """Whether the field is true or false."""
        return self.kind is bool

    @property
    def is_text(self) -> bool:
        """Whether the field is text."""
        return self.kind is str

    def spec(self) -> Any:
        """["field", stream, name]."""
        return ["field", self.events.name, self.name]


def stream_of(expr: Expr) -> Events:
    """The one stream that all fields of `expr` belong to; raises DefinitionError if there is not exactly one."""
    streams = {leaf.events for leaf in leaves(expr) if isinstance(leaf, Field)}
    if len(streams) != 1:
        found = ", ".join(sorted(stream.name for stream in streams)) or "none"
        raise DefinitionError([f"an expression over events must use fields of one stream; found: {found}"])
    return next(iter(streams))


def field_values(expr: Expr, table: Table) -> Array:
    """The values of an expression over fields for each event of `table`, (n_rows,)."""
    return evaluate(expr, lambda leaf: table[_field(leaf).name], len(table))


def _field(leaf: Expr) -> Field:
    if not isinstance(leaf, Field):
        raise DefinitionError([f"{leaf!r} is not a field of a stream: an expression over events is made of fields"])
    return leaf
