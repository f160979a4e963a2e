"""Aggregations over how often each value occurs: distinct values, the most frequent ones, quantiles.

How often each value occurred under a key in a window is kept exactly, as counts by (key, value); so these merge and
can be taken back like counts, and all evaluators agree to the bit. State grows with the number of different values.
"""

from typing import Any, overload

from sixfold._core.errors import DefinitionError
from sixfold.data.events import Events, Field, stream_of
from sixfold.data.expr import Expr
from sixfold.features.aggregates import Over, aggregates, what
from sixfold.features.definitions import Aggregate, By, Key, check_key
from sixfold.frame import Entity

__all__ = ["distinct", "quantile", "top_k"]


@overload
def distinct(stream: Events, *, of: Key | Expr, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def distinct(
    stream: Events, *, of: Key | Expr, by: By, over: tuple[str, ...], where: Expr | None = None
) -> tuple[Aggregate, ...]: ...
def distinct(stream: Events, *, of: Key | Expr, by: By, over: Over, where: Expr | None = None) -> Any:
    """How many different values of `of` (an entity's keys, a field, an expression), exactly; 0 if there are none."""
    return aggregates("distinct", stream, _counted(stream, of), over, by=by, where=where, text=True)


@overload
def top_k(stream: Events, *, of: Key | Expr, k: int, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def top_k(
    stream: Events, *, of: Key | Expr, k: int, by: By, over: tuple[str, ...], where: Expr | None = None
) -> tuple[Aggregate, ...]: ...
def top_k(stream: Events, *, of: Key | Expr, k: int, by: By, over: Over, where: Expr | None = None) -> Any:
    """The `k` most frequent values of `of`, most frequent first, as an (n_rows, k) column; of equals the least first.

    The free places on the right hold -1 (whole numbers and booleans), NaN (float) or None (str).
    """
    if k < 1:
        raise DefinitionError([f"top_k over {stream.name!r}: k must be at least 1, not {k}"])
    value = _counted(stream, of)
    label = f"{what(value)}_{k}"
    return aggregates("top_k", stream, value, over, by=by, where=where, options=(k,), label=label, text=True)


@overload
def quantile(value: Expr, q: float, *, by: By, over: str, where: Expr | None = None) -> Aggregate: ...
@overload
def quantile(
    value: Expr, q: float, *, by: By, over: tuple[str, ...], where: Expr | None = None
) -> tuple[Aggregate, ...]: ...
def quantile(value: Expr, q: float, *, by: By, over: Over, where: Expr | None = None) -> Any:
    """The least value that at least the share `q` of the values do not exceed, to 8 significant bits (`Expr.coarse`).

    0.5 is the (lower) median, 0 the least value, 1 the greatest. Within 0.4 % of the exact one; whole numbers up to 256
    are exact. Missing where there are none. Logarithmic buckets as in DDSketch (Masson et al. 2019), with linear ones
    between the powers of two.
    """
    if not 0 <= q <= 1:
        raise DefinitionError([f"quantile over {value!r}: q is a share from 0 to 1, not {q}"])
    label = f"{what(value)}_p{100 * q:g}".replace(".", "_")
    options = (float(q),)
    return aggregates("quantile", stream_of(value), value, over, by=by, where=where, options=options, label=label)


def _counted(stream: Events, of: Key | Expr) -> Expr:
    if isinstance(of, Entity):
        check_key(stream, (of,))
        return Field(stream, of.name)
    if stream_of(of) != stream:
        raise DefinitionError([f"values of {of!r} cannot be counted over {stream.name!r}: they are not of its events"])
    return of
