"""Entities: what decisions are about and for."""

from dataclasses import dataclass

from sixfold._core.errors import DefinitionError

__all__ = ["Entity"]


@dataclass(frozen=True, slots=True)
class Entity:
    """A named key type, so that user 7 and video 7 cannot be confused; keys are int or str.

    >>> Entity("user")
    Entity('user')
    """

    name: str
    key: type = int

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise DefinitionError([f"entity name {self.name!r} must be a plain identifier such as 'user'"])
        if self.key not in (int, str):
            raise DefinitionError([f"entity {self.name!r}: keys are int or str, not {self.key!r}"])

    def __repr__(self) -> str:
        return f"Entity({self.name!r})" if self.key is int else f"Entity({self.name!r}, str)"
