"""The operations of expressions, as one table of functions of columns; `expr.py` states what they mean.

Columns are of length n, or of length 1 or without an axis, which stands for n equal values.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import md5

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array

__all__ = ["BOOLEAN", "COMPARISONS", "OPERATIONS", "TAKE_TEXT", "TEXT_MISUSED"]

TEXT_MISUSED = "text can only be compared, and only with text"

_NOTHING = np.array(None, object)


def _known(values: Array) -> Array:
    """Which values of a text column (object) are not missing."""
    return np.asarray(np.not_equal(values, _NOTHING), np.bool_)


def _number(values: Array) -> Array:
    if values.dtype == object and _known(values).any():
        raise DefinitionError([f"arithmetic or logic on text: {TEXT_MISUSED}"])
    return values.astype(np.float64, copy=False)


def _divide(a: Array, b: Array) -> Array:
    a, b = _number(a), _number(b)
    with np.errstate(all="ignore"):
        return np.where(b == 0, np.nan, a / np.where(b == 0, 1.0, b))


def _log1p(a: Array) -> Array:
    a = _number(a)
    with np.errstate(all="ignore"):
        return np.where(a > -1, np.log1p(np.where(a > -1, a, 0.0)), np.nan)


def _log(a: Array) -> Array:
    a = _number(a)
    with np.errstate(all="ignore"):
        return np.where(a > 0, np.log(np.where(a > 0, a, 1.0)), np.nan)


def _extreme(ufunc: Callable[..., Array]) -> Callable[[Array, Array], Array]:
    """Of 0.0 and -0.0 it is 0.0, whichever way the machine would have it."""
    return lambda a, b: ufunc(_number(a), _number(b)) + 0.0


def _if(condition: Array, then: Array, otherwise: Array) -> Array:
    return np.where(_true(condition), _number(then), _number(otherwise))


def _buckets(a: Array, *edges: Array) -> Array:
    a = _number(a)
    below = np.zeros(a.shape)
    for edge in edges:
        below = below + (a >= edge)
    return np.where(np.isnan(a), np.nan, below)


def _fill(a: Array, value: Array) -> Array:
    a = _number(a)
    return np.where(np.isnan(a), _number(value), a)


def _coarse(a: Array) -> Array:
    """Adding half of the last place that is kept to the bits rounds the magnitude, into the next power of two if so."""
    size = np.ascontiguousarray(np.abs(_number(a)))
    bits = (size.view(np.int64) + (1 << 44)) >> 45 << 45
    rounded = np.where(size < np.finfo(np.float64).tiny, 0.0, bits.view(np.float64))
    return np.where(np.isnan(size), np.nan, np.copysign(rounded, a)) + 0.0


def _missing(a: Array) -> Array:
    return ~_known(a) if a.dtype == object else np.asarray(np.isnan(a), np.bool_)


def _hash(a: Array, n: Array) -> Array:
    if a.dtype != object:
        a = a.astype(np.float64)
    known = np.atleast_1d(~_missing(a))
    values = np.atleast_1d(a)[known].tolist()
    size = int(n.flat[0]) if n.size else 1
    code = {value: float(_digest(value) % size) for value in dict.fromkeys(values)}
    out = np.full(known.shape, np.nan)
    out[known] = [code[value] for value in values]
    return out.reshape(a.shape)


@lru_cache(maxsize=1 << 16)
def _digest(value: str | float) -> int:
    """60 bits of the MD5 of the text, or of the shortest decimal digits of the number, without a fraction if whole."""
    if isinstance(value, float):
        value = str(int(value)) if value.is_integer() else repr(value)
    return int(md5(value.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:15], 16)


def _arithmetic(ufunc: Callable[..., Array]) -> Callable[[Array, Array], Array]:
    def apply(a: Array, b: Array) -> Array:
        with np.errstate(all="ignore"):
            return ufunc(_number(a), _number(b))

    return apply


def _equal(a: Array, b: Array) -> Array:
    same: Array = np.asarray(a == b, np.bool_)
    return same & _known(a) if a.dtype == object else same


def _comparison(ufunc: Callable[..., Array]) -> Callable[[Array, Array], Array]:
    def apply(a: Array, b: Array) -> Array:
        if object not in (a.dtype, b.dtype):
            return ufunc(a, b)
        a, b = np.broadcast_arrays(a, b)
        known = _known(a) & _known(b)
        out = np.zeros(a.shape, np.bool_)
        try:
            out[known] = ufunc(a[known], b[known])
        except TypeError as error:
            raise DefinitionError([f"a comparison of text with numbers: {TEXT_MISUSED}"]) from error
        return out

    return apply


def _true(values: Array) -> Array:
    if values.dtype == np.bool_:
        return values
    values = _number(values)
    return np.asarray((values != 0) & ~np.isnan(values))


OPERATIONS: Mapping[str, Callable[..., Array]] = {
    "add": _arithmetic(np.add),
    "sub": _arithmetic(np.subtract),
    "mul": _arithmetic(np.multiply),
    "div": _divide,
    "log": _log,
    "log1p": _log1p,
    "abs": lambda a: np.abs(_number(a)),
    "minimum": _extreme(np.minimum),
    "maximum": _extreme(np.maximum),
    "if": _if,
    "buckets": _buckets,
    "fill": _fill,
    "coarse": _coarse,
    "missing": _missing,
    "hash": _hash,
    "eq": _equal,
    "ge": _comparison(np.greater_equal),
    "gt": _comparison(np.greater),
    "le": _comparison(np.less_equal),
    "lt": _comparison(np.less),
    "and": lambda a, b: _true(a) & _true(b),
    "or": lambda a, b: _true(a) | _true(b),
    "not": lambda a: ~_true(a),
}
COMPARISONS = frozenset({"eq", "ge", "gt", "le", "lt"})
BOOLEAN = COMPARISONS | {"and", "or", "not", "missing"}
TAKE_TEXT = frozenset({"missing", "hash"})
