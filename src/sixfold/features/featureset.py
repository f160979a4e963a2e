"""A named, ordered set of features: the schema that training and serving share."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from sixfold._core.errors import DefinitionError, FeatureError
from sixfold._core.hashing import canonical, fingerprint
from sixfold.data.events import Events, Field
from sixfold.data.expr import leaves
from sixfold.data.retraction import RETRACTION
from sixfold.features.definitions import Age, Aggregate, Computed, Feature, Key, Recent, Request
from sixfold.frame import Entity

__all__ = ["FeatureSet"]


class FeatureSet:
    """Features in order, by name; nested tuples are flattened.

    >>> from sixfold.features import count
    >>> user = Entity("user")
    >>> login = Events("login", keys=(user,))
    >>> features = FeatureSet(count(login, by=user, over=("1h", "7d")))
    >>> features.names
    ('count_login_by_user_1h', 'count_login_by_user_7d')
    """

    def __init__(self, *features: Feature | Iterable[Any]) -> None:
        self._features = {feature.name: feature for feature in _flatten(features)}
        names = [feature.name for feature in _flatten(features)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DefinitionError(
                [f"two features are called {name!r}: give one another name with .named()" for name in twice]
            )

    def __iter__(self) -> Iterator[Feature]:
        return iter(self._features.values())

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, name: str) -> Feature:
        try:
            return self._features[name]
        except KeyError:
            raise FeatureError(f"no feature {name!r}; there are {', '.join(self.names)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._features

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names, in order."""
        return tuple(self._features)

    @cached_property
    def streams(self) -> tuple[Events, ...]:
        """Every stream that is needed, those behind crossed attributes included."""
        found: dict[str, Events] = {}
        for feature in self.primitives:
            if not isinstance(feature, Request):
                keys = [key.events for key in feature.by if isinstance(key, Field)]
                found |= {stream.name: stream for stream in (feature.stream, *keys)}
        return tuple(found.values())

    @property
    def follows(self) -> tuple[str, ...]:
        """The streams to read from a log: all that are needed, and the retractions of their events."""
        return (*(stream.name for stream in self.streams), RETRACTION)

    @cached_property
    def entities(self) -> tuple[Entity, ...]:
        """Every entity whose key a request or a candidate must give."""
        return tuple({entity.name: entity for f in self.primitives for entity in needs(f)}.values())

    @cached_property
    def primitives(self) -> tuple["Aggregate | Recent | Age | Request", ...]:
        """The features that expressions are made of, each definition once, in order of first use."""
        found: dict[bytes, Any] = {}
        for feature in self:
            for part in _parts(feature):
                found.setdefault(canonical(part.spec()), part)
        return tuple(found.values())

    def spec(self) -> Any:
        """Names and definitions as plain values."""
        return [[feature.name, *feature.declared()] for feature in self]

    @cached_property
    def fingerprint(self) -> str:
        """Names the definitions: a changed definition is another feature set."""
        return fingerprint(self.spec())


def needs(feature: Feature) -> tuple[Entity, ...]:
    """The entities whose keys are needed to look the feature up."""
    if isinstance(feature, Aggregate | Recent | Age):
        return tuple(dict.fromkeys(entity for key in feature.by for entity in key_entities(key)))
    if isinstance(feature, Computed):
        return tuple(
            dict.fromkeys(e for leaf in leaves(feature.expr) if isinstance(leaf, Feature) for e in needs(leaf))
        )
    return ()


def key_entities(key: Key) -> tuple[Entity, ...]:
    """The entities that must be known to know this part of a key."""
    return (key,) if isinstance(key, Entity) else key.events.keys


def _parts(feature: Feature) -> Iterator[Feature]:
    """The features that `feature` is an expression of, or itself."""
    if not isinstance(feature, Computed):
        yield feature
        return
    for leaf in leaves(feature.expr):
        if isinstance(leaf, Feature):
            yield from _parts(leaf)


def _flatten(features: Iterable[Any]) -> Iterator[Feature]:
    for feature in features:
        if isinstance(feature, Feature):
            yield feature
        elif isinstance(feature, tuple | list | FeatureSet):
            yield from _flatten(feature)
        else:
            raise DefinitionError([f"{feature!r} is not a feature"])
