"""Phase 1, frame: the problem as a contract. Nothing here does I/O or arithmetic."""

from sixfold.frame.entity import Entity
from sixfold.frame.problem import Limit, Objective, Outcome, Problem, Rank, Scale

__all__ = ["Entity", "Limit", "Objective", "Outcome", "Problem", "Rank", "Scale"]
