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

__all__ = [
    "Age",
    "Aggregate",
    "Computed",
    "Feature",
    "FeatureSet",
    "Recent",
    "Request",
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
