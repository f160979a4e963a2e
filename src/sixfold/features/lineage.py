"""Lineage of definitions: what a feature is made of, and what changed between two sets of features."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sixfold._core.hashing import fingerprint
from sixfold.data.events import Events, Field
from sixfold.data.expr import Expr, leaves
from sixfold.features.definitions import Aggregate, Feature

__all__ = ["Lineage", "changes", "lineage_of", "parts_of", "version_of", "versions"]


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a feature is and what it is made of: `fields` are stream.field, `parts` the features it is an expression of.

    `window` is a duration, "today", "lifetime", or empty where there is none; `version` names the definition.
    """

    name: str
    kind: str
    key: tuple[str, ...]
    window: str
    streams: tuple[str, ...]
    fields: tuple[str, ...]
    parts: tuple[str, ...]
    version: str


def lineage_of(feature: Feature) -> Lineage:
    """The lineage of any kind of feature, read off the attributes that kinds share (stream, by, value, where, expr)."""
    parts = parts_of(feature)
    below = [lineage_of(part) for part in parts]
    own = list(_fields(feature))
    streams = [stream.name for stream in _streams(feature)]
    return Lineage(
        feature.name,
        kind_of(feature),
        tuple(repr(part) if isinstance(part, Field) else part.name for part in getattr(feature, "by", ())),
        _window(feature),
        tuple(dict.fromkeys([*streams, *(name for line in below for name in line.streams)])),
        tuple(dict.fromkeys([*own, *(name for line in below for name in line.fields)])),
        tuple(part.name for part in parts),
        version_of(feature),
    )


def kind_of(feature: Feature) -> str:
    """What kind of feature it is, in a word: count, rate, recent, age, request, computed."""
    kind = getattr(feature, "kind", None)
    return kind if isinstance(kind, str) else type(feature).__name__.lower()


def version_of(feature: Feature) -> str:
    """12 digits that name a definition, whatever the feature is called.

    >>> from sixfold.features import count
    >>> from sixfold.frame import Entity
    >>> login = Events("login", keys=(Entity("user"),))
    >>> one, two = count(login, by=Entity("user"), over=("1h", "7d"))
    >>> version_of(one) == version_of(one.named("busy")), version_of(one) == version_of(two)
    (True, False)
    """
    return fingerprint([_lean(feature.declared()), sorted(_types(feature))])[:12]


def versions(features: Iterable[Feature]) -> dict[str, str]:
    """The version of each definition by the name of the feature: what a release remembers."""
    return {feature.name: version_of(feature) for feature in features}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """What became of each feature that is not the same: "changed", "added" or "removed", by name.

    >>> changes({"a": "1", "b": "2"}, {"b": "3", "c": "4"})
    {'a': 'removed', 'b': 'changed', 'c': 'added'}
    """
    out = {}
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            out[name] = "added" if name not in before else "removed" if name not in after else "changed"
    return out


def parts_of(feature: Feature) -> tuple[Feature, ...]:
    """The features that a feature is an expression of; none for one that is read off events or the request."""
    expr = getattr(feature, "expr", None)
    found = leaves(expr) if isinstance(expr, Expr) else []
    return tuple({leaf.name: leaf for leaf in found if isinstance(leaf, Feature)}.values())


def _streams(feature: Feature) -> Iterator[Events]:
    """The streams a feature reads itself, those that its crosses look up included."""
    stream = getattr(feature, "stream", None)
    if isinstance(stream, Events):
        yield stream
    for part in getattr(feature, "by", ()):
        if isinstance(part, Field):
            yield part.events


def _fields(feature: Feature) -> Iterator[str]:
    for name in ("value", "where"):
        source = getattr(feature, name, None)
        if isinstance(source, Expr):
            yield from (repr(leaf) for leaf in leaves(source) if isinstance(leaf, Field))
    yield from (repr(part) for part in getattr(feature, "by", ()) if isinstance(part, Field))


def _window(feature: Feature) -> str:
    return feature.over if isinstance(feature, Aggregate) else ""


def _lean(spec: Any) -> Any:
    """A definition without the columns of its streams that it does not use: another column changes no value."""
    if isinstance(spec, list | tuple):
        if len(spec) == 3 and spec[0] == "events" and isinstance(spec[2], dict):
            return ["events", spec[1]]
        return [_lean(part) for part in spec]
    return spec


def _types(feature: Feature) -> set[str]:
    """The types of the columns in use: a field that becomes text under the same name is another definition."""
    used = set(_fields(feature))
    found = {kind for part in parts_of(feature) for kind in _types(part)}
    for stream in _streams(feature):
        keys = {key.name for key in stream.keys}
        for name, kind in stream.columns.items():
            if name in keys or f"{stream.name}.{name}" in used:
                found.add(f"{stream.name}.{name} {kind.__name__}")
    return found
