"""Phase 5, evaluate: metrics with intervals over users, slices, calibration, gates and the report."""

from sixfold.evaluate.action_costs import ActionCosts
from sixfold.evaluate.answers import Answering
from sixfold.evaluate.bootstrap import Estimate, bootstrap, compare
from sixfold.evaluate.detection import Detection
from sixfold.evaluate.fairness import Fairness
from sixfold.evaluate.gates import Verdict, judge
from sixfold.evaluate.paced_bidding import PacedBidding
from sixfold.evaluate.plan import Plan, Rival
from sixfold.evaluate.probabilities import Probabilities
from sixfold.evaluate.rolling import RollingOrigin, StepByStep
from sixfold.evaluate.search import SearchQuality

__all__ = [
    "ActionCosts",
    "Answering",
    "Detection",
    "Estimate",
    "Fairness",
    "PacedBidding",
    "Plan",
    "Probabilities",
    "Rival",
    "RollingOrigin",
    "SearchQuality",
    "StepByStep",
    "Verdict",
    "bootstrap",
    "compare",
    "judge",
]
