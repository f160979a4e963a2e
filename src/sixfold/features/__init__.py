"""Phase 3, features: one definition, several evaluators, one law: equal prefixes give equal values."""

from sixfold.data.expr import if_else, maximum, minimum
from sixfold.features.absence import REFUSE
from sixfold.features.aggregates import (
    count,
    decayed_count,
    decayed_mean,
    decayed_sum,
    histogram,
    max,
    mean,
    min,
    rate,
    std,
    sum,
    var,
)
from sixfold.features.ahead import beforehand, season
from sixfold.features.backfill import offsets_as_known
from sixfold.features.batch import as_of
from sixfold.features.counted import distinct, quantile, top_k
from sixfold.features.definitions import Age, Aggregate, Computed, Feature, Recent, Request
from sixfold.features.featureset import FeatureSet
from sixfold.features.kinds import KINDS
from sixfold.features.online import OnlineFeatures
from sixfold.features.recents import (
    age,
    attribute,
    burstiness,
    computed,
    first,
    last,
    request,
    sequence,
    time_since_last,
    zscore,
)
from sixfold.features.store import Store

__all__ = [
    "KINDS",
    "REFUSE",
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
    "beforehand",
    "burstiness",
    "computed",
    "count",
    "decayed_count",
    "decayed_mean",
    "decayed_sum",
    "distinct",
    "first",
    "histogram",
    "if_else",
    "last",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "offsets_as_known",
    "quantile",
    "rate",
    "request",
    "season",
    "sequence",
    "std",
    "sum",
    "time_since_last",
    "top_k",
    "var",
    "zscore",
]
