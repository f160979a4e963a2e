"""What the relations of the plan are made of: the same for every backend.

Rows of the spine and events are put into one relation, ordered by key and offset; running sums (or maxima) over it
give what every row sees, and the difference of two of them what a window holds. All columns are int64. Events carry
odd positions 2 * offset + 1, rows that ask even ones, so that a row sees the events below its own offset.
"""

from collections.abc import Sequence
from typing import Any

from sixfold.features.store import NEUTRAL

__all__ = ["Relation", "known", "null", "number", "shifted", "so_far", "union", "unless"]

Relation = Any
"""An Ibis table: Ibis has no types of its own."""


def null() -> Any:
    """A number that is not known."""
    import ibis

    return ibis.null("int64")


def number(value: int) -> Any:
    """A number for all rows."""
    import ibis

    return ibis.literal(value, "int64")


def unless(flag: Any, value: Any) -> Any:
    """The value where the flag is 0, and nothing to a maximum where it is 1."""
    import ibis

    return ibis.ifelse(flag == 1, ibis.literal(NEUTRAL, "int64"), value)


def so_far(keys: Sequence[str], order: str) -> Any:
    """The window from the first row of a key up to each, in an order."""
    import ibis

    return ibis.window(rows=(None, 0), group_by=list(keys), order_by=order)


def known(relation: Relation, keys: Sequence[str]) -> Relation:
    """The rows whose keys are all known."""
    return relation.filter([relation[key].notnull() for key in keys])


def union(parts: Sequence[Relation]) -> Relation:
    """The rows of all."""
    import ibis

    return parts[0] if len(parts) == 1 else ibis.union(*parts, distinct=False)


def shifted(value: Any, bits: Any) -> Any:
    """Numbers shifted to the right by a column of bits."""
    return value >> bits.cast("int32")
