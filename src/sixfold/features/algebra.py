"""The seam of the aggregation algebra: which lanes an aggregate keeps, what events put in, and what comes out.

lanes_of, then prepare for each event, then merging by addition or maximum over the tiles of each of the aggregate's
cuts, then finalize, then at_instant: whoever can do the merging can evaluate every aggregate.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sixfold._core.table import Array
from sixfold.features.definitions import Aggregate
from sixfold.features.kinds import KINDS
from sixfold.features.lanes import SCALE, Lane, fixed, growth, order_image, order_value, prepare, value_kind

__all__ = [
    "SCALE",
    "Lane",
    "at_instant",
    "finalize",
    "fixed",
    "lanes_of",
    "order_image",
    "order_value",
    "prepare",
    "value_kind",
]


def lanes_of(feature: Aggregate) -> tuple[Lane, ...]:
    """The lanes that an aggregate is finalised from, in the order that `finalize` wants them."""
    make = KINDS[feature.kind].lanes
    return make(feature) if make else ()


def finalize(feature: Aggregate, lanes: Sequence[Array]) -> Array:
    """The value of an aggregate from its merged lanes, float64, (n_rows,) or (n_rows, width).

    `lanes` are those of `lanes_of` for the first of the feature's cuts, then for the second, and so on.
    """
    make = KINDS[feature.kind].finalize
    if make is None:
        raise AssertionError(f"{feature!r} is not made of lanes")
    return make(feature, lanes)


def at_instant(feature: Aggregate, values: Array, at: Any) -> Array:
    """Finalised values as of the instants `at`: what decays has done so since its newest tile began."""
    if feature.kind in ("decayed_count", "decayed_sum") and feature.window:
        return np.asarray(values / growth(np.asarray(at), feature.window))
    return values
