"""Who visits during `sixfold run`: the people of a simulated world, or requests of a recorded log, who only ask."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.hashing import derive_seed
from sixfold.data.calendar import Calendar
from sixfold.data.source import Live, Source, Visit
from sixfold.run.home import Home
from sixfold.run.requests import body_of
from sixfold.system import System

__all__ = ["visitors_of"]

_RECENT = 50_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request of a recorded log: what its person would do with another answer is not known, so it only asks."""

    body: dict[str, Any]

    def ask(self) -> dict[str, Any]:
        """The request."""
        return self.body

    def react(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Nothing."""
        return []


def visitors_of(home: Home, system: System, source: Source, n: int, *, seed: int) -> list[Visit]:
    """The next `n` visitors; a new set each time the log has grown."""
    with home.log() as log:
        end, _ = log.end()
        stream = system.spine.events if isinstance(system.spine, Calendar) else system.spine
        spine = log.read(0, end, [stream.name])[stream.name]
    seed = derive_seed(seed, "visitors", end)
    if isinstance(source, Live):
        return source.visits(n, seed=seed, prefix=f"live-{end}")
    recent = spine.take(slice(-_RECENT, None))
    rows = np.random.default_rng(seed).integers(0, len(recent), n)
    return [Recorded(body_of(system, row)) for row in recent.take(rows).rows()]
