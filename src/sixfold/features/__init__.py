"""Phase 3, features: one definition, several evaluators, one law: equal prefixes give equal values."""

from sixfold.features.batch import as_of
from sixfold.features.definitions import (
    Age,
    Aggregate,
    Computed,
    Feature,
    Recent,
    Request,
    age,
    attribute,
    computed,
    count,
    last,
    max,
    mean,
    min,
    rate,
    request,
    sequence,
    sum,
)
from sixfold.features.featureset import FeatureSet
from sixfold.features.online import OnlineFeatures
from sixfold.features.store import Store

__all__ = [
    "Age",
    "Aggregate",
    "Computed",
    "Feature",
    "FeatureSet",
    "OnlineFeatures",
    "Recent",
    "Request",
    "Store",
    "age",
    "as_of",
    "attribute",
    "computed",
    "count",
    "last",
    "max",
    "mean",
    "min",
    "rate",
    "request",
    "sequence",
    "sum",
]
