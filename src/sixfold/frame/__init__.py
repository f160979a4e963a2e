"""Phase 1, frame: the problem as a contract. Nothing here does I/O or arithmetic."""

from sixfold.frame.entity import Entity
from sixfold.frame.problem import Limit, Objective, Outcome, Problem, Scale
from sixfold.frame.task import Choose, Forecast, Rank, Task

__all__ = ["Choose", "Entity", "Forecast", "Limit", "Objective", "Outcome", "Problem", "Rank", "Scale", "Task"]
