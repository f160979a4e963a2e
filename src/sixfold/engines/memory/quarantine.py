"""The quarantine in memory: for tests and small worlds."""

from collections import Counter
from collections.abc import Iterable, Mapping

from sixfold.data.quarantine import Reject

__all__ = ["MemoryQuarantine"]


class MemoryQuarantine:
    """Rejects that live as long as this process."""

    def __init__(self) -> None:
        self._rejects: dict[str, Reject] = {}

    def put(self, rejects: Iterable[Reject]) -> None:
        """Keep the rejects."""
        self._rejects.update({reject.id: reject for reject in rejects})

    def count(self) -> Mapping[tuple[str, str], int]:
        """How many rows wait, by stream and reason, the most frequent first."""
        found = Counter((reject.stream, reject.reason) for reject in self._rejects.values())
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def read(self, limit: int, *, after: str = "") -> list[Reject]:
        """Up to `limit` rejects in order of id, from the first whose id is greater than `after`."""
        return [self._rejects[name] for name in sorted(self._rejects) if name > after][:limit]

    def take(self, ids: Iterable[str]) -> int:
        """Remove the rejects of these ids; returns how many there were."""
        return sum(self._rejects.pop(name, None) is not None for name in ids)
