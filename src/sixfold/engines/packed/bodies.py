"""The place that a packed store keeps its bytes in: a protocol small enough for any store of keyed bytes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

__all__ = ["Bodies"]


class Bodies(Protocol):
    """Bytes by (group, row), with a clock and a ledger beside them that change in the same transaction."""

    def resume(self, version: str, groups: Sequence[str]) -> tuple[str, bytes] | None:
        """Work on the state of `version` from now on; the clock and the ledger last committed, None without any.

        Raises FeatureError if only one version can be held and it is another.
        """
        ...

    def clear(self, groups: Sequence[str]) -> None:
        """Hold nothing."""
        ...

    def get(self, wants: Mapping[str, Sequence[int]]) -> Mapping[str, Sequence[bytes | None]]:
        """The bytes of each group's rows, None where there are none; in one round trip if they are far away."""
        ...

    def commit(self, changes: Mapping[str, Mapping[int, bytes]], clock: str, more: bytes) -> None:
        """All changes or none: empty bytes take a row away, `more` continues the ledger."""
        ...

    def rows(self, group: str) -> Iterator[tuple[int, bytes]]:
        """Everything that was committed of a group."""
        ...
