"""The shape that values take in a table: types, and what stands for a value that is not there."""

from typing import Any

import numpy as np

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array
from sixfold.features.definitions import Request

__all__ = ["age_of", "as_number", "pick", "pick_sequence", "pick_single", "request_column"]


def request_column(feature: Request, given: Any, n_rows: int) -> Array:
    """A request field as a column: `given` is a column, one value for all rows, or None; float64 or text.

    Raises FeatureError if the value has another type than the feature declares.
    """
    is_text = feature.kind is str
    if given is None:
        return np.full(n_rows, None, object) if is_text else np.full(n_rows, np.nan)
    if isinstance(given, np.ndarray) and given.dtype != object and not is_text:
        return given.astype(np.float64, copy=False)
    values = given.tolist() if isinstance(given, np.ndarray) else [given]
    if wrong := [v for v in values if v is not None and isinstance(v, str) != is_text]:
        raise FeatureError(
            f"the request field {feature.name!r} is declared {feature.kind.__name__}, but was given {wrong[0]!r}",
            hint=f"send a {'text' if is_text else 'number'}, or nothing",
        )
    out = np.empty(len(values), object if is_text else np.float64)
    out[:] = values if is_text else [np.nan if value is None else value for value in values]
    return out if len(out) == n_rows else np.repeat(out, n_rows)


def as_number(column: Array, n_rows: int) -> Array:
    """The result of a compiled expression as a float64 column of `n_rows`."""
    values = column.astype(np.float64, copy=False)
    return values if values.shape == (n_rows,) else np.broadcast_to(values, (n_rows,)).copy()


def pick(values: Array, where: Array, missing: Any) -> Array:
    """values[where], with `missing` where an index is -1.

    >>> pick(np.array([5, 6]), np.array([1, -1]), 0).tolist()
    [6, 0]
    """
    if len(values) == 0:
        return np.full(where.shape, missing, values.dtype)
    out = values[where]
    out[where < 0] = missing
    return out


def pick_single(values: Array, where: Array) -> Array:
    """A value for each row: text as it is, anything else as float64; None or NaN where the index is -1."""
    if values.dtype == object:
        return pick(values, where, None)
    return pick(values.astype(np.float64), where, np.nan)


def pick_sequence(values: Array, where: Array) -> Array:
    """Values for each row and place: -1 (whole numbers and booleans), NaN or None where the index is -1."""
    if values.dtype == object:
        return pick(values, where, None)
    return pick(values, where, np.nan) if values.dtype == np.float64 else pick(values.astype(np.int64), where, -1)


def age_of(at: Any, newest: Array, known: Array) -> Array:
    """Seconds from `newest`, (n_rows,) or (n_rows, n), to `at`, NaN where it is not known; float64."""
    if newest.ndim > 1 and isinstance(at, np.ndarray):
        at = at[:, None]
    return np.where(known, (at - newest).astype(np.float64) / 1e6, np.nan)
