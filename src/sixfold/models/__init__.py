"""Phase 4, models: one contract, one family a file. Importing this imports no heavy library."""

from sixfold.models.contract import Dataset, FittedRanker, FittedRetriever, Interactions, Ranker, Retriever
from sixfold.models.deep_ranker import DeepRanker
from sixfold.models.downsampled import Downsampled
from sixfold.models.ease import EASE
from sixfold.models.forecaster import Forecaster
from sixfold.models.hashed_ranker import HashedRanker
from sixfold.models.item_to_item import ItemToItem
from sixfold.models.linear_ranker import LinearRanker
from sixfold.models.persistence import Persistence
from sixfold.models.popularity import Popularity
from sixfold.models.tree_ranker import TreeRanker
from sixfold.models.two_tower import TwoTower

__all__ = [
    "EASE",
    "Dataset",
    "DeepRanker",
    "Downsampled",
    "FittedRanker",
    "FittedRetriever",
    "Forecaster",
    "HashedRanker",
    "Interactions",
    "ItemToItem",
    "LinearRanker",
    "Persistence",
    "Popularity",
    "Ranker",
    "Retriever",
    "TreeRanker",
    "TwoTower",
]
