"""Who visits during `sixfold run`: the people of a simulated world, or users of a recorded log, who only ask."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.hashing import derive_seed
from sixfold.data.source import Source
from sixfold.run.home import Home
from sixfold.run.live import Visit
from sixfold.run.served import request_fields
from sixfold.system import System
from sixfold.worlds.shorts import Shorts, Visitor

__all__ = ["visitors_of"]


@dataclass(frozen=True, slots=True)
class Simulated:
    """A person of a world, who watches what is shown."""

    world: Shorts
    visitor: Visitor
    id: str

    def ask(self) -> dict[str, Any]:
        """The request."""
        return {"user": self.visitor.user, "context": {"tab": self.visitor.tab}, "id": self.id}

    def react(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """What is watched of the slate, all at once: time does not pass while we wait."""
        slate = [item["id"] for item in answer["items"]]
        rows = self.world.react(self.visitor, slate, answer["at"], decision=answer["decision"], speed=math.inf)
        return [{"stream": stream, **row} for stream, events in rows.items() for row in events]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A user of a recorded log: what they would do with another slate is not known, so they only ask."""

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
        spine = log.read(0, end, [system.spine.name])[system.spine.name]
    if isinstance(source, Shorts):
        found = source.visitors(n, derive_seed(seed, "visitors", end))
        return [Simulated(source, visitor, f"live-{end}-{i}") for i, visitor in enumerate(found)]
    recent = spine.take(slice(-50_000, None))
    rows = np.random.default_rng(derive_seed(seed, "visitors", end)).integers(0, len(recent), n)
    per = system.problem.task.per.name
    wanted = [name for name in request_fields(system) if name in recent]
    bodies = []
    for row in recent.take(rows).select([per, *wanted]).rows():
        subject = row.pop(per)
        bodies.append({per: subject, "context": row})
    return [Recorded(body) for body in bodies]
