"""The degradation ladder: every stage of a decision is timed, guarded and held to the budget in one place.

A stage that fails, or that would not finish within the budget, is replaced by something cheaper, and the decision
records the rung: `no_source:NAME` (one source less), `no_filter:NAME` (nothing removed by it), `no_rank` (the order of
the blend), `no_select` (the plain best n), `fallback` (the release's list for everybody). A replay takes the recorded
rungs, and only those.

Where the store of features cannot be read, a stage goes on with what its features declare for that, and the decision
records `no_store:STAGE` (with `:1` for the second read of the stage, and so on).
"""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

__all__ = ["Costs", "Ladder"]

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Costs:
    """What each stage is expected to take, in nanoseconds: an exponential mean that one hiccup cannot move far.

    A stage that was left out is tried again after a while, because its expected cost decays.
    """

    def __init__(self) -> None:
        self._expected: dict[str, float] = {}

    def expected(self, stage: str) -> float:
        """The expectation, 0 for a stage never seen."""
        return self._expected.get(stage, 0.0)

    def ran(self, stage: str, took: int, budget: int) -> None:
        """Learn from a run."""
        self._expected[stage] = 0.8 * self.expected(stage) + 0.2 * min(took, 2 * budget)

    def skipped(self, stage: str) -> None:
        """Forget a little."""
        self._expected[stage] = 0.9 * self.expected(stage)


class Ladder:
    """The stages of one decision. Times are nanoseconds of `timer`; `forced` rungs belong to a replay."""

    def __init__(
        self, budget: int, costs: Costs, timer: Callable[[], int], forced: Iterable[str] | None = None
    ) -> None:
        self.rungs: list[str] = []
        self.causes: dict[str, str] = {}
        self.took: dict[str, int] = {}
        self._stage = ""
        self._reads: dict[str, int] = {}
        self._budget, self._costs, self._timer = budget, costs, timer
        self._forced = None if forced is None else frozenset(forced)
        self._began = timer()

    def step(self, stage: str, rung: str, run: Callable[[], T], otherwise: T, *, share: float | None = None) -> T:
        """The result of `run`, or `otherwise` with the rung recorded.

        `share` is the part of the budget that must not be exceeded when the stage ends; without one it always runs.
        """
        if rung in self.rungs:
            return otherwise
        self._stage, taken, reads = stage, len(self.rungs), self._reads.get(stage, 0)
        if self._forced is not None:
            if rung in self._forced:
                self.rungs.append(rung)
                return otherwise
            return run()
        began = self._timer()
        if share is not None and began - self._began + self._costs.expected(stage) > share * self._budget:
            self._costs.skipped(stage)
            self._take(rung, "over budget")
            return otherwise
        try:
            return run()
        except Exception as error:  # a stage is anybody's code: whatever it raises, an answer goes out
            _log.exception("stage %s failed; continuing with %s", stage, rung)
            # A replay does not run the stage: what it did before it failed must leave no trace.
            del self.rungs[taken:]
            self._reads[stage] = reads
            self._take(rung, f"{type(error).__name__}: {error}")
            return otherwise
        finally:
            took = self._timer() - began
            self.took[stage] = self.took.get(stage, 0) + took
            self._costs.ran(stage, took, self._budget)

    def is_down(self) -> bool:
        """Whether a replay must take the store as down for the next read of features in this stage."""
        read = self._reads.get(self._stage, 0)
        self._reads[self._stage] = read + 1
        rung = self._without_store(read)
        if self._forced is None or rung not in self._forced:
            return False
        self.rungs.append(rung)
        return True

    def went_down(self, error: Exception) -> None:
        """The store could not be read just now. In a replay of a decision that could read it, that is an error."""
        if self._forced is not None:
            raise error
        _log.error("stage %s: the store cannot be read; continuing with what features declare: %s", self._stage, error)
        self._take(self._without_store(self._reads[self._stage] - 1), f"{type(error).__name__}: {error}")

    def _without_store(self, read: int) -> str:
        return f"no_store:{self._stage}" + (f":{read}" if read else "")

    def _take(self, rung: str, cause: str) -> None:
        self.rungs.append(rung)
        self.causes[rung] = cause
