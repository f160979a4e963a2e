"""Phase 6, serve: stages, the pipeline, the decision, the service."""

from sixfold.serve.acting import AlertBudget, CostThreshold
from sixfold.serve.auction import Auction
from sixfold.serve.candidates import Blend, Fuse
from sixfold.serve.decision import Answer, Decision
from sixfold.serve.endpoint import Chat
from sixfold.serve.extract import Extract
from sixfold.serve.filters import Seen, Where
from sixfold.serve.generate import Generate
from sixfold.serve.horizon import Horizon
from sixfold.serve.pacing import Pace
from sixfold.serve.pipeline import Pipeline
from sixfold.serve.scoring import Score
from sixfold.serve.selection import Cap, TopK
from sixfold.serve.sources import Fresh, Match, Popular, Retrieve
from sixfold.serve.stages import DecisionRequest

__all__ = [
    "AlertBudget",
    "Answer",
    "Auction",
    "Blend",
    "Cap",
    "Chat",
    "CostThreshold",
    "Decision",
    "DecisionRequest",
    "Extract",
    "Fresh",
    "Fuse",
    "Generate",
    "Horizon",
    "Match",
    "Pace",
    "Pipeline",
    "Popular",
    "Retrieve",
    "Score",
    "Seen",
    "TopK",
    "Where",
]
