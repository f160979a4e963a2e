"""What a system wants measured beyond the figures that every system gets: one small config for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from sixfold._core.table import Array, Table
from sixfold.evaluate.bootstrap import Estimate
from sixfold.evaluate.report import Comparison
from sixfold.models.contract import FittedRanker
from sixfold.serve.decision import Decision
from sixfold.serve.stages import DecisionRequest

__all__ = ["OURS", "STATIC", "Measure", "Trial"]

OURS = "with behaviour as of then"
"""The name of the candidate among the models of a trial."""

STATIC = "static features"
"""The name of the same model without behaviour."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The test rows and what was predicted for them: row i of every table is the same row of the spine.

    `predictions` maps models to their heads, OURS first. `people` (n_rows,) are the subjects that intervals resample.
    `history` is the log by stream, `start` the instant at which the test range begins (microseconds). `decide` is the
    whole pipeline over the state as of that instant, in any time, `vary` the same with some stages replaced. `request`
    makes a request of a row of the spine.
    Everything random derives from `seed`. `rankers` are the models behind `predictions`, `settings` what
    the actor learnt.
    """

    spine: Table
    features: Table
    labels: Table
    predictions: Mapping[str, Table]
    history: Mapping[str, Table]
    people: Array
    start: int
    decide: Callable[[DecisionRequest], Decision]
    request: Callable[[int], DecisionRequest]
    seed: int
    vary: Callable[..., Callable[[DecisionRequest], Decision]] | None = None
    rankers: Mapping[str, FittedRanker] = field(default_factory=dict)
    settings: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Measure(Protocol):
    """One table of the report, and the figures in it that limits can bound."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the figures that it gives."""
        ...

    def measure(self, trial: Trial) -> tuple[Comparison, Mapping[str, Estimate | float]]:
        """The candidate beside its baselines, and the candidate's figures by the names of `metrics`."""
        ...
